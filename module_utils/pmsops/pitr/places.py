# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where server and engine are: both in containers of one network, or both on one host."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr.container import EngineContainer
from ansible.module_utils.pmsops.pitr.engine_home import Answer, EngineHome
from ansible.module_utils.pmsops.pitr.host_engine import HostEngine
from ansible.module_utils.pmsops.pitr.server_files import (
    Files,
    HostServerFiles,
    ServerFiles,
    network_of,
)
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.services import docker_engine

LOOPBACK = "127.0.0.1"


class EngineProcess(Protocol):
    """The engine, whatever runs it."""

    @property
    def name(self) -> str:
        """Its name, which its folders and its user have too."""

    @property
    def home(self) -> EngineHome:
        """Its folders."""

    def found(self) -> bool:
        """Tell whether it is there."""

    def running(self) -> bool:
        """Tell whether it runs."""

    def outdated(self) -> bool:
        """Tell whether another release made it."""

    def remove(self) -> None:
        """Remove it; the archive stays."""

    def remove_archive(self) -> list[str]:
        """Remove the archive; return what was there."""

    def bin_dir(self, major: int) -> str | None:
        """Return the folder of the client tools of a major version, None without any."""

    def write(self, path: str, content: str) -> None:
        """Write a private file of the engine's user."""

    def run(
        self, argv: list[str], *, seconds: int = 60, environment: dict[str, str] | None = None
    ) -> Answer:
        """Run a command as the engine's user."""


class Place(Protocol):
    """Server and engine, and how the one reaches the other."""

    @property
    def engine(self) -> EngineProcess:
        """The engine."""

    @property
    def title(self) -> str:
        """The engine, as steps name it."""

    @property
    def host(self) -> str:
        """The server's host, as the engine reaches it."""

    @property
    def addresses(self) -> str:
        """The addresses that the receiver comes from, for pg_hba.conf."""

    def files(self) -> Files:
        """Return the files of the server."""

    def require(self) -> None:
        """Refuse a place where the engine cannot be started."""

    def start_step(self) -> str:
        """Return what ``start`` does."""

    def start(self) -> None:
        """Make the engine and start it."""


class Containers:
    """The engine in a container, on the network of the database's."""

    def __init__(self, database: Database, name: str, image: str) -> None:
        self.database, self.image = database, image
        self.engine = EngineContainer(name)
        self.title = f"container {name}"

    @property
    def host(self) -> str:
        """The database's container, by its name."""
        return str(self.database.container)

    @property
    def addresses(self) -> str:
        """The network's."""
        return self._network[1]

    def files(self) -> ServerFiles:
        """Return the files of the server.

        :raises OpsError: clients.container
        """
        return ServerFiles(self._server())

    def require(self) -> None:
        """Refuse an image that the host lacks.

        :raises OpsError: pitr.image
        """
        self.engine.require_image(self.image)

    def start_step(self) -> str:
        """Return what ``start`` does."""
        return (
            f"start container {self.engine.name} of {self.image} on network {self._network[0]},"
            f" volumes {self.engine.archive_volume} and {self.engine.restores_volume}"
        )

    def start(self) -> None:
        """Make the container and start it.

        :raises OpsError: pitr.container
        """
        self.engine.create(self.image, self.host, self._network[0])

    @cached_property
    def _network(self) -> tuple[str, str]:
        return network_of(self._server())

    def _server(self) -> Any:
        engine = docker_engine.engine_here()
        return docker_engine.database_container(engine, self.database.container)


class Host:
    """The engine as a service of systemd, beside a server of the same host."""

    host = LOOPBACK
    addresses = f"{LOOPBACK}/32"

    def __init__(
        self, database: Database, name: str, archive: str, barman: str, *, comes: bool = False
    ) -> None:
        self.database = database
        self._comes = comes
        self.engine = HostEngine(
            name, archive=archive, barman=barman, bin_dir=database.bin_dir or ""
        )
        self.title = f"service {self.engine.unit}"

    def files(self) -> HostServerFiles:
        """Return the files of the server.

        :raises OpsError: pitr.host-elsewhere if they are not on this host; database.*
        """
        with self.database.session(
            name=self.database.maintenance_name, superuser=True, read_only=True
        ) as cursor:
            folder, port = fetch_all(
                cursor, "SELECT current_setting('data_directory'), current_setting('port')"
            )[0]
        found = HostServerFiles(folder)
        if not found.here():
            raise OpsError(
                f"The server on port {port} has its data in {folder}, which is not on this host."
                " Nothing was changed.",
                "The engine has to be where the server is: let the inventory name that host. A"
                " server that somebody else runs is protected by them: pitr_engine: external.",
                code="pitr.host-elsewhere",
            )
        return found

    def require(self) -> None:
        """Refuse a host that cannot have the service.

        :raises OpsError: pitr.host-*
        """
        self.engine.require(comes=self._comes)

    def start_step(self) -> str:
        """Return what ``start`` does."""
        home = self.engine.home
        return (
            f"start service {self.engine.unit} as user {home.user} without a login, archive"
            f" {home.home}, configuration {home.configuration}"
        )

    def start(self) -> None:
        """Make user, unit and folders, and start the service.

        :raises OpsError: pitr.unit
        """
        self.engine.create()
