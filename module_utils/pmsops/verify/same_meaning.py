# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether two definitions that are printed differently mean the same.

PostgreSQL keeps an expression as a tree and prints it on demand. A dump holds the print; a restore
parses it, and the new tree may print otherwise: ``status IN ('open')`` on a varchar does. Versions
of the server print differently too. So the compared server parses both prints and prints them
again, a few times: definitions that meet mean the same, as a restore of one gives the other.

Nothing of this stays, and no code of the database's users runs: a temporary view is made of the
expressions, which is parsed and never planned, in a transaction that is always rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_literal,
)
from ansible.module_utils.pmsops.postgresql.expressions import EXPRESSIONS
from ansible.module_utils.pmsops.verify import object_places, printed_sql, scratch_transaction
from ansible.module_utils.pmsops.verify.differences import Difference

Facts = dict[str, dict[str, dict[str, Any]]]
# A restored copy of a restored copy is two rounds away; prints are at rest after one or two.
ROUNDS = 3
_VIEW = "pms_ops_meaning"
# Kinds whose definition is a statement.
_WHOLE = ("views", "functions", "rules", "collations")
# The body of a function is in the hash that is its definition.
_ALONG = {("functions", "definition"): "body"}


@dataclass(frozen=True)
class _Pair:
    """An attribute whose two texts differ."""

    kind: str
    name: str
    attribute: str
    wanted: str
    found: str
    # Relation, its bare name, its columns; of a domain null, its base type, its COLLATE.
    relation: str | None = None
    bare: str = ""
    shape: str = ""

    def parts(self) -> tuple[printed_sql.Definition, printed_sql.Definition]:
        """Return the two definitions taken apart."""
        return (
            printed_sql.apart(self.kind, self.wanted),
            printed_sql.apart(self.kind, self.found),
        )

    def key(self) -> tuple[Any, ...]:
        """Return what the outcome depends on; the chunks of a hypertable share it."""
        if self.kind not in ("constraints", "columns", "indexes"):
            return (self.kind, self.name, self.attribute)
        here, there = self.parts()
        shape = (self.shape, self.bare if self.relation is None else "")
        return (here.text == there.text, *here.expressions, "", *there.expressions, *shape)


def remaining(
    database: Database, listed: Iterable[Difference], wanted: Facts, found: Facts
) -> list[Difference]:
    """Return the differences without those that are a matter of print.

    A definition that the server could not make anew stays a difference, with the reason.
    """
    listed = list(listed)
    pairs = list(_pairs(listed, wanted, found))
    if not pairs:
        return listed
    outcomes = _outcomes(database, pairs)
    result = []
    for each in listed:
        attribute = _ALONG.get((each.kind, each.attribute), each.attribute)
        outcome = outcomes.get((each.kind, each.name, attribute), "")
        if outcome is None:
            continue
        more = f" (not compared by meaning: {outcome})" if outcome else ""
        result.append(replace(each, what=each.what + more))
    return result


def may_mean_the_same(difference: Difference) -> bool:
    """Return whether a difference is one of printed expressions."""
    key = (difference.kind, difference.attribute)
    return key in _ALONG or difference.attribute in EXPRESSIONS.get(difference.kind, ())


def _pairs(listed: list[Difference], wanted: Facts, found: Facts) -> Iterator[_Pair]:
    for each in listed:
        if each.attribute in EXPRESSIONS.get(each.kind, ()):
            here = wanted[each.kind][each.name].get(each.attribute)
            there = found[each.kind][each.name].get(each.attribute)
            if here and there:
                yield _Pair(each.kind, each.name, each.attribute, here, there)


def _outcomes(database: Database, pairs: list[_Pair]) -> dict[tuple[str, str, str], str | None]:
    """Return for each pair None where it means the same, '' where not, or why nobody knows.

    The session's own role does the work, and a superuser what that may not.
    """
    outcomes: dict[tuple[str, str, str], str | None] = {}
    known: dict[tuple[Any, ...], str | None] = {}
    connection = database.connect(read_only=True)
    try:
        pairs = _placed(connection, pairs)
        prologues, reason = scratch_transaction.prologues(connection, database)
        connection.set_session(readonly=False)
        outcomes = {(each.kind, each.name, each.attribute): reason for each in pairs}
        for prologue in prologues:
            left = []
            for each in pairs:
                key = each.key()
                try:
                    if key not in known:
                        known[key] = _outcome(connection, prologue, each)
                    outcome = known[key]
                except psycopg2.errors.InsufficientPrivilege as exc:
                    outcome = _reason(exc)
                    left.append(each)
                outcomes[each.kind, each.name, each.attribute] = outcome
            pairs = left
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
    finally:
        connection.close()
    return outcomes


def _placed(connection: Any, pairs: list[_Pair]) -> list[_Pair]:
    """Return the pairs with the place of each, as the database has it now."""
    places: dict[tuple[str, str], tuple[Any, ...]] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', 'pg_catalog', true)")
        for kind, sql in object_places.QUERIES.items():
            names = [each.name for each in pairs if each.kind == kind]
            if names:
                for name, *found in fetch_all(
                    cursor,
                    f"SELECT * FROM ({sql}) AS x (name, relation, bare, shape)"
                    " WHERE name = ANY (%s)",
                    (names,),
                ):
                    places[kind, name] = tuple(found)
    connection.rollback()
    return [
        replace(each, relation=place[0], bare=place[1], shape=place[2] or "")
        if (place := places.get((each.kind, each.name)))
        else each
        for each in pairs
    ]


def _outcome(connection: Any, prologue: str, pair: _Pair) -> str | None:
    """Return None where a pair means the same, '' where it does not, or the server's reason.

    :raises InsufficientPrivilege: where another role may know
    """
    here, there = pair.parts()
    if here.text != there.text or not here.expressions:
        return ""
    if pair.kind in object_places.QUERIES and not pair.bare:
        return "it is not in the database any more"
    if pair.kind != "functions" and not all(
        printed_sql.is_one(text) for text in (*here.expressions, *there.expressions)
    ):
        return "a text is not one expression"
    try:
        with connection.cursor() as cursor:
            cursor.execute(prologue)
            return None if _meet(cursor, pair, _text(pair, here), _text(pair, there)) else ""
    except psycopg2.errors.InsufficientPrivilege:
        raise
    except psycopg2.Error as exc:
        if connection.closed:
            raise
        return _reason(exc)
    finally:
        if not connection.closed:
            connection.rollback()


def _meet(cursor: Any, pair: _Pair, here: str, there: str) -> bool:
    """Return whether two texts, each made anew and printed a few times, come to be equal."""
    if pair.kind == "rules":
        cursor.execute(f"CREATE TEMPORARY TABLE {pair.bare} (LIKE {pair.relation})")
    seen: tuple[set[str], set[str]] = (set(), set())
    for _ in range(ROUNDS):
        here, there = _again(cursor, pair, here), _again(cursor, pair, there)
        if here in seen[0] and there in seen[1]:  # both at rest
            return False
        seen[0].add(here)
        seen[1].add(there)
        if seen[0] & seen[1]:
            return True
    return False


def _again(cursor: Any, pair: _Pair, text: str) -> str:
    """Return a definition as the server prints it after it has parsed *text*."""
    create, printed = _STATEMENTS.get(pair.kind, _STATEMENTS["views"])
    cursor.execute(f"SAVEPOINT made; {create(text)}")
    again: str = fetch_value(cursor, printed)
    cursor.execute("ROLLBACK TO SAVEPOINT made")
    return again


def _text(pair: _Pair, definition: printed_sql.Definition) -> str:
    """Return the statement to make anew: the definition's own, or a query of its expressions."""
    if pair.kind in _WHOLE:
        return definition.expressions[0]
    source = ""
    if pair.kind == "triggers":
        source = f"FROM {pair.relation} old, {pair.relation} new"
    elif pair.relation:
        source = f"FROM {pair.relation}"
    elif pair.kind == "constraints":
        source = f"FROM (SELECT NULL::{pair.bare}{pair.shape} AS value) base"
    # In a WHERE: a column of a view cannot have each type.
    return f"SELECT 1 AS one {source} WHERE " + " AND ".join(
        f"(({each}) IS NOT NULL)" for each in definition.expressions
    )


def _view(text: str) -> str:
    return f"CREATE TEMPORARY VIEW {_VIEW} AS {text}"


def _function(text: str) -> str:
    """Move the function that *text* creates into the temporary schema; its name stays."""
    before = r"^CREATE OR REPLACE (?:FUNCTION|PROCEDURE) "
    return printed_sql.moved(text, before, "pg_temp")


def _rule(text: str) -> str:
    return printed_sql.moved(text, r"\sTO ", "pg_temp")


def _collation(text: str) -> str:
    """Return the statement for a locale of ICU, which newer servers write in another form."""
    return f"CREATE COLLATION pg_temp.{_VIEW} (PROVIDER = icu, LOCALE = {quote_literal(text)})"


_OF_TEMPORARY = "(SELECT oid FROM pg_class WHERE relnamespace = pg_my_temp_schema())"
# Per kind, what makes a definition, and the query that prints it.
_STATEMENTS: dict[str, tuple[Callable[[str], str], str]] = {
    "views": (
        _view,
        f"SELECT pg_get_viewdef(oid) FROM {_OF_TEMPORARY} AS v",
    ),
    "functions": (
        _function,
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()",
    ),
    "rules": (
        _rule,
        f"SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE ev_class IN {_OF_TEMPORARY}",
    ),
    "collations": (
        _collation,
        "SELECT coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale')"
        " FROM pg_collation c WHERE c.collnamespace = pg_my_temp_schema()",
    ),
}


def _reason(exc: psycopg2.Error) -> str:
    return str(exc).strip().splitlines()[0] or type(exc).__name__
