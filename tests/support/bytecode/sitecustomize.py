# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the bytecode of sources in zip files, so that a module compiles them once. For tests only.

Ansible runs each task from a zip of sources, and ``zipimport`` keeps no bytecode: compiling was a
third of a task's processor time. The key of an entry is the SHA-256 of the source, so a changed
source is always compiled. An entry carries the SHA-256 of its code. If an entry is missing or
damaged, or the folder cannot be written, the source is compiled as it would be without this file.

tests/conftest.py puts this folder on PYTHONPATH, which reaches no remote host and no container.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport
from types import CodeType

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = HERE.rsplit(os.sep, 3)[0]
# Bytecode is only good for the interpreter that made it, and depends on -O.
INTERPRETER = f"{sys.implementation.cache_tag}-{sys.hexversion:x}-{sys.flags.optimize}"
FOLDER = os.path.join(PROJECT, ".cache", "bytecode", INTERPRETER)
DIGEST_BYTES = 32
compile_source = zipimport._compile_source


def read(path: str) -> CodeType | None:
    """Return the code of an entry, or None if it is missing or damaged."""
    from hashlib import sha256

    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return None
    code = content[DIGEST_BYTES:]
    if sha256(code).digest() != content[:DIGEST_BYTES]:
        return None  # marshal may crash on damaged data
    return marshal.loads(code)  # noqa: S302 - written by write(), as the digest shows


def write(path: str, code: CodeType) -> None:
    """Write an entry in one step, since other processes read and write it at the same time."""
    from contextlib import suppress
    from hashlib import sha256

    data = marshal.dumps(code)
    partial = f"{path}.{os.getpid()}"
    try:
        os.makedirs(FOLDER, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(sha256(data).digest() + data)
        os.replace(partial, path)
    except OSError:  # for instance a full disk; the code is at hand all the same
        with suppress(OSError):
            os.unlink(partial)


def compiled(pathname: str, source: bytes) -> CodeType:
    """Return the code of a source; its tracebacks name ``pathname``, as without a cache."""
    from hashlib import sha256  # not at the top: most interpreters import nothing from a zip

    path = os.path.join(FOLDER, sha256(source).hexdigest())
    code = read(path)
    if code is None:
        code = compile_source(pathname, source)
        write(path, code)
    else:
        _imp._fix_co_filename(code, pathname)
    return code


def run_hidden() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(
        "sitecustomize", [each for each in sys.path if os.path.abspath(each) != HERE]
    )
    if spec and spec.loader:
        from importlib.util import module_from_spec

        spec.loader.exec_module(module_from_spec(spec))


zipimport._compile_source = compiled
run_hidden()
