# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps what Ansible makes of its own files, of modules' sources and of templates. For tests only.

- Each run packs each module anew with all that it imports. ``pack`` takes the package of an earlier
  run, unless a file of the module or below ``module_utils`` has changed, come or gone.
- Of each source that it ships, Ansible looks at the imports, and whether they are at the top level.
  Which files that are, it still finds out in each run. ``parse`` takes the place of ``compile``.
- Each run reads 10,000 lines of YAML on plugins that were renamed. ``metadata`` takes the place of
  ``_meta_yml_to_dict``, which Ansible expects to be replaced by tools.
- A task is a process of its own, which compiles each template and each condition that it meets:
  a third of its time. ``change_templates`` keeps their code.
- Reading YAML takes a quarter of a playbook's own time, and a sixth of that of a task which looks
  into a checklist. ``documents`` keeps what is in files of the project and of Ansible.
- Ansible copies what it read, which takes longer than reading. ``change_copies`` pickles instead.
- Each such process loads all filters and tests, a quarter of its time. ``change_workers`` lets the
  playbook load them, which each task then has. The playbook looks for their ends less often, which
  took a tenth of its own time.
- Before each playbook, molecule starts another ansible-playbook to see whether it is there, half a
  second of a processor. ``change_backend`` looks for the program.

sitecustomize.py puts them there.
"""

from __future__ import annotations

import ast
import copy
import glob
import marshal
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from hashlib import sha256
from types import ModuleType
from typing import Any

from sitecustomize import PROJECT, keep, kept

# Ansible reads more than imports out of sources with these words.
SPECIAL = (b"METADATA", b"embed")
POLL_SECONDS = 0.02  # between looks whether a task has ended; other tests use the processor
LONG = 1000  # characters of a text which takes longer to read as YAML than to look up


def imports(tree: ast.Module) -> str:
    """Return a source of the imports of a tree; those below its top level are below an ``if``."""
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {id(node) for node in top}
    inner = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in found
    ]
    lines = [ast.unparse(node) for node in top]
    if inner:
        lines += ["if True:", *(f"    {ast.unparse(node)}" for node in inner)]
    return "\n".join(lines)


def parse(source: bytes | str, origin: str, mode: str, flags: int) -> ast.AST:
    """Return the tree of a source without what Ansible does not look at.

    :raises SyntaxError: as ``compile``, of the whole source.
    """
    raw = source.encode() if isinstance(source, str) else bytes(source)
    if any(word in raw for word in SPECIAL):
        return compile(source, origin, mode, flags)
    name = f"{sha256(raw).hexdigest()}.imports"
    content = kept(name)
    if content is None:
        content = imports(compile(source, origin, mode, flags)).encode()
        keep(name, content)
    return compile(content, origin, mode, flags)


def metadata(read: Callable[[Any, Any], dict[str, Any]]) -> Callable[[Any, Any], dict[str, Any]]:
    """Return a function that reads a text as *read* does, once."""

    def _meta_yml_to_dict(text: bytes | str, content_id: Any) -> dict[str, Any]:
        raw = text.encode() if isinstance(text, str) else bytes(text)
        name = f"{sha256(raw).hexdigest()}.meta"
        if content := kept(name):
            return marshal.loads(content)  # noqa: S302 - written by keep(), as its digest shows
        found = read(text, content_id)
        keep(name, marshal.dumps(found))  # texts, lists and dictionaries
        return found

    return _meta_yml_to_dict


def stamps(folders: list[str]) -> Iterator[tuple[str, int, int]]:
    """Return path, time and size of each source below the folders."""
    for folder in folders:
        for path, _folders, names in os.walk(folder):
            for name in names:
                if name.endswith(".py"):
                    found = os.stat(os.path.join(path, name))
                    yield os.path.join(path, name), found.st_mtime_ns, found.st_size


def pack(common: ModuleType, find: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does what Ansible's *find* does, with the package of an earlier run.

    Within a run Ansible itself keeps packages, in a folder. Here a run finds them there.
    """
    own = os.path.join(os.path.dirname(os.path.dirname(common.__file__)), "module_utils")

    def _find_module_utils(**given: Any) -> Any:
        try:
            name = common._get_ansible_module_fqn(given["module_path"])
        except ValueError:  # a module of the project
            name = f"ansible.legacy.{given['module_name']}"
        folder = os.path.join(common.C.DEFAULT_LOCAL_TMP, "ansiballz_cache")
        package = os.path.join(folder, f"{name}-{given['module_compression']}-none")
        if os.path.exists(package) or name.startswith("ansible_collections."):
            return find(**given)
        paths = list(common.module_utils_loader._get_paths(subdirs=False))
        sources = sorted(stamps([each for each in paths if os.path.normpath(each) != own]))
        key = (common.__version__, os.path.basename(package), paths, sources)
        entry = f"{sha256(repr((*key, given['b_module_data'])).encode()).hexdigest()}.package"
        if content := kept(entry):
            os.makedirs(folder, exist_ok=True)
            with open(f"{package}.{os.getpid()}", "wb") as file:
                file.write(content)
            os.replace(file.name, package)
            return find(**given)
        made = find(**given)
        if os.path.exists(package):
            with open(package, "rb") as file:
                keep(entry, file.read())
        return made

    return _find_module_utils


def change_packages(module: ModuleType) -> None:
    """Let Ansible take packages and imports that are kept."""
    module.compile = parse
    module._find_module_utils = pack(module, module._find_module_utils)


class Expression:
    """The code of a condition, in place of its text or its tree."""

    def __init__(self, code: Any) -> None:
        self.code = code


def change_templates(bits: ModuleType) -> None:
    """Let Ansible compile a template, and a condition, once.

    The code depends on the text, on the signs that enclose what is computed, and on the arguments
    of filters and tests: Ansible computes nothing while it compiles.
    """
    compile_condition = bits.AnsibleEnvironment.compile_expression
    compile_template = bits.AnsibleEnvironment.compile
    compilers = [os.path.dirname(each.__file__) for each in (bits, bits.jinja2)]
    stamped: dict[tuple[str, ...], str] = {}
    conditions: ContextVar[list[Any] | None] = ContextVar("conditions", default=None)

    def plugins() -> str:
        folders = tuple(
            each
            for loader in (bits.filter_loader, bits.test_loader)
            for each in loader._get_paths(subdirs=False)
        )
        if folders not in stamped:
            found = list(stamps([*folders, *compilers]))
            stamped[folders] = sha256(repr(found).encode()).hexdigest()
        return stamped[folders]

    def entry(environment: Any, *depends_on: Any) -> str:
        context = bits._TemplateCompileContext.current(optional=True)
        escapes = bool(context and context.escape_backslashes)
        signs = [getattr(environment, name) for name in bits._TEMPLATE_OVERRIDE_FIELD_NAMES]
        key = (plugins(), sorted(environment.extensions), signs, escapes, *depends_on)
        return f"{sha256(repr(key).encode()).hexdigest()}.template"

    def compile(self: Any, source: Any, *arguments: Any, **others: Any) -> Any:
        if isinstance(source, Expression):
            return source.code
        if arguments or others or not isinstance(source, str):
            code = compile_template(self, source, *arguments, **others)
            if (made := conditions.get()) is not None:
                made.append(code)
            return code
        name = entry(self, str(source))
        if content := kept(name):
            return marshal.loads(content)  # noqa: S302 - written by keep(), as its digest shows
        code = compile_template(self, source)
        keep(name, marshal.dumps(code))
        return code

    def compile_expression(self: Any, source: str, undefined_to_none: bool = True) -> Any:
        name = entry(self, "condition", str(source))
        if content := kept(name):
            code = marshal.loads(content)  # noqa: S302 - written by keep(), as its digest shows
            return bits.jinja2.environment.TemplateExpression(
                self.from_string(Expression(code)), undefined_to_none
            )
        before = conditions.set([])
        try:
            compiled = compile_condition(self, source, undefined_to_none)
            (code,) = conditions.get()
        finally:
            conditions.reset(before)
        keep(name, marshal.dumps(code))
        return compiled

    environment = bits.AnsibleEnvironment
    environment.compile, environment.compile_expression = compile, compile_expression
    environment.plugins = staticmethod(plugins)


def role_files() -> frozenset[str]:
    """Return what is in the larger files of roles that playbooks look up, without its end."""
    texts = set()
    for path in glob.glob(os.path.join(PROJECT, "roles", "*", "files", "*.yml")):
        with open(path, encoding="utf-8") as file:
            texts.add(file.read().rstrip())
    return frozenset(texts)


def documents(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that gives what *read* gives of a loader's document, with tags, once.

    Only of sources that everybody may read: other files may hold passwords. What a lookup of a file
    returns does not say where it is from.
    """
    known: list[frozenset[str]] = []

    def is_public(path: str | None, text: str) -> bool:
        if path:
            return path.startswith(folders)
        if len(text) < LONG:
            return False
        if not known:
            known.append(role_files())
        return text in known[0]

    from ansible.release import __version__

    folders = tuple(
        os.path.join(folder, "")
        for folder in (
            *(os.path.join(PROJECT, name) for name in ("molecule", "playbooks", "roles")),
            os.path.dirname(sys.modules["ansible"].__file__),
        )
    )

    def get_single_data(self: Any) -> Any:
        text = self.stream
        if not isinstance(text, str) or not is_public(self._origin.path, text):
            return read(self)
        key = (
            *(__version__, type(self).__name__, repr(self._origin)),
            *(self._trusted_as_template, self._duplicate_key_mode, str(text)),
        )
        name = f"{sha256(repr(key).encode()).hexdigest()}.document"
        if content := kept(name):
            return pickle.loads(content)  # noqa: S301 - written by keep(), as its digest shows
        data = read(self)
        keep(name, pickle.dumps(data))
        return data

    return get_single_data


def change_loaders(module: ModuleType) -> None:
    """Let Ansible take what is kept of a document."""

    def remembering(start: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: Any, stream: Any) -> None:
            self.stream = stream
            start(self, stream)

        return __init__

    for loader in (module.AnsibleLoader, module.AnsibleInstrumentedLoader):
        loader.__init__ = remembering(loader.__init__)
        loader.get_single_data = documents(loader.get_single_data)


def change_settings(module: ModuleType) -> None:
    """Let Ansible take what is kept of the description of its own settings."""
    read = module.ConfigManager._read_config_yaml_file

    def _read_config_yaml_file(self: Any, path: Any) -> Any:
        with open(path, "rb") as file:
            name = f"{sha256(b'settings' + file.read()).hexdigest()}.document"
        if content := kept(name):
            return pickle.loads(content)  # noqa: S301 - written by keep(), as its digest shows
        found = read(self, path)
        keep(name, pickle.dumps(found))
        return found

    module.ConfigManager._read_config_yaml_file = _read_config_yaml_file


class Copier:
    """What Ansible uses of the module ``copy``, in a fifth of its time."""

    @staticmethod
    def deepcopy(data: Any) -> Any:
        """Return a copy of data with their tags."""
        try:
            return pickle.loads(pickle.dumps(data))  # noqa: S301 - a moment ago
        except (AttributeError, TypeError, pickle.PicklingError):
            return copy.deepcopy(data)


def change_copies(module: ModuleType) -> None:
    """Let Ansible copy the data of a file by pickling them."""
    module.copy = Copier


def change_metadata(module: ModuleType) -> None:
    """Let Ansible take metadata that are kept."""
    module._meta_yml_to_dict = metadata(module._meta_yml_to_dict)


def change_workers(module: ModuleType) -> None:
    """Let a playbook load its filters and tests, not each task that needs one; and wait longer."""
    from ansible import constants

    start = module.WorkerProcess.start
    constants.DEFAULT_INTERNAL_POLL_INTERVAL = POLL_SECONDS

    def load_and_start(self: Any) -> None:
        from ansible.plugins.loader import filter_loader, test_loader

        for loader in (filter_loader, test_loader):
            loader._ensure_non_collection_wrappers()
        # As the digest of their sources, which depends on nothing else.
        sys.modules["ansible._internal._templating._jinja_bits"].AnsibleEnvironment.plugins()
        start(self)

    module.WorkerProcess.start = load_and_start


def change_backend(module: ModuleType) -> None:
    """Let molecule look for the program of a playbook, and start it only to say what is wrong."""
    validate = module.AnsiblePlaybook._validate_backend

    def _validate_backend(self: Any, backend: str) -> None:
        if not backend or not shutil.which(backend):
            validate(self, backend)

    module.AnsiblePlaybook._validate_backend = _validate_backend


CHANGES = {
    "ansible.config.manager": change_settings,
    "ansible._internal._yaml._loader": change_loaders,
    "ansible.parsing.dataloader": change_copies,
    "ansible._internal._templating._jinja_bits": change_templates,
    "ansible.executor.module_common": change_packages,
    "ansible.executor.process.worker": change_workers,
    "ansible.utils.collection_loader._collection_meta": change_metadata,
    "molecule.provisioner.ansible_playbook": change_backend,
}
