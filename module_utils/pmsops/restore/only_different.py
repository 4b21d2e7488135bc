# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore of what differs: the live database is compared with a set, and only the tables that
differ are brought, proved and exchanged, in one transaction; the former ones are kept.

The proof at the end is of the whole database and reads it once: what the comparison found equal,
and no transaction has written to since, is still equal. Rows tell that; see row_versions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest, reading
from ansible.module_utils.pmsops.restore import (
    database_lock,
    different_proof,
    different_tables,
    row_versions,
    tables_approval,
    tables_record,
    tables_rollback,
)
from ansible.module_utils.pmsops.restore.chunk_exchange import ChunkExchange
from ansible.module_utils.pmsops.restore.different_source import FROM_FILES, Source
from ansible.module_utils.pmsops.restore.different_tables import DifferentTable
from ansible.module_utils.pmsops.restore.different_transfer import LiveDatabase
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.table_surroundings import require_exchangeable
from ansible.module_utils.pmsops.restore.table_transfer import TableRequest
from ansible.module_utils.pmsops.verify import database as comparison


@dataclass
class OnlyDifferent:
    """One run; *named* are the only tables to bring, all that differ if there are none."""

    database: Database
    request: Request
    progress: Progress
    named: Sequence[str] = ()
    consent: Consent = field(default_factory=Consent)
    warnings: list[str] = field(default_factory=list)

    def plan(self) -> dict[str, Any]:
        """Return what differs, and what would be brought; nothing is changed.

        :raises OpsError: restore.only-manifest, restore.in-place, and those of a preflight
        """
        try:
            restore, live = self._compared()
        except psycopg2.Error as exc:
            raise self.database.to_error(exc) from exc
        chosen = self._chosen(live)
        copy = self._source(restore, live, chosen).copy
        shown = self.consent.shown(self._plan(restore, chosen)) if chosen else None
        return self._result(restore, live, chosen) | {
            "source": copy.name if copy else FROM_FILES,
            "consent": shown,
            "warnings": self.warnings,
        }

    def run(self) -> dict[str, Any]:
        """Bring what differs; return what was brought, and what the proof at the end covers.

        :raises OpsError: those of ``plan``, and restore.table-definition, restore.different,
            restore.written-meanwhile, proof.broken, approval.*
        """
        root = self.request.root
        with (
            file_system.coded(root),
            database_lock.exclusive(self.database, root, "restore of what differs"),
            reading.held(self.request.backup_set.folder),
        ):
            try:
                self.warnings += tables_record.catch_up(self.request.evidence, self.database)
                return self._run()
            except psycopg2.Error as exc:
                raise self.database.to_error(exc) from exc
            finally:
                self.progress.close()

    def _run(self) -> dict[str, Any]:
        restore, live = self._compared()
        chosen = self._chosen(live)
        result = self._result(restore, live, chosen)
        if not chosen:
            return result | {"warnings": self.warnings, "phases": self.progress.seconds}
        self.consent.require(self._plan(restore, chosen))
        transfer, source = self._source(restore, live, chosen).bring()
        with self.progress.phase("prove whole"):
            proved = different_proof.whole(restore, transfer)
        if proved.wrong:
            tables_rollback.undo(self.database, transfer.outcome["former_schema"])
            raise OpsError(
                "After the exchange, tables differ from the set: "
                + "; ".join(each.text() for each in proved.wrong[:5]),
                "The exchange was undone; the former tables are live. Restore the whole set.",
                code="restore.different",
            )
        rows = {".".join(name): count for name, count in transfer.rows.items()}
        record = {
            "set": restore.backup_set.id,
            "only": "different",
            "tables": [each.name for each in chosen],
            "chunks": sorted(transfer.keys),
            "source": source,
            "former_schema": transfer.outcome["former_schema"],
            "former_bytes": transfer.outcome["former_bytes"],
            "negative_control": transfer.outcome.get("negative_control"),
            "written_since": proved.written_since,
        } | transfer.approved
        self.warnings += tables_record.write(self.request.evidence, "restore", record)
        return (
            result
            | transfer.outcome
            | {
                "tables": [
                    {"name": each.name, "rows": rows.get(each.name, each.rows_in_set)}
                    for each in chosen
                ],
                "source": source,
                "proved": proved.text,
                "left": [*(each.text() for each in self._others(live, chosen)), *proved.left],
                "written_since": proved.written_since,
                "phases": self.progress.seconds,
                "warnings": [*self.warnings, *transfer.warnings],
            }
        )

    def _compared(self) -> tuple[StagedRestore, LiveDatabase]:
        """Check the set and the server, and compare the live database with the set."""
        restore = StagedRestore(self.database, self.request, self.progress)
        document = restore.document
        if not document or manifest.schema(document) < 3 or manifest.formula(document) < 3:
            raise OpsError(
                f"{restore.backup_set.id} has no manifest that names chunks, so what differs cannot"
                " be told.",
                "Nothing was changed. Name tables (--tables, --in-place), or restore the set.",
                code="restore.only-manifest",
            )
        with self.progress.phase("preflight"):
            restore.check()
        self.warnings += restore.server.notes
        seen: dict[str, Any] = {}

        def within(cursor: Any, wanted: Any, found: Any, contents: Any) -> None:
            seen["facts"] = (wanted, found, document["contents"], contents)
            seen["versions"] = row_versions.RowVersions.read(cursor)

        total = len(document["contents"])
        with self.progress.phase("compare", total=total, unit="tables"):
            found = comparison.differences(
                self.database,
                document,
                progress=self.progress,
                other_versions=restore.server.other_versions,
                within=within,
            )
        compared = different_tables.sort(found, *seen["facts"])
        return restore, LiveDatabase(compared, seen["versions"], seen["facts"][3])

    def _chosen(self, live: LiveDatabase) -> list[DifferentTable]:
        """Return the tables to bring; refuse those that cannot be exchanged, by name."""
        names = {".".join(each) for each in TableRequest.parse(list(self.named), None).tables}
        chosen = [
            each
            for each in live.compared.tables
            if each.rows_in_set is not None and (not names or each.name in names)
        ]
        whole = [each.parts for each in chosen if each.whole]
        with self.database.session(read_only=True) as cursor:
            require_exchangeable(cursor, whole, "the live database")
            ChunkExchange(cursor, chosen, {})
        return chosen

    def _others(self, live: LiveDatabase, chosen: list[DifferentTable]) -> list[DifferentTable]:
        """Return the tables that differ and stay as they are."""
        return [each for each in live.compared.tables if each not in chosen]

    def _plan(self, restore: StagedRestore, chosen: list[DifferentTable]) -> dict[str, Any]:
        return tables_approval.of_exchange(
            self.consent,
            self.database,
            restore.backup_set.id,
            restore.backup_set.manifest_sha256,
            [each.name for each in chosen],
        )

    def _source(
        self, restore: StagedRestore, live: LiveDatabase, chosen: list[DifferentTable]
    ) -> Source:
        def use() -> dict[str, Any]:
            return self.consent.use(self._plan(restore, chosen)) if self.consent.demanded else {}

        return Source(restore, live, chosen, use, self.warnings)

    def _result(
        self, restore: StagedRestore, live: LiveDatabase, chosen: list[DifferentTable]
    ) -> dict[str, Any]:
        compared = live.compared
        return {
            "changed": bool(chosen),
            "set": str(restore.backup_set.path),
            "snapshot_at": restore.document.get("snapshot_at"),
            "different": [
                {
                    "table": each.name,
                    "rows": each.rows,
                    "rows_in_set": each.rows_in_set,
                    "chunks": [] if each.whole else sorted(each.chunks),
                    "text": each.text(),
                }
                for each in chosen
            ],
            "left": [*(each.text() for each in self._others(live, chosen)), *compared.left()],
            "sequences_ahead": compared.ahead,
            "into": None,
            "tables": [{"name": each.name, "rows": each.rows_in_set} for each in chosen],
            "left_out": [],
            "former_schema": None,
            "former": [],
            "undo": None,
            "notes": [],
            "negative_control": None,
            "source": None,
            "proved": None,
            "written_since": [],
            "phases": {},
        }
