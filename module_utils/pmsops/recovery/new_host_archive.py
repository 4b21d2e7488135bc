# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Base backups and WAL brought to a new machine, with their engine; and taken away again."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite import contents, copies
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.pitr.container import HOME, USER, EngineContainer
from ansible.module_utils.pmsops.pitr.server_files import network_of
from ansible.module_utils.pmsops.pitr.server_volume import LIVE, ServerVolume
from ansible.module_utils.pmsops.services import docker_engine

SECONDS = 6 * 3600  # that one command on a volume may take
FETCHING = ".pms-ops-fetching"  # in the archive's volume, until all of it is there


def there_is(name: str) -> list[str]:
    """Return what there is of an engine on this machine already."""
    import docker.errors

    engine, found = EngineContainer(name), []
    if engine.found():
        found.append(f"container {name}, which receives WAL")
    with suppress(docker.errors.NotFound):
        docker_engine.engine_here().volumes.get(engine.archive_volume)
        found.append(f"volume {engine.archive_volume} with base backups and WAL")
    return found


def bring(work: Work, known: dict[str, Any], name: str, image: str, database: str) -> None:
    """Fetch base backups and WAL into the engine's volume, and start the engine.

    What a killed run left of both goes first.

    :raises OpsError: offsite.*, host.no-archive-volume, pitr.image, pitr.container, pitr.network
    """
    client, engine = docker_engine.engine_here(), EngineContainer(name)
    engine.require_image(image)
    server = _server(client, database)
    network = network_of(server)[0]
    engine.remove()
    client.volumes.create(engine.archive_volume)
    folder = contents.archive_path(engine.archive_volume)
    try:
        _empty(folder)
        fetched = Path(
            work.fetch(copies.PITR, folder / FETCHING, snapshot=known["snapshot"])["folder"]
        )
        for each in sorted(fetched.iterdir()):
            each.rename(folder / each.name)
        _empty(folder, FETCHING)
    except OSError as exc:
        raise OpsError(
            f"Base backups and WAL could not be put into volume {engine.archive_volume}, which is"
            f" {folder}: {exc.strerror or exc}.",
            "Run dr_host.yml as root, and look at the room of Docker's disk.",
            code="host.no-archive-volume",
        ) from exc
    # Of the engine's user in this image, whatever its number was on the machine that is gone.
    _carried_out(client, image, ["chown", "-R", f"{USER}:", HOME], engine.archive_volume, HOME)
    engine.create(image, database, network)


def drop(known: dict[str, Any], name: str, database: str) -> None:
    """Remove the engine, its volumes, and what was put into the database's volume.

    The site has all of it. The database's server must not have been started on it.

    :raises OpsError: clients.*, pitr.no-volume
    """
    client, engine = docker_engine.engine_here(), EngineContainer(name)
    engine.remove()
    engine.remove_volumes()
    server = _server(client, database)
    server.stop(timeout=60)
    place = ServerVolume.of(server, known["data_directory"])
    script = ["find", LIVE, "-mindepth", "1", "-delete"]
    _carried_out(client, server.image.id, script, place.source, LIVE)


def _server(client: Any, name: str) -> Any:
    """Return the database's container, which need not run.

    :raises OpsError: clients.container
    """
    import docker.errors

    try:
        return client.containers.get(name)
    except docker.errors.NotFound as exc:
        raise OpsError(
            f"There is no container {name}: the Compose files of the copy make none of this name.",
            "Set pms_db_container to the database's container; `docker ps -a` lists them.",
            code="clients.container",
        ) from exc


def _carried_out(client: Any, image: str, command: list[str], source: str, target: str) -> None:
    """Run a command as root in a container of *image* that has the one volume."""
    import docker.errors

    try:
        container = client.containers.create(
            image,
            entrypoint=command[:1],
            command=command[1:],
            user="0",
            network_mode="none",
            volumes={source: {"bind": target, "mode": "rw"}},
            healthcheck={"test": ["NONE"]},
        )
        try:
            status = docker_engine.run_to_end(container, SECONDS)
            said = container.logs().decode(errors="replace").strip()[-200:]
        finally:
            # Also one that did not start: run(remove=True) of docker-py leaves that.
            container.remove(force=True)
        if status:
            raise docker.errors.DockerException(f"exit status {status}: {said}")
    except (OpsError, docker.errors.DockerException) as exc:
        raise OpsError(
            f"The Docker Engine would not run {command[0]} on volume {source}: {exc}",
            "Its message names the cause. Run dr_host.yml again: it goes on.",
            code="pitr.container",
        ) from exc


def _empty(folder: Path, name: str = "") -> None:
    """Remove all that is in a folder, or *name* in it."""
    for each in [folder / name] if name else list(folder.iterdir()):
        if each.is_dir() and not each.is_symlink():
            files.make_removable(each)
            shutil.rmtree(each)
        elif os.path.lexists(each):
            each.unlink()
