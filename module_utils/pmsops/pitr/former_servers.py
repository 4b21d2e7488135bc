# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Former servers: volumes that keep what a whole server replaced, or its undo.

Each is a volume with labels, so they are known wherever the Docker Engine answers. Retention is as
for former databases, by number and age; besides, none goes within the days in which it can be
needed for an undo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.common.progress import size
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso, utc_stamp
from ansible.module_utils.pmsops.services import docker_engine

LABEL = "pms-ops.pitr-kept-of"
_WHY, _AT, _BYTES, _DATA = (f"pms-ops.pitr-kept-{each}" for each in ("why", "at", "bytes", "data"))
BEFORE, UNDONE = "before", "undone"
ALL = "all"


def argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options of a policy, as the documentation fragment FORMER_SERVERS names them."""
    return {
        "keep_servers": {"type": "int", "default": 0},
        "keep_servers_undo_days": {"type": "int", "default": 14},
        "keep_servers_max_days": {"type": "int", "default": 0},
    }


@dataclass(frozen=True)
class Policy:
    """Which former servers stay."""

    undo_days: int = 14  # none goes earlier
    count: int = 0  # so many stay beyond these days; 0: any number
    max_days: int = 0  # after so many days even the only one goes; 0: never

    @classmethod
    def from_options(cls, params: dict[str, Any]) -> Policy:
        """Return the policy of a module's options."""
        return cls(
            params["keep_servers_undo_days"],
            params["keep_servers"],
            params["keep_servers_max_days"],
        )


@dataclass(frozen=True)
class Former:
    """A volume that keeps a server."""

    volume: str
    container: str
    why: str  # BEFORE a restore, or UNDONE by a rollback
    kept_at: datetime | None  # None: nobody knows, and it counts as new
    size_bytes: int
    data_directory: str  # in the container; empty: nobody knows

    def text(self) -> str:
        """Return it for an operator."""
        at = utc_stamp(self.kept_at) if self.kept_at else "an unknown moment"
        return f"{self.volume}, {size(self.size_bytes)}, kept {at}"


def labels(former: Former) -> dict[str, str]:
    """Return the labels of the volume that will keep a server."""
    return {
        LABEL: former.container,
        _WHY: former.why,
        _AT: former.kept_at.isoformat() if former.kept_at else "",
        _BYTES: str(former.size_bytes),
        _DATA: former.data_directory,
    }


def listed(container: str) -> list[Former]:
    """Return the former servers of *container*, oldest first.

    :raises OpsError: clients.engine
    """
    found = docker_engine.engine().volumes.list(filters={"label": f"{LABEL}={container}"})
    return sorted((_of(each) for each in found), key=lambda each: (_age_key(each), each.volume))


def goes_at(found: Sequence[Former], policy: Policy) -> list[datetime | None]:
    """Return from when on the policy lets each go, None: it stays; *found* is oldest first."""
    beyond = len(found) - policy.count if policy.count > 0 else 0
    moments: list[datetime | None] = []
    for number, each in enumerate(found):
        days = [policy.undo_days] if number < beyond else []
        days += [max(policy.max_days, policy.undo_days)] if policy.max_days > 0 else []
        goes = each.kept_at + timedelta(days=min(days)) if each.kept_at and days else None
        moments.append(goes)
    return moments


def expired(found: Sequence[Former], policy: Policy, now: datetime) -> list[Former]:
    """Return those that the policy lets go; *found* is oldest first."""
    moments = goes_at(found, policy)
    return [each for each, at in together(found, moments) if at and at <= now]


def documents(found: Sequence[Former], policy: Policy) -> list[dict[str, Any]]:
    """Return them as plain data, each with the moment from which on it may go."""
    return [
        asdict(each)
        | {
            "kept_at": utc_stamp(each.kept_at) if each.kept_at else None,
            "goes_at": utc_stamp(at) if at else None,
        }
        for each, at in together(found, goes_at(found, policy))
    ]


def drop_due(container: str, policy: Policy, *, check: bool) -> list[str]:
    """Drop the former servers that the policy lets go now; return the steps."""
    due = expired(listed(container), policy, datetime.now(UTC))
    return drop(container, due, check=check)


def drop(container: str, wanted: Sequence[Former], *, check: bool) -> list[str]:
    """Remove these volumes for good, in check mode none; return what was removed.

    :raises OpsError: pitr.former-in-use, clients.engine
    """
    import docker.errors

    if check:
        return [f"remove the former server {each.text()}" for each in wanted]
    engine, gone = docker_engine.engine(), []
    for each in wanted:
        try:
            engine.volumes.get(each.volume).remove()
        except docker.errors.NotFound:
            continue
        except docker.errors.APIError as exc:
            raise OpsError(
                f"Former server {each.volume} of {container} cannot be removed: {exc}",
                "Remove the container that uses it, then run again.",
                code="pitr.former-in-use",
            ) from exc
        gone.append(f"removed the former server {each.text()}")
    return gone


def chosen(found: Sequence[Former], name: str, container: str) -> list[Former]:
    """Return the former server *name*, or each of them for ``all``.

    :raises OpsError: pitr.former-gone
    """
    wanted = list(found) if name == ALL else [each for each in found if each.volume == name]
    if not wanted:
        there = "; ".join(each.text() for each in found) or "none"
        raise OpsError(
            f"There is no former server {name} of {container}. Nothing was changed.",
            f"Former servers that are there: {there}.",
            code="pitr.former-gone",
        )
    return wanted


def _age_key(each: Former) -> datetime:
    return each.kept_at or datetime.max.replace(tzinfo=UTC)


def _of(volume: Any) -> Former:
    has = volume.attrs.get("Labels") or {}
    at = None
    # Those of the first release have the moment in their name only.
    for text in (has.get(_AT), _stamp(volume.name)):
        try:
            at = from_iso(str(text))
            break
        except ValueError:
            continue
    return Former(
        volume=volume.name,
        container=has.get(LABEL, ""),
        why=has.get(_WHY, BEFORE),
        kept_at=at,
        size_bytes=int(has.get(_BYTES) or 0),
        data_directory=has.get(_DATA, ""),
    )


def _stamp(name: str) -> str:
    digits = name.rpartition("_")[2]
    return f"{digits[:8]}T{digits[8:]}+00:00" if digits.isdigit() else ""
