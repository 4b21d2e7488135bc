#!/usr/bin/env bash
# Runs:    barman 3.19.0 (3.20.1 does the same) with python-dateutil 2.9.0.post0: `barman restore
#          --target-time`. The catalogue has one backup, which ended after every target, so that the
#          restore stops before it copies.
# Seen:    "09:59:00 UTC-3" is read as 09:59:00+03:00, six hours before what Brazil calls so, and
#          without a warning. "UTC -3", with a space, is 09:59:00+00:00: the 3 is dropped. "EST" and
#          "BRT" are taken as the zone of Barman's host, after the warning that no zone had been
#          given.
# Guess:   UTC-3 is -03:00, as on every Brazilian screen; a zone that is not known is an error; and
#          an abbreviation is what PostgreSQL 18 makes of it (EST 14:59 UTC, BRT 12:59 UTC).
# Matters: the instant before the fatal DROP is copied from somewhere: from a chat with "UTC-3", or
#          from PostgreSQL's log, which writes "EST" after the time. The recovery then ends six or
#          five hours early and looks like a success. East of Greenwich it ends too late: with the
#          DROP. Give the offset alone ("-03"), and read "Recovery target time" in the output before
#          going on.
# Output:  -03      2026-11-29 09:59:00-03:00
#          UTC-3    2026-11-29 09:59:00+03:00
#          UTC -3   2026-11-29 09:59:00+00:00
#          EST      2026-11-29 09:59:00+00:00, "No time zone has been specified"
#          BRT      2026-11-29 09:59:00+00:00, "No time zone has been specified"
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
# The package asks for psycopg2, which is built from its source; psycopg2-binary is the same module.
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile --no-deps \
    barman==3.19.0 psycopg2-binary==2.9.13 python-dateutil==2.9.0.post0 six==1.17.0

BACKUP=20261129T200000
mkdir -p "$WORK/home/pms/base/$BACKUP/data" "$WORK/home/pms/wals"
cat >"$WORK/barman.conf" <<INI
[barman]
barman_home = $WORK/home
barman_user = $(id -un)
log_file = $WORK/log
[pms]
description = a portfolio management system
conninfo = host=127.0.0.1 user=barman
backup_method = postgres
archiver = on
INI
cat >"$WORK/home/pms/base/$BACKUP/backup.info" <<INI
backup_id=$BACKUP
begin_offset=40
begin_time=2026-11-29 20:00:00+00:00
begin_wal=000000010000000000000002
begin_xlog=0/2000028
end_offset=0
end_time=2026-11-29 20:10:00+00:00
end_wal=000000010000000000000003
end_xlog=0/3000000
mode=postgres
pgdata=/pgdata
server_name=pms
size=1
status=DONE
systemid=1
tablespaces=None
timeline=1
version=170000
xlog_segment_size=16777216
INI

# look ZONE: how the target is understood, and whether a zone is said to be missing.
look() {
    TZ=UTC timeout 30 "$WORK/venv/bin/barman" -c "$WORK/barman.conf" restore \
        --target-time "2026-11-29 09:59:00$1" pms "$BACKUP" "$WORK/new" >"$WORK/output" 2>&1 || true
    local missing=told
    grep -q 'No time zone has been specified' "$WORK/output" && missing=missing
    local understood='s/^ERROR: The requested target time \(.*\) is before .*/\1/p'
    printf '%s, zone %s\n' "$(sed -n "$understood" "$WORK/output")" "$missing"
}

SEEN=$(for zone in -03 " -03" UTC-3 " UTC-3" " UTC -3" " EST" " BRT"; do
    printf '%-8s %s\n' "$zone" "$(look "$zone")"
done)
printf '%s\n' "$SEEN"
diff - <(printf '%s\n' "$SEEN") <<'EXPECTED'
-03      2026-11-29 09:59:00-03:00, zone told
 -03     2026-11-29 09:59:00-03:00, zone told
UTC-3    2026-11-29 09:59:00+03:00, zone told
 UTC-3   2026-11-29 09:59:00+03:00, zone told
 UTC -3  2026-11-29 09:59:00+00:00, zone told
 EST     2026-11-29 09:59:00+00:00, zone missing
 BRT     2026-11-29 09:59:00+00:00, zone missing
EXPECTED
