# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Saves the processor time that Ansible spends on the same sources again and again. For tests only.

- Ansible runs each task from a zip of sources, and ``zipimport`` keeps no bytecode: compiling was
  a third of a task's time. Here the code of a source is kept, and read once for each import:
  ``zipimport`` makes it to find a source, and again to run it.
- Each process compiles the regular expressions of all that it imports, a sixth of a task's time.
  Here what ``re`` makes of them is kept.
- Each process compiles the methods of its dataclasses, a fifth of a backup's imports. Here their
  code is kept.
- Each process of Ansible imports typing_extensions, a tenth of a module's time, and uses nothing of
  it. Here it is imported when somebody asks for what ``typing`` lacks.
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
    """Write an entry with its digest; other processes read and write it at the same time."""
    from hashlib import sha256

    write(name, sha256(content).digest() + content)


def write(name: str, entry: bytes) -> None:
    """Write a file of the cache in one step, or nothing where that is not possible."""
    from contextlib import suppress

    path = os.path.join(FOLDER, name)
    partial = f"{path}.{os.getpid()}"
    try:
        os.makedirs(FOLDER, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(entry)
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


def read_once(read: object) -> object:
    """Return a function that gives what *read* gives of a zip's module, for two questions at once.

    ``zipimport`` asks where a module's source is, and then for its code.
    """
    waiting: dict[tuple[str, str, str], object] = {}

    def _get_module_code(importer: object, name: str) -> object:
        key = (importer.archive, importer.prefix, name)
        found = waiting.pop(key, None)
        if found is None:
            found = waiting[key] = read(importer, name)
        return found

    return _get_module_code


def compile_patterns_once(module: object) -> None:
    """Let ``re`` take what an earlier process made of a pattern: the arguments of ``_sre``."""
    from _thread import get_ident

    compile_pattern, sre = module.compile, module._sre
    made: dict[int, tuple[object, ...]] = {}

    class Recorder:
        """``_sre``, which records what each thread compiles."""

        __getattr__ = staticmethod(sre.__getattribute__)

        @staticmethod
        def compile(*arguments: object) -> object:
            pattern, its_flags, code, *others = arguments
            # Names of what is done are no plain numbers, and equal them.
            made[get_ident()] = (pattern, int(its_flags), list(map(int, code)), *others)
            return sre.compile(*arguments)

    def compile(pattern: object, flags: int = 0) -> object:
        if not isinstance(pattern, str | bytes) or flags & module.SRE_FLAG_DEBUG:
            return compile_pattern(pattern, flags)
        # hashlib takes longer to import than most processes need for their patterns.
        key = repr((pattern, int(flags)))
        name = f"{_imp.source_hash(0, key.encode()).hex()}.pattern"
        try:
            with open(os.path.join(FOLDER, name), "rb") as file:
                entry = file.read()
            if entry[:8] == _imp.source_hash(0, entry[8:]):
                found, arguments = marshal.loads(entry[8:])  # noqa: S302 - written below
                if found == key:
                    return sre.compile(*arguments)
        except OSError:
            pass
        compiled = compile_pattern(pattern, flags)
        content = marshal.dumps((key, made.pop(get_ident())))
        write(name, _imp.source_hash(0, content) + content)
        return compiled

    module._sre, module.compile = Recorder(), compile


def keep_methods(module: object) -> None:
    """Let ``dataclasses`` take the code of methods that an earlier process made, by their text.

    A file for each module that has such classes: one for each method would take as long to read.
    """
    known: dict[str, dict[str, object]] = {}

    def execute(text: str, names: dict[str, object] | None, made: dict[str, object]) -> None:
        owner = str((names or {}).get("__name__"))
        path = f"{_imp.source_hash(0, owner.encode()).hex()}.methods"
        if owner not in known:
            known[owner] = {}
            try:
                with open(os.path.join(FOLDER, path), "rb") as file:
                    entry = file.read()
                if entry[:8] == _imp.source_hash(0, entry[8:]):
                    known[owner] = marshal.loads(entry[8:])  # noqa: S302 - written below
            except OSError:
                pass
        code = known[owner].get(text)
        if code is None:
            # Without the __future__ of this file, which would make texts of all annotations.
            code = compile(text, "<string>", "exec", dont_inherit=True)
            known[owner][text] = code
            content = marshal.dumps(known[owner])
            write(path, _imp.source_hash(0, content) + content)
        exec(code, names, made)  # noqa: S102 - as dataclasses does

    module.exec = execute


def type_hints(module: object, run: object) -> None:
    """Run Ansible's copy of ``typing`` without what ``typing_extensions`` adds, until it is asked.

    Each module of Ansible imports it, a tenth of its time, and none uses what is only there.
    """
    name = "typing_extensions"
    if name in sys.modules:
        run(module)
        return
    sys.modules[name] = None  # its import fails, which Ansible expects
    try:
        run(module)
    finally:
        del sys.modules[name]

    def __getattr__(wanted: str) -> object:
        from importlib import import_module

        if not wanted.startswith("__"):
            with_more = import_module(name)
            if wanted in with_more.__all__:
                return getattr(with_more, wanted)
        raise AttributeError(f"module {module.__name__!r} has no attribute {wanted!r}")

    module.__getattr__ = __getattr__


def changes() -> dict[str, object]:
    """Return what ansible_sources.py changes; by path, since a program may set sys.path anew."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("ansible_sources", os.path.join(HERE, "ansible_sources.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CHANGES


OF_PYTHON = {"re._compiler": compile_patterns_once, "dataclasses": keep_methods}


class FindParts:
    """A finder on ``sys.meta_path`` that waits for the modules that are changed."""

    names = frozenset(
        (
            "ansible._internal._templating._jinja_bits",
            "ansible._internal._yaml._loader",
            "ansible.config.manager",
            "ansible.executor.module_common",
            "ansible.executor.process.worker",
            "ansible.parsing.dataloader",
            "ansible.module_utils.compat.typing",
            "ansible.utils.collection_loader._collection_meta",
            "dataclasses",
            "molecule.provisioner.ansible_playbook",
            "re._compiler",
        )
    )

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> object:
        """Return the spec of such a part, changed to take what is kept; None of another module."""
        if name not in cls.names:
            return None
        cls.names -= {name}
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module: object) -> None:
            if name == "ansible.module_utils.compat.typing":
                type_hints(module, run)
                return
            run(module)
            change = OF_PYTHON.get(name) or changes()[name]
            change(module)

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
zipimport._get_module_code = read_once(zipimport._get_module_code)
sys.meta_path.insert(0, FindParts)
run_hidden()
