# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database holds and a dump does not carry, so that no restore brings it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.postgresql import materialized_views

Facts = dict[str, dict[str, dict[str, Any]]]
# Of a kind, each object is named up to this number.
SHOWN = 20


@dataclass(frozen=True)
class Rule:
    """A part of the facts that no dump carries."""

    kind: str
    # The attribute that is lost; empty where the object itself is.
    attribute: str
    # What happens to the object, after its name, and what a person can do about it.
    what: str
    # Which objects of the kind, by their attributes; without it, those that have the attribute.
    lost: Callable[[dict[str, Any]], bool] | None = None

    def applies(self, attributes: dict[str, Any]) -> bool:
        """Return whether an object loses something."""
        if self.lost:
            return self.lost(attributes)
        return not self.attribute or bool(attributes.get(self.attribute))


def _invalid(index: dict[str, Any]) -> bool:
    # That of a partitioned table is invalid until each partition has one; pg_dump writes it.
    return not index.get("valid") and " ON ONLY " not in str(index.get("definition"))


RULES = (
    Rule(
        "subscriptions",
        "",
        "is left out: a copy must not fetch what the live database has to get. Make it again by"
        " {statement}",
    ),
    Rule(
        "user_mappings",
        "options",
        "comes back without its options, unless a superuser made the dump; set them again by"
        " ALTER USER MAPPING",
    ),
    Rule(
        "extensions",
        "owner",
        "comes back with a superuser as its owner; the owner of today may no longer alter it",
    ),
    Rule(
        "indexes",
        "",
        "is invalid, and pg_dump leaves it out; build it by REINDEX INDEX CONCURRENTLY, or drop it",
        _invalid,
    ),
    Rule(
        "constraints",
        "not_enforced_by",
        "is not enforced, since its internal triggers are disabled; a restore enforces it",
    ),
    Rule(
        "tables",
        "detaching",
        "is being detached, and a restore has it as a partition; finish by ALTER TABLE ... DETACH"
        " PARTITION ... FINALIZE",
    ),
    Rule(
        "types",
        "",
        "is the row type of a table with grants of its own, which pg_dump leaves out",
        lambda of_type: bool(of_type.get("row_type")),
    ),
    Rule(
        "system_grants",
        "",
        "has grants in schema information_schema, which pg_dump leaves out",
        lambda grants: grants.get("restorable") is False,
    ),
    Rule(
        "system_objects",
        "",
        "is in a schema of the server itself, which pg_dump leaves out; move it to one of yours",
    ),
)


def lost(facts: Facts) -> Iterator[tuple[Rule, str]]:
    """Yield each rule with each object that loses something by it."""
    for rule in RULES:
        for name, attributes in facts.get(rule.kind, {}).items():
            if rule.applies(attributes):
                yield rule, name


def text(rule: Rule, name: str, attributes: dict[str, Any]) -> str:
    """Return the line that tells an operator what is lost of an object."""
    statement = _subscription(name, attributes) if rule.kind == "subscriptions" else ""
    return f"{rule.kind}: {name} {rule.what.format(statement=statement)}"


def not_restored(facts: Facts) -> list[str]:
    """Return a line for each thing among the facts of a database that a restore leaves out."""
    lines: list[str] = []
    counted: dict[str, int] = {}
    for rule, name in lost(facts):
        counted[rule.kind] = counted.get(rule.kind, 0) + 1
        if counted[rule.kind] <= SHOWN:
            lines.append(text(rule, name, facts[rule.kind][name]))
    lines += [
        f"{kind}: and {count - SHOWN} more" for kind, count in counted.items() if count > SHOWN
    ]
    return lines + materialized_views.not_restored(facts.get("materialized_views", {}))


def _subscription(name: str, attributes: dict[str, Any]) -> str:
    """Return the statement that makes a subscription again; it fetches nothing yet."""
    return (
        f"CREATE SUBSCRIPTION {name} CONNECTION '...' PUBLICATION"
        f" {', '.join(attributes.get('publications') or [])} WITH (connect = false, slot_name ="
        f" {attributes.get('slot') or 'NONE'})"
    )
