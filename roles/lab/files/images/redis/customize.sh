#!/bin/sh
# Ready the unpacked system in $1: the data folder that the volume inherits its owner from.
set -eu
chroot "$1" install -d -o redis -g redis -m 0750 /data
