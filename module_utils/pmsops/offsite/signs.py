# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signs of ransomware and of sabotage in the newest copy, against those before it on the site.

Earlier copies lie where an attacker on this machine cannot rewrite them. While a sign stands that
nobody accepted, no copy is removed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.offsite.copies import PITR, Copy, of_sets

KEPT_SHARE = 2 / 3  # of the bytes of a set: with less, a third was lost
MIN_BYTES = 1_000_000
# The part of a copy that the site had not had: of most days a little, of encrypted files all.
USUAL_SHARE, CHANGED_SHARE = 0.5, 0.9
HISTORY, MIN_HISTORY = 7, 3


def of_newest(copies: Sequence[Copy], database: str = "") -> list[str]:
    """Return what is suspicious about the newest set's copy, a line each."""
    firsts = _first_of_each(of_sets(copies, database))
    lines = _of_key(firsts) + _of_size(firsts) + _of_change(firsts, "set")
    archives = [each for each in copies if each.kind == PITR]
    return lines + (_of_archive(archives) if not database else [])


def standing(copies: Sequence[Copy], accepted: Collection[str], database: str = "") -> list[str]:
    """Return the signs of the newest copy, unless somebody accepted those of its set."""
    found = _first_of_each(of_sets(copies, database))
    if found and found[-1].set in accepted:
        return []
    return of_newest(copies, database)


def _first_of_each(copies: Sequence[Copy]) -> list[Copy]:
    """Return the first copy of each set, oldest first: later ones of it add only its proof."""
    found: dict[str, Copy] = {}
    for each in copies:
        found.setdefault(each.set, each)
    return list(found.values())


def _of_key(sets: Sequence[Copy]) -> list[str]:
    if len(sets) < 2:
        return []
    newest, before = sets[-1], {each.key for each in sets[:-1]}
    if newest.key in before:
        return []
    return [
        f"set {newest.set} is signed by key {newest.key[:12] or '(none)'}, which signed none of the"
        f" {len(sets) - 1} sets before it there"
    ]


def _of_size(sets: Sequence[Copy]) -> list[str]:
    if len(sets) < 2:
        return []
    was, now = sets[-2].set_bytes, sets[-1].set_bytes
    if was < MIN_BYTES or now >= was * KEPT_SHARE:
        return []
    return [f"set {sets[-1].set} has {human(now)}, the one before it {human(was)}"]


def _of_archive(archives: Sequence[Copy]) -> list[str]:
    if len(archives) < 2:
        return []
    was, now = archives[-2].read_bytes or 0, archives[-1].read_bytes or 0
    lines = _of_change(archives, "archive of base backups")
    if was >= MIN_BYTES and now < was * KEPT_SHARE:
        lines.append(f"the archive of base backups has {human(now)} of {human(was)}")
    return lines


def _of_change(copies: Sequence[Copy], what: str) -> list[str]:
    """Return that nearly all of the newest copy is new where the site used to know most of it."""
    shares = [
        (each.new_bytes or 0) / each.read_bytes
        for each in copies
        if each.read_bytes and each.read_bytes >= MIN_BYTES and each.new_bytes is not None
    ]
    if len(shares) <= MIN_HISTORY or not copies[-1].read_bytes:
        return []
    usual = median(shares[-1 - HISTORY : -1])
    if usual > USUAL_SHARE or shares[-1] < CHANGED_SHARE:
        return []
    return [
        f"{shares[-1]:.0%} of the newest {what} is new to the site, where {usual:.0%} is usual:"
        " everything changed"
    ]
