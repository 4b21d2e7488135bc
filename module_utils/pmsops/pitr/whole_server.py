# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A recovered data directory in the place of a lost one: for the day when the server is gone.

Nothing is destroyed before the recovered copy has proved itself, and then nothing either: all that
was in the volume is kept in a new one. The files that are put there are those that were proved: the
live server cannot be asked, since its jobs may write as soon as it starts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg2
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.pitr import moment, server_volume
from ansible.module_utils.pmsops.pitr.moment_drill import require_enabled
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
from ansible.module_utils.pmsops.pitr.plan import Plan
from ansible.module_utils.pmsops.pitr.server_return import ServerReturn
from ansible.module_utils.pmsops.pitr.server_volume import Held, ServerVolume
from ansible.module_utils.pmsops.pitr.throw_away import ThrowAway
from ansible.module_utils.pmsops.postgresql.connection import fetch_value

# Of the database: TimescaleDB's own are there in an empty one, too.
_TABLES = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|_timescaledb|timescaledb|information_schema)'
"""


@dataclass
class WholeServer(ServerReturn):
    """The server of a protected database, to be brought back as it was at *asked*."""

    asked: str = moment.LATEST
    replace_live: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_work = MomentSet(self.protection, self.asked)
        self._moment = moment.parse(self.asked)

    def plan(self) -> list[str]:
        """Return what would be done; nothing is changed.

        :raises OpsError: pitr.*, clients.*
        """
        wanted, place, held = self._planned(self._at_work.throw_away())
        asked = self._for_approval(wanted, place, held)
        return [*wanted.lines(), *self._steps(place), *self._consent_lines(asked)]

    def _for_approval(self, wanted: Plan, place: ServerVolume, held: Held) -> plans.Plan:
        return self._plan_for_approval(
            plans.SERVER, place, held, moment=self.asked, base_backup=wanted.backup.id
        )

    def _run(self) -> None:
        self.facts["asked"] = self.asked
        since = time.monotonic()
        throw_away = self._at_work.throw_away()
        throw_away.clean()
        server_volume.remove_halves(throw_away, str(self.protection.database.container))
        wanted, place, held = self._planned(throw_away, clean=True)
        self._lap("plan", since)
        # Once, at the start of what is one run to the end, however long the recovery takes.
        self.facts |= self.consent.use(self._for_approval(wanted, place, held))
        self.facts |= {
            "moment": utc_stamp(wanted.at),
            "incoming": f"the whole server at {utc_stamp(wanted.at)}",
            "from_base_backup": wanted.backup.id,
            "wal_bytes": wanted.wal_bytes,
            "plan": [*wanted.lines(), *self._steps(place)],
        }
        try:
            with self._at_work.recovered(throw_away, wanted, self._seconds, clean=False) as found:
                server, reached = found
                self.facts |= {"lsn": reached.lsn, "canary": reached.witness.document()}
                self._put(throw_away, server, place, held)
        except BaseException:
            throw_away.remove_restores()
            raise
        self._serve(throw_away)

    def _planned(
        self, throw_away: ThrowAway, *, clean: bool = False
    ) -> tuple[Plan, ServerVolume, Held]:
        """Return the plan, where the data go, and what is there; refuse what cannot be done."""
        require_enabled(self.protection)
        if not self.replace_live:
            self._require_lost()
        wanted = self._at_work.plan(self._moment)
        if wanted.detail.tablespaces:
            raise OpsError(
                f"The server has tablespaces ({', '.join(wanted.detail.tablespaces)}), which lie"
                " outside of its data directory. Nothing was changed.",
                "Make the server anew, empty, and restore the database by itself: the same without"
                " --whole-server.",
                code="pitr.tablespaces",
            )
        place = ServerVolume.of(self._container(), wanted.detail.data_directory)
        return wanted, place, place.holds(throw_away, clean=clean)

    def _require_lost(self) -> None:
        """Refuse to replace a server on which the database lives.

        :raises OpsError: pitr.server-lives
        """
        try:
            with self.protection.database.session(read_only=True) as cursor:
                tables = int(fetch_value(cursor, _TABLES))
        except (OpsError, psycopg2.Error):
            return  # no server, or no such database on it
        if tables:
            raise OpsError(
                f"The server is not lost: database {self.protection.database.name} answers, with"
                f" {tables} tables. Nothing was changed.",
                "Restore the database alone, which the other databases do not notice: the same"
                " without --whole-server. If all databases of the server have to go back, confirm"
                " that with --replace-live (-e replace_live=true).",
                code="pitr.server-lives",
            )
