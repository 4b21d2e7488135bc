# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Saves the processor time that Ansible spends on the same sources again and again. For tests only.

- Ansible runs each task from a zip of sources, and ``zipimport`` keeps no bytecode: compiling was
  a third of a task's time. Here the code of a source is kept.
- Each ansible-playbook parses every source that a module may need, to find its imports, and the
  same 10,000 lines of YAML. Here the results are kept (ansible_sources.py).
- The collector of cyclic garbage took a tenth of a playbook's start. Here it runs less often, and
  looks neither at what a process got from its parent, nor at everything once more at the end.

The key of an entry is the SHA-256 of the source, so a changed source counts at once. An entry
carries the SHA-256 of its content. If an entry is missing or damaged, or the folder cannot be
written, everything is done as it would be without this file.

tests/conftest.py puts this folder on PYTHONPATH, which reaches no remote host and no container.
"""

from __future__ import annotations

import _imp
import atexit
import gc
import marshal
import os
import sys
import zipimport

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = HERE.rsplit(os.sep, 3)[0]
# Bytecode is only good for the interpreter that made it, and depends on -O.
INTERPRETER = f"{sys.implementation.cache_tag}-{sys.hexversion:x}-{sys.flags.optimize}"
FOLDER = os.path.join(PROJECT, ".cache", "interpreter", INTERPRETER)
DIGEST_BYTES = 32
NEW_OBJECTS_BEFORE_COLLECTION = 20_000  # the interpreter's own: 700
compile_source = zipimport._compile_source


def kept(name: str) -> bytes | None:
    """Return the content of an entry, or None if it is missing or damaged."""
    from hashlib import sha256

    try:
        with open(os.path.join(FOLDER, name), "rb") as file:
            entry = file.read()
    except OSError:
        return None
    content = entry[DIGEST_BYTES:]
    return content if sha256(content).digest() == entry[:DIGEST_BYTES] else None


def keep(name: str, content: bytes) -> None:
    """Write an entry in one step, since other processes read and write it at the same time."""
    from contextlib import suppress
    from hashlib import sha256

    path = os.path.join(FOLDER, name)
    partial = f"{path}.{os.getpid()}"
    try:
        os.makedirs(FOLDER, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(sha256(content).digest() + content)
        os.replace(partial, path)
    except OSError:  # for instance a full disk; what was to be kept is at hand all the same
        with suppress(OSError):
            os.unlink(partial)


def compile_once(pathname: str, source: bytes) -> object:
    """Return the code of a source; its tracebacks name ``pathname``, as without a cache."""
    from hashlib import sha256  # not at the top: most interpreters import nothing from a zip

    name = sha256(source).hexdigest()
    if content := kept(name):
        code = marshal.loads(content)  # noqa: S302 - written by keep(), as its digest shows
        _imp._fix_co_filename(code, pathname)
    else:
        code = compile_source(pathname, source)
        keep(name, marshal.dumps(code))
    return code


def changes() -> dict[str, object]:
    """Return what ansible_sources.py changes; by path, since a program may set sys.path anew."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("ansible_sources", os.path.join(HERE, "ansible_sources.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CHANGES


class FindAnsible:
    """A finder on ``sys.meta_path`` that waits for the parts of Ansible to change."""

    names = frozenset(
        (
            "ansible._internal._templating._jinja_bits",
            "ansible.executor.module_common",
            "ansible.utils.collection_loader._collection_meta",
        )
    )

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> object:
        """Return the spec of such a part, changed to take what is kept; None of another module."""
        if name not in cls.names:
            return None
        cls.names -= {name}
        from importlib.util import find_spec

        spec = find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module: object) -> None:
            run(module)
            changes()[name](module)

        spec.loader.exec_module = exec_module
        return spec


def run_hidden() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(
        "sitecustomize", [each for each in sys.path if os.path.abspath(each) != HERE]
    )
    if spec and spec.loader:
        from importlib.util import module_from_spec

        spec.loader.exec_module(module_from_spec(spec))


gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTION)
os.register_at_fork(before=gc.freeze, after_in_parent=gc.unfreeze)
atexit.register(gc.freeze)
zipimport._compile_source = compile_once
sys.meta_path.insert(0, FindAnsible)
run_hidden()
