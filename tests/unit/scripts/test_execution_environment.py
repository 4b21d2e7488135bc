# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-builder accepts execution-environment.yml, and the image has what the project locks.

The image itself is not built: that needs a registry for its base.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT

FILE = "execution-environment.yml"
DEFINITION = yaml.safe_load((PROJECT / FILE).read_text())
TARBALL = "pmsops-pms-9.8.7.tar.gz"


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Path:
    """The build context that ansible-builder makes, with a file in place of the collection."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECT / FILE, root)
    shutil.copytree(PROJECT / "requirements", root / "requirements")
    (root / "dist").mkdir()
    (root / "dist" / TARBALL).touch()
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-builder"), "create", "--file", FILE),
            *("--context", "context", "--output-filename", "Containerfile"),
        ],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "context"


def test_the_context_has_the_collection_and_the_lock(context):
    assert [path.name for path in (context / "_build" / "collection").iterdir()] == [TARBALL]
    lock = context / "_build" / "python" / "managed.txt"
    assert lock.read_bytes() == (PROJECT / "requirements" / "managed.txt").read_bytes()


def test_the_image_installs_the_collection_after_the_python_that_it_needs(context):
    lines = (context / "Containerfile").read_text().splitlines()
    final = lines[lines.index("FROM base AS final") :]
    steps = DEFINITION["additional_build_steps"]["append_final"]
    assert [line for line in final if line in steps] == steps
    assert final.index(steps[-1]) < final.index("USER 1000")


def test_ansible_is_the_one_of_the_control_node(context):
    named = (PROJECT / "requirements" / "control.in").read_text().splitlines()
    core = DEFINITION["dependencies"]["ansible_core"]["package_pip"]
    runner = DEFINITION["dependencies"]["ansible_runner"]["package_pip"]
    assert core in named and runner in named
    assert f'ARG ANSIBLE_INSTALL_REFS="{core} {runner}"' in (context / "Containerfile").read_text()


def test_the_base_image_can_be_replaced_and_names_no_registry(context):
    base = DEFINITION["images"]["base_image"]["name"]
    assert "/" not in base and "." not in base
    assert f'ARG EE_BASE_IMAGE="{base}"' in (context / "Containerfile").read_text()
