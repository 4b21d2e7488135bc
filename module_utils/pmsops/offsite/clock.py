# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether this machine's clock can be right, before a copy is dated by it or one is removed.

A site that speaks HTTP says its own time, which settles it. Without one, two things tell: the clock
was set since the last act (it went on otherwise than the time since the machine started), or the
newest copy, set or line of the ledger is of the future. Nothing tells that a clock was wrong
already when the machine started, while all that it wrote is of the past.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, age, moment, utc_stamp
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.offsite import boot, fence, server
from ansible.module_utils.pmsops.offsite.contents import Places
from ansible.module_utils.pmsops.offsite.copies import CLOCK_SECONDS, Copy
from ansible.module_utils.pmsops.offsite.site import Site
from ansible.module_utils.pmsops.repository import manifest, sets

MINUTE = timedelta(minutes=1)
NAME = "clock.json"  # in the folder of the state


def require_right(site: Site, copies: Iterable[Copy], places: Places, *, note: bool) -> None:
    """Check that the clock can be right; with *note*, note how it stands to the machine's start.

    :raises OpsError: offsite.clock
    """
    now = datetime.now(UTC)
    said = server.time_of(site)
    if said is not None and abs(now - said) > timedelta(seconds=CLOCK_SECONDS):
        where = "ahead of" if now > said else "behind"
        raise _wrong(
            f"This machine's clock says {utc_stamp(now)}, {_length(now - said)} {where} that of"
            f" site {site.name} ({utc_stamp(said)})."
        )
    root = fence.system_root(places.root)
    here = _kept(root)
    doubts = [] if said is not None else _set_since(here, now)
    sure = said is not None or bool(here.get("sure"))
    if not doubts and not sure:
        doubts = _of_the_future(site, copies, places, now)
    if doubts:
        raise _wrong(" ".join(doubts))
    if note:
        keep(root, sure=sure)


def keep(root: Path, *, sure: bool) -> None:
    """Note how the clock stands to the machine's start; *sure*: somebody said that it is right."""
    now = utc_stamp(datetime.now(UTC))
    document = {"boot": boot.identity(), "uptime": boot.uptime(), "at": now, "sure": sure}
    with suppress(OSError):
        files.replace(sets.state_folder(root) / NAME, json.dumps(document).encode(), mode=0o600)


def _kept(root: Path) -> dict[str, Any]:
    """Return what was noted since this start of the machine; empty if nothing was."""
    try:
        found = json.loads((root / sets.STATE / NAME).read_bytes())
        moment(found["at"]), float(found["uptime"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if found.get("boot") == boot.identity() != "" else {}


def _set_since(known: dict[str, Any], now: datetime) -> list[str]:
    """Return that the clock was set since the last act, if it was."""
    if not known:
        return []
    went = now - moment(known["at"])
    moved = went - timedelta(seconds=boot.uptime() - known["uptime"])
    if abs(moved) <= timedelta(seconds=CLOCK_SECONDS):
        return []
    where = "ahead" if moved > timedelta(0) else "back"
    return [
        f"This machine's clock says {utc_stamp(now)}: it was set {where} by {_length(moved)} after"
        f" {known['at']}, and no site says which is right."
    ]


def _of_the_future(site: Site, copies: Iterable[Copy], places: Places, now: datetime) -> list[str]:
    """Return what is of the future: the clock went back, or was ahead when that was written."""
    found = {f"the newest copy of site {site.name}": max((c.at for c in copies), default=now)}
    lines = ledger.records(places.evidence_root)
    if lines:
        found["the last line of the ledger"] = moment(lines[-1]["at"])
    folders = sets.listed(places.root)
    with suppress(OpsError, IndexError):  # what is wrong with a set is told elsewhere
        found[f"set {folders[-1].name}"] = moment(manifest.read(folders[-1])["snapshot_at"])
    latest = now + timedelta(seconds=CLOCK_SECONDS)
    return [
        f"This machine's clock says {utc_stamp(now)}, but {what} is of {utc_stamp(at)}: the clock"
        " went back, or was ahead then."
        for what, at in found.items()
        if at > latest
    ]


def _length(difference: timedelta) -> str:
    return age(round(abs(difference) / MINUTE) * 60)


def _wrong(why: str) -> OpsError:
    return OpsError(
        f"{why} No copy is made, and none is removed.",
        "Set the clock of this machine right (timedatectl), then run again. If it is right now:"
        ' pms-ops offsite accept --reason "the clock was corrected"',
        code="offsite.clock",
    )
