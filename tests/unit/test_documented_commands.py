# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that documents and playbooks show, as a shell and Ansible read them."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.splitter import parse_kv

from tests.conftest import PROJECT

COMMAND = re.compile(r"ansible-playbook [^`|\n]*")
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md", "playbooks/*.yml")
    for page in PROJECT.glob(pattern)
)


def extra_variables(command: str) -> list[str]:
    """Return the values of -e in a command line."""
    words = shlex.split(command, comments=True)
    return [after for word, after in itertools.pairwise(words) if word == "-e"]


def cut_off(value: str) -> str:
    """Return what Ansible leaves out of a value of -e, since it ends at a space."""
    if value.startswith(("{", "[", "@", "/", ".")):
        return ""
    return str(parse_kv(value).get("_raw_params", ""))


def test_a_moment_loses_its_time_of_day_without_a_second_pair_of_quotation_marks() -> None:
    (without,) = extra_variables('ansible-playbook a.yml -e at="2026-11-27 14:59:30"')
    (quoted,) = extra_variables("""ansible-playbook a.yml -e 'at="2026-11-27 14:59:30"'""")
    assert parse_kv(without) == {"at": "2026-11-27", "_raw_params": "14:59:30"}
    assert parse_kv(quoted) == {"at": "2026-11-27 14:59:30"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_no_documented_command_loses_words_of_a_value(page: Path) -> None:
    for command in COMMAND.findall(page.read_text()):
        try:
            values = extra_variables(command)
        except ValueError:  # prose with an apostrophe, or a line that goes on
            assert command.count('"') % 2 == 0, command
            continue
        assert [cut_off(value) for value in values if cut_off(value)] == [], command


def test_attestations_beside_an_inventory_are_not_read_as_its_groups(tmp_path: Path) -> None:
    """Each command of a new machine began with two warnings about groups that are none."""
    (tmp_path / "hosts.yml").write_text("pms: {hosts: {fund: }}\n")
    (tmp_path / "attestations.yml").write_text("attestations: []\nwaivers: []\n")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(tmp_path), "--graph"],
        capture_output=True, text=True, timeout=60, cwd=PROJECT, check=True,
    )  # fmt: skip
    assert "fund" in done.stdout
    assert "Skipping" not in done.stderr


def test_a_value_that_was_cut_off_at_a_space_is_refused(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "pms: {hosts: {fund: {ansible_connection: local,"
        " ansible_python_interpreter: '{{ ansible_playbook_python }}',"
        f" backup_root: {tmp_path}/backups, evidence_root: {tmp_path}/evidence}}}}}}\n"
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory),
         str(PROJECT / "playbooks" / "forget.yml"), "-e", "file=x", "-e", "reason=moved away"],
        capture_output=True, text=True, timeout=60, cwd=PROJECT, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Nothing was done. Ansible ends a value of -e at a space" in done.stdout
    assert "'away' was cut off" in " ".join(done.stdout.split())
