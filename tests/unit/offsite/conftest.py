# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A system with a set, and a site whose repository is a folder of a stand-in for restic."""

from __future__ import annotations

import json
import py_compile
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.testing import patch_module_args

from tests.conftest import PROJECT
from tests.support.backup_sets import make_set

STANDIN = PROJECT / "tests" / "support" / "standin_restic.py"
SECRET = "of-the-vault-and-nobody-else"


@dataclass
class Fund:
    """A system, its site, and the modules called as Ansible calls them."""

    folder: Path
    capsys: Any
    program: str

    @property
    def repository(self) -> Path:
        return self.folder / "vault"

    @property
    def root(self) -> Path:
        return self.folder / "backups"

    def options(self, **more: Any) -> dict[str, Any]:
        site = {
            "name": "vault",
            "url": str(self.repository),
            "password_file": str(self.folder / "password"),
        }
        return {
            "system": "fund",
            "root": str(self.root),
            "evidence_root": str(self.folder / "evidence"),
            "keys": str(self.folder / "keys"),
            "restic": self.program,
            "repositories": [site],
        } | more

    def call(self, state: str, module: Any = None, **more: Any) -> dict[str, Any]:
        import pms_offsite

        if module is None:
            more = {"state": state} | more
        with patch_module_args(self.options(**more)), pytest.raises(SystemExit):
            (module or pms_offsite).main()
        return json.loads(self.capsys.readouterr().out)

    def site(self, state: str, **more: Any) -> dict[str, Any]:
        """Return what the one site gave."""
        return self.call(state, **more)["sites"][0]

    def make_set(self, name: str, **more: Any) -> Path:
        return make_set(self.root, self.folder / "keys", name, **more)

    def fault(self, command: str, *answers: dict[str, Any]) -> None:
        folder = self.repository if self.repository.is_dir() else self.folder
        (folder / "faults.json").write_text(json.dumps({command: answers}))

    def calls(self) -> list[dict[str, Any]]:
        lines = (self.repository / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The stand-in, compiled, without the packages that it does not need: a third of the time.

    Every act asks for the version first, and a shell can say that.
    """
    folder = tmp_path_factory.mktemp("restic")
    compiled = py_compile.compile(str(STANDIN), str(folder / "standin.pyc"), doraise=True)
    path = folder / "restic"
    path.write_text(
        f'''#!/bin/sh
if [ "$1" = version ]; then
    echo "${{STANDIN_VERSION:-restic 0.18.0 compiled with go1.24}}"
else
    exec "{sys.executable}" -IS "{compiled}" "$@"
fi
'''
    )
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def fund(tmp_path, capsys, program):
    (tmp_path / "password").write_text(SECRET + "\n")
    (tmp_path / "password").chmod(0o600)
    found = Fund(tmp_path, capsys, program)
    ledger.append(tmp_path / "evidence", "backup", {"set": "x"}, now=datetime.now(UTC))
    found.make_set("2026-11-22_0600")
    return found


@pytest.fixture
def stocked(fund):
    """The same with a repository, and the set in it."""
    assert fund.call("present")["changed"]
    assert fund.site("uploaded")["ok"]
    return fund
