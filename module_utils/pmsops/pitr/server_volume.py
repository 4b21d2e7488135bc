# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The volume of the database's container: where its data lie, and another directory put there.

All that was in the volume is first copied to a new one, which stays. ``pg_control`` is removed
first and put there last, so that no server starts on half of a directory; and what is half there is
never kept as what was lost. A second run finishes.

A recovered directory is moved: the files that were proved are the files that are served. Only where
it lies on another file system it is copied, and every byte is compared.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr.container import RESTORES
from ansible.module_utils.pmsops.pitr.former_servers import LABEL
from ansible.module_utils.pmsops.pitr.throw_away import Done, ThrowAway
from ansible.module_utils.pmsops.services import docker_engine

LIVE, KEPT, TOGETHER = "/live", "/kept", "/together"
NOT_SHUT, NO_ROOM, DIFFERS, APART, NOT_WHOLE = 21, 22, 23, 24, 25
# In the volume, while a directory is put there: everything before it is in another volume.
MARK = ".pms-ops-kept"
# In a volume that holds all that was.
WHOLE = ".pms-ops-whole"
_PATH = "PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/local/bin"
# Of one file system alone: the other programs of the host have theirs to write.
_SETTLE = """
settle() { sync -f "$1" 2>/dev/null || sync; }
"""
_HOLDS = f"""
set -eu
if [ -e {LIVE}/{MARK} ]; then echo put; elif [ -n "$(ls -A {LIVE})" ]; then echo data; fi
du -sk {LIVE} | cut -f1
"""
_KEEP = f"""
set -eu
{_SETTLE}
need=$(du -sk {LIVE} | cut -f1)
[ "$(df -Pk {KEPT} | awk 'NR == 2 {{print $4}}')" -gt "$need" ] || exit {NO_ROOM}
cp -a {LIVE}/. {KEPT}/
touch {KEPT}/{WHOLE}
settle {KEPT}
"""
# Arguments: where the directory is, the live volume, the place below it, pg_control below the
# directory, move or copy.
_BEGIN = rf"""
set -eu
{_PATH}
{_SETTLE}
from=$1 live=$2 to=$2${{3:+/$3}} control=$4 how=$5
[ -d "$from" ] && [ -d "$live" ] || exit {APART}
"""
# What Barman and the recovery left goes; settings become what they were on the server.
_RECOVERED = rf"""
pg_controldata -D "$from" | grep -q 'cluster state: *shut down$' || exit {NOT_SHUT}
cd "$from"
rm -rf barman_wal .barman-recover.info backup_manifest* pms_ops_hba.conf standby.signal \
    recovery.signal postmaster.pid postmaster.opts
for file in *.origin; do [ ! -e "$file" ] || mv "$file" "${{file%.origin}}"; done
cd /
"""
_WAS_KEPT = f"""
[ -e "$from/{WHOLE}" ] || exit {NOT_WHOLE}
"""
_ENTER = rf"""
if [ "$how" = move ]; then
    probe=.pms-ops-probe
    rm -f "$live/$probe"
    touch "$from/$probe"
    ln "$from/$probe" "$live/$probe" || {{ rm -f "$from/$probe"; exit {APART}; }}
    rm "$from/$probe" "$live/$probe"
else
    need=$(du -sk "$from" | cut -f1)
    free=$(df -Pk "$live" | awk 'NR == 2 {{print $4}}')
    [ $((free + $(du -sk "$live" | cut -f1))) -gt "$need" ] || exit {NO_ROOM}
fi
mkdir -p "$to"
touch "$live/{MARK}"
rm -f "$to/$control"
settle "$live"
find "$to" -mindepth 1 -depth ! -path "$live/{MARK}" -delete
stage=$from
if [ "$how" != move ]; then
    stage=$to/.pms-ops-incoming
    cp -a "$from/." "$stage"
    settle "$live"
    [ "$how" = copy ] || diff -rq "$from" "$stage" >&2 || exit {DIFFERS}
fi
mv "$stage/$control" "$to/.pms-ops-control"
for file in "$stage"/* "$stage"/.[!.]*; do
    case $file in */{WHOLE}) continue ;; esac
    if [ -e "$file" ] || [ -L "$file" ]; then mv "$file" "$to/"; fi
done
chown "$(stat -c %u:%g "$stage")" "$to"
chmod "$(stat -c %a "$stage")" "$to"
[ "$how" = move ] || rm -r "$stage"
settle "$live"
mv "$to/.pms-ops-control" "$to/$control"
rm "$live/{MARK}"
settle "$live"
"""
_PUT = _BEGIN + _RECOVERED + _ENTER
# The whole volume as it was.
_BACK = _BEGIN + _WAS_KEPT + _ENTER
CONTROL = "global/pg_control"
MOVE, COPY, COPY_AND_COMPARE = "move", "copy", "compare"
# Of a folder that is given to a helper: never the root of the host.
SAFE_DEPTH = 3


DATA, PUT = "data", "put"


@dataclass(frozen=True)
class Held:
    """What a volume holds: DATA; PUT, if an earlier run was killed meanwhile; or nothing."""

    what: str
    size_bytes: int


@dataclass(frozen=True)
class ServerVolume:
    """The volume, or folder of the host, in which the server's data directory is."""

    source: str  # name of the volume, or the folder
    folder: str  # the data directory, below it; empty: it is the data directory
    data_directory: str = field(default="", compare=False)  # in the container

    @classmethod
    def of(cls, container: Any, data_directory: str) -> ServerVolume:
        """Return where the data directory of a container's server lies.

        :raises OpsError: pitr.no-volume
        """
        wanted = PurePosixPath(data_directory)
        mounts = [
            each
            for each in container.attrs["Mounts"]
            if each["Type"] in ("volume", "bind")
            and wanted.is_relative_to(PurePosixPath(each["Destination"]))
        ]
        if not mounts:
            raise OpsError(
                f"The data directory {data_directory} is in no volume of container"
                f" {container.name}: what is put there would be gone with the container. Nothing"
                " was changed.",
                "Give the container a volume for it in the Compose file, make it anew, and run"
                " again.",
                code="pitr.no-volume",
            )
        mount = max(mounts, key=lambda each: len(each["Destination"]))
        below = wanted.relative_to(PurePosixPath(mount["Destination"]))
        source = mount["Name"] if mount["Type"] == "volume" else mount["Source"]
        return cls(source, "" if str(below) == "." else str(below), data_directory)

    def holds(self, throw_away: ThrowAway, *, clean: bool = False) -> Held:
        """Return what is there. *clean* removes earlier restores, too, in the same container.

        :raises OpsError: pitr.container
        """
        volumes = {self.source: _at(LIVE, "ro")}
        if clean:
            volumes[throw_away.restores] = _at(RESTORES, "rw")
        script = f"rm -rf {RESTORES}/*\n{_HOLDS}" if clean else _HOLDS
        done = throw_away.carried_out(script, [], volumes)
        words = done.text.split()
        if done.status or not words or not words[-1].isdigit():
            require(done.status or 1, done.text, "look into the volume")
        return Held(words[0] if len(words) > 1 else "", int(words[-1]) << 10)

    def keep(self, throw_away: ThrowAway, volume: str) -> None:
        """Copy all that is there to a new *volume*.

        :raises OpsError: pitr.room, pitr.container
        """
        done = throw_away.carried_out(
            _KEEP, [], {self.source: _at(LIVE, "ro"), volume: _at(KEPT, "rw")}
        )
        require(done.status, done.text, "keep what is there")

    def put(self, throw_away: ThrowAway, folder: str) -> None:
        """Put a recovered data directory in the place of what is there.

        :raises OpsError: pitr.room, pitr.recovery, pitr.container
        """
        done = self._moved(throw_away, folder)
        if done is None or done.status == APART:
            volumes = {throw_away.restores: _at(RESTORES, "rw"), self.source: _at(LIVE, "rw")}
            arguments = [folder, LIVE, self.folder, CONTROL, COPY_AND_COMPARE]
            done = throw_away.carried_out(_PUT, arguments, volumes)
        require(done.status, done.text, "put the recovered data directory in place")

    def _moved(self, throw_away: ThrowAway, folder: str) -> Done | None:
        """Move the directory, which takes no time and no room; None if nothing could be asked."""
        places = [_place(each) for each in (throw_away.restores, self.source)]
        if None in places:
            return None
        restores, live = (PurePosixPath(str(each)) for each in places)
        both = PurePosixPath(os.path.commonpath([restores, live]))
        if len(both.parts) < SAFE_DEPTH:
            return None
        # A rename does not lead from one mount to another, also on one file system.
        inside = [PurePosixPath(TOGETHER) / each.relative_to(both) for each in (restores, live)]
        inside[0] /= PurePosixPath(folder).relative_to(RESTORES)
        arguments = [*map(str, inside), self.folder, CONTROL, MOVE]
        with suppress(OpsError):  # an engine that does not give this folder
            return throw_away.carried_out(_PUT, arguments, {str(both): _at(TOGETHER, "rw")})
        return None

    def bring_back(self, throw_away: ThrowAway, volume: str) -> None:
        """Bring back what *volume* has kept, which has it afterwards, too.

        :raises OpsError: pitr.room, pitr.no-former, pitr.container
        """
        control = str(PurePosixPath(self.folder) / CONTROL)
        volumes = {volume: _at(KEPT, "ro"), self.source: _at(LIVE, "rw")}
        done = throw_away.carried_out(_BACK, [KEPT, LIVE, "", control, COPY], volumes)
        require(done.status, done.text, "bring back what was there")


def _place(source: str) -> str | None:
    """Return where a volume or folder lies on the host, None if only a mount can tell."""
    import docker.errors

    if source.startswith("/"):
        return source
    try:
        attrs = docker_engine.engine_here().volumes.get(source).attrs
    except docker.errors.DockerException:
        return None
    if attrs.get("Driver") != "local" or attrs.get("Options"):
        return None  # it lies elsewhere, and is mounted when it is used
    return attrs.get("Mountpoint") or None


def remove_halves(throw_away: ThrowAway, container: str) -> list[str]:
    """Remove the volumes of *container* that a killed run had not filled; return their names."""
    filters = {"label": f"{LABEL}={container}"}
    found = {each.name: each for each in docker_engine.engine_here().volumes.list(filters=filters)}
    if not found:
        return []
    names = sorted(found)
    script = f'cd {KEPT} && for name in "$@"; do [ -e "$name/{WHOLE}" ] || echo "$name"; done'
    volumes = {name: _at(f"{KEPT}/{name}", "ro") for name in names}
    halves = throw_away.carried_out(script, names, volumes).text.split()
    gone = [name for name in names if name in halves]
    for name in gone:
        found[name].remove(force=True)
    return gone


def _at(place: str, mode: str) -> dict[str, str]:
    return {"bind": place, "mode": mode}


def require(status: int, said: str, what: str) -> None:
    """Refuse to go on after a script that ended with a status.

    :raises OpsError: pitr.room, pitr.no-former, pitr.container
    """
    if status == NO_ROOM:
        raise OpsError(
            f"There is no room to {what}. What was there is whole.",
            "Free as much as the data directory needs, on the disk of Docker's volumes, and run"
            " again.",
            code="pitr.room",
        )
    if status == NOT_WHOLE:
        raise OpsError(
            f"The volume does not hold all of a server: no {WHOLE} is in it. Nothing was changed.",
            "Name another former server: pms-ops pitr status lists them.",
            code="pitr.no-former",
        )
    if status:
        raise OpsError(
            f"The helper container could not {what} (status {status}): {said[-500:]}",
            "Its message names the cause. Run again: a second run finishes.",
            code="pitr.container",
        )
