# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Single tables of a staging database, brought into the live one with all that belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_value,
)
from ansible.module_utils.pmsops.restore import (
    former_tables,
    table_definitions,
    table_hypertables,
    table_place,
)
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.table_copy import copy_sequences, copy_table
from ansible.module_utils.pmsops.restore.table_definitions import TRANSIT, TableName
from ansible.module_utils.pmsops.restore.table_surroundings import Around, require_exchangeable


@dataclass(frozen=True)
class TableRequest:
    """The tables to restore, as (schema, name), and the schema to restore them into.

    In place, there is none: they take the names of the live tables, which are kept.
    """

    tables: tuple[TableName, ...]
    into: str | None

    @classmethod
    def parse(cls, tables: list[str], into: str | None) -> TableRequest:
        """Parse table names as an operator writes them; ``public.`` may be omitted."""
        named = []
        for each in tables:
            schema, dot, name = each.partition(".")
            named.append((schema, name) if dot else ("public", each))
        return cls(tuple(dict.fromkeys(named)), into)

    @property
    def in_transit(self) -> list[TableName]:
        """Return the names of the tables on their way into the live database."""
        return [(TRANSIT, name) for _schema, name in self.tables]


class Transfer:
    """The tables on their way from the staging database into the live one."""

    def __init__(self, restore: StagedRestore, staging: Database, wanted: TableRequest) -> None:
        self.restore = restore
        self.staging = staging
        self.wanted = wanted
        self.rows: dict[TableName, int] = {}
        self.outcome: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.hypertables: table_hypertables.Hypertables = {}
        self.beside = table_place.Beside()
        backup_set = restore.backup_set
        self.note = f"Tables of backup set {backup_set.id}, made by pms-ops."

    def bring(self, phases: PhasedRestore) -> None:
        """Bring the tables, restored and proved, in one transaction on the live database.

        :raises OpsError: restore.in-place, restore.table-definition, restore.different.
        """
        progress, wanted = phases.progress, self.wanted
        if wanted.into is None:
            with self.staging.session(read_only=True) as cursor:
                require_exchangeable(cursor, wanted.tables, "the set")
                self.hypertables = table_hypertables.of_set(cursor, wanted.tables)
        home = table_definitions.into_transit(self.staging, wanted.tables)
        target = self.restore.database.connect()
        try:
            with target.cursor() as writing:
                become_superuser(writing)
                self.run_script(writing, table_definitions.script(phases, "pre-data"))
                table_hypertables.make(writing, self.hypertables)
                with progress.phase("copy", total=len(wanted.tables), unit="tables"):
                    self.copy(writing, TRANSIT)
                with progress.phase("definitions"):
                    in_set = Around()
                    if wanted.tables:
                        home, in_set = self._finish(phases, home)
                        rest = table_definitions.script(phases, "post-data")
                        self.run_script(writing, table_hypertables.spelled(rest, self.hypertables))
                    # With the expressions of indexes, and extended statistics.
                    for _schema, name in wanted.tables:
                        writing.execute(f"ANALYZE {table_definitions.full_name((TRANSIT, name))}")
                self.place(writing, home, in_set)
                self.require_proved(writing)
            target.commit()
        finally:
            target.close()

    def copy(self, writing: Any, source: str | None) -> None:
        """Copy the rows into the tables of transit; *source* is the schema that they are read in.

        Without it each is read where its name says.
        """
        with self.staging.session(read_only=True) as reading:
            read = [(source or schema, name) for schema, name in self.wanted.tables]
            for done, (name, at) in enumerate(together(self.wanted.tables, read)):
                self.restore.progress.update(done)
                self.rows[name] = copy_table(reading, writing, (TRANSIT, name[1]), source=at)
            copy_sequences(reading, writing, read, TRANSIT)
            self.copy_more(reading, writing)

    def require_proved(self, writing: Any) -> None:
        """Look at the tables in their place once more, before the commit: they were compared."""

    def copy_more(self, reading: Any, writing: Any) -> None:
        """Copy what comes along with the tables: nothing."""

    def _finish(
        self, phases: PhasedRestore, home: dict[TableName, str]
    ) -> tuple[dict[TableName, str], Around]:
        """Add keys, indexes and triggers in the staging database, with empty tables.

        Return the schema of each piece, now with statistics, and what the set has around the
        tables that the live database lacks.
        """
        table_definitions.add_rest(phases, self.wanted.tables, home)
        in_set = self.around_missing()
        home = table_definitions.into_transit(self.staging, self.wanted.tables)
        if self.wanted.into is not None:
            self.outcome["left_out"] = table_definitions.without_outside_keys(
                self.staging, self.wanted.in_transit
            )
        return home, in_set

    def around_missing(self) -> Around:
        """Return what the set has around the tables that the live database lacks."""
        with self.restore.database.session(read_only=True) as cursor:
            missing = [
                name
                for name in self.wanted.tables
                if not fetch_value(
                    cursor,
                    "SELECT to_regclass(%s) IS NOT NULL",
                    (table_definitions.full_name(name),),
                )
            ]
        with self.staging.session(read_only=True) as cursor:
            return Around.of(cursor, missing)

    def place(self, writing: Any, home: dict[TableName, str], in_set: Around) -> None:
        """Put the tables where they belong; in place, with what ``beside`` says."""
        if self.wanted.into is not None:
            table_place.beside(writing, self.wanted.tables, self.wanted.into, self.note)
            return
        done = table_place.in_place(
            writing, self.wanted.tables, home, in_set, self.note, self.beside
        )
        sizes = {each.schema: each.bytes for each in former_tables.find(writing)}
        self.outcome |= {
            "former_schema": done.schema,
            "former_bytes": sizes.get(done.schema, 0),
            "former": [".".join(each) for each in done.former],
            "undo": done.undo,
            "notes": list(done.notes),
        }

    def run_script(self, writing: Any, script: str) -> None:
        """Run statements of pg_dump in the transaction on the live database.

        :raises OpsError: restore.table-definition
        """
        try:
            writing.execute(script)
        except psycopg2.Error as exc:
            raise OpsError(
                "The live database does not take the tables as the set has them: "
                + " ".join(str(exc).split()),
                "Nothing was changed. Bring back what it names (a type, a function, a role, a"
                " table of the same set), and run again.",
                code="restore.table-definition",
            ) from exc
