# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The receiver of the WAL set up where the engine is: configuration, password, canary rows."""

from __future__ import annotations

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import barman, canary, server_side
from ansible.module_utils.pmsops.pitr.places import Place
from ansible.module_utils.pmsops.pitr.settings import ROLE, Settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value


class ReceiverSetup:
    """The receiver of the engine in *place*."""

    def __init__(self, database: Database, settings: Settings, place: Place) -> None:
        self._database = database
        self._settings = settings
        self._place = place

    def configure(
        self, side: server_side.ServerSide, state: server_side.ServerState, password: str | None
    ) -> None:
        """Write the engine's configuration, and its password if it has none that fits.

        :raises OpsError: pitr.image-old if the client tools are missing
        """
        engine, home = self._place.engine, self._place.engine.home
        host, port = self._place.host, self._port()
        if password is None:
            has = engine.run(["test", "-s", home.pgpass]).status == 0
            password = None if has else side.new_password()
        if password is not None:
            engine.write(home.pgpass, f"{host}:{port}:*:{ROLE}:{password}\n")
        major = state.version // 10000
        bin_dir = engine.bin_dir(major)
        if bin_dir is None:
            raise OpsError(
                f"The engine finds no client tools of PostgreSQL {major}: pg_receivewal is"
                f" missing in {self._place.title}.",
                "In a container: make an image with the tools of the server's version, and set"
                " pitr_image to it. On a host: install the client package of that version, or set"
                " pms_db_bin_dir.",
                code="pitr.image-old",
            )
        days = self._settings.window_days
        engine.write(home.conf, barman.configuration(home, host, port, ROLE, bin_dir, days))
        every = self._settings.canary_seconds
        engine.write(home.canary, canary.script(host, port, ROLE, every) if every else "")

    def write_canary(self) -> None:
        """Write a canary row now, which shows that the engine's loop can.

        :raises OpsError: pitr.canary-unwritten
        """
        home = self._place.engine.home
        answer = self._place.engine.run(["sh", "-c", f". {home.canary} && write_canary"])
        if answer.status:
            raise OpsError(
                f"The engine cannot write a canary row: {answer.errors.strip()[-300:]}",
                "The server's message names the cause. Without canary rows:"
                " -e pitr_canary_seconds=0.",
                code="pitr.canary-unwritten",
            )

    def _port(self) -> int:
        with self._database.session(name=self._database.maintenance_name) as cursor:
            return int(fetch_value(cursor, "SELECT current_setting('port')"))
