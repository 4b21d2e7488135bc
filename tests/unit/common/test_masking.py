# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A secret that masks parts of a result is told of at the task that it happens to."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ansible.module_utils.pmsops.common import masking

from tests.conftest import PROJECT

GOOD = "kW7-tavola-91x"
PARAMS = {
    "path": "/srv/backups/macro_trading/2026-11-29_0600",
    "database": {"name": "macro_trading", "password": "", "port": 5432},
    "tables": ["a", "b"],
    "check": True,
}


@pytest.mark.parametrize("secret", ["x", "2026", "2026-11-29_0600", "macro_trading", "0600-secret"])
def test_a_secret_that_masks_is_told(secret):
    params = PARAMS | {"folder": "/srv/0600-secrets"}
    assert masking.masks({secret, ""}, params)


@pytest.mark.parametrize("secrets", [set(), {""}, {GOOD}, {"correct horse battery"}])
def test_a_good_one_and_none_are_not(secrets):
    given = PARAMS | {"secret": next(iter(secrets), None)}
    assert not masking.masks(secrets, given)


@pytest.mark.parametrize("password", ["2026", GOOD])
def test_a_module_with_such_a_secret_warns(password, tmp_path):
    """In a process of its own, as Ansible starts it: the result has stars, and says why."""
    database = {"host": "h", "name": "b", "user": "u", "password": password, "access": "host"}
    given = {"database": database, "container": "x", "state": "status", "engine": "external"}
    missing = f"{tmp_path}/2026-11-29/pgbackrest"
    code = (
        "import ansible.module_utils as m, runpy, sys; sys.argv = ['m'];"
        f" m.__path__.append({str(PROJECT / 'module_utils')!r});"
        f" runpy.run_path({str(PROJECT / 'library' / 'pms_pitr.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": given | {"command": [missing]}}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = json.loads(done.stdout)
    assert (masking.WARNING in str(said.get("warnings"))) == (password != GOOD)
    assert (missing in said["msg"]) == (password == GOOD)
