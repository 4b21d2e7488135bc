# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables and chunks that differ, brought from a set or its warm copy, and seen in their place.

Before the exchange, under its locks, nothing may have been written to them since they were
compared. Before its commit, their objects and the rows of chunks are compared with the set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_all,
    quote_ident,
    quote_literal,
    superuser_role,
)
from ansible.module_utils.pmsops.restore import (
    compared_rows,
    different_tables,
    row_versions,
    table_definitions,
    table_rows,
)
from ansible.module_utils.pmsops.restore.chunk_exchange import ChunkExchange
from ansible.module_utils.pmsops.restore.different_tables import Compared, DifferentTable
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.table_definitions import TRANSIT, TableName, full_name
from ansible.module_utils.pmsops.restore.table_place import Beside
from ansible.module_utils.pmsops.restore.table_surroundings import Around
from ansible.module_utils.pmsops.restore.table_transfer import TableRequest, Transfer
from ansible.module_utils.pmsops.verify import database as comparison
from ansible.module_utils.pmsops.verify import same_meaning


@dataclass
class LiveDatabase:
    """The live database as it was compared with the set."""

    compared: Compared
    versions: row_versions.RowVersions
    # Rows and fingerprints, by the names in a manifest.
    contents: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Dumped:
    target: Database
    tools: ClientTools
    superuser: str | None


class DifferentTransfer(Transfer):
    """The tables that differ, on their way into the live database."""

    def __init__(
        self,
        restore: StagedRestore,
        source: Database,
        tables: list[DifferentTable],
        live: LiveDatabase,
        consent: Callable[[], dict[str, Any]],
    ) -> None:
        """*consent* uses up the approval of a second person; it returns facts for the ledger."""
        whole = tuple(each.parts for each in tables if each.whole)
        super().__init__(restore, source, TableRequest(whole, None))
        self.tables = tables
        self.live = live
        self.approved: dict[str, Any] = {}
        # Relations that held the rows before the exchange.
        self.replaced: set[int] = set()
        self.chunk_rows: dict[str, int] = {}
        self._consent = consent
        with restore.database.session(read_only=True) as cursor:
            self.chunks = ChunkExchange(cursor, tables, restore.document["contents"])
        self.beside = Beside(
            tuple(full_name(each.parts) for each in self.chunks.tables),
            self._locked,
            self._statements,
        )

    @property
    def keys(self) -> set[str]:
        """Return the chunks, by their names in a manifest."""
        return {each.key for each in self.chunks.chunks}

    def parts(self, cursor: Any) -> set[TableName]:
        """Return the relations of the source with the rows that are brought."""
        return table_rows.of_tables(cursor, self.wanted.tables) | table_rows.of_chunks(
            cursor, self.keys
        )

    def bring_from_copy(self) -> None:
        """Bring the tables from a whole copy of the set, which stays as it is.

        :raises OpsError: restore.in-place, restore.table-definition, restore.different,
            restore.written-meanwhile
        """
        home, before, after = self._definitions()
        target = self.restore.database.connect()
        try:
            with target.cursor() as writing:
                become_superuser(writing)
                self.run_script(writing, before)
                with self.restore.progress.phase("copy", total=len(self.tables), unit="tables"):
                    self.copy(writing, None)
                with self.restore.progress.phase("definitions"):
                    self.run_script(writing, after)
                    in_set = self.around_missing()
                self.place(writing, home, in_set)
                self.require_proved(writing)
            target.commit()
        finally:
            target.close()

    def copy_more(self, reading: Any, writing: Any) -> None:
        """Copy the rows of the chunks."""
        self.chunk_rows = self.chunks.copy(reading, writing)

    def place(self, writing: Any, home: dict[TableName, str], in_set: Around) -> None:
        """Exchange the tables and chunks."""
        with self.restore.progress.phase("exchange"):
            super().place(writing, home, in_set)

    def require_proved(self, writing: Any) -> None:
        """Compare what was exchanged with the set, before anybody else sees it.

        Definitions that print otherwise than in the set are compared after the commit, since
        another session does that.

        :raises OpsError: restore.different
        """
        with self.restore.progress.phase("prove exchange"):
            document = self.restore.document
            versions = self.restore.server.other_versions
            listed, wanted, found = comparison.objects(writing, document, versions)
            listed = [each for each in listed if not same_meaning.may_mean_the_same(each)]
            still, _ = different_tables.remaining(
                listed, self.live.compared, self.tables, wanted, found
            )
            if still:
                raise OpsError(
                    "The exchanged tables differ from the set: "
                    + "; ".join(each.text() for each in still[:5]),
                    "Nothing was changed. Restore the whole set.",
                    code="restore.different",
                )
            self.chunks.require_as_in_set(writing)

    def _definitions(self) -> tuple[dict[TableName, str], str, str]:
        """Return the home of each piece, and the statements before and after the rows."""
        if not self.wanted.tables:
            return {}, f"CREATE SCHEMA {quote_ident(TRANSIT)}", "SELECT"
        with self.staging.session(read_only=True) as cursor:
            superuser = superuser_role(cursor)
        with self.restore.tools.together({}) as tools:
            dumped = _Dumped(self.staging, tools, superuser)
            home = table_definitions.into_transit(self.staging, self.wanted.tables, noted=True)
            try:
                before = table_definitions.script(dumped, "pre-data")
                after = table_definitions.script(dumped, "post-data")
            finally:
                table_definitions.out_of_transit(self.staging, home)
        return home, before, after

    def _locked(self, writing: Any) -> None:
        """Refuse an exchange of tables that were written to since they were compared.

        :raises OpsError: restore.written-meanwhile, approval.*
        """
        self.replaced = set(self._relations(writing))
        # Tables that are missing are looked at, too: somebody may have made them meanwhile.
        suspected = self.live.versions.written(writing, of=self.replaced)
        keys = compared_rows.keys_of(writing, suspected) if suspected else set()
        found = compared_rows.read(writing, keys) if keys else {}
        written = [key for key in sorted(keys) if found[key] != self.live.contents.get(key)]
        if written:
            names = ", ".join(written)
            raise OpsError(
                f"{names} was written to since it was compared. Nothing was changed.",
                "Stop what writes to it, and run again: the plan is made anew.",
                code="restore.written-meanwhile",
            )
        self.approved = self._consent()

    def _statements(self, writing: Any, kept: str, undone: str) -> tuple[list[str], list[str]]:
        there, back = self.chunks.statements(writing, kept, undone)
        for name, (value, called) in self.live.compared.behind.items():
            # Forward only, so it harms nothing if the transaction fails: no rollback undoes it.
            schema, _dot, sequence = name.partition(".")
            spelled = quote_literal(full_name((schema, sequence)))
            there.append(
                f"SELECT pg_catalog.setval({spelled}, {value}, {'true' if called else 'false'})"
            )
        return there, back

    def _relations(self, writing: Any) -> list[int]:
        names = [full_name(each) for each in self.wanted.tables]
        oids = [oid for (oid,) in fetch_all(writing, row_versions.WITH_PARTS, (names,))]
        if self.keys:
            known = timescaledb_chunks.chunks(writing)
            oids += [oid for oid, chunk in known.items() if chunk.key in self.keys]
        compressed = timescaledb_chunks.compressed(writing)
        return oids + [compressed[oid] for oid in oids if oid in compressed]
