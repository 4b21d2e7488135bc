# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one restore or drill does with the warm copies of its database: use, keep, make room."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.restore import (
    former_copy,
    preflight,
    proof,
    registry,
    room,
    staging_database,
    warm_copy,
    warm_rule,
)
from ansible.module_utils.pmsops.restore.request import Request


@dataclass
class WarmCopies:
    """The warm copies as one run meets them."""

    live: Database
    request: Request
    # The copy that this run puts in place of a staging database, and the one that it keeps.
    used: str | None = None
    kept: str | None = None
    # The former database that equals the set, and is put in place as it is.
    former: str | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def of_set(self) -> registry.ManagedDatabase | None:
        """Return the copy of the set that is restored; a drill never uses one."""
        if not self.request.keep or self.request.fresh:
            return None
        wanted = self.request.backup_set.manifest_sha256
        return warm_copy.of_set(registry.read_from(self.live), self.live.name, wanted)

    def spare_bytes(self) -> int:
        """Return how many bytes the copies take, which a restore may drop for its own.

        Twice as many where one of them is of the set: then the restore needs no room at all.
        """
        return warm_copy.size_bytes(self.live) * (2 if self.of_set() else 1)

    def prove(self, prove: Callable[[Database], proof.Proof]) -> proof.Proof | None:
        """Prove the copy of the set; None if there is none that can be used.

        :raises OpsError: proof.broken
        """
        copy = self.of_set()
        if copy is None:
            return None
        without = self.request.without_extensions
        proved, reason = warm_copy.proved_again(self.live, copy, prove, without)
        if proved is None:
            self.warnings.append(f"{reason} The set was restored from its files.")
            warm_copy.note(self.live, self.request.root)
            return None
        self.used = copy.name
        return proved

    def prove_former(self, document: dict[str, Any], progress: Progress) -> proof.Proof | None:
        """Prove the database that the live one replaced last, where it equals the set.

        :raises OpsError: proof.broken
        """
        if not self.request.keep or self.request.fresh or self.of_set() is not None:
            return None
        found = former_copy.of_set(self.live, document)
        if found is None:
            return None
        proved = former_copy.proved(self.live, found, document, self.request, progress)
        if proved is not None:
            self.former = found.name
            self.notes.append(
                f"The former database {found.name}, replaced at {found.mark.get('since')}, equals"
                " the set. It was proved in place of a load."
            )
        return proved

    def take(self, staging: str, mark: dict[str, Any]) -> None:
        """Make the copy that was proved the staging database, with its *mark*.

        :raises OpsError: restore.not-swapped
        """
        warm_copy.take(self.live, str(self.used), staging, mark)
        warm_copy.note(self.live, self.request.root)
        self.notes.append(f"The warm copy {self.used} was proved again in place of a load.")

    def leave(self) -> None:
        """Close the copy that was proved if the run ends before it was taken."""
        with suppress(OpsError, psycopg2.Error):
            if self.used in registry.read_from(self.live):
                warm_copy.close(self.live, [str(self.used)])

    def make_room(self, server: preflight.ServerState) -> None:
        """Drop copies if the staging database does not fit beside them, a checkpoint's last.

        :raises OpsError: restore.space if it does not fit without them either
        """
        needed, free = server.needed_bytes, server.free_bytes
        spare = warm_copy.size_bytes(self.live)
        if free is None or free >= needed * room.SPACE_SHARE:
            return
        room.require(self.live, needed, free + spare)
        copies = warm_copy.listed(self.live)
        kept = warm_rule.of_checkpoint(copies, self.request.root)
        others = [each for each in copies if each is not kept]
        if kept and free + warm_copy.size_bytes(self.live, others) < needed * room.SPACE_SHARE:
            others, kept = copies, None
        self.warnings += warm_copy.drop_all(
            self.live, self.request.root, but=[kept.name] if kept else []
        )
        self.warnings += [
            f"The warm copy of set {each.mark.get('set')} was dropped, since the disk has no room"
            " beside it."
            for each in others
        ]

    def keep_or_drop(
        self,
        staging: str,
        mark: dict[str, Any],
        objects: str | None,
        server: preflight.ServerState,
    ) -> list[str]:
        """Keep the proved database of a drill as a warm copy, or drop it; copies before it go.

        That of a checkpoint stays, as warm_rule says.

        Return why something stays that should not.
        """
        if self.request.warm and objects:
            self._keep(staging, mark, objects, server)
        stays = None if self.kept else staging_database.drop_or_explain(self.live, staging)
        copies = warm_copy.listed(self.live)
        kept = warm_rule.of_checkpoint(copies, self.request.root)
        but = [kept.name] if kept else []
        if self.kept:
            but = warm_rule.staying(copies, self.request.root)
        earlier = warm_copy.drop_all(self.live, self.request.root, but=but)
        return [*([stays] if stays else []), *earlier]

    def _keep(
        self, staging: str, mark: dict[str, Any], objects: str, server: preflight.ServerState
    ) -> None:
        copies, wanted = warm_copy.listed(self.live), self.request.backup_set.id
        go = warm_rule.going(copies, self.request.root, wanted)
        spare = warm_copy.size_bytes(self.live, go)
        reason = warm_rule.too_little_room(server.free_bytes, spare, server.needed_bytes)
        if reason:
            stays = [str(each.mark.get("set")) for each in copies if each not in go]
            beside = [f"The copy of checkpoint set {each} stays beside it." for each in stays]
            self.notes.append(" ".join([reason, *beside]))
            return
        without = self.request.without_extensions
        try:
            mark = mark | warm_copy.facts(self.live, staging, without, objects)
            self.kept = warm_copy.keep(self.live, staging, mark)
        except (OpsError, psycopg2.Error) as exc:
            self.warnings.append(f"No warm copy is kept: {' '.join(str(exc).split())}")
