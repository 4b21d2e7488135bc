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
# What Python 3.10 lacks goes, and its version is said; nothing but the standard library is there.
SCRIPT = """
import collections, datetime, json, runpy, sys, types

del datetime.UTC
sys.version_info = collections.namedtuple("V", "major minor micro")(3, 10, 13)
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


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT, PROJECT / "module_utils", *MODULES],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_each_module_says_which_python_it_needs(module: Path, said):
    message = said.get(str(module), "nothing")
    assert message.startswith("ImportError: pms-ops needs Python 3.11 or newer"), message
    assert "is 3.10.13. Run `pms-ops prepare`" in message
