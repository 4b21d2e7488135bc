# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the project is, and what has to be set before Ansible is imported."""

from __future__ import annotations

import locale
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
UTF8_LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8")
VENV_BIN = Path(sys.executable).parent


def enter() -> None:
    """Make Ansible read the project's configuration, and its modules' Python importable here."""
    os.environ["ANSIBLE_CONFIG"] = str(PROJECT / "ansible.cfg")
    os.environ["PATH"] = f"{VENV_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.environ["LC_ALL"] = _utf8_locale()
    os.chdir(PROJECT)
    if PROJECT.stat().st_mode & 0o002 and not PROJECT.stat().st_mode & 0o1000:
        print(
            f"pms-ops: everybody may write to {PROJECT}, and so decide what runs here:"
            f" chmod o-w {PROJECT}",
            file=sys.stderr,
        )
    import ansible.module_utils

    ours = str(PROJECT / "module_utils")
    if ours not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(ours)


def _utf8_locale() -> str:
    """Return a locale of this machine that Ansible can use: it refuses those without UTF-8.

    The caller's own may be C, as in a cron job, or one that SSH brought along from another machine.
    """
    for name in UTF8_LOCALES:
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        return name
    return UTF8_LOCALES[0]


def config_folder() -> Path:
    """Return the folder of what the operator keeps: keys, passwords of vaults."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "pms-ops"


def state_folder() -> Path:
    """Return the folder of what the front door keeps: the logs of its runs."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "pms-ops"
