# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the tables that differ come from: the warm copy of the set, or the set's files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.restore import staging_database, table_rows, warm_copy
from ansible.module_utils.pmsops.restore.different_tables import DifferentTable
from ansible.module_utils.pmsops.restore.different_transfer import DifferentTransfer, LiveDatabase
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.verify import database as comparison

FROM_FILES = "the set's files"


@dataclass(frozen=True)
class Source:
    """Brings the *chosen* tables; *consent* uses up the approval of a second person."""

    restore: StagedRestore
    live: LiveDatabase
    chosen: list[DifferentTable]
    consent: Callable[[], dict[str, Any]]
    warnings: list[str]

    @property
    def copy(self) -> ManagedDatabase | None:
        """Return the warm copy to bring the tables from; None for the set's files.

        Definitions of hypertables are dumped in restoring mode, which a copy is not in.
        """
        hypertables = self.restore.document["facts"].get("hypertables", {})
        if any(each.whole and each.name in hypertables for each in self.chosen):
            return None
        return self.restore.copies.of_set()

    def bring(self) -> tuple[DifferentTransfer, str]:
        """Bring the tables; return what was brought, and where it came from.

        :raises OpsError: restore.in-place, restore.table-definition, restore.different,
            restore.written-meanwhile, proof.broken, approval.*, and those of a restore
        """
        copy = self.copy
        if copy:
            with self._opened(copy):
                transfer = self._transfer(copy.name)
                if self._as_kept(copy, transfer):
                    try:
                        transfer.bring_from_copy()
                    finally:
                        self.restore.close()
                    return transfer, copy.name
        return self._from_files(), FROM_FILES

    def _from_files(self) -> DifferentTransfer:
        """Load definitions, and the rows of the tables, into a staging database."""
        restore = self.restore
        transfer = self._transfer(restore.staging)
        journal = Journal.of_root(restore.request.root)
        restore.begin(journal)

        def work(phases: PhasedRestore) -> None:
            table_rows.load(phases, transfer.wanted.tables, transfer.parts)
            self._prove(transfer)
            transfer.bring(phases)

        try:
            restore.fill(transfer.staging, work)
        finally:
            stays = staging_database.drop_or_explain(restore.database, restore.staging)
            if stays is None:
                journal.close()
            else:
                self.warnings.append(stays)
            restore.close()
        return transfer

    def _transfer(self, source: str) -> DifferentTransfer:
        database = self.restore.database.named(source)
        return DifferentTransfer(self.restore, database, self.chosen, self.live, self.consent)

    @contextmanager
    def _opened(self, copy: ManagedDatabase) -> Iterator[None]:
        """Open the warm copy, and close it whatever happens."""
        database = self.restore.database
        with warm_copy.opened(database, copy.name):
            yield
        warm_copy.close(database, [copy.name])

    def _as_kept(self, copy: ManagedDatabase, transfer: DifferentTransfer) -> bool:
        """Tell whether the copy is as the drill left it, with the rows of the set.

        :raises OpsError: proof.broken
        """
        restore = self.restore
        reason = warm_copy.unfit(restore.database, copy)
        if sorted(restore.request.without_extensions) != copy.mark.get("without_extensions"):
            reason = "it was restored with other extensions left out"
        try:
            if reason is None:
                digest = comparison.objects_sha256(transfer.staging, restore.document)
                if digest == copy.mark["objects_sha256"]:
                    self._prove(transfer)
                else:
                    reason = "an object, a setting or a job of it is not as the drill left it"
        except BrokenProofError:
            raise
        except OpsError as exc:
            reason = str(exc).removesuffix(".")
        if reason:
            self.warnings.append(f"The warm copy {copy.name} is not used: {reason}.")
        return reason is None

    def _prove(self, transfer: DifferentTransfer) -> None:
        with self.restore.progress.phase("prove", total=len(transfer.tables), unit="tables"):
            control = table_rows.prove(self.restore, transfer.staging, transfer.parts)
        if control:
            transfer.outcome["negative_control"] = control.record
            transfer.warnings += control.warnings()
