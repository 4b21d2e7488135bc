# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hooks of .pre-commit-config.yaml run, without a network, and each refuses what it is for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.conftest import PROJECT

# `make check` has run the linters themselves.
pytestmark = pytest.mark.linters

CONFIG = ".pre-commit-config.yaml"
HOOKS = {
    hook["id"]: hook
    for repository in yaml.safe_load((PROJECT / CONFIG).read_text())["repos"]
    for hook in repository["hooks"]
}
# One module keeps the validator quick; the rest is what it needs of the collection.
MODULE = "library/pms_hold.py"
SOURCE = (PROJECT / MODULE).read_text()
COLLECTION = (
    *("collection", "docs", "module_utils", "playbooks", "plugins", "requirements", "roles"),
    *("scripts", "bench", "pmsops_cli"),  # for mypy
)
# For each hook a file that it refuses.
WRONG = {
    "ruff-check": ("wrong.py", '"""Imports what it does not use."""\n\nimport os\n'),
    "ruff-format": ("wrong.py", '"""Spaces where they do not belong."""\n\nvalue = [1,2]\n'),
    "mypy": ("bench/wrong.py", '"""Says a wrong type."""\n\nvalue: int = "text"\n'),
    "yamllint": ("wrong.yml", "---\na: 1\na: 2\n"),
    "shellcheck": ("wrong.sh", "#!/usr/bin/env bash\ncd $1\n"),
    "validate-modules": (
        MODULE,
        SOURCE.replace("choices: [present, absent]", "choices: [present, missing]"),
    ),
}
RIGHT = {
    "right.py": '"""Says nothing."""\n\nvalue = [1, 2]\n',
    "right.yml": "---\na: 1\n",
    "right.sh": '#!/usr/bin/env bash\ncd "$1" || exit\n',
}


@pytest.fixture
def repository(tmp_path):
    """A repository with the configuration, one module, and good files of each kind."""
    root = tmp_path / "repository"
    root.mkdir()
    for name in (CONFIG, "pyproject.toml", ".yamllint", "CHANGELOG.md", "LICENSE"):
        shutil.copy(PROJECT / name, root / name)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in COLLECTION:
        shutil.copytree(PROJECT / name, root / name, ignore=ignore)
    (root / "library").mkdir()
    (root / MODULE).write_text(SOURCE)
    (root / ".venv").symlink_to(sys.prefix)
    # What mypy knows of the project, if it has been run: here only a changed file is new to it.
    known = PROJECT / ".cache" / "mypy"
    if known.exists():
        shutil.copytree(known, root / ".cache" / "mypy", symlinks=True)
    for name, text in RIGHT.items():
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


def run(root, *words):
    """Run pre-commit as a commit does: without the tools of the tests on the PATH."""
    subprocess.run(["git", "add", "-A"], cwd=root, check=True, capture_output=True)
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            "PATH": os.defpath + ":/usr/sbin:/usr/local/bin",
            "HOME": str(root.parent),
            "PRE_COMMIT_HOME": str(root.parent / "pre-commit"),
            "https_proxy": "http://127.0.0.1:9",
            "LC_ALL": "C.UTF-8",
        },
    )


def test_the_configuration_is_valid_and_fetches_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", str(PROJECT / CONFIG)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    repositories = yaml.safe_load((PROJECT / CONFIG).read_text())["repos"]
    assert [each["repo"] for each in repositories] == ["local"]
    assert {hook["language"] for hook in HOOKS.values()} == {"system", "pygrep"}


def test_every_hook_of_a_commit_has_a_file_that_it_refuses():
    assert set(WRONG) == set(HOOKS) - {"commit-subject"}


def test_good_files_pass(repository):
    done = run(repository, "run", "--files", *RIGHT, MODULE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped" not in done.stdout


@pytest.mark.parametrize("hook", sorted(WRONG))
def test_a_bad_file_is_refused(repository, hook):
    name, text = WRONG[hook]
    (repository / name).write_text(text)
    done = run(repository, "run", hook, "--files", name)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"hook id: {hook}" in done.stdout
    assert name.rpartition("/")[2] in done.stdout or hook == "ruff-format"


@pytest.mark.parametrize(("length", "status"), [(72, 0), (73, 1)])
def test_a_subject_has_at_most_72_characters(repository, length, status):
    message = repository / "message"
    message.write_text("x" * length + "\n\n" + "A line of the body may be longer. " * 4 + "\n")
    stage = ["--hook-stage", "commit-msg", "--commit-msg-filename", str(message)]
    done = run(repository, "run", "commit-subject", *stage)
    assert done.returncode == status, done.stdout + done.stderr
