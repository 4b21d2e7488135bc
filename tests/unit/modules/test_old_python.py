# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A managed host's Python that is too old: one sentence, whichever module comes first.

tests/integration/test_managed_host.py shows the same on a host with such a Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

MODULES = sorted((PROJECT / "library").glob("pms_*.py"))
# An older version is said; nothing but the standard library is there.
SCRIPT = """
import collections, json, runpy, sys, types

sys.version_info = collections.namedtuple("V", "major minor micro")(3, 8, 10)
for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
sys.modules["ansible.module_utils"].__path__ = [sys.argv[1]]
sys.modules["ansible.module_utils.basic"].AnsibleModule = object
said = {}
for path in sys.argv[2:]:
    try:
        runpy.run_path(path, run_name="imported")
    except Exception as exc:
        said[path] = f"{type(exc).__name__}: {exc}"
print(json.dumps(said))
"""


def messages(path: Path, modules: list[Path]) -> dict[str, str]:
    """Return what each module says on a host whose programs are in one folder."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT, PROJECT / "module_utils", *modules],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, str]:
    return messages(tmp_path_factory.mktemp("programs"), MODULES)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_each_module_says_which_python_it_needs(module: Path, said):
    message = said.get(str(module), "nothing")
    assert message.startswith("ImportError: pms-ops needs Python 3.9 or newer"), message
    assert "is 3.8.10. Run `pms-ops prepare`" in message
    assert "`pms-ops prepare`, once a newer one is beside it (docs/FLEET.md," in message
    assert message.endswith("ansible_python_interpreter: /opt/pms-ops/venv/bin/python")


def test_the_newest_python_beside_it_is_named(tmp_path):
    for name in ("python3.8", "python3.9", "python3.10"):
        (tmp_path / name).touch(mode=0o755)
    (message,) = messages(tmp_path, MODULES[:1]).values()
    assert f"which makes an environment from {tmp_path}/python3.10 (docs/FLEET.md," in message
