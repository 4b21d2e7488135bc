# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plain Python of pms-ops: nothing in this package imports AnsibleModule.

An older Python stops here, before anything that it lacks: each module imports this package first.
"""

import shutil
import sys

# Of a managed host that has several, the newest one serves.
NEWER = tuple(f"python3.{minor}" for minor in range(14, 8, -1))

# A managed host's may be older, and this sentence is all that its operator sees.
if sys.version_info < (3, 9):  # noqa: UP036
    beside = next(filter(None, map(shutil.which, NEWER)), None)
    way = f"which makes an environment from {beside}" if beside else "once a newer one is beside it"
    raise ImportError(
        f"pms-ops needs Python 3.9 or newer on a managed host; {sys.executable} is"
        f" {'.'.join(map(str, sys.version_info[:3]))}. Run `pms-ops prepare`, {way}"
        ' (docs/FLEET.md, "The managed host\'s Python"); the host then needs this line among its'
        " variables: ansible_python_interpreter: /opt/pms-ops/venv/bin/python"
    )
