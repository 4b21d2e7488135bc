# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain of WAL in the archive of an engine of others: what is missing, and whose it is."""

from __future__ import annotations

from dataclasses import replace

from ansible.module_utils.pmsops.pitr import archiver, external_listings, wal
from ansible.module_utils.pmsops.pitr.external_formats import Catalogue


def with_gaps(found: Catalogue, server: archiver.Archiver | None) -> Catalogue:
    """Return a catalogue whose files are listed with the segments that are missing among them."""
    if not found.held or not found.begin_wal:
        return found
    timeline = server.timeline if server else wal.timeline(found.begin_wal)
    size = server.segment_bytes if server else wal.DEFAULT_BYTES
    gaps = external_listings.lacking(found.held, found.begin_wal, timeline, size)
    return replace(found, missing=tuple(sorted({*found.missing, *gaps})))


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
