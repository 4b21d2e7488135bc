#!/bin/sh
# Health check of a service of the lab: asks it by COMMAND, which has five seconds.
#
#   healthy.sh SECONDS COMMAND...
#
# Each check that Docker starts costs a tenth of a second of a processor, whatever COMMAND is. So
# the check of a service that Docker knows to be healthy lasts: it asks every SECONDS for five
# minutes and ends as soon as an answer fails. In every other state a check asks once. Docker starts
# one each second, so it soon knows a service that starts or fails. (start_interval would do half
# of this; it needs Engine 25.)
set -u
seconds=$1
shift
reported=/dev/shm/reported-healthy # a start of the container empties /dev/shm

# In a shell of its own: where Docker kills this one, as it does after a pause of the container, what
# it began becomes a child of process 1. In the database's container that is PostgreSQL, which takes
# any exit status but 0 and 1, such as 124 of timeout, for a crash and restarts all its sessions.
ask() { (timeout 5 "$@" || exit 1); }

ask "$@" || exit 1
# The last check ended well a moment ago. One that a pause of the container ended leaves no file.
if [ $(($(date +%s) - $(cat "$reported" 2>/dev/null || echo 0))) -le 3 ]; then
    rm -f "$reported"
    end=$(($(date +%s) + 300))
    while [ "$(date +%s)" -lt "$end" ]; do
        sleep "$seconds"
        ask "$@" || exit 1
    done
fi
date +%s >"$reported"
