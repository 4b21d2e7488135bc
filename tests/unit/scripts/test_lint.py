# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/lint.sh: which files yamllint reads again."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.conftest import PROJECT


@pytest.fixture
def lint(tmp_path):
    """A repository with two YAML files, and a yamllint that notes what it reads and may fail."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "requirements").mkdir()
    for name in ("one.yml", "two.yaml", ".yamllint", "requirements/dev.txt", "page.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("/.cache/\n/bin/\n/read\n/bad\n")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "yamllint"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >read\n[ ! -e bad ]\n')
    program.chmod(0o755)
    script = (PROJECT / "scripts" / "lint.sh").read_text()
    function = script[script.index("yamllint_changed() {") :].partition("\n}\n")[0] + "\n}\n"

    def run():
        (tmp_path / "read").write_text("")
        done = subprocess.run(
            ["bash", "-uo", "pipefail", "-c", f"{function}yamllint_changed"],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        )
        read = (tmp_path / "read").read_text().split()
        assert read[:1] in ([], ["--strict"])
        return done.returncode, sorted(read[1:])

    run.folder = tmp_path
    return run


def test_what_passed_is_not_read_again_until_it_changes(lint):
    assert lint() == (0, [".yamllint", "one.yml", "two.yaml"])
    assert lint() == (0, [])
    (lint.folder / "two.yaml").write_text("changed")
    (lint.folder / "three.yml").write_text("new")
    (lint.folder / "one.yml").unlink()
    assert lint() == (0, ["three.yml", "two.yaml"])
    assert lint() == (0, [])


def test_what_fails_fails_until_it_is_mended(lint):
    (lint.folder / "bad").touch()
    for _each_time in range(2):
        code, read = lint()
        assert (code, len(read)) == (1, 3)
    (lint.folder / "bad").unlink()
    assert lint()[0] == 0


@pytest.mark.parametrize("name", [".yamllint", "requirements/dev.txt"])
def test_other_rules_and_another_release_read_all_files_again(lint, name):
    lint()
    (lint.folder / name).write_text("other")
    code, read = lint()
    assert (code, len(read)) == (0, 3)
