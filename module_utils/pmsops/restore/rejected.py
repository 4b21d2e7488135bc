# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database that a swap made live and a swap back replaced: it is never dropped.

If nothing was written to it, a staging database stays proved, and the next try begins with its
swap. Otherwise it becomes a rolled-back database, which neither a recovery nor retention drops.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.postgresql import timescaledb_held_jobs
from ansible.module_utils.pmsops.postgresql.connection import Database, quote_ident, quote_literal
from ansible.module_utils.pmsops.restore import late_writes, registry, swap_statements


@dataclass(frozen=True)
class Rejected:
    """Where the database is now, and what was written to it while it was live."""

    name: str | None = None
    written: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""
    remedy: str = ""


def before_swap(
    cursor: Any, live: Database, incoming: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the mark of *incoming*, and what the journal needs to keep it after a swap back.

    :raises OpsError: database.*
    """
    found = registry.read(cursor)[incoming]
    restored = found.kind == registry.STAGING
    return found.mark, {
        "incoming_oid": found.oid,
        "read_only": swap_statements.own_read_only(cursor, found),
        "since_xid": late_writes.began(cursor),
        "deleted_before": late_writes.deleted(live.named(incoming)) if restored else {},
    }


def keep(live: Database, state: dict[str, Any], *, sealed: bool) -> Rejected:
    """Keep the database that the journal *state* calls incoming; return what became of it.

    *sealed*: writes were held back all the time that it was live. It can be repeated after a kill.

    :raises OpsError: database.*
    """
    found = _incoming(live, state)
    if found is None:
        return Rejected()
    staging = state["incoming_mark"].get("is") == registry.STAGING
    written, unknown = late_writes.count_or_explain(
        live.named(found.name),
        state.get("since_xid"),
        everywhere=not sealed,
        before=state.get("deleted_before", {}) if staging else None,
    )
    name = found.name
    if staging and not written and not unknown:
        timescaledb_held_jobs.hold(live.named(name))
        registry.set_mark(live, name, _without_state(found.mark) | {"step": "proved"})
        text = f"Nothing was written to the new one: the staging database {name} stays, proved"
        if found.mark.get("manifest_sha256"):
            text += (
                ", and the next restore of this set begins with its swap, unless a drill or a"
                " restore of another set comes first"
            )
        return Rejected(name, text=f"{text}.")
    numbers = ("table", "rows", "deleted")
    facts = {registry.WRITTEN: [{key: each[key] for key in numbers} for each in written]}
    if staging:
        name = _set_aside(live, found, facts)
    else:
        registry.set_mark(live, name, _without_state(found.mark) | (facts if written else {}))
    if not written and not unknown:
        return Rejected(name, text=f"Nothing was written to {name}.")
    said = unknown or f"While it was live, this was written to it: {late_writes.describe(written)}."
    commands = late_writes.commands(written, name, live.name)
    return Rejected(
        name,
        written,
        text=f"The new one is kept as {name}. {said}",
        remedy=f"Bring over what is missing: {'; '.join(commands[: late_writes.SHOWN])}. Then drop"
        f" it: DROP DATABASE {quote_ident(name)}."
        if commands
        else f"Look into {name}, then drop it: DROP DATABASE {quote_ident(name)}.",
    )


def _incoming(live: Database, state: dict[str, Any]) -> registry.ManagedDatabase | None:
    found = registry.read_from(live)
    if "incoming_oid" not in state:  # a journal of release 0.1
        return found.get(state["incoming"])
    each = next((each for each in found.values() if each.oid == state["incoming_oid"]), None)
    return None if each is None or each.name == live.name else each


def reminders(found: Iterable[registry.ManagedDatabase]) -> list[str]:
    """Return a line for each of *found* that holds writes which the live database lacks."""
    return [
        f"The database {each.name} stays: the PMS wrote to it before a swap back"
        f" ({late_writes.describe(each.mark[registry.WRITTEN])}). Bring over what is missing, then"
        f" drop it: DROP DATABASE {quote_ident(each.name)}."
        for each in found
        if registry.WRITTEN in each.mark
    ]


def _set_aside(live: Database, found: registry.ManagedDatabase, facts: dict[str, Any]) -> str:
    """Make a staging database a rolled-back one, in one transaction; return its new name."""
    taken = set(registry.read_from(live))
    name = (
        found.name
        if found.kind == registry.UNDONE
        else registry.free_name(live.name, registry.UNDONE, taken)
    )
    mark = _without_state(found.mark) | facts
    mark |= {
        "is": registry.UNDONE,
        "of": live.name,
        "since": utc_stamp(datetime.now(UTC)),
        "comment": mark.get("comment"),
    }
    with live.session(name=live.maintenance_name, superuser=True) as cursor:
        if name != found.name:
            cursor.execute(
                f"ALTER DATABASE {quote_ident(found.name)} RENAME TO {quote_ident(name)}"
            )
        text = quote_literal(registry.mark_text(mark))
        cursor.execute(f"COMMENT ON DATABASE {quote_ident(name)} IS {text}")
        cursor.execute(swap_statements.read_only(quote_ident(name), "on"))
    return name


def _without_state(mark: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mark.items() if key != "state"}
