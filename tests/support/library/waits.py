#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A module that works until it is told to end, as those of pms-ops do: attended."""

from __future__ import annotations

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS

SECONDS = 120


def wait(folder: Path) -> None:
    """Say that the work has begun, and wait for its end."""
    written = folder / ".began"
    written.write_text(process_lock.this_process().text())
    written.rename(folder / "began")
    last = time.monotonic() + SECONDS
    while not (folder / "go").exists() and time.monotonic() < last:
        time.sleep(0.1)


def main() -> None:
    """Wait, and write down how that ended."""
    module = AnsibleModule({"folder": {"type": "path", "required": True}})
    folder, said = Path(module.params["folder"]), "Nobody ended it."
    try:
        with attended(module):
            wait(folder)
    except ENDINGS as exc:
        said = str(exc)
    written = folder / ".ended"
    written.write_text(said)
    written.rename(folder / "ended")
    module.exit_json(changed=False, said=said)


if __name__ == "__main__":
    main()
