# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logical replication slots at a swap: refused, dropped, or made anew on the new live database.

A slot cannot change its database, so its consumer loses its position in any case. What the new slot
sends begins at the swap, and the restored rows are not those that the consumer has copied: it has
to read all tables again. Nothing happens to a slot before the PMS works on the new database; a swap
that is reverted leaves the slots as they were.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import bound_objects
from ansible.module_utils.pmsops.postgresql.bound_objects import BoundObjects, Slot
from ansible.module_utils.pmsops.postgresql.connection import Database, quote_literal

# Values of the option, which the journal keeps: they never change.
REFUSE, DROP, RECREATE = "refuse", "drop", "recreate"
CHOICES = [REFUSE, DROP, RECREATE]
RECREATED, DROPPED, FAILED = "recreated", "dropped", "failed"
RESYNC = "its consumer has to read all tables again"
_WOULD = {
    REFUSE: "would be refused: choose with -e restore_slots=recreate or -e restore_slots=drop",
    DROP: f"would be dropped with its position; {RESYNC}",
    RECREATE: f"would be made anew on the new live database, from the swap on; {RESYNC}",
}


def plan(slots: tuple[Slot, ...], handling: str) -> list[dict[str, str]]:
    """Return what a swap would do with each slot: name, plugin, outcome and text."""
    return [
        {
            "name": slot.name,
            "plugin": slot.plugin,
            "outcome": handling,
            "text": f"{slot.text()}: {_WOULD[handling]}",
        }
        for slot in slots
    ]


def require_swappable(live: Database, *others: str, handling: str) -> BoundObjects:
    """Return what is bound to *live*, if it and the *others* can be renamed without loss.

    :raises OpsError: restore.slots unless the operator has said what becomes of them,
        restore.prepared-transactions
    """
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        for name in (live.name, *others):
            bound_objects.require_no_prepared(cursor, name)
        found = bound_objects.read(cursor, live.name)
    if found.slots and handling == REFUSE:
        raise OpsError(
            f"Database {live.name} has logical replication slots, which cannot follow its name to"
            f" another database: {', '.join(slot.text() for slot in found.slots)}. Nothing was"
            " changed.",
            "Choose with -e restore_slots=recreate (a new slot of the same name and plugin, from"
            " the swap on) or -e restore_slots=drop. In both cases each consumer has to read all"
            " tables again.",
            code="restore.slots",
        )
    return found


def recorded(slots: tuple[Slot, ...], handling: str) -> dict[str, Any] | None:
    """Return what the journal keeps of the slots, None without any."""
    if not slots:
        return None
    return {
        "handling": handling,
        "slots": [[slot.name, slot.plugin, slot.two_phase, slot.failover] for slot in slots],
    }


def hand_over(live: Database, state: dict[str, Any]) -> list[dict[str, str]]:
    """Do with the recorded slots what was decided; return name, plugin, outcome and text of each.

    It can be repeated after a kill at any point. A failure is an outcome, not an error: the swap
    itself was accepted.
    """
    return [_settle(live, Slot(*each), state["handling"]) for each in state["slots"]]


def hand_back(live: Database, state: dict[str, Any]) -> list[dict[str, str]]:
    """Give the slots back to the *live* database after a reverted swap; those it has stay."""
    found = []
    for each in state["slots"]:
        slot = Slot(*each)
        with live.session(name=live.maintenance_name, read_only=True) as cursor:
            there = bound_objects.place(cursor, slot.name) == live.name
        if not there:
            found.append(_settle(live, slot, RECREATE))
    return found


def _settle(live: Database, slot: Slot, handling: str) -> dict[str, str]:
    facts = {"name": slot.name, "plugin": slot.plugin}
    try:
        with live.session(superuser=True, autocommit=True) as cursor:
            where = bound_objects.place(cursor, slot.name)
            if where not in (None, live.name):
                bound_objects.drop_slot(cursor, slot.name)
            if handling == DROP:
                text = f"Slot {slot.name} was dropped; {RESYNC}."
                return facts | {"outcome": DROPPED, "text": text}
            if where != live.name:
                bound_objects.create_slot(cursor, slot)
    except (OpsError, psycopg2.Error) as exc:
        name, plugin = (quote_literal(each).strip() for each in (slot.name, slot.plugin))
        step = (
            f"SELECT pg_create_logical_replication_slot({name}, {plugin})"
            if handling == RECREATE
            else f"SELECT pg_drop_replication_slot({name})"
        )
        said = " ".join(str(exc).split())
        text = f"Slot {slot.name} was not {handling}d: {said}. In {live.name}: {step}; {RESYNC}."
        return facts | {"outcome": FAILED, "text": text.replace("dropd", "dropped")}
    text = f"Slot {slot.name} was made anew on {live.name}, from the swap on; {RESYNC}."
    return facts | {"outcome": RECREATED, "text": text}
