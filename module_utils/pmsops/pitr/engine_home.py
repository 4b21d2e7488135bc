# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the engine lives: its files, and the loop that keeps the receiver alive."""

from __future__ import annotations

from dataclasses import dataclass

# Barman's own cron starts two Python processes a minute. This loop starts none while nothing
# happens: a receiver that ends begins again after five seconds, and only whole segments are filed.
_LOOP = """
trap 'kill 0; exit 0' TERM INT
while :; do
    if test -s {conf}; then
        {barman} -q -c {conf} receive-wal pms
        sleep 4
    fi
    sleep 1
done &
while :; do
    every=5
    if test -s {canary}; then
        . {canary}
        write_canary
    fi
    sleep "$every" & wait $!
done &
while :; do
    if ls {home}/pms/streaming 2>/dev/null | grep -qv partial; then
        {barman} -q -c {conf} archive-wal pms
    fi
    sleep 15 & wait $!
done
"""


@dataclass(frozen=True)
class Answer:
    """What a command where the engine is ended with."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class EngineHome:
    """Folders of one engine."""

    home: str  # base backups, WAL, password, log
    configuration: str  # the folder of barman.conf and canary.sh
    user: str
    healthy: str  # a command of a shell that tells whether a receiver runs, without Python
    barman: str = "barman"

    @property
    def conf(self) -> str:
        """Barman's configuration."""
        return f"{self.configuration}/barman.conf"

    @property
    def canary(self) -> str:
        """Sets ``every``, its seconds, and defines ``write_canary``."""
        return f"{self.configuration}/canary.sh"

    @property
    def pgpass(self) -> str:
        """The password of the replication role."""
        return f"{self.home}/.pgpass"

    @property
    def log(self) -> str:
        """Barman's log."""
        return f"{self.home}/barman.log"

    def loop(self) -> str:
        """Return the loop as a script for a shell."""
        return _LOOP.format(conf=self.conf, canary=self.canary, home=self.home, barman=self.barman)


def host_home(name: str, *, archive: str = "", barman: str = "") -> EngineHome:
    """Return the folders of the service *name* of a host."""
    return EngineHome(
        home=archive or f"/var/lib/{name}",
        configuration=f"/etc/{name}",
        user=name,
        healthy=f"pgrep -u {name} -x pg_receivewal >/dev/null",
        barman=barman or "barman",
    )
