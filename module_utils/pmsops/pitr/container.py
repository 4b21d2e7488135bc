# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine's container beside the database's: made, asked, removed.

It is on the network of the database's container and publishes nothing. Two volumes hold what must
outlive it: the archive (base backups, WAL, configuration, password), and the place of restores,
which the throw-away server of a restore mounts too, without seeing the archive.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr.engine_home import Answer, EngineHome
from ansible.module_utils.pmsops.services import docker_engine

LABEL = "pms-ops.pitr-of"
HOME = "/var/lib/barman"
RESTORES = "/var/lib/pms-recovery"
USER = "barman"
# Asked every minute, without starting Python.
HEALTHY = "grep -qsx pg_receivewal /proc/[0-9]*/comm"
INSIDE = EngineHome(home=HOME, configuration=HOME, user=USER, healthy=HEALTHY)
ENTRYPOINT = ["/bin/sh", "-c", INSIDE.loop()]
SECOND = 1_000_000_000


class EngineContainer:
    """The container *name* of the engine."""

    home = INSIDE

    def __init__(self, name: str) -> None:
        self.name = name
        self._docker = docker_engine.engine_here()

    @property
    def archive_volume(self) -> str:
        """The volume of base backups and WAL."""
        return f"{self.name}_archive"

    @property
    def restores_volume(self) -> str:
        """The volume in which data directories are restored."""
        return f"{self.name}_restores"

    def find(self) -> Any | None:
        """Return the container, None where there is none."""
        import docker.errors

        try:
            return self._docker.containers.get(self.name)
        except docker.errors.NotFound:
            return None

    def found(self) -> bool:
        """Tell whether it is there, running or not."""
        return self.find() is not None

    def running(self) -> bool:
        """Tell whether it runs."""
        found = self.find()
        return found is not None and found.status == "running"

    def outdated(self) -> bool:
        """Tell whether it was made by another release, and so runs another loop."""
        found = self.find()
        return found is not None and found.attrs["Config"]["Entrypoint"] != ENTRYPOINT

    def create(self, image: str, database_container: str, network: str) -> None:
        """Make and start the container.

        :raises OpsError: pitr.image if there is no such image, pitr.container
        """
        import docker.errors

        self.require_image(image)
        try:
            container = self._docker.containers.create(
                image,
                name=self.name,
                entrypoint=ENTRYPOINT,
                command=[],
                user=USER,
                network=network,
                init=True,
                restart_policy={"Name": "unless-stopped"},
                volumes={
                    self.archive_volume: {"bind": HOME, "mode": "rw"},
                    self.restores_volume: {"bind": RESTORES, "mode": "rw"},
                },
                labels={LABEL: database_container},
                security_opt=["no-new-privileges:true"],
                log_config={"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
                healthcheck={
                    "test": ["CMD-SHELL", HEALTHY],
                    "interval": 60 * SECOND,
                    "timeout": 10 * SECOND,
                    "start_period": 60 * SECOND,
                },
            )
            container.start()
        except docker.errors.APIError as exc:
            raise OpsError(
                f"The Docker Engine would not start container {self.name}: {exc}",
                "Its message names the cause. Then run again.",
                code="pitr.container",
            ) from exc

    def remove(self) -> None:
        """Remove the container. Its volumes stay: they hold the backups."""
        import docker.errors

        if (found := self.find()) is not None:
            with suppress(docker.errors.NotFound):
                found.remove(force=True)

    def require_image(self, image: str) -> None:
        """Refuse an image that the host lacks.

        :raises OpsError: pitr.image
        """
        import docker.errors

        try:
            self._docker.images.get(image)
        except docker.errors.ImageNotFound as exc:
            raise OpsError(
                f"There is no image {image} on this host. Nothing was changed.",
                "Make one with Barman and the client tools of the server's version (docs/PITR.md),"
                " or set pitr_image. In the lab: ansible-playbook playbooks/lab.yml -e"
                " lab_pitr=true",
                code="pitr.image",
            ) from exc

    def run(
        self,
        argv: Sequence[str],
        *,
        seconds: int = 60,
        environment: dict[str, str] | None = None,
    ) -> Answer:
        """Run a command in the container, at most *seconds*.

        :raises OpsError: pitr.not-running, clients.engine
        """
        import docker.errors

        found = self.find()
        if found is None or found.status != "running":
            state = "is not there" if found is None else f"is {found.status}"
            raise OpsError(
                f"Container {self.name}, which receives the WAL, {state}.",
                f"Start it: docker start {self.name}; or make it: pms-ops pitr enable.",
                code="pitr.not-running",
            )
        try:
            status, (output, errors) = found.exec_run(
                ["timeout", "--kill-after=10", str(seconds), *argv],
                user=USER,
                environment={"HOME": HOME, **(environment or {})},
                demux=True,
            )
        except docker.errors.APIError as exc:
            raise OpsError(
                f"The Docker Engine would not run {shlex.join(argv[:2])} in {self.name}: {exc}",
                "Check the engine and the container (docker ps); then run again.",
                code="clients.engine",
            ) from exc
        return Answer(status, _text(output), _text(errors))

    def write(self, path: str, content: str) -> None:
        """Write a private file of the engine's user; its content is in no argument list.

        :raises OpsError: pitr.container
        """
        answer = self.run(
            ["sh", "-c", 'umask 077 && printf %s "$CONTENT" > "$0.new" && mv "$0.new" "$0"', path],
            environment={"CONTENT": content},
        )
        if answer.status:
            raise OpsError(
                f"Container {self.name} could not write {path}: {answer.errors.strip()}",
                "Look at its volume's disk (docker system df -v); then run again.",
                code="pitr.container",
            )

    def bin_dir(self, major: int) -> str | None:
        """Return the folder of the client tools of a major version, None without any.

        :raises OpsError: pitr.not-running
        """
        folder = f"/usr/lib/postgresql/{major}/bin"
        return None if self.run(["test", "-x", f"{folder}/pg_receivewal"]).status else folder

    def remove_archive(self) -> list[str]:
        """Remove the volumes; return what was there."""
        return [f"volume {each}" for each in self.remove_volumes()]

    def remove_volumes(self) -> list[str]:
        """Remove the archive and the place of restores; return the volumes that were there."""
        import docker.errors

        gone = []
        for name in (self.archive_volume, self.restores_volume):
            with suppress(docker.errors.NotFound):
                self._docker.volumes.get(name).remove(force=True)
                gone.append(name)
        return gone


def _text(answered: bytes | None) -> str:
    return (answered or b"").decode(errors="replace")
