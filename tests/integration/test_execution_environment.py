# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The content of the execution environment, in a virtual environment in place of the image.

The commands are those of execution-environment.yml; only the folders differ. The image needs a
registry for its base, and is not built.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT

pytestmark = pytest.mark.nightly
DEFINITION = yaml.safe_load((PROJECT / "execution-environment.yml").read_text())
SECONDS = 600
# What no playbook of the collection does: they are for a checkout.
OF_A_CHECKOUT = ("docs", "lab", "lab_down")


class Environment:
    """A folder in place of the image: its Python, and its collections."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "venv" / "bin"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image would, with nothing of this project in reach."""
        return subprocess.run(
            words,
            cwd=self.root,
            env={
                "PATH": f"{self.bin}:{os.defpath}",
                "HOME": str(self.root / "home"),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_COLLECTIONS_PATH": str(self.root / "collections"),
                "ANSIBLE_NOCOLOR": "1",
                **{each: os.environ[each] for each in os.environ if each.startswith("PIP_")},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("image"))
    content = made.root / "pms-ops"
    content.mkdir()
    subprocess.run(
        [sys.executable, PROJECT / "scripts" / "build_collection.py", content],
        check=True,
        capture_output=True,
        timeout=SECONDS,
        env={"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "LC_ALL": "C.UTF-8"},
    )
    for source in DEFINITION["additional_build_files"]:
        if "*" not in source["src"]:
            (content / Path(source["src"]).name).write_bytes((PROJECT / source["src"]).read_bytes())
    subprocess.run([sys.executable, "-m", "venv", made.root / "venv"], check=True, timeout=SECONDS)
    python = str(made.bin / "python")
    dependencies = DEFINITION["dependencies"]
    named = [dependencies[each]["package_pip"] for each in ("ansible_core", "ansible_runner")]
    steps = [shlex.join([python, "-m", "pip", "install", "--quiet", *named])]
    for step in DEFINITION["additional_build_steps"]["append_final"]:
        if step.startswith("RUN "):
            steps.append(
                step.removeprefix("RUN ")
                .replace("$PYCMD", python)
                .replace("/tmp/pms-ops", str(content))
                .replace("/usr/share/ansible/collections", str(made.root / "collections"))
            )
    assert len(steps) == 4
    for step in steps:
        done = made.run("sh", "-c", step)
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
    assert not content.exists()  # the image keeps none of what it was made from
    return made


@pytest.fixture
def inventory(environment: Environment) -> Path:
    folder = environment.root / "system"
    folder.mkdir(exist_ok=True)
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": str(environment.bin / "python"),
        "pms_db_access": "host",
        "pms_db_host": "127.0.0.1",
        "pms_db_port": 1,
        "pms_db_name": "fund",
        "pms_db_user": "u",
        "pms_db_password": "no-such-password",
        "pms_api_url": "",
        "pms_services_manager": "none",
        "pms_keys_dir": str(folder / "keys"),
        "backup_root": str(folder / "backups"),
        "evidence_root": str(folder / "evidence"),
    }
    path = folder / "hosts.yml"
    path.write_text(json.dumps({"pms": {"hosts": {"one": host}}}))
    return path


def test_every_playbook_finds_its_roles_modules_and_filters(environment, inventory):
    folder = environment.root / "collections/ansible_collections/pmsops/pms/playbooks"
    names = sorted({path.stem for path in folder.glob("*.yml")} - set(OF_A_CHECKOUT))
    assert {"golive", "backup", "dr_restore"} <= set(names)
    done = environment.run(
        *("ansible-playbook", "-i", str(inventory), "--syntax-check"),
        *(f"pmsops.pms.{name}" for name in names),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_has_every_library_and_doctor_says_what_the_system_lacks(environment, inventory):
    done = environment.run("ansible-playbook", "-i", str(inventory), "pmsops.pms.doctor")
    said = " ".join(done.stdout.split())
    assert done.returncode == 2, said[-3000:]
    assert "ok The host's Python has the libraries that the modules need" in said, said[-6000:]
    # No server is there; whatever the image itself could lack is.
    assert "because of database.container, database.role, services.redis." in said


def test_ansible_runner_works_on_it_as_awx_does(environment, inventory):
    data = environment.root / "runner"
    (data / "inventory").mkdir(parents=True, exist_ok=True)
    (data / "inventory" / "hosts.yml").write_text(inventory.read_text())
    (data / "project").mkdir(exist_ok=True)
    done = environment.run("ansible-runner", "run", str(data), "-p", "pmsops.pms.status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no backup set" in " ".join(done.stdout.split())
