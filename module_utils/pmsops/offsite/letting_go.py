# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies that go from a site: a trial made in order to be deleted, and those that nobody keeps.

restic 0.18 ends with status 0 where a server refuses to delete, and 0.19 with 3, so the copies that
are left tell.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.offsite import clock, copies, fence, remembered, retention, signs
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.object_lock import Bucket
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.repository.retention import Policy


def try_to_delete(work: Work, now: datetime) -> dict[str, Any]:
    """Make a small copy and try to delete it; return whether the site refused.

    *held*: it hid the copy, and keeps it (S3 with object lock).

    :raises OpsError: offsite.*
    """
    there = work.copies()  # names a repository that is not ours before anything is written
    fence.require_current(work.site, there, work.places.root)
    clock.require_right(work.restic.site, there, work.places, note=True)
    made = Copy("", work.system, now, copies.TRIAL, head=os.urandom(8).hex())
    made = work.leave(made, "Made by pms-ops in order to be deleted.", there)
    said = ""
    try:
        work.restic.call("forget", made.snapshot)
    except OpsError as exc:
        said = str(exc)
    remembered.forget(work.restic)
    left = {each.snapshot for each in copies.listed(work.restic)}
    bucket = None if made.snapshot in left else Bucket.of(work.restic.site)
    held = bucket is not None and bucket.holds(made.snapshot)
    refused = held or made.snapshot in left
    return {"refused": refused, "held": held, "snapshot": made.snapshot, "said": said}


def prune(
    work: Work, policy: Policy, accepted: Collection[str], *, check: bool, consent: Consent
) -> dict[str, Any]:
    """Let the copies go that the policy does not keep, and free their room.

    :raises OpsError: offsite.signs, offsite.clock, offsite.append-only, approval.*
    """
    there = work.copies()
    fence.require_current(work.site, there, work.places.root)
    found = signs.standing(there, accepted, work.database, signs.Machine.here(work.places))
    if found:
        raise OpsError(
            f"No copy of site {work.site} is removed: {'; '.join(found)}.",
            "Find out what happened, and whether the earlier sets are the better ones. If all"
            ' is well: pms-ops offsite accept --reason "..."',
            code="offsite.signs",
        )
    clock.require_right(work.restic.site, there, work.places, note=not check)
    doomed = retention.expired(there, policy, work.database)
    gone = list(dict.fromkeys(each.set for each in doomed if each.set))
    facts: dict[str, Any] = {"removed": gone, "snapshots": len(doomed)}
    plan = _plan(work, consent, doomed) if doomed and consent.demanded else {}
    if doomed and check:
        return facts | {"consent": consent.shown(plan)}
    if doomed:
        facts |= consent.use(plan)
        remembered.forget(work.restic)
        try:
            work.restic.call("forget", *[each.snapshot for each in doomed], changes=True)
        except OpsError as exc:
            if exc.code != "offsite.unread":
                raise
        left = {each.snapshot for each in copies.listed(work.restic)}
        if any(each.snapshot in left for each in doomed):
            raise OpsError(
                f"Site {work.site} did not remove {len(doomed)} copies: it lets this machine"
                " add and not delete.",
                "That is as it should be: set deletes to false for this site, and let its"
                " operator, or a machine with another credential, remove old copies.",
                code="offsite.append-only",
            )
        work.restic.call("prune", changes=True)
    return facts


def _plan(work: Work, consent: Consent, doomed: Collection[Copy]) -> plans.Plan:
    """Return the plan to remove these copies, as a second person approves it."""
    return consent.plan(
        plans.PRUNE,
        database=work.database,
        site=work.site,
        snapshots=sorted(each.snapshot for each in doomed),
        steps=[
            f"remove copy {each.snapshot} of {each.set or each.kind}, {utc_stamp(each.at)}"
            for each in doomed
        ],
    )
