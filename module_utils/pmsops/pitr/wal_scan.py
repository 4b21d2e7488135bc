# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archived WAL read before a restore: whole, of this server, and which commits it holds.

pg_waldump of the database's own image reads every record from the base backup on and checks its
checksum, so that a damaged or missing segment is found before anything is made. The commits around
the moment say what a recovery reaches, and what comes after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.pitr import wal
from ansible.module_utils.pmsops.pitr.container import HOME
from ansible.module_utils.pmsops.pitr.moment import Moment

FOLDER = "/tmp/pms-wal"  # noqa: S108  in a container of its own
# Reads the commits that pg_waldump prints. It must hold no single quote.
AWK = r"""
function visible(xid,  back) {
    if (xid in running) return 0
    back = xmax - xid
    if (back < 0) back += 4294967296
    return back > 0 && back < 2147483648
}
BEGIN {
    if (kind == "snapshot") {
        split(target, part, ":")
        xmax = part[2] % 4294967296
        count = split(part[3], each, ",")
        for (i = 1; i <= count; i++) running[each[i] % 4294967296] = 1
    }
}
# A position is where the next record begins: one that begins there was not yet written.
function pad(lsn,  part) { split(lsn, part, "/"); return sprintf("%8s/%8s", part[1], part[2]) }
/desc: COMMIT/ {
    for (i = 1; i <= NF; i++) {
        if ($i == "lsn:") { lsn = $(i + 1); sub(",", "", lsn) }
        if ($i == "tx:") { xid = $(i + 1); sub(",", "", xid) }
        if ($i == "COMMIT") { at = $(i + 1) " " $(i + 2) }
        if ($i == "COMMIT_PREPARED") { at = $(i + 2) " " $(i + 3) }
    }
    held = kind == "latest" || (kind == "time" && at <= target)
    held = held || (kind == "lsn" && pad(lsn) < target)
    if (kind == "snapshot") {
        if (visible(xid + 0)) { print_lsn = lsn; print_at = at; crossing += after; after = 0 }
        else { after++; if (after == 1) first = at }
    }
    else if (held && !after) { print_lsn = lsn; print_at = at }
    else { after++; if (after == 1) first = at }
    newest = at
}
END {
    if (print_lsn != "") print "last", print_lsn, print_at
    if (crossing) print "crossing", crossing
    if (after) print "after", after, first
    if (newest != "") print "newest", newest
}
"""
# Arguments: begin LSN, timeline, system identifier, first segment. Puts all segments into one
# folder, and tells one of another server; then pg_waldump is on the PATH.
GATHER = rf"""
set -u
mkdir -p {FOLDER} && cd {FOLDER} || exit 3
for file in {HOME}/pms/wals/*/* {HOME}/pms/streaming/* {HOME}/pms/broken_off/*; do
    name=$(basename "$file" .partial)
    case $name in *[!0-9A-F]*) continue ;; esac
    [ ${{#name}} -eq 24 ] && [ ! -e "$name" ] && ln -s "$file" "$name"
done
for name in *; do
    [ "$name" \< "$4" ] && continue
    id=$(od -An -tu8 -j24 -N8 "$name" | tr -d ' ')
    [ "$id" = "$3" ] || {{ echo "foreign $name"; break; }}
done
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/local/bin
"""
# Further arguments: kind of target, target.
SCRIPT = rf"""{GATHER}
TZ=UTC pg_waldump --path={FOLDER} --start="$1" --timeline="$2" --rmgr=Transaction 2>{FOLDER}.err |
awk -v kind="$5" -v target="$6" '{AWK}'
echo "end $(tail -n 1 {FOLDER}.err)"
"""
_AT = re.compile(r"\bat ([0-9A-F]+/[0-9A-F]+)")
_FILE = re.compile(r'"([0-9A-F]{24})"')
_NO_MORE = re.compile(r"got 0\b|invalid magic number 0000|could not find file|could not open file")


@dataclass(frozen=True)
class Scan:
    """What the WAL holds from the base backup to the moment, and after it."""

    last_lsn: str | None  # the last commit that belongs to the moment; None: none since the base
    last_at: datetime | None
    after: int  # transactions that come after it
    first_after: datetime | None
    newest: datetime | None  # the newest commit of all
    # Transactions that committed before the last one of a snapshot and are not in the snapshot.
    crossing: int = 0
    missing: str | None = None  # a segment that ends the reading
    damaged: str | None = None
    foreign: str | None = None  # a segment of another server

    @property
    def reaches(self) -> bool:
        """Whether the WAL was read beyond the moment, so that what ends it later matters not."""
        return self.after > 0


def arguments(moment: Moment) -> tuple[str, str]:
    """Return kind and target for the script."""
    if moment.snapshot is not None:
        return "snapshot", moment.snapshot
    if moment.at is not None:
        return "time", moment.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if moment.lsn is not None:
        high, _, low = moment.lsn.partition("/")
        return "lsn", f"{high:>8}/{low.zfill(8)}"
    return "latest", ""


def read(output: str, last_segment: str, timeline: int, segment_bytes: int) -> Scan:
    """Return what the script found. *last_segment* is the newest that is held, whole or not."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        found.setdefault(word, rest)
    last = found.get("last", "").split(" ", 1)
    after = found.get("after", "0").split(" ", 1)
    missing, damaged = _break(found.get("end", ""), last_segment, timeline, segment_bytes)
    return Scan(
        last_lsn=last[0] or None,
        last_at=_time(last[1]) if len(last) > 1 else None,
        after=int(after[0]),
        first_after=_time(after[1]) if len(after) > 1 else None,
        newest=_time(found["newest"]) if found.get("newest") else None,
        crossing=int(found.get("crossing", 0)),
        missing=missing,
        damaged=damaged,
        foreign=found.get("foreign"),
    )


def _break(
    said: str, last_segment: str, timeline: int, segment_bytes: int
) -> tuple[str | None, str | None]:
    """Return the segment that is missing and the one that is damaged, both None at the end."""
    held = wal.number(last_segment, segment_bytes)
    if file := _FILE.search(said):
        return (file[1] if wal.number(file[1], segment_bytes) <= held else None), None
    places = _AT.findall(said)
    if not places:
        return None, (said or None)
    segment = wal.of_lsn(places[-1], timeline, segment_bytes)
    if wal.number(segment, segment_bytes) >= held and _NO_MORE.search(said):
        return None, None
    return None, segment


def _time(text: str) -> datetime:
    return from_iso(text).replace(tzinfo=UTC)
