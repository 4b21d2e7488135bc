# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every playbook refuses beforehand: no module is started on the host for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT

# By host: what is impossible about it, and what is said of that.
IMPOSSIBLE = {
    "container": ({"pms_db_access": "container", "pms_db_container": ""}, "container is empty"),
    "port": ({"pms_redis_port": 70000}, "pms_redis_port is 70000; both must be ports"),
    "relative": ({"backup_root": "backups"}, "both must be absolute folders"),
    "collection": ({"backup_root": "/x/ansible_collections/y"}, "upgrade of the collection"),
    "other": ({"other_database": "../x"}, "other_database is '../x'; it must name another"),
    "lacks": ({"pms_without": ["grafana"], "pms_grafana_url": "http://g"}, "names grafana, but"),
    "same": ({"pms_db_name": "postgres"}, "must name a database other than"),
    "shares": ({"pms_db_name": "of_both"}, "of shares is the one of lends."),
    "lends": ({"pms_db_name": "of_both"}, "of lends is the one of shares."),
    "cut": ({"_raw_params": "words"}, "'words' was cut off"),
}
OPEN = "may still be open. If none is running, close it"
PLAY = """
- hosts: pms
  strategy: host_pinned
  gather_facts: false
  roles: [pms]
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, str]:
    """Return what was said of each host, by its name."""
    root = tmp_path_factory.mktemp("systems")
    hosts = {name: more for name, (more, _) in IMPOSSIBLE.items()} | {"whole": {}, "traded": {}}
    for name, more in hosts.items():
        (root / name / "evidence").mkdir(parents=True)
        hosts[name] = {
            "ansible_connection": "local",
            # Whatever needs a Python there ends with an error.
            "ansible_python_interpreter": "/nonexistent/python",
            "pms_db_access": "host",
            "pms_db_name": f"of_{name}",
            "backup_root": str(root / name / "backups"),
            "evidence_root": str(root / name / "evidence"),
        } | more
    (root / "traded" / "evidence" / "smoke-test.json").write_text("{}")
    (root / "hosts.yml").write_text(yaml.safe_dump({"pms": {"hosts": hosts}}))
    (root / "play.yml").write_text(PLAY)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            root / "hosts.yml",
            root / "play.yml",
        ],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = dict.fromkeys(hosts, "")
    for match in re.finditer(r"^\w+: \[(\w+)\].*=> (?=\{)", done.stdout, re.M):
        result, _ = json.JSONDecoder().raw_decode(done.stdout[match.end() :])
        found[match[1]] += result.get("msg", "")
    return found | {"": done.stdout + done.stderr}


@pytest.mark.parametrize("host", IMPOSSIBLE)
def test_an_impossible_description_of_a_system_is_refused(said, host):
    assert IMPOSSIBLE[host][1] in said[host], said[""]


def test_a_test_position_that_may_be_open_is_named_without_a_module_on_the_host(said):
    assert OPEN in said["traded"], said[""]
    assert said["whole"] == "", said[""]
    assert re.search(r"^whole +: ok=\d+ +changed=0 +unreachable=0 +failed=0", said[""], re.M)
