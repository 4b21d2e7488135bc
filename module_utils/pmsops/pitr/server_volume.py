# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The volume of the database's container: where its data lie, and a recovered directory put there.

All that was in the volume is first copied to a new one, which stays. ``pg_control`` is removed
first and written last, so that no server starts on half of a directory; and what is half there is
never kept as what was lost. A second run finishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr.container import RESTORES
from ansible.module_utils.pmsops.pitr.throw_away import ThrowAway
from ansible.module_utils.pmsops.services import docker_engine

LABEL = "pms-ops.pitr-kept-of"
LIVE, KEPT = "/live", "/kept"
NOT_SHUT, NO_ROOM, DIFFERS = 21, 22, 23
# In the volume, while a directory is put there: everything before it is in another volume.
MARK = ".pms-ops-kept"
# In a volume that holds all that was.
WHOLE = ".pms-ops-whole"
_PATH = "PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/local/bin"
_HOLDS = f"""
set -eu
if [ -e {LIVE}/{MARK} ]; then echo put; elif [ -n "$(ls -A {LIVE})" ]; then echo data; fi
"""
_KEEP = f"""
set -eu
need=$(du -sk {LIVE} | cut -f1)
[ "$(df -Pk {KEPT} | awk 'NR == 2 {{print $4}}')" -gt "$need" ] || exit {NO_ROOM}
cp -a {LIVE}/. {KEPT}/
touch {KEPT}/{WHOLE}
sync
"""
# What Barman and the recovery left goes; settings become what they were on the server.
_PUT = rf"""
set -eu
{_PATH}
from=$1 to={LIVE}/$2
pg_controldata -D "$from" | grep -q 'cluster state: *shut down$' || exit {NOT_SHUT}
need=$(du -sk "$from" | cut -f1)
free=$(df -Pk {LIVE} | awk 'NR == 2 {{print $4}}')
[ $((free + $(du -sk {LIVE} | cut -f1))) -gt "$need" ] || exit {NO_ROOM}
cd "$from"
rm -rf barman_wal .barman-recover.info backup_manifest* pms_ops_hba.conf standby.signal \
    recovery.signal postmaster.pid postmaster.opts
for file in *.origin; do [ ! -e "$file" ] || mv "$file" "${{file%.origin}}"; done
mkdir -p "$to"
touch {LIVE}/{MARK}
rm -f "$to/global/pg_control"
sync
find "$to" -mindepth 1 -depth ! -path {LIVE}/{MARK} -delete
mv global/pg_control pms_ops_pg_control
cp -a . "$to/"
sync
diff -rq . "$to/" | grep -v {MARK} >&2 && exit {DIFFERS}
mv "$to/pms_ops_pg_control" "$to/global/pg_control"
rm {LIVE}/{MARK}
sync
"""
# The whole volume as it was.
_BACK = f"""
set -eu
[ -e {KEPT}/{WHOLE} ]
find {LIVE} -mindepth 1 -delete
cp -a {KEPT}/. {LIVE}/
rm -f {LIVE}/{WHOLE}
sync
"""


@dataclass(frozen=True)
class ServerVolume:
    """The volume, or folder of the host, in which the server's data directory is."""

    source: str  # name of the volume, or the folder
    folder: str  # the data directory, below it; empty: it is the data directory

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
        return cls(source, "" if str(below) == "." else str(below))

    def holds(self, throw_away: ThrowAway) -> str:
        """Return ``data``, ``put`` if an earlier run was killed while it put them, or nothing."""
        return throw_away.carried_out(_HOLDS, [], {self.source: _at(LIVE, "ro")}).text.strip()

    def keep(self, throw_away: ThrowAway, volume: str) -> None:
        """Copy all that is there to a new *volume*.

        :raises OpsError: pitr.room, pitr.container
        """
        done = throw_away.carried_out(
            _KEEP, [], {self.source: _at(LIVE, "ro"), volume: _at(KEPT, "rw")}
        )
        _require(done.status, done.text, "keep what is there")

    def put(self, throw_away: ThrowAway, folder: str) -> None:
        """Put a recovered data directory in the place of what is there.

        :raises OpsError: pitr.room, pitr.recovery, pitr.container
        """
        volumes = {
            throw_away.restores: _at(RESTORES, "rw"),
            self.source: _at(LIVE, "rw"),
        }
        done = throw_away.carried_out(_PUT, [folder, self.folder], volumes)
        _require(done.status, done.text, "put the recovered data directory in place")

    def bring_back(self, throw_away: ThrowAway, volume: str) -> None:
        """Bring back what *volume* has kept.

        :raises OpsError: pitr.container
        """
        done = throw_away.carried_out(
            _BACK, [], {volume: _at(KEPT, "ro"), self.source: _at(LIVE, "rw")}
        )
        _require(done.status, done.text, "bring back what was there")


def remove_halves(throw_away: ThrowAway, container: str) -> list[str]:
    """Remove the volumes of *container* that a killed run had not filled; return their names."""
    gone = []
    filters = {"label": f"{LABEL}={container}"}
    for each in docker_engine.engine().volumes.list(filters=filters):
        whole = throw_away.carried_out(f"[ -e {KEPT}/{WHOLE} ]", [], {each.name: _at(KEPT, "ro")})
        if whole.status:
            each.remove(force=True)
            gone.append(each.name)
    return gone


def _at(place: str, mode: str) -> dict[str, str]:
    return {"bind": place, "mode": mode}


def _require(status: int, said: str, what: str) -> None:
    if status == NO_ROOM:
        raise OpsError(
            f"There is no room to {what}. What was there is whole.",
            "Free as much as the data directory needs, on the disk of Docker's volumes, and run"
            " again.",
            code="pitr.room",
        )
    if status:
        raise OpsError(
            f"The helper container could not {what} (status {status}): {said[-500:]}",
            "Its message names the cause. Run again: a second run finishes.",
            code="pitr.container",
        )
