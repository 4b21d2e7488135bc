# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain of WAL in the archive of an engine of others: what is missing, and whose it is."""

from __future__ import annotations

from dataclasses import replace

from ansible.module_utils.pmsops.pitr import archiver, external_listings, wal
from ansible.module_utils.pmsops.pitr.external_catalogue import BARMAN, PGBACKREST, Catalogue

_HOW_LISTED = {
    PGBACKREST: "pgbackrest repo-ls --recurse --output=json archive/STANZA",
    BARMAN: "find WALS_FOLDER -type f -printf '%s %p\\n'",
}
_HOW_READ = {PGBACKREST: "pgbackrest verify --output=text --verbose"}


def with_gaps(found: Catalogue, server: archiver.Archiver | None) -> Catalogue:
    """Return a catalogue whose files are listed with the segments that are missing among them.

    Between two backups, too: the moments there cannot be had then.
    """
    if not found.held:
        return found
    begin = found.first_wal or found.begin_wal
    timeline = server.timeline if server else wal.timeline(begin or found.held[-1])
    size = server.segment_bytes if server else wal.DEFAULT_BYTES
    gaps = external_listings.lacking(found.held, begin, timeline, size)
    return replace(found, missing=tuple(sorted({*found.missing, *gaps})))


def after_newest_backup(found: Catalogue, size: int) -> str | None:
    """Return the first missing segment that no newer backup makes up for, None if there is none.

    Where no answer says where the newest backup begins, any segment may be one.
    """
    begin = wal.number(found.begin_wal, size) if found.begin_wal else 0
    return next((each for each in found.missing if wal.number(each, size) >= begin), None)


def not_looked_at(found: Catalogue) -> dict[str, str]:
    """Return what of the archive nobody has looked at, and by what it would be."""
    unknown = {}
    if not found.listed:
        how = _HOW_LISTED.get(found.program, "wal-g wal-show --detailed-json")
        unknown["chain"] = (
            "a WAL segment that is missing would not be seen: pitr_external_command does not list"
            f" the files ({how})"
        )
    if not found.read:
        how = _HOW_READ.get(found.program, "")
        unknown["content"] = (
            "a segment or a backup that was damaged and kept its size would not be seen:"
            + (f" nothing has read them ({how})" if how else " nothing has read them")
        )
    return unknown


def foreign(found: Catalogue, server: archiver.Archiver) -> str | None:
    """Return what is wrong where the archive has WAL of a timeline that this server never had.

    A restore follows the newest timeline, unless it is told another one.
    """
    newest = max((*found.held, *filter(None, [found.newest_wal])), key=wal.timeline, default=None)
    if newest is None or wal.timeline(newest) <= server.timeline:
        return None
    other = wal.timeline(newest)
    return (
        f"The archive has WAL of timeline {other} ({newest}), and this server is on timeline"
        f" {server.timeline}: another one, such as a test copy that was promoted, archives there,"
        f" and a restore follows it. Restore with --target-timeline={server.timeline}, and let"
        " copies archive nothing (archive_mode=off)."
    )


def newest_own(found: Catalogue, server: archiver.Archiver) -> str | None:
    """Return the newest segment that this server can have written, None if it is not known."""
    own = [each for each in found.held if wal.timeline(each) <= server.timeline]
    return max(own, key=lambda each: wal.number(each, server.segment_bytes), default=None)
