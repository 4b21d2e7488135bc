# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signs of ransomware and of sabotage in the newest copy, against those before it on the site.

Earlier copies lie where an attacker on this machine cannot rewrite them. While a sign stands that
nobody accepted, no copy is removed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median
from typing import NamedTuple

from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.offsite import fence
from ansible.module_utils.pmsops.offsite.contents import Places
from ansible.module_utils.pmsops.offsite.copies import PITR, Copy, of_sets
from ansible.module_utils.pmsops.repository import signing

KEPT_SHARE = 2 / 3  # of the bytes of a set: with less, a third was lost
MIN_BYTES = 1_000_000
# The part of a copy that the site had not had: of most days a little, of encrypted files all.
USUAL_SHARE, CHANGED_SHARE = 0.5, 0.9
HISTORY, MIN_HISTORY = 7, 3


class Machine(NamedTuple):
    """This machine: its id, and the id of the key that it made and signs with."""

    id: str = ""
    key: str = ""

    @classmethod
    def here(cls, places: Places) -> Machine:
        """Return the machine that this runs on.

        :raises OpsError: signing.key
        """
        return cls(fence.machine_id(places.root, create=False), signing.own_id(places.keys))


NOBODY = Machine()


def of_newest(copies: Sequence[Copy], database: str = "", own: Machine = NOBODY) -> list[str]:
    """Return what is suspicious about the newest set's copy, a line each."""
    firsts = _first_of_each(of_sets(copies, database))
    new_key = [] if expected(copies, database, own) else _of_key(firsts)
    lines = new_key + _of_size(firsts) + _of_change(firsts, "set")
    archives = [each for each in copies if each.kind == PITR]
    if database or _begins(archives, copies, own):
        return lines
    return lines + _of_archive(archives)


def expected(copies: Sequence[Copy], database: str, own: Machine) -> list[str]:
    """Return that the newest set's key is new, and why that is as it should be; else no line.

    It is if this machine took the system over, the key is its own, and the set is the first after
    that: a key that comes later, or that is another's, is a sign.
    """
    firsts = _first_of_each(of_sets(copies, database))
    if not _begins(firsts, copies, own) or not _of_key(firsts) or firsts[-1].key != own.key:
        return []
    return [f"key {own.key[:12]} is new there, as expected: this machine took the system over"]


def _begins(mine: Sequence[Copy], copies: Sequence[Copy], own: Machine) -> bool:
    """Tell whether the newest of *mine* is the first after this machine took the system over.

    Its archive of base backups begins anew then, which else looks like loss. All other signs stand.
    """
    mark = fence.mark(copies)
    if mark is None or not all(own) or mark.machine != own.id or not mine:
        return False
    return mine[-1].at > mark.at and not any(each.at > mark.at for each in mine[:-1])


def standing(
    copies: Sequence[Copy],
    accepted: Collection[str],
    database: str = "",
    own: Machine = NOBODY,
) -> list[str]:
    """Return the signs of the newest copy, unless somebody accepted those of its set."""
    found = _first_of_each(of_sets(copies, database))
    if found and found[-1].set in accepted:
        return []
    return of_newest(copies, database, own)


def told(
    copies: Sequence[Copy], accepted: Collection[str], database: str, places: Places
) -> dict[str, list[str]]:
    """Return the *signs* that stand, and what is new as *expected*, seen from this machine.

    :raises OpsError: signing.key
    """
    own = Machine.here(places)
    return {
        "signs": standing(copies, accepted, database, own),
        "expected": expected(copies, database, own),
    }


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
