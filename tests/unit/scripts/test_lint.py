# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/lint.sh: which files yamllint reads again. scripts/test.sh: linters beside the tests."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import threading
import time

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


@pytest.mark.own_tools
@pytest.mark.parametrize(("found", "failed"), [(0, 0), (1, 0), (0, 3), (1, 3)])
def test_linters_run_beside_the_tests_and_either_fails_the_run(tmp_path, found, failed):
    """The tests begin while the linters work, and pytest has the last word."""
    for name, text in {
        "scripts/test.sh": (PROJECT / "scripts" / "test.sh").read_text(),
        "scripts/lint.sh": "#!/bin/sh\nuntil [ -e began ]; do sleep 0.05; done\n"
        f"echo 'what the linters say'\nexit {found}\n",
        "bin/pytest": "#!/bin/sh\ncase $* in *--collect-only*) exit;; esac\ntouch began\n"
        'until grep -q "in all" "$PMS_LINTED"; do sleep 0.05; done\n'
        f'echo "$PMS_TEST_BEGAN $*"\nexit {failed}\n',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "scripts/test.sh", "tests/unit"],
        env=os.environ
        | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PMS_TEST_WITHOUT_BROWSER": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == (found or failed), done.stderr
    began, *arguments = done.stdout.splitlines()[-1].split()
    assert time.time() - 60 < int(began) <= time.time()
    assert arguments[-1] == "tests/unit"
    said = (tmp_path / ".cache" / "lint.txt").read_text()
    assert said.startswith("what the linters say\nlint: ")
    assert said.endswith(f" s in all, exit status {found}\n")


@pytest.fixture
def linted():
    """The function that waits for the linters."""
    spec = importlib.util.spec_from_file_location("times", PROJECT / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.linted


def test_the_tests_wait_for_the_linters_and_repeat_what_they_say(tmp_path, linted):
    path = tmp_path / "lint.txt"
    path.write_text("ok\n")
    end = "lint: 9 s in all, exit status 1\n"
    later = threading.Timer(0.3, path.write_text, [f"ok\nFAILED\n{end}"])
    later.start()
    try:
        assert linted(path, time.time() + 60) == f"ok\nFAILED\n{end}"
    finally:
        later.join()


def test_linters_that_do_not_end_are_told(tmp_path, linted):
    path = tmp_path / "lint.txt"
    path.write_text("ok\n")
    assert linted(path, 0) == "ok\n\nthe linters did not end\n"
    assert linted(path, time.time() + 0.5) == "ok\n\nthe linters did not end\n"


def test_linters_that_ended_in_time_are_told_after_tests_that_took_longer(tmp_path, linted):
    path = tmp_path / "lint.txt"
    path.write_text("ok\nlint: 9 s in all, exit status 0\n")
    assert linted(path, 0) == "ok\nlint: 9 s in all, exit status 0\n"


@pytest.fixture
def linters(tmp_path):
    """A function that runs lint.sh with stand-ins of the linters, one of which may fail."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in ("scripts", "bin", "requirements"):
        (tmp_path / name).mkdir()
    for name in (".yamllint", "one.yml", "requirements/dev.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "scripts" / "lint.sh").write_text((PROJECT / "scripts" / "lint.sh").read_text())
    programs = ("bin/ruff", "bin/yamllint", "bin/shellcheck")
    scripts = ("typecheck.sh", "validate_modules.sh", "ansible_lint.py")
    for name in (*programs, *(f"scripts/{each}" for each in scripts)):
        (tmp_path / name).write_text(
            '#!/bin/sh\n[ "$FAILS" != "${0##*/}" ] || { echo why; exit 1; }\n'
        )
        (tmp_path / name).chmod(0o755)

    def run(fails, *options):
        done = subprocess.run(
            ["bash", "scripts/lint.sh", *options],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "FAILS": fails},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize(
    ("fails", "step"),
    [
        ("ruff", "ruff check"),
        ("yamllint", "yamllint"),
        ("typecheck.sh", "mypy --strict"),
        ("validate_modules.sh", "validate-modules"),
        ("ansible_lint.py", "ansible-lint"),
    ],
)
def test_a_linter_that_finds_something_fails_all_of_them_and_is_named(linters, fails, step):
    code, said, end = linters(fails)
    assert code == 1
    assert f"FAILED  {step}" in said and "why" in said
    assert step in end
    assert linters("nothing")[0] == 0


def test_quick_leaves_out_ansible_lint_alone(linters):
    code, said, _end = linters("ansible_lint.py", "--quick")
    assert (code, said.count("ok ")) == (0, 6)
