# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plain Python of pms-ops: nothing in this package imports AnsibleModule.

An older Python stops here, before anything that it lacks: each module imports this package first.
"""

import sys

# A managed host's may be older, and this sentence is all that its operator sees.
if sys.version_info < (3, 11):  # noqa: UP036
    raise ImportError(
        f"pms-ops needs Python 3.11 or newer on a managed host; {sys.executable} is"
        f" {'.'.join(map(str, sys.version_info[:3]))}. Run `pms-ops prepare`, and set"
        " ansible_python_interpreter to what it makes (/opt/pms-ops/venv/bin/python)."
    )
