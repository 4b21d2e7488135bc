# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine as a service of systemd, for a server that is no container: made, asked, removed.

A user without a login runs the loop that a container runs elsewhere. Its configuration is in
/etc/<name>; base backups, WAL and password are in the archive's folder, which stays.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.children import end_with_parent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr.engine_home import Answer, host_home

UNITS = Path("/etc/systemd/system")
SYSTEMD = Path("/run/systemd/system")
NO_LOGIN = "/usr/sbin/nologin"
OLDEST = (3, 13)  # of Barman: older ones were not tried
TOOLS = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin", "/usr/bin")
UNIT = """\
# Written by pms-ops pitr enable, which overwrites changes; pms-ops pitr disable removes it.
[Unit]
Description=pms-ops: receive the WAL of the database of the PMS
After=network.target postgresql.service
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
Group={user}
Environment="HOME={home}"
WorkingDirectory={home}
ExecStart=/bin/sh {configuration}/loop.sh
Restart=always
RestartSec=5
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={home}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
"""


class HostEngine:
    """The service *name* of the engine."""

    def __init__(
        self, name: str, *, archive: str = "", barman: str = "", bin_dir: str = ""
    ) -> None:
        self.name = name
        self._bin_dir = bin_dir
        self.home = host_home(name, archive=archive, barman=barman)

    @property
    def unit(self) -> str:
        """Its unit."""
        return f"{self.name}.service"

    def found(self) -> bool:
        """Tell whether it is installed."""
        return (UNITS / self.unit).exists()

    def running(self) -> bool:
        """Tell whether it runs."""
        return self.found() and self._systemctl("is-active", "--quiet", self.unit).status == 0

    def outdated(self) -> bool:
        """Tell whether it was written by another release, or with other folders."""
        return self.found() and any(_read(path) != text for path, text in self._files().items())

    def require(self, *, comes: bool = False) -> None:
        """Refuse a host that cannot have it; *comes* if Barman will be installed before.

        :raises OpsError: pitr.host-rights, pitr.host-systemd, pitr.host-barman,
            pitr.host-barman-old
        """
        if os.geteuid() != 0:
            raise OpsError(
                "The engine on a host is a service with a user of its own, and this user is not"
                " root. Nothing was changed.",
                "Run it as root: -e ansible_become=true.",
                code="pitr.host-rights",
            )
        if not SYSTEMD.is_dir():
            raise OpsError(
                "This host does not run systemd, which would start the engine. Nothing was"
                " changed.",
                "Let Barman, pgBackRest or WAL-G protect the server themselves, and set"
                " pitr_engine: external.",
                code="pitr.host-systemd",
            )
        program = shutil.which(self.home.barman)
        if program is None and comes:
            return
        if program is None:
            raise OpsError(
                f"There is no program {self.home.barman} on this host. Nothing was changed.",
                "Install Barman: pitr_barman: distribution (its package) or pypi (an environment of"
                " its own) does it.",
                code="pitr.host-barman",
            )
        if shutil.which("file") is None:
            raise OpsError(
                "There is no program file on this host, by which Barman tells whether WAL is"
                " encrypted. Nothing was changed.",
                "Install the distribution's package file.",
                code="pitr.host-barman",
            )
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=60, check=False
        ).stdout
        number = re.match(r"\D*(\d+)\.(\d+)", said)
        if number is None or tuple(map(int, number.groups())) < OLDEST:
            raise OpsError(
                f"Barman of this host is {' '.join(said.split())[:40] or 'of an unknown version'},"
                f" and {'.'.join(map(str, OLDEST))} or newer is needed. Nothing was changed.",
                "Set pitr_barman: pypi, which installs one beside it.",
                code="pitr.host-barman-old",
            )

    def bin_dir(self, major: int) -> str | None:
        """Return the folder of the client tools of a major version, None without any."""
        folders = [self._bin_dir, *(each.format(major=major) for each in TOOLS)]
        return next((each for each in folders if each and _has_tools(each, major)), None)

    def create(self) -> None:
        """Make user, folders and unit, and start it; what is there is kept or replaced.

        :raises OpsError: pitr.unit
        """
        self._make_user()
        entry = pwd.getpwnam(self.home.user)
        for folder, mode in ((self.home.home, 0o700), (self.home.configuration, 0o750)):
            Path(folder).mkdir(mode=mode, parents=True, exist_ok=True)
            files.set_mode(Path(folder), mode)
            own = entry.pw_uid if folder == self.home.home else 0
            os.chown(folder, own, entry.pw_gid)
        for path, text in self._files().items():
            files.replace(path, text.encode(), mode=0o644)
        self._must("daemon-reload")
        self._must("enable", "--quiet", self.unit)
        self._must("restart", self.unit)

    def remove(self) -> None:
        """Remove unit and configuration. The archive stays, and so does its owner."""
        if self.found():
            self._must("disable", "--now", "--quiet", self.unit)
            (UNITS / self.unit).unlink()
            self._must("daemon-reload")
        shutil.rmtree(self.home.configuration, ignore_errors=True)

    def remove_archive(self) -> list[str]:
        """Remove the archive and the user; return what was there."""
        gone = []
        if Path(self.home.home).is_dir():
            shutil.rmtree(self.home.home)
            gone.append(f"folder {self.home.home}")
        with suppress(KeyError):
            pwd.getpwnam(self.home.user)
            _call(["userdel", self.home.user])
            gone.append(f"user {self.home.user}")
        return gone

    def run(
        self, argv: Sequence[str], *, seconds: int = 60, environment: dict[str, str] | None = None
    ) -> Answer:
        """Run a command as the engine's user, at most *seconds*.

        :raises OpsError: pitr.not-running
        """
        if not self.running():
            state = "is not active" if self.found() else "is not there"
            raise OpsError(
                f"Service {self.unit}, which receives the WAL, {state}.",
                f"Start it: systemctl start {self.unit}; or make it: pms-ops pitr enable.",
                code="pitr.not-running",
            )
        words = ["timeout", "--kill-after=10", str(seconds), *argv]
        return _call(
            ["runuser", "-u", self.home.user, "--", *words],
            environment={"HOME": self.home.home, **(environment or {})},
            seconds=seconds + 30,
            folder=self.home.home,
        )

    def write(self, path: str, content: str) -> None:
        """Write a file that the engine's user alone can read."""
        files.replace(Path(path), content.encode(), mode=0o600)
        entry = pwd.getpwnam(self.home.user)
        os.chown(path, entry.pw_uid, entry.pw_gid)

    def _files(self) -> dict[Path, str]:
        """Return the files that do not depend on the server."""
        unit = UNIT.format(
            user=self.home.user, home=self.home.home, configuration=self.home.configuration
        )
        return {
            Path(self.home.configuration) / "loop.sh": self.home.loop(),
            UNITS / self.unit: unit,
        }

    def _make_user(self) -> None:
        with suppress(KeyError):
            pwd.getpwnam(self.home.user)
            return
        answer = _call(
            [
                *("useradd", "--system", "--user-group", "--no-create-home"),
                *("--home-dir", self.home.home, "--shell", NO_LOGIN, self.home.user),
            ]
        )
        if answer.status:
            raise _failed(f"useradd {self.home.user}", answer)

    def _must(self, *words: str) -> None:
        answer = self._systemctl(*words)
        if answer.status:
            raise _failed(f"systemctl {' '.join(words)}", answer)

    def _systemctl(self, *words: str) -> Answer:
        return _call(["systemctl", *words])


def _has_tools(folder: str, major: int) -> bool:
    """Tell whether a folder has the tools of a version: /usr/bin has those of any."""
    program = Path(folder) / "pg_receivewal"
    if not program.exists():
        return False
    said = _call([str(program), "--version"]).output
    return re.search(rf"\b{major}(\.|\b)", said) is not None


def _call(
    words: Sequence[str],
    *,
    environment: dict[str, str] | None = None,
    seconds: int = 120,
    folder: str | None = None,
) -> Answer:
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            cwd=folder,
            env=os.environ | (environment or {}),
            preexec_fn=end_with_parent,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return Answer(127, "", str(exc))
    return Answer(done.returncode, done.stdout, done.stderr)


def _failed(what: str, answer: Answer) -> OpsError:
    return OpsError(
        f"{what} ended with status {answer.status}: {' '.join(answer.errors.split())[-300:]}",
        "Its message names the cause. Run again, or take it away: pms-ops pitr disable.",
        code="pitr.unit",
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
