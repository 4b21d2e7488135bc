# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the main function of every module at once, below processes like those of Ansible.

``python callers.py NAME... -- FOLDER...`` starts a process for each folder that stands for
ansible-playbook. That starts one that leads a session of its own, as a worker does, and that reads
the output of all modules. Each module comes as far as its work, and would then take a minute. In
the folder, ``NAME.at-work`` then holds the identity of its process, ``NAME.result`` what it said at
its end; ``playbook`` and ``worker`` the identities of the others.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import ansible.module_utils

PROJECT = Path(__file__).resolve().parents[2]
WORK_SECONDS = 60
VALUES: dict[str, Any] = {
    "bool": False,
    "dict": {},
    "float": 1.0,
    "int": 1,
    "list": [],
    "raw": {},
}


def main() -> None:
    """Start the playbooks, and stay until somebody ends this process."""
    arguments = sys.argv[1:]
    names, folders = (
        arguments[: arguments.index("--")],
        [Path(each) for each in arguments[arguments.index("--") + 1 :]],
    )
    sys.path.insert(0, str(PROJECT / "library"))
    ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))
    modules = [importlib.import_module(name) for name in names]
    for folder in folders:
        if os.fork() == 0:
            play(modules, folder)
    time.sleep(WORK_SECONDS)


def play(modules: list[Any], folder: Path) -> NoReturn:
    """Be ansible-playbook: start a worker, and the modules below it."""
    identify(folder, "playbook")
    if os.fork() == 0:
        os.setsid()
        identify(folder, "worker")
        for module in modules:
            reads, writes = os.pipe()
            if os.fork() == 0:
                os.close(reads)
                os.dup2(writes, 1)
                os.close(writes)
                work(module, folder)
            os.close(writes)
    time.sleep(WORK_SECONDS)
    os._exit(0)


def identify(folder: Path, name: str) -> None:
    """Write down which process this is."""
    from ansible.module_utils.pmsops.common import process_lock

    written = folder / f".{name}"
    written.write_text(process_lock.this_process().text())
    written.rename(folder / name)


def work(module: Any, folder: Path) -> NoReturn:
    """Run a module's main function up to its work, which takes a minute."""
    name, attended = module.__name__, module.attended

    @contextmanager
    def at_work(module: Any) -> Iterator[None]:
        with attended(module):
            identify(folder, f"{name}.at-work")
            time.sleep(WORK_SECONDS)
            raise RuntimeError("A minute is over, and nothing has ended this module.")
            yield

    class Module:
        """What a main function needs of AnsibleModule."""

        check_mode = False
        no_log_values: frozenset[str] = frozenset()

        def __init__(self, argument_spec: dict[str, Any], **_others: object) -> None:
            self.params = values(argument_spec)

        def fail_json(self, **result: Any) -> NoReturn:
            self._end(result | {"failed": True})

        def exit_json(self, **result: Any) -> NoReturn:
            self._end(result)

        def warn(self, text: str) -> None:
            pass

        def _end(self, result: dict[str, Any]) -> NoReturn:
            written = folder / f".{name}.result"
            written.write_text(json.dumps(result, default=str))
            written.rename(folder / f"{name}.result")
            os._exit(0)

    module.attended, module.AnsibleModule = at_work, Module
    try:
        module.main()
    finally:
        os._exit(1)


def values(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a value for each option of a specification."""
    return {name: value(option) for name, option in spec.items()}


def value(option: dict[str, Any]) -> Any:
    """Return the default of an option; of one without, one that its type and choices allow."""
    if option.get("options") and option.get("type") == "dict":
        return values(option["options"])
    if option.get("default") is not None or not option.get("required"):
        return option.get("default")
    return option["choices"][0] if option.get("choices") else VALUES.get(option["type"], "/none")


if __name__ == "__main__":
    main()
