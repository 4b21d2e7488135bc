# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-navigator runs the playbooks, as docs/FLEET.md types it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support.server import Server

pytestmark = pytest.mark.nightly
TYPED = re.compile(r"^(ansible-navigator run .*)\n", re.MULTILINE)


def test_a_read_only_go_live_ends_in_the_same_table_and_status(server: Server, tmp_path: Path):
    name = f"fund_{uuid.uuid4().hex[:8]}"
    server.create(name, timescaledb=False)
    server.psql("SET ROLE macro_user; CREATE TABLE holdings AS SELECT 1 AS id;", name)
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "pms_db_port": server.port,
        "pms_db_name": name,
        "pms_db_user": "pms_ops",
        "pms_db_password": server.password,
        "pms_db_container": server.container.name,
        "pms_db_tables": ["holdings"],
        "pms_api_url": "",
        "pms_services_manager": "none",
        "pms_keys_dir": str(tmp_path / "keys"),
        "backup_root": str(tmp_path / "backups"),
        "evidence_root": str(tmp_path / "evidence"),
    }
    gone = host | {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    hosts = {"pms": {"hosts": {"one": host, "gone": gone}}}
    (tmp_path / "fund.yml").write_text(json.dumps(hosts))
    (typed,) = TYPED.findall((PROJECT / "docs" / "FLEET.md").read_text())
    words = shlex.split(typed.replace("inventory/prod", str(tmp_path / "fund.yml")))
    done = subprocess.run(
        words,
        cwd=PROJECT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "ANSIBLE_NAVIGATOR_LOG_FILE": str(tmp_path / "navigator.log"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    server.drop(name)
    said = done.stdout + done.stderr
    assert done.returncode == 4, said[-3000:]  # as ansible-playbook: a host was unreachable
    assert "Skipping callback plugin" not in said
    table = said[said.index("SYSTEMS") :]
    assert "gone    unreachable" in table and "one     NO-GO" in table, table
    assert table.index("gone") < table.index("one     NO-GO")
    record = json.loads((tmp_path / "evidence/latest/record.json").read_text())
    assert {each["status"] for each in record["results"]} >= {"pass", "unknown"}
    assert not list((tmp_path / "backups").glob("20*"))
    assert not list(PROJECT.glob("*-artifact-*"))  # it would hold the output of the run
