# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What another engine has, or a server on a host, is refused before anything is looked at."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError

from tests.conftest import PROJECT

DATABASE = {"host": "127.0.0.1", "port": 1, "name": "book", "user": "x", "access": "container"}
STATES = ("present", "absent", "backup", "maintained", "proved", "expired")


def call(name: str, **params: Any) -> str:
    """Run a module without Ansible; return the code of its refusal."""
    spec = importlib.util.spec_from_file_location(name, PROJECT / "library" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    given = {"engine": "external", "database": DATABASE, "canary_seconds": 300, "window_days": 14}
    given |= {"evidence_root": "/x", "queries": [], "services": {}, "recipients": []}
    known = defaultdict(lambda: None, given | params)
    asked = SimpleNamespace(params=known, check_mode=False)
    facts = [{}] if module.run.__code__.co_argcount == 2 else []
    with pytest.raises(OpsError) as caught:
        module.run(asked, *facts)
    assert "Nothing was changed" in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("state", STATES)
def test_switching_making_and_proving_are_refused(state):
    assert call("pms_pitr", state=state, container="x") == "pitr.external"


@pytest.mark.parametrize("name", ["set", "drill", "server", "damage"])
def test_what_needs_a_moment_is_refused(name):
    given = {"container": "x", "at": "latest", "root": "/x", "evidence_root": "/x"}
    assert call(f"pms_pitr_{name}", **given) == "pitr.external"


@pytest.mark.parametrize("name", ["", "_set", "_drill", "_server", "_damage"])
def test_no_moment_is_restored_on_a_host(name):
    on_host = {"engine": "barman", "database": DATABASE | {"access": "host"}, "state": "proved"}
    assert call(f"pms_pitr{name}", container="x", at="latest", root="/x", **on_host) == (
        "pitr.host-access"
    )
