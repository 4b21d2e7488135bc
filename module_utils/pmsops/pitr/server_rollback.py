# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A former server brought back: the undo of a whole server.

The volume that keeps it is only read. A copy of it is started as any recovered server is, in a
throw-away container, and begins a timeline of its own there: WAL of two histories under one name
could not be told apart later. The copy proves itself, and takes the place of the live server, which
is kept as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.pitr import former_servers, moment, server_volume
from ansible.module_utils.pmsops.pitr.container import HOME, RESTORES
from ansible.module_utils.pmsops.pitr.former_servers import Former
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
from ansible.module_utils.pmsops.pitr.recovered_server import RecoveredServer
from ansible.module_utils.pmsops.pitr.server_return import ServerReturn
from ansible.module_utils.pmsops.pitr.server_volume import KEPT, WHOLE, Held, ServerVolume
from ansible.module_utils.pmsops.pitr.throw_away import ThrowAway

# Argument: the data directory.
_LOOK = rf"""
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/local/bin
[ -e {KEPT}/{WHOLE} ] || exit {server_volume.NOT_WHOLE}
pg_controldata -D "$1" | sed -n 's/^Database system identifier: *//p'
"""
# Arguments: the data directory, the new folder. Files of history name the timelines that are taken.
_COPY = rf"""
set -eu
need=$(du -sk "$1" | cut -f1)
[ "$(df -Pk {RESTORES} | awk 'NR == 2 {{print $4}}')" -gt "$need" ] || exit {server_volume.NO_ROOM}
cp -a "$1" "$2"
cd "$2"
rm -f postmaster.pid
mkdir -p barman_wal
for file in {HOME}/pms/wals/*.history {HOME}/pms/streaming/*.history; do
    [ ! -e "$file" ] || cp "$file" barman_wal/
done
"""


def wanted(entries: Sequence[dict[str, Any]], named: str | None, container: str) -> str | None:
    """Return the former server that a rollback brings back; empty: that was done already.

    None: the last restore was not of the whole server, so a rollback is one of the database.
    *entries* are those of the ledger; *named* is what the operator named.

    :raises OpsError: pitr.no-former
    """
    if named:
        kept = [f"{container}_{why}_" for why in (former_servers.BEFORE, former_servers.UNDONE)]
        return named if any(named.startswith(each) for each in kept) else None
    found = [
        each
        for each in ledger.of_kind(entries, *restores.KINDS)
        if "outcome" not in each["record"]
        and not isinstance(each["record"].get(restores.TABLES), list)
    ]
    if not found or not found[-1]["record"].get("whole_server"):
        return None
    last = found[-1]
    if last["kind"] == restores.KINDS[1]:
        return ""
    if not last["record"].get("kept_volume"):
        raise OpsError(
            "The last restore was of a whole server, and nothing was there before it that could be"
            " brought back. Nothing was changed.",
            "Take a moment before it: pms-ops restore --at ... --whole-server --replace-live.",
            code="pitr.no-former",
        )
    return str(last["record"]["kept_volume"])


@dataclass
class ServerRollback(ServerReturn):
    """The server of a database, to be replaced by the former one in volume *former*."""

    former: str = ""
    kind = restores.KINDS[1]
    kept_as = former_servers.UNDONE

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_work = MomentSet(self.protection, moment.LATEST)

    def plan(self) -> list[str]:
        """Return what would be done; nothing is changed.

        :raises OpsError: pitr.former-gone, pitr.*, clients.*
        """
        former, place, held = self._planned(self._at_work.throw_away())
        asked = self._for_approval(former, place, held)
        return [*self._lines(former, place, held), *self._consent_lines(asked)]

    def _for_approval(self, former: Former, place: ServerVolume, held: Held) -> plans.Plan:
        return self._plan_for_approval(plans.SERVER_ROLLBACK, place, held, incoming=former.volume)

    def _lines(self, former: Former, place: ServerVolume, held: Held) -> list[str]:
        return [
            f"bring back: {former.text()}",
            f"would be lost: everything committed since then. It stays in the present server"
            f" ({size(held.size_bytes)}), which is kept",
            "start a copy of it in a throw-away container, and prove it",
            *self._steps(place),
        ]

    def _run(self) -> None:
        since = time.monotonic()
        throw_away = self._at_work.throw_away()
        throw_away.clean()
        server_volume.remove_halves(throw_away, str(self.protection.database.container))
        former, place, held = self._planned(throw_away, clean=True)
        self.facts |= self.consent.use(self._for_approval(former, place, held))
        self.facts |= {
            "brought_back": former.volume,
            "incoming": f"the former server {former.volume}",
            "plan": self._lines(former, place, held),
        }
        since = self._lap("plan", since)
        try:
            with self._copied(throw_away, former, place) as server:
                self._lap("copy", since)
                self._put(throw_away, server, place, held)
        except BaseException:
            throw_away.remove_restores()
            raise
        self.facts["undone"] = self.facts["kept_volume"]
        self._serve(throw_away)

    def _planned(
        self, throw_away: ThrowAway, *, clean: bool = False
    ) -> tuple[Former, ServerVolume, Held]:
        """Return the former server, where its data go, and what is there."""
        container = str(self.protection.database.container)
        former = former_servers.chosen(former_servers.listed(container), self.former, container)[0]
        place = ServerVolume.of(self._container(), former.data_directory or self._data_directory())
        done = throw_away.carried_out(
            _LOOK, [_in(KEPT, place)], {former.volume: {"bind": KEPT, "mode": "ro"}}
        )
        server_volume.require(done.status, done.text, "look into the former server")
        self._require_same(former, done.text.strip())
        return former, place, place.holds(throw_away, clean=clean)

    def _data_directory(self) -> str:
        """Return the data directory of the server that is protected."""
        newest = self.protection.engine.info().usable[-1]
        return self.protection.engine.describe(newest.id).data_directory

    def _require_same(self, former: Former, identifier: str) -> None:
        """Refuse a server that somebody had put in the place of the lost one.

        :raises OpsError: pitr.other-server
        """
        if self.protection.container.find() is None:
            return
        usable = self.protection.engine.info().usable
        if not usable:
            return
        expected = self.protection.engine.describe(usable[-1].id).system_identifier
        if identifier != expected:
            raise OpsError(
                f"Former server {former.volume} is another one than the protected: system"
                f" {identifier}, not {expected}. It was empty when the lost one was brought back."
                " Nothing was changed.",
                "Take a moment instead: pms-ops restore --at ... --whole-server --replace-live.",
                code="pitr.other-server",
            )

    @contextmanager
    def _copied(
        self, throw_away: ThrowAway, former: Former, place: ServerVolume
    ) -> Iterator[RecoveredServer]:
        """Give a throw-away server on a copy of the former one, at the end of what it has."""
        folder = f"{RESTORES}/{datetime.now(UTC):%Y%m%d%H%M%S}"
        volumes = {
            former.volume: {"bind": KEPT, "mode": "ro"},
            throw_away.restores: {"bind": RESTORES, "mode": "rw"},
        }
        if self.protection.container.find() is not None:
            volumes[self.protection.container.archive_volume] = {"bind": HOME, "mode": "ro"}
        done = throw_away.carried_out(_COPY, [_in(KEPT, place), folder], volumes)
        server_volume.require(done.status, done.text, "copy the former server")
        libraries = self._at_work.libraries()
        with throw_away.server(
            folder, f"{folder}/barman_wal", libraries, None, to_its_end=True
        ) as server:
            server.promote()
            yield server


def _in(folder: str, place: ServerVolume) -> str:
    return str(PurePosixPath(folder) / place.folder)
