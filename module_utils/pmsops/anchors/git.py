# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An anchor in a git repository elsewhere: a commit for each head, pushed without force."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.anchors.way import Statement, parse, run
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence.anchor_notes import Pin

FILE = "anchors.jsonl"
AUTHOR = ("-c", "user.name=pms-ops", "-c", "user.email=pms-ops@localhost")
QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", "-c", "gc.auto=0")


@dataclass(frozen=True)
class InGit:
    """The branch of a remote repository; *work* is a clone of its own beside the ledger."""

    name: str
    url: str
    work: Path
    branch: str = "anchors"
    key_file: Path | None = None
    seconds: float = 60

    def send(self, statement: Statement) -> dict[str, Any]:
        """Commit the head on top of what is there, and push it."""
        known = self._fetch()
        if known:
            self._git("reset", "--quiet", "--hard", "FETCH_HEAD")
        else:
            self._git("symbolic-ref", "HEAD", f"refs/heads/{self.branch}")
        path = self.work / FILE
        before = path.read_text() if known and path.exists() else ""
        path.write_text(before + statement.line())
        self._git("add", FILE)
        message = f"{statement.system}: {statement.pin.lines} lines, {statement.pin.sha256}"
        self._git("commit", "--quiet", "--message", message)
        self._git("push", "--quiet", "--", self.url, f"HEAD:refs/heads/{self.branch}")
        return {"commit": self._git("rev-parse", "HEAD").strip()}

    def pins(self) -> list[Pin]:
        """Return the heads on the remote branch."""
        if not self._fetch():
            return []
        return parse(self._git("show", f"FETCH_HEAD:{FILE}"), self.name)

    def _fetch(self) -> bool:
        """Fetch the remote branch; tell whether it is there."""
        if not (self.work / ".git").is_dir():
            files.make_private_folder(self.work)
            self._git("init", "--quiet")
        refs = self._git("ls-remote", "--heads", "--", self.url, self.branch)
        if not refs.strip():
            return False
        self._git("fetch", "--quiet", "--no-tags", "--", self.url, f"refs/heads/{self.branch}")
        return True

    def _git(self, *arguments: str) -> str:
        environment = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        ssh = ["ssh", "-o", "BatchMode=yes"]
        if self.key_file:
            ssh += ["-i", str(self.key_file), "-o", "IdentitiesOnly=yes"]
        environment["GIT_SSH_COMMAND"] = shlex.join(ssh)
        try:
            return run(
                self.name,
                ["git", *AUTHOR, *QUIET, *arguments],
                seconds=self.seconds,
                environment=environment,
                folder=self.work,
            )
        except OpsError as exc:
            raise OpsError(
                str(exc).replace(self.url, "its url"), exc.remedy, code=exc.code
            ) from exc
