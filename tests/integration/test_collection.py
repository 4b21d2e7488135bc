# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection: built, installed into an empty path without a network, and used from there."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.pmsops.common.version import VERSION

from tests.conftest import PROJECT
from tests.support.server import execute

BIN = Path(sys.executable).parent
NAME = "pmsops.pms"
PLAYBOOKS = sorted(
    path.stem
    for path in (PROJECT / "playbooks").glob("*.yml")
    if path.stem not in ("lab", "lab_down", "docs")
)
MODULES = sorted(path.stem for path in (PROJECT / "library").glob("pms_*.py"))
ACTIONS = sorted(path.stem for path in (PROJECT / "plugins" / "action").glob("pms_*.py"))
LOAD_ACTIONS = """
import sys
from ansible.plugins.loader import action_loader, init_plugin_loader
init_plugin_loader([sys.argv[1]])
for name in sys.argv[3:]:
    found = action_loader.get(f"{sys.argv[2]}.{name}", class_only=True)
    assert found.__module__.startswith("ansible_collections.pmsops.pms."), (name, found)
"""
# Nobody listens there: whatever asks a network fails at once.
NOWHERE = "http://127.0.0.1:9"


class Elsewhere:
    """A directory outside the project, whose Ansible knows the installed collection alone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.collections = root / "collections"
        (root / "ansible.cfg").write_text(
            "[defaults]\n"
            f"collections_path = {self.collections}\n"
            f"callbacks_enabled = {NAME}.pms_lifeline, {NAME}.pms_notify\n"
            "callback_result_format = yaml\n"
        )

    def run(self, program: str, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible there."""
        return subprocess.run(
            [str(BIN / program), *map(str, words)],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={
                "PATH": f"{BIN}:{os.defpath}",
                "HOME": str(self.root / "home"),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_GALAXY_SERVER": NOWHERE,
                "http_proxy": NOWHERE,
                "https_proxy": NOWHERE,
                "no_proxy": "127.0.0.1",
                **more,
            },
        )

    def documentation(self, kind: str, *names: str) -> dict:
        """Return what ansible-doc says of plugins, by their full names."""
        done = self.run("ansible-doc", "--json", "-t", kind, *(f"{NAME}.{each}" for each in names))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = subprocess.run(
        [PROJECT / "scripts" / "build_collection.py", tmp_path_factory.mktemp("dist")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": f"{BIN}:{os.defpath}", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def elsewhere(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    made = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    done = made.run(
        "ansible-galaxy", "collection", "install", tarball, "-p", made.collections, "--offline"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture
def inventory(elsewhere, database) -> Path:
    """An inventory of the test's database, with nothing but what a collection's user would set."""
    execute(database, "CREATE TABLE holdings (id int PRIMARY KEY, ticker text)")
    execute(
        database,
        "INSERT INTO holdings SELECT n, 'T' || n FROM generate_series(1, 500) n",
    )
    folder = elsewhere.root / database.name
    folder.mkdir()
    path = folder / "hosts.yml"
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "pms_db_host": database.host,
        "pms_db_port": database.port,
        "pms_db_name": database.name,
        "pms_db_user": database.user,
        "pms_db_password": database.password,
        "pms_db_container": database.container,
        "pms_db_tables": ["holdings"],
        "pms_keys_dir": str(folder / "keys"),
        "pms_api_url": "",
        "pms_services_manager": "none",
        "backup_root": str(folder / "backups"),
        "evidence_root": str(folder / "evidence"),
    }
    path.write_text(yaml.safe_dump({"pms": {"hosts": {"elsewhere": host}}}))
    return path


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict]]]:
    """A webhook, and what was posted to it."""
    posted: list[dict] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", posted
    server.shutdown()
    server.server_close()


def test_the_tarball_names_its_version_and_holds_the_project_s_own_files(tarball):
    with tarfile.open(tarball) as archive:
        manifest = json.load(archive.extractfile("MANIFEST.json"))["collection_info"]
        names = set(archive.getnames())
        tasks = archive.extractfile("roles/backup/tasks/main.yml").read().decode()
    assert (manifest["namespace"], manifest["name"]) == ("pmsops", "pms")
    assert manifest["version"] == VERSION
    assert {f"plugins/modules/{each}.py" for each in MODULES} <= names
    assert {f"playbooks/{each}.yml" for each in PLAYBOOKS} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("roles/lab")]
    ours = (PROJECT / "roles" / "backup" / "tasks" / "main.yml").read_text()
    assert f"name: {NAME}.offsite\n" in tasks
    assert tasks.replace(f"{NAME}.", "") == ours


def test_every_module_role_and_filter_is_documented_by_its_full_name(elsewhere):
    documented = elsewhere.documentation("module", *MODULES)
    assert len(documented) == len(MODULES)
    of_backup = documented[f"{NAME}.pms_backup"]["doc"]
    assert "V(directory)" in str(of_backup)
    assert of_backup["options"]["database"]["suboptions"]["container"]["description"]
    assert elsewhere.documentation("callback", "pms_notify")
    shown = elsewhere.run("ansible-doc", "-t", "module", f"{NAME}.pms_backup")
    assert shown.returncode == 0 and f"MODULE {NAME}.pms_backup" in shown.stdout
    roles = json.loads(elsewhere.run("ansible-doc", "--json", "-t", "role", "-l", NAME).stdout)
    assert {f"{NAME}.{each}" for each in ("backup", "restore", "golive", "incident")} <= set(roles)


def test_every_playbook_s_syntax_holds(elsewhere):
    done = elsewhere.run(
        *("ansible-playbook", "--syntax-check", "-i", "localhost,"),
        *(f"{NAME}.{each}" for each in PLAYBOOKS),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("playbook: ") == len(PLAYBOOKS)


FILTERS = (
    ("28100000 | pmsops.pms.pms_size", "28.1 MB"),
    ("{} | pmsops.pms.pms_in_memory", ""),
    ("([{'name': 'a', 'command': ['/bin/true'], 'at': ['06:00'], 'days': 'daily'}]"
     " | pmsops.pms.pms_schedule_jobs([]))[0].title", "a"),
    ("{'probe': 'redis', 'params': {'command': ['PING']},"
     " 'expect': [{'path': 'reply', 'eq': 'PONG'}]} | pmsops.pms.pms_asks", "PING"),
)  # fmt: skip


def test_each_filter_works_by_its_full_name(elsewhere):
    shown = [f"{n}<{{{{ {template} }}}}>" for n, (template, _) in enumerate(FILTERS)]
    done = elsewhere.run(
        *("ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "debug"),
        *("-a", json.dumps({"msg": " ".join(shown)})),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for n, (template, expected) in enumerate(FILTERS):
        got = re.search(rf"\b{n}<(.*?)>", done.stdout)
        whole = expected in ("", "a")
        assert got and (got[1] == expected if whole else expected in got[1]), template


def test_an_action_plugin_stands_in_front_of_its_module(elsewhere):
    loaded = elsewhere.run("python", "-c", LOAD_ACTIONS, elsewhere.collections, NAME, *ACTIONS)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    # The module refuses to work without what the plugin adds.
    done = elsewhere.run(
        *("ansible", "localhost", "-i", "localhost,", "-c", "local"),
        *("-e", f"ansible_python_interpreter={sys.executable}", "-m", f"{NAME}.pms_run_lock"),
        *("-a", json.dumps({"path": str(elsewhere.root / "run.lock"), "purpose": "a test"})),
    )
    assert done.returncode == 0 and "CHANGED" in done.stdout, done.stdout + done.stderr


def test_a_backup_and_a_drill_of_it(elsewhere, inventory):
    folder = inventory.parent
    made = elsewhere.run("ansible-playbook", "-i", inventory, f"{NAME}.backup")
    assert made.returncode == 0, made.stdout + made.stderr
    (manifest,) = (folder / "backups").glob("*/manifest.json")
    assert json.loads(manifest.read_bytes())["tool"] == {"name": "pms-ops", "version": VERSION}

    drilled = elsewhere.run("ansible-playbook", "-i", inventory, f"{NAME}.drill")
    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    lines = (folder / "evidence" / "ledger.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["kind"] == "drill" and last["record"]["proved"] is True
    assert last["record"]["set"] == manifest.parent.name


@pytest.mark.deep(
    by=(
        "tests/integration/test_notify.py"
        "::test_a_failed_playbook_tells_and_so_does_the_next_good_one",
        "tests/integration/test_collection.py::test_a_backup_and_a_drill_of_it",
    )
)
def test_a_failure_is_reported_by_the_collection_s_callback(elsewhere, inventory, hook):
    url, posted = hook
    channels = {"notify_channels": [{"name": "hook", "type": "webhook", "url": url}]}
    channels["notify_state_dir"] = str(inventory.parent / "state")
    done = elsewhere.run(
        *("ansible-playbook", "-i", inventory, f"{NAME}.drill", "-e", json.dumps(channels)),
        *("-e", f"file={inventory.parent}/no-such-set"),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "pms_notify: " in done.stdout
    assert len(posted) == 1 and "drill" in json.dumps(posted[0])


def test_nothing_is_kept_in_the_collection_s_own_folder(elsewhere, inventory):
    document = yaml.safe_load(inventory.read_text())
    del document["pms"]["hosts"]["elsewhere"]["backup_root"]
    inventory.write_text(yaml.safe_dump(document))
    done = elsewhere.run("ansible-playbook", "-i", inventory, f"{NAME}.backup")
    assert done.returncode == 2
    assert "An upgrade of the collection deletes its folder" in " ".join(done.stdout.split())
    assert not (elsewhere.collections / "ansible_collections/pmsops/pms/backups").exists()
