# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs one module of a checkout, and ends it by SIGKILL at a given moment.

Called by freeze_release.py, with the checkout as its argument and one JSON object on stdin:
``module``, ``args``, ``check`` and ``kill``. It knows nothing of the checkout but ``library/`` and
``module_utils/``, so it works with any release. The moment of ``kill`` is named by a file that the
release writes: ``{"file": "*/restore.json", "key": "step", "value": "rename", "when": "after",
"number": 1}`` is the moment just after the first ``restore.json`` whose ``step`` is ``rename`` got
its name; ``before`` is the moment before it; ``removed`` is the moment before the file is removed.
Python tells of each rename and removal by an audit event, so the moment is always the same.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

HOST = "pms-host"


class Kill:
    """An audit hook that ends the process at one moment."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted = wanted
        self.seen = 0
        self.armed = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at one audit event."""
        if self.armed:  # the event after the rename
            self._end()
        elif event == "os.remove" and self.wanted["when"] == "removed":
            if fnmatch(str(arguments[0]), self.wanted["file"]):
                self._end()
        elif event == "os.rename" and fnmatch(str(arguments[1]), self.wanted["file"]):
            self._renamed(Path(arguments[0]))

    def _end(self) -> None:
        self.armed = False  # os.kill is an event too
        os.kill(os.getpid(), signal.SIGKILL)

    def _renamed(self, written: Path) -> None:
        if self.wanted["when"] == "removed":
            return
        found: Any = json.loads(written.read_bytes())
        for key in self.wanted["key"].split("."):
            found = found.get(key) if isinstance(found, dict) else None
        self.seen += found == self.wanted["value"]
        if found != self.wanted["value"] or self.seen < self.wanted.get("number", 1):
            return
        if self.wanted["when"] == "before":
            self._end()
        self.armed = self.wanted["when"] == "after"


def main() -> None:
    """Run the module; its result goes to stdout, as Ansible gets it."""
    checkout = Path(sys.argv[1])
    order = json.load(sys.stdin)
    import ansible.module_utils
    from ansible.module_utils.testing import patch_module_args

    ansible.module_utils.__path__.append(str(checkout / "module_utils"))
    sys.path.insert(0, str(checkout / "library"))
    socket.gethostname = lambda: HOST  # no name of this machine in what is kept
    module = importlib.import_module(order["module"])
    for each in list(sys.modules.values()):
        if hasattr(each, "PROBE_SECONDS"):
            each.PROBE_SECONDS = 0  # a probe that fails is not repeated for a minute
    if order.get("kill"):
        sys.addaudithook(Kill(order["kill"]))
    with patch_module_args(order["args"] | {"_ansible_check_mode": bool(order.get("check"))}):
        module.main()


if __name__ == "__main__":
    main()
