# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the project is, and what has to be set before Ansible is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
VENV_BIN = Path(sys.executable).parent


def enter() -> None:
    """Make Ansible read the project's configuration, and its modules' Python importable here."""
    os.environ["ANSIBLE_CONFIG"] = str(PROJECT / "ansible.cfg")
    os.environ["PATH"] = f"{VENV_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    os.chdir(PROJECT)
    import ansible.module_utils

    ours = str(PROJECT / "module_utils")
    if ours not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(ours)


def config_folder() -> Path:
    """Return the folder of what the operator keeps: keys, passwords of vaults."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "pms-ops"


def state_folder() -> Path:
    """Return the folder of what the front door keeps: the logs of its runs."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "pms-ops"
