#!/bin/sh
# Ready the unpacked system in $1: the place of restores belongs to Barman's user, as its home does.
set -eu
chroot "$1" install -d -o barman -g barman -m 0700 /var/lib/pms-recovery
rm -f "$1"/etc/cron.d/barman # the container has a loop of its own
