# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The negative control: a proof shows that it could have failed.

After the rows of a copy were proved, one value of one row is changed in a transaction on the copy,
and the comparison that proved it has to name exactly the changed table. The transaction is rolled
back, and the table is compared once more. The record has the seed of every choice, and no value.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import BrokenProofError
from ansible.module_utils.pmsops.postgresql import catalog, session_settings
from ansible.module_utils.pmsops.postgresql.connection import become_superuser
from ansible.module_utils.pmsops.postgresql.fingerprint import Relation
from ansible.module_utils.pmsops.verify import changed_row
from ansible.module_utils.pmsops.verify.differences import Difference
from ansible.module_utils.pmsops.verify.row_comparison import Comparison
from ansible.module_utils.pmsops.verify.sampled_rows import Refused, Sample

FOUND, NOT_FOUND, NOT_UNDONE = "found", "not found", "not undone"
# No pass, and no failure either.
NOTHING, NOT_POSSIBLE = "nothing to change", "not possible"
BROKEN = (NOT_FOUND, NOT_UNDONE)
# A table, or a chunk or partition of one, is chosen if reading it twice more costs little: at most
# so many rows and bytes, or this share of the whole database. Larger ones come after all others.
MAX_ROWS, MAX_BYTES, SHARE = 10_000, 8 << 20, 200
TABLES_TRIED = 20
SHOWN = 5
LOCK_SECONDS = 5
SEEDS = 2**32


@dataclass
class Control:
    """The negative control of one proof; ``record`` is what became of it."""

    seed: int = field(default_factory=lambda: random.SystemRandom().randrange(SEEDS))
    kinds: tuple[str, ...] = changed_row.KINDS
    record: dict[str, Any] = field(default_factory=dict)

    def run(self, cursor: Any, compared: Comparison, before: list[Difference]) -> dict[str, Any]:
        """Change a row, compare, undo it, and compare again; return the record.

        The transaction of *cursor* is ended first. *before* are the differences that are known.
        """
        began = time.monotonic()
        self.record = {
            "outcome": NOT_POSSIBLE,
            "seed": self.seed,
            "table": None,
            "kind": None,
            "column_type": None,
            "named": [],
            "refused": [],
        }
        connection = cursor.connection
        connection.rollback()
        connection.set_session(readonly=False)
        try:
            self._run(cursor, compared, before)
        finally:
            with suppress(psycopg2.Error):
                connection.rollback()
        self.record["seconds"] = round(time.monotonic() - began, 3)
        return self.record

    def _run(self, cursor: Any, compared: Comparison, before: list[Difference]) -> None:
        choice = random.Random(self.seed)  # noqa: S311 -- a choice that can be made again
        wrong = {each.name for each in before}
        several = list(_candidates(compared, choice, wrong))
        if not several:
            self.record["outcome"] = NOTHING
            return
        silenced = _begin(cursor)
        if silenced is None:
            self.record["refused"] = ["the server is read-only"]
            return
        largest = max(MAX_BYTES, sum(each.size_bytes for each in compared.relations) // SHARE)
        for relation in several[:TABLES_TRIED]:
            change = self._change(cursor, compared, relation, choice, silenced, largest)
            if change:
                break
        else:
            return
        named = _new(compared.again(cursor, relation.key), before)
        cursor.connection.rollback()
        self.record |= {
            "outcome": FOUND if named == [relation.key] else NOT_FOUND,
            "table": relation.key,
            "kind": change.kind,
            "column_type": change.column_type,
            "named": named[:SHOWN],
        }
        catalog.prepare(cursor)
        if _new(compared.again(cursor, relation.key), before):
            self.record["outcome"] = NOT_UNDONE

    def _change(
        self,
        cursor: Any,
        compared: Comparison,
        relation: Relation,
        choice: random.Random,
        silenced: bool,
        largest: int,
    ) -> changed_row.Change | None:
        """Change a table by any kind that it takes; None if it takes none."""
        kinds = [kind for kind in compared.kinds if kind in self.kinds]
        choice.shuffle(kinds)
        try:
            sample = Sample(
                cursor,
                relation,
                choice,
                count=compared.rows(relation.key),
                silenced=silenced,
                max_bytes=largest,
            )
        except Refused as exc:
            self._refused(f"{relation.key}: {exc}")
            return None
        for kind in kinds:
            try:
                return changed_row.make(sample, kind, choice)
            except Refused as exc:
                self._refused(f"{relation.key}, {kind}: {exc}")
        return None

    def _refused(self, what: str) -> None:
        if len(self.record["refused"]) < SHOWN:
            self.record["refused"].append(what)

    @property
    def broken(self) -> bool:
        """Tell whether the comparison, or the copy, is not what it has to be."""
        return self.record.get("outcome") in BROKEN

    def require_found(self) -> None:
        """Refuse a proof whose comparison did not find the change, or a copy that is not as before.

        :raises BrokenProofError: proof.broken
        """
        if not self.broken:
            return
        changed = f"{self.record['kind']} in {self.record['table']}"
        if self.record["outcome"] == NOT_UNDONE:
            raise BrokenProofError(
                f"The proof is broken: after the negative control ({changed}, seed {self.seed}) was"
                " rolled back, the copy is not as before. The live database was not touched.",
                "Run again. If it happens again, keep the set, and report it with the seed.",
                code="proof.broken",
                record=self.record,
            )
        raise BrokenProofError(
            f"The proof is broken: it did not find the negative control ({changed}, seed"
            f" {self.seed}); it named {', '.join(self.record['named']) or 'nothing'}. So it says"
            " nothing about the copy. The live database was not touched.",
            "Trust no proof of this installation until the cause is found: compare its files with"
            " those of the release (pms-ops version), and report it with the seed.",
            code="proof.broken",
            record=self.record,
        )

    def warnings(self) -> list[str]:
        """Return what a run has to say of a control that changed nothing."""
        if self.record.get("outcome") == NOTHING:
            return ["Negative control: nothing to change, all compared tables are empty."]
        if self.record.get("outcome") == NOT_POSSIBLE:
            why = "; ".join(self.record["refused"]) or "no table takes a change"
            return [
                f"Negative control: not possible ({why}): the proof has not shown that it fails."
            ]
        return []


def _candidates(compared: Comparison, choice: random.Random, wrong: set[str]) -> Iterator[Relation]:
    """Yield relations with rows in random order: one of each table, the others, then large ones.

    So each table has the same chance, whatever the number of its chunks. What belongs to an
    extension is left alone.
    """
    total = sum(compared.rows(key) for key in {each.key for each in compared.relations})
    most = max(MAX_ROWS, total // SHARE)
    small: dict[str, list[Relation]] = {}
    large: list[tuple[int, Relation]] = []
    for each in compared.relations:
        rows = compared.rows(each.key)
        if each.extension or not rows or each.key in wrong:
            continue
        if rows <= most:
            small.setdefault(each.chunk.hypertable if each.chunk else each.key, []).append(each)
        else:
            large.append((rows, each))
    tables = list(small)
    choice.shuffle(tables)
    for table in tables:
        choice.shuffle(small[table])
    yield from (small[table][0] for table in tables)
    yield from (each for table in tables for each in small[table][1:])
    yield from (each for _, each in sorted(large, key=lambda found: found[0]))


def _new(found: list[Difference], before: list[Difference]) -> list[str]:
    """Return the names of the differences that were not there before."""
    known = {(each.name, each.what) for each in before}
    return [each.name for each in found if (each.name, each.what) not in known]


def _begin(cursor: Any) -> bool | None:
    """Begin a transaction that may write; return whether triggers are silenced, None if it cannot.

    Reading goes on in it as before.
    """
    try:
        catalog.prepare(cursor)
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute("SELECT pg_catalog.pg_is_in_recovery()")
        if cursor.fetchone()[0]:
            return None
        if become_superuser(cursor) is None:
            return False
        session_settings.silence_triggers(cursor)
    except psycopg2.errors.ReadOnlySqlTransaction:
        return None
    return True
