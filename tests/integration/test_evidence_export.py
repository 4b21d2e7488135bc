# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The export as an operator runs it: by the playbook, from an inventory full of secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support import exported

pytestmark = pytest.mark.nightly
SECRETS = {
    name: f"Planted-{name}-{number}9f3c"
    for number, name in enumerate(
        ("database", "redis", "api", "grafana", "become", "repository", "mail", "hook", "role")
    )
}


@pytest.fixture(scope="module")
def fund(tmp_path_factory):
    fund = exported.busy(tmp_path_factory.mktemp("fund"))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become_password": SECRETS["become"],
        "pms_db_name": "macro_trading",
        "pms_db_password": SECRETS["database"],
        "pms_redis_password": SECRETS["redis"],
        "pms_api_password": SECRETS["api"],
        "pms_grafana_password": SECRETS["grafana"],
        "restore_role_passwords": {"macro_user": SECRETS["role"]},
        "notify_channels": [
            {"name": "risk", "type": "mail", "password": SECRETS["mail"]},
            {"name": "chat", "type": "webhook", "url": f"https://chat.invalid/{SECRETS['hook']}"},
        ],
        "offsite_repositories": [
            {"name": "vault", "environment": {"AWS_SECRET_ACCESS_KEY": SECRETS["repository"]}}
        ],
        "evidence_root": str(fund.evidence),
        "backup_root": str(fund.root / "sets"),
        "pms_keys_dir": str(fund.keys),
        "schedule_config_dir": str(fund.root / "schedule"),
        "of_no_value": "{{ nothing.of_this_name }}",
    }
    inventory = {"pms": {"hosts": {"fund1": variables}}}
    (fund.root / "hosts.json").write_text(json.dumps(inventory))
    return fund


def export(fund: exported.Fund, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook as pms-ops does."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [
            *(str(program), "-i", str(fund.root / "hosts.json"), "playbooks/evidence_export.yml"),
            *("-v", "-e", "since=2026-01-01", "-e", "until=2026-12-31", *more),
        ],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def planted_in(content: bytes) -> list[str]:
    return [name for name, secret in SECRETS.items() if secret.encode() in content]


def zips(fund: exported.Fund) -> list[Path]:
    return sorted((fund.evidence / "exports").glob("*.zip"))


def test_check_mode_writes_nothing_then_the_export_is_whole_and_has_no_secret(fund, tmp_path):
    done = export(fund, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert zips(fund) == []
    done = export(fund, "-e", "lang=pt")
    assert done.returncode == 0, done.stdout + done.stderr
    assert planted_in((done.stdout + done.stderr).encode()) == []
    (path,) = zips(fund)
    assert path.name == "2026-01-01_2026-12-31_pt.zip"
    with zipfile.ZipFile(path) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    private = "".join(each.read_text() for each in fund.keys.glob("ledger-*.key"))
    assert planted_in(whole) == []
    assert not [line for line in private.splitlines() if "-" not in line and line.encode() in whole]
    code, said = exported.outside(exported.unpack(path, tmp_path / "b"), "--key", fund.key)
    assert code == 0, said
    # The schedule was found, so the report can tell what was missed.
    assert b"218" in whole and "Não realizadas em".encode() in whole
    path.unlink()


@pytest.mark.parametrize("name", ["database", "hook", "repository"])
def test_a_secret_that_came_into_the_evidence_stops_the_export_and_is_not_shown(fund, name):
    path = next(fund.evidence.glob("2026-05-06_*/report.html"))
    before = path.read_text()
    path.write_text(f"{before} {SECRETS[name] if name != 'hook' else ''}")
    if name == "hook":  # the whole address of a channel is its secret
        path.write_text(f"{before} https://chat.invalid/{SECRETS['hook']}")
    try:
        done = export(fund)
    finally:
        path.write_text(before)
    said = done.stdout + done.stderr
    assert done.returncode == 2 and "export.secret" in said, said
    assert f"records/{path.parent.name}/report.html has a secret" in said
    assert planted_in(said.encode()) == [] and zips(fund) == []
