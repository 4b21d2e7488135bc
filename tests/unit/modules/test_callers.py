# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every module ends with its caller: by each signal, and when nobody tells it."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common.process_lock import ProcessId

from tests.conftest import PROJECT
from tests.support import callers

MODULES = sorted(path.stem for path in (PROJECT / "library").glob("pms_*.py"))
SECONDS = 120
# Who is sent what. Of the last three nothing tells the module.
WAYS = {
    "SIGTERM": ("modules", signal.SIGTERM),
    "SIGHUP": ("modules", signal.SIGHUP),
    "SIGINT": ("modules", signal.SIGINT),
    "the worker is killed": ("worker", signal.SIGKILL),
    "the terminal of ansible-playbook closes": ("playbook", signal.SIGHUP),
    "ansible-playbook is killed": ("playbook", signal.SIGKILL),
}


def process(path: Path) -> ProcessId:
    """Return the process that wrote the file, as soon as it is there."""
    found = ProcessId.parse(text_of(path) or "")
    assert found is not None, f"{path.stem} did not come to its work"
    return found


def text_of(path: Path) -> str | None:
    """Return the text of a file as soon as it is there; None if it does not come."""
    last = time.monotonic() + SECONDS
    while not path.exists():
        if time.monotonic() > last:
            return None
        time.sleep(0.05)
    return path.read_text()


def send(to: ProcessId, number: signal.Signals) -> None:
    """Signal a process, unless another one has its number meanwhile."""
    if to.alive():
        os.kill(to.pid, number)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Run all modules in each way, end them or their caller, and give the folder of the results."""
    root = tmp_path_factory.mktemp("modules")
    folders = {way: root / str(number) for number, way in enumerate(WAYS)}
    for folder in folders.values():
        folder.mkdir()
    command = [sys.executable, callers.__file__, *MODULES, "--", *map(str, folders.values())]
    shell = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        at_work = {
            way: [process(folder / f"{name}.at-work") for name in MODULES]
            for way, folder in folders.items()
        }
        for way, (who, number) in WAYS.items():
            for each in at_work[way] if who == "modules" else [process(folders[way] / who)]:
                send(each, number)
        yield folders
    finally:
        shell.kill()
        shell.wait()
        for path in root.glob("*/*"):
            if path.suffix != ".result" and (left := ProcessId.parse(path.read_text())) is not None:
                send(left, signal.SIGKILL)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODULES)
def test_a_module_ends_with_its_caller_and_says_so(name, way, ended):
    said = text_of(ended[way] / f"{name}.result")
    assert said is not None, f"{name} works on alone"
    result = json.loads(said)
    assert (result["failed"], result["code"]) == (True, "run.interrupted")
    assert result["msg"].startswith("Ended by ")


@pytest.mark.parametrize("name", MODULES)
def test_a_main_function_does_all_its_work_attended(name):
    tree = ast.parse((PROJECT / "library" / f"{name}.py").read_text())
    (main,) = (each for each in tree.body if getattr(each, "name", "") == "main")
    functions = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    attended = [
        block
        for block in ast.walk(main)
        if isinstance(block, ast.With) and "attended(module)" in map(ast.unparse, context(block))
    ]
    assert len(attended) == 1
    assert ast.unparse(context(attended[0])[0]) == "attended(module)", (
        "the outermost: it catches first"
    )
    inside = {id(each) for each in ast.walk(attended[0])}
    outside = {
        ast.unparse(each.func)
        for each in ast.walk(main)
        if isinstance(each, ast.Call) and id(each) not in inside
    }
    assert (outside & functions) <= OUTSIDE.get(name, set())


def context(block: ast.With) -> list[ast.expr]:
    """Return what a ``with`` statement enters."""
    return [each.context_expr for each in block.items]


# What only reads the options, or tells what has ended.
OUTSIDE = {
    "pms_backup": {"argument_spec", "publish"},
    "pms_drill_elsewhere": {"of_params"},
    "pms_restore": {"argument_spec", "named"},
    "pms_restore_tables": {"argument_spec"},
    "pms_smoke_test": {"argument_spec"},
    "pms_swap": {"argument_spec"},
}
