# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One repository through ``restic --json``: a call each, its answer parsed, its failure named."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.children import end_with_parent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite import restic_errors
from ansible.module_utils.pmsops.offsite.site import Site

# Exit codes 10 to 12 are of 0.17; that of a wrong password and the JSON of check are of 0.18.
OLDEST = (0, 18)
CONNECT_SECONDS = 90  # of a call that only asks: restic itself would try for 15 minutes
END_SECONDS = 20
LOOK_SECONDS = 1.0
# What restic says when it tries again, which for a site that is not there it does for 15 minutes.
_VAIN = re.compile(r"returned error, retrying after .*(connection refused|no such host|bucket)")
VAIN_TRIES = 3
# A site that is full has no room a minute later either.
_FULL = re.compile(r"returned error, retrying after .*(\(507\)|Insufficient Storage|QuotaExceeded)")
FULL_TRIES = 5
# restic locks the repository even while it reads, and would try for minutes where it cannot.
_NO_LOCK = re.compile(
    r"Save\(<lock/.*returned error, retrying after .*(read-only|permission|denied|forbidden)", re.I
)
# A path that is not there: restic 0.18 ends with 0, and 0.19 with 3. Both make the snapshot.
_SKIPPED = re.compile(r"does not exist, skipping", re.I)
UNREAD = 3
# What reads alone can do without a lock: data come with their hashes, and a copy that is removed
# meanwhile is an error.
READING = ("snapshots", "ls", "dump", "restore")
MAX_MESSAGES = 1 << 20
# Go collects garbage earlier above it: the index of a large repository and two packs fit in.
MEMORY = "384MiB"
# restic itself asks for 50: below the limit, that costs a tenth of a copy's processor time.
GARBAGE = "200"
READERS = 2
# Why a site may not answer in time
OF_THE_SITE = (
    *("offsite.unreachable", "offsite.no-bucket"),
    *("offsite.refused", "offsite.certificate", "offsite.full", "offsite.read-only"),
)


@dataclass(frozen=True)
class Answer:
    """The answer of one call: documents of its output, a line each, and the output itself."""

    output: bytes
    errors: str = ""
    documents: list[Any] = field(default_factory=list)

    def of_type(self, name: str) -> list[dict[str, Any]]:
        """Return the documents whose ``message_type`` is *name*."""
        return [
            each
            for each in self.documents
            if isinstance(each, dict) and each.get("message_type") == name
        ]


class Restic:
    """Calls for one site. *program* is restic, *cache* a folder of its own for its cache."""

    def __init__(
        self, site: Site, cache: Path, *, program: str = "restic", hours: float = 12
    ) -> None:
        self.site = site
        self._program = program
        self.cache = cache
        self._seconds = hours * 3600
        self._locks = True  # until the site turns out to be one that can only be read

    def call(
        self,
        *arguments: str,
        changes: bool = False,
        binary: bool = False,
        cached: bool = True,
    ) -> Answer:
        """Run restic and return its answer; a lock that a dead run left is removed, once.

        On a site that can only be read, what reads goes without a lock.

        *changes* allows hours, for a call that moves data; any other one has 90 seconds. *binary*
        is for output that is no JSON. Without *cached*, all comes from the site.

        :raises OpsError: offsite.*
        """
        try:
            return self._run(arguments, changes, binary, cached)
        except OpsError as exc:
            if exc.code == "offsite.read-only" and self._locks and arguments[0] in READING:
                self._locks = False
                return self._run(arguments, changes, binary, cached)
            if exc.code != "offsite.locked":
                raise
        # It removes locks whose process is gone, and those that nobody refreshed for 30 minutes:
        # a live run refreshes its own every five.
        self._run(("unlock",), False, True, True)
        return self._run(arguments, changes, binary, cached)

    def _run(self, arguments: Sequence[str], changes: bool, binary: bool, cached: bool) -> Answer:
        seconds = self._seconds if changes else CONNECT_SECONDS
        status, output, errors = self._execute(self._command(arguments, cached), seconds)
        if status == 0 and arguments[0] == "backup" and _SKIPPED.search(errors):
            status = UNREAD
        text = "" if binary and not status else output.decode(errors="replace")
        if status is None:
            said = self.site.hidden(restic_errors.message("", errors))
            raise _overdue(self.site.name, arguments[0], seconds, said)
        if status:
            said = self.site.hidden(restic_errors.message(text, errors))
            raise restic_errors.to_error(self.site.name, arguments[0], status, said)
        return Answer(output, self.site.hidden(errors), [] if binary else _parsed(text))

    def _command(self, arguments: Sequence[str], cached: bool) -> list[str]:
        command = [self._program, "--json", *(() if cached else ("--no-cache",))]
        if not self._locks and arguments[0] in READING:
            command.append("--no-lock")
        for option in self.site.options:
            command += ["-o", option]
        if self.site.ca_file:
            command += ["--cacert", str(self.site.ca_file)]
        return [*command, *arguments]

    def _execute(self, command: list[str], seconds: float) -> tuple[int | None, bytes, str]:
        """Return exit status, output and messages; the status is None when time was up."""
        environment = self.site.environment() | {
            "RESTIC_CACHE_DIR": str(self.cache),
            "RESTIC_PROGRESS_FPS": "0.01",
            "GOMEMLIMIT": MEMORY,
            "GOGC": GARBAGE,
        }
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    cwd="/",
                    start_new_session=True,  # it is ended with the ssh that it started
                    preexec_fn=end_with_parent,
                )
            except OSError as exc:
                raise _missing(self._program, exc) from exc
            output = None
            try:
                output = _awaited(process, errors.fileno(), seconds)
            finally:
                if process.poll() is None:
                    _end(process)
            told = _told(errors.fileno())
        return (None, b"", told) if output is None else (process.returncode, output, told)


def version(program: str = "restic") -> str:
    """Return restic's version.

    :raises OpsError: offsite.restic-missing, offsite.restic-old
    """
    try:
        done = subprocess.run(
            [program, "version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _missing(program, exc) from exc
    found = re.match(r"restic (\d+)\.(\d+)(\.\d+)?", done.stdout)
    if found is None:
        raise _missing(program, done.stderr.strip() or done.stdout.strip())
    if (int(found[1]), int(found[2])) < OLDEST:
        raise OpsError(
            f"{program} is {found[0]}; 0.18 or newer is needed: older ones do not say why they"
            " failed.",
            "Install the package restic of Debian 13 or newer, or set offsite_restic to the path of"
            " a newer program.",
            code="offsite.restic-old",
        )
    return found[0].removeprefix("restic ")


def _awaited(process: subprocess.Popen[bytes], errors: int, seconds: float) -> bytes | None:
    """Return the output; None when time is up, or when restic only tries the same in vain."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return process.communicate(timeout=min(LOOK_SECONDS, seconds))[0]
        except subprocess.TimeoutExpired:
            told = _told(errors)
            asks = seconds <= CONNECT_SECONDS
            if asks and len(_VAIN.findall(told)) >= VAIN_TRIES:
                return None
            if len(_FULL.findall(told)) >= FULL_TRIES or _NO_LOCK.search(told):
                return None
    return None


def _told(errors: int) -> str:
    """Return what was written to the file of the messages so far."""
    return os.pread(errors, MAX_MESSAGES, 0).decode(errors="replace")


def _parsed(text: str) -> list[Any]:
    """Return the JSON documents of an output, a line each; other lines are notes for people."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """End restic and what it started; it removes its lock if it is given the time."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def _overdue(site: str, command: str, seconds: float, said: str) -> OpsError:
    known = restic_errors.to_error(site, command, 1, said)
    if known.code in OF_THE_SITE:
        return known
    return OpsError(
        f"Site {site}: restic {command} gave no answer within {seconds:.0f} s"
        f"{f': {said}' if said else '.'}",
        "Look at the network and at the site. The next run goes on: what had arrived there is used"
        " again. A slow line needs more offsite_timeout_hours.",
        code="offsite.timeout",
    )


def _missing(program: str, why: object) -> OpsError:
    return OpsError(
        f"restic cannot be run as {program}: {why}.",
        "Install the package restic (Debian 13 or newer), or set offsite_restic to its path.",
        code="offsite.restic-missing",
    )
