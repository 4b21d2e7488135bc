# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One version, from one file; a changelog made of fragments; a release that refuses mistakes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common import version
from ansible.module_utils.pmsops.evidence import run_record
from ansible.module_utils.pmsops.incidents import record

from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import DONE
from tests.conftest import PROJECT
from tests.support.gates import NOW, mixed

HOME = "module_utils/pmsops/common/version.py"
CONFIG = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["towncrier"]
TYPES = {each["directory"] for each in CONFIG["type"]}
MAY_NAME_VERSIONS = ("CHANGELOG.md", "changelog.d/", "docs/UPGRADING.md", "requirements/", "tests/")


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


def test_the_version_is_semantic_and_later_than_the_newest_release():
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(-dev)?", version.VERSION)
    assert match
    now = tuple(map(int, match.groups()[:3]))
    heads = re.findall(
        r"^## (\d+)\.(\d+)\.(\d+) \(\d{4}-\d\d-\d\d\)$",
        (PROJECT / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    )
    released = [tuple(map(int, each)) for each in heads]
    assert released == sorted(set(released), reverse=True)
    assert now > released[0] if match[4] else now == released[0]


def test_the_version_stands_in_one_file():
    pattern = re.compile(rf"(?<![\d.]){re.escape(version.VERSION)}(?![\d.])")
    found = [
        name
        for name in tracked()
        if not name.startswith(MAY_NAME_VERSIONS)
        and pattern.search((PROJECT / name).read_text(encoding="utf-8", errors="ignore"))
    ]
    assert found == [HOME]


def test_the_command_line_prints_it(capsys):
    assert main(["--version"], Path.cwd()) == DONE
    assert capsys.readouterr().out == f"pms-ops {version.VERSION}\n"


def test_evidence_incident_and_report_name_it(tmp_path):
    written = run_record.write(mixed(), run_record.Options(tmp_path), now=NOW)
    footer = Path(written["report"]).read_text().rpartition("<footer>")[2]
    assert f"pms-ops {version.VERSION}" in footer
    incident, _ = record.begin(
        tmp_path, "redis", title="Redis", symptoms=[], began_at=datetime.now(UTC)
    )
    for document in (incident.document, json.loads(Path(written["record"]).read_bytes())):
        assert document["tool"] == {"name": "pms-ops", "version": version.VERSION}


def test_every_fragment_has_a_type_that_the_changelog_knows():
    for path in (PROJECT / CONFIG["directory"]).iterdir():
        if path.name in CONFIG["ignore"]:
            continue
        match = re.fullmatch(r"\+[a-z0-9-]+\.([a-z]+)\.md", path.name)
        assert match and match[1] in TYPES, f"{path.name}: +SUBJECT.TYPE.md, TYPE of {TYPES}"
        assert path.read_text().strip()


class Copy:
    """What a release touches, in a repository of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("pyproject.toml", "CHANGELOG.md", HOME, "scripts/release.sh"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, root / name)
        (root / ".venv").symlink_to(sys.prefix)
        (root / ".gitignore").write_text("/.venv\n")
        self.fragment = root / "changelog.d" / "+thing.added.md"
        self.fragment.parent.mkdir()
        self.fragment.write_text("**A thing**: it can be used.\n")
        self.git("init", "-q")
        self.commit()

    def git(self, *words: str) -> None:
        mine = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *mine, *words], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "test")

    def release(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/release.sh", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def version(self) -> str:
        return re.search(r'^VERSION = "(.*)"$', (self.root / HOME).read_text(), re.MULTILINE)[1]

    @property
    def changelog(self) -> str:
        return (self.root / "CHANGELOG.md").read_text()


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_a_release_sets_the_version_and_moves_the_fragments(copy):
    done = copy.release("9.8.7")
    assert done.returncode == 0, done.stderr
    assert copy.version == "9.8.7"
    assert not copy.fragment.exists()
    newest, _, older = copy.changelog.partition("## 9.8.7 (")[2].partition("\n## ")
    assert "### Added" in newest and "- **A thing**: it can be used." in newest
    assert older.startswith("0.")
    copy.commit()
    assert copy.release("--next", "9.9.0").returncode == 0
    assert copy.version == "9.9.0-dev"


@pytest.mark.parametrize("words", [[], ["1.2"], ["v1.2.3"], ["01.2.3"], ["1.2.3", "4"]])
def test_a_version_that_is_none_changes_nothing(copy, words):
    before = copy.version, copy.changelog
    assert copy.release(*words).returncode == 2
    assert (copy.version, copy.changelog) == before


def test_a_version_is_released_once_and_with_changes_alone(copy):
    assert "has 0.1.0 already" in copy.release("0.1.0").stderr
    (copy.root / "stray").touch()
    assert "working tree has changes" in copy.release("9.8.7").stderr
    (copy.root / "stray").unlink()
    copy.fragment.unlink()
    copy.commit()
    assert "no change to release" in copy.release("9.8.7").stderr
    assert copy.version == version.VERSION


def test_the_page_of_upgrades_has_a_section_for_this_version():
    page = (PROJECT / "docs" / "UPGRADING.md").read_text()
    assert f"\n### {version.VERSION.removesuffix('-dev')}\n" in page
