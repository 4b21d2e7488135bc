# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which copies may go: by the number of sets, never by the clock; the last proved set always stays.

Ages are those that the sets have of the database's clock, so a wrong clock of this machine, or a
copy of the future, lets nothing go that counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.offsite.copies import PITR, SET, TRIAL, Copy, of_sets
from ansible.module_utils.pmsops.repository.retention import Candidate, Policy, plan

KEPT_ARCHIVES = 7  # newest copies of base backups and WAL: each holds a whole window


def expired(copies: Sequence[Copy], policy: Policy, database: str = "") -> list[Copy]:
    """Return the copies that the policy does not keep, oldest first.

    All copies of a set go together. One whose moment is unknown stays: a person decides about it.
    So does the set of another database as long as there is a copy of a set that refers to it.
    """
    mine = of_sets(copies, database)
    needed = {each.refers_to.get(database, "") for each in of_sets(copies)} if database else set()
    candidates = [replace(each, needed=each.name in needed) for each in _candidates(mine)]
    keep = plan(candidates, policy)
    known = {each.name for each in candidates}
    doomed = [each for each in mine if each.set in known and each.set not in keep]
    if not database:
        for kind, count in ((PITR, KEPT_ARCHIVES), (TRIAL, 0)):
            of_kind = [each for each in copies if each.kind == kind]
            doomed += of_kind[: max(len(of_kind) - count, 0)]
    return sorted(doomed, key=lambda copy: copy.at)


def _candidates(copies: Sequence[Copy]) -> list[Candidate]:
    proved = {each.set for each in copies if each.proved}
    found: dict[str, Candidate] = {}
    for each in copies:
        try:
            taken_at = from_iso(each.taken_at)
        except ValueError:
            continue
        if each.kind == SET and taken_at.tzinfo is not None:
            found[each.set] = Candidate(taken_at, each.set, verified=each.set in proved)
    return list(found.values())
