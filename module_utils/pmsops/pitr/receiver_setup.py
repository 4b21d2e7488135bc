# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The receiver of the WAL set up in its container: configuration, password, canary rows."""

from __future__ import annotations

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import barman, canary, container, server_side
from ansible.module_utils.pmsops.pitr.settings import ROLE, Settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value


class ReceiverSetup:
    """The receiver in the container of the engine."""

    def __init__(
        self, database: Database, settings: Settings, place: container.EngineContainer
    ) -> None:
        self._database = database
        self._settings = settings
        self._container = place

    def configure(
        self, side: server_side.ServerSide, state: server_side.ServerState, password: str | None
    ) -> None:
        """Write the engine's configuration, and its password if it has none that fits."""
        host, port = str(self._database.container), self._inside_port()
        if password is None:
            has = self._container.run(["test", "-s", barman.PGPASS]).status == 0
            password = None if has else side.new_password()
        if password is not None:
            self._container.write(barman.PGPASS, f"{host}:{port}:*:{ROLE}:{password}\n")
        bin_dir = f"/usr/lib/postgresql/{state.version // 10000}/bin"
        if self._container.run(["test", "-x", f"{bin_dir}/pg_receivewal"]).status:
            raise OpsError(
                f"Image {self._settings.image} has no client tools of PostgreSQL"
                f" {state.version // 10000}: {bin_dir}/pg_receivewal is missing.",
                "Make an image with the tools of the server's version, and set pitr_image to it.",
                code="pitr.image-old",
            )
        text = barman.configuration(host, port, ROLE, bin_dir, self._settings.window_days)
        self._container.write(barman.CONFIG, text)
        every = self._settings.canary_seconds
        self._container.write(
            container.CANARY, canary.script(host, port, ROLE, every) if every else ""
        )

    def write_canary(self) -> None:
        """Write a canary row now, which shows that the container's loop can."""
        answer = self._container.run(["sh", "-c", f". {container.CANARY} && write_canary"])
        if answer.status:
            raise OpsError(
                f"The container cannot write a canary row: {answer.errors.strip()[-300:]}",
                "The server's message names the cause. Without canary rows:"
                " -e pitr_canary_seconds=0.",
                code="pitr.canary-unwritten",
            )

    def _inside_port(self) -> int:
        with self._database.session(name=self._database.maintenance_name) as cursor:
            return int(fetch_value(cursor, "SELECT current_setting('port')"))
