# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests save of the interpreter's time: no module and no playbook notices it."""

from __future__ import annotations

import _imp
import ast
import base64
import hashlib
import importlib
import importlib.util
import io
import marshal
import os
import pickle
import re
import resource
import shutil
import subprocess
import sys
import zipfile
import zipimport
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import ansible.config
import ansible.config.manager
import ansible.module_utils
import pytest
import yaml
from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
from ansible._internal._yaml import _loader
from ansible.module_utils._internal._datatag import AnsibleTagHelper
from ansible.utils.collection_loader import _collection_meta

from tests.conftest import PROJECT, share_interpreter_cache

pytestmark = pytest.mark.own_tools
INTERPRETER = PROJECT / "tests/support/interpreter"


class Cache:
    """A copy of the cache in a project of its own, and modules in zip files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = root / "project/tests/support/interpreter"
        self.folder = root / "project/.cache/interpreter"
        self.before = None
        shutil.copytree(INTERPRETER, self.site, ignore=shutil.ignore_patterns("__pycache__"))

    def zip(self, name: str, source: str) -> Path:
        path = self.root / name
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("shipped.py", source)
        return path

    def run(self, path: Path, *after: Path, script: str = "print(shipped.VALUE)") -> str:
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n"
             f"import shipped\n{script}"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (self.site, *after)))},
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=self.before,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout.strip()

    def entries(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def entry(self) -> Path:
        (only,) = self.entries()
        return only


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path)


@pytest.fixture
def site(cache, monkeypatch):
    """What each interpreter loads, with the cache; this one stays as it is."""
    for name in ("sitecustomize", "ansible_sources"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("_compile_source", "_get_module_code"):
        monkeypatch.setattr(zipimport, name, getattr(zipimport, name))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(cache.site)
    return importlib.import_module("sitecustomize")


def test_the_second_import_of_a_source_takes_the_code_of_the_first(cache):
    path = cache.zip("first.zip", "VALUE = 'compiled'")
    assert cache.run(path) == "compiled"
    code = marshal.dumps(compile("VALUE = 'read from the cache'", "other", "exec"))
    cache.entry().write_bytes(hashlib.sha256(code).digest() + code)
    assert cache.run(cache.zip("second.zip", "VALUE = 'compiled'")) == "read from the cache"


def test_a_changed_source_is_compiled(cache):
    assert cache.run(cache.zip("one.zip", "VALUE = 1")) == "1"
    assert cache.run(cache.zip("one.zip", "VALUE = 2")) == "2"
    assert len(cache.entries()) == 2


def test_a_traceback_names_the_zip_that_the_code_runs_from(cache):
    source = "import traceback\ndef fail():\n    raise ValueError\n"
    script = (
        "try:\n    shipped.fail()\n"
        "except ValueError as error:\n"
        "    print(shipped.traceback.extract_tb(error.__traceback__)[-1].filename)\n"
    )
    for name in ("first.zip", "second.zip"):
        path = cache.zip(name, source)
        assert cache.run(path, script=script) == f"{path}/shipped.py"
    assert len([path for path in cache.entries() if path.suffix != ".pattern"]) == 1


def test_a_source_in_a_zip_is_read_once_for_its_place_and_its_code(site):
    asked = []

    class Importer:
        archive, prefix = "one.zip", ""

    def read(importer, name):
        asked.append(name)
        return (f"code {len(asked)}", False, name)

    read_once = site.read_once(read)
    assert read_once(Importer, "book") == read_once(Importer, "book") == ("code 1", False, "book")
    assert asked == ["book"]
    # Another import may find another file.
    assert read_once(Importer, "book") == ("code 2", False, "book")
    assert read_once(Importer, "quotes") == ("code 3", False, "quotes")


PATTERNS = [
    (r"(?P<year>\d{4})-(?P<month>[0-1]\d)?", 0),
    (r"one | # or\n two", re.VERBOSE | re.IGNORECASE),
    (rb"^\S+[^\x00-\x1f]$", re.MULTILINE),
    ("[é-ü]+\ud800?", 0),
    (r"(?i:a)(?=b)(?<!c)(d)(?(1)e|f)\1", re.ASCII),
]


def again(module: ModuleType) -> ModuleType:
    """Return a module once more, for a test to change; this process may have a changed one."""
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def pattern(cache, site):
    """A function that says what ``re`` makes of a pattern, and how often it compiled so far."""
    module = again(re._compiler)
    code, compiled = module._code, []
    module._code = lambda *given: compiled.append(given) or code(*given)
    site.compile_patterns_once(module)

    def facts(pattern, flags=0):
        found = module.compile(pattern, flags)
        said = (found.pattern, found.flags, found.groups, dict(found.groupindex), found)
        return said, len(compiled)

    return facts


@pytest.mark.parametrize(("text", "flags"), PATTERNS)
def test_a_pattern_is_compiled_once_and_is_the_same(cache, pattern, text, flags):
    expected = re.compile(text, flags)
    same = (text, expected.flags, expected.groups, dict(expected.groupindex), expected)
    assert pattern(text, flags) == (same, 1)
    assert pattern(text, flags) == (same, 1)
    assert cache.entry().suffix == ".pattern"
    # What has another type, or other flags, is another pattern.
    assert pattern(text, flags ^ re.DOTALL)[1] == 2
    other = text.decode() if isinstance(text, bytes) else b"other"
    assert pattern(other, flags & ~re.UNICODE)[0][0] == other


@pytest.mark.parametrize(
    "damage",
    [
        lambda content, other: b"",
        lambda content, other: content[:-1],
        lambda content, other: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        lambda content, other: other,
    ],
    ids=["empty", "short", "one bit", "of another pattern"],
)
def test_a_damaged_entry_of_a_pattern_is_made_again(cache, pattern, damage):
    pattern("other")
    other = cache.entry().read_bytes()
    cache.entry().unlink()
    (said, _count) = pattern("one+")
    written = cache.entry().read_bytes()
    cache.entry().write_bytes(damage(written, other))
    assert pattern("one+") == (said, 3)
    assert cache.entry().read_bytes() == written


def test_a_wrong_pattern_is_refused_as_ever(cache, pattern):
    for _first_and_second in range(2):
        with pytest.raises(re.error, match="unterminated"):
            pattern("[a-")
    assert not cache.entries()


def test_processes_take_what_re_made(cache):
    path = cache.zip("one.zip", "import re\nVALUE = re.compile('mark 1').search('mark 2')")
    assert cache.run(path) == "None"
    for each in cache.entries():
        if each.suffix == ".pattern" and b"mark 1" in (content := each.read_bytes()[8:]):
            # The key says mark 1; what it stands for is a pattern of mark 2.
            key, (_text, *others) = marshal.loads(content)  # noqa: S302 - our own
            found = re._compiler.compile("mark 2")
            others[1] = [int(each) for each in re._compiler._code(re._parser.parse("mark 2"), 0)]
            content = marshal.dumps((key, (found.pattern, *others)))
            each.write_bytes(_imp.source_hash(0, content) + content)
    assert "mark 2" in cache.run(path)


CLASSES = """
from __future__ import annotations
import dataclasses

@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Lot:
    id: int
    tags: list[str] = dataclasses.field(default_factory=list, compare=False)

    def __post_init__(self):
        if self.id < 0:
            raise ValueError(self.id)

@dataclasses.dataclass
class Book(dict):
    owner: "str"
    lots: tuple = (Lot(2),)

def refused(*given):
    try:
        Lot(*given).id = 3
    except Exception as exc:
        return repr(exc)

VALUE = (
    Lot(1), Book("me"), Lot(1) < Lot(2), hash(Lot(1)) == hash(Lot(1)), refused(1), refused(-1),
    Lot.__init__.__annotations__, Book.__init__.__annotations__, Book.__init__.__qualname__,
    Lot(1).tags is Lot(1).tags, Lot.__init__.__code__.co_filename, Lot.__doc__, refused(1, 2, 3),
)
"""


@pytest.fixture
def plain(tmp_path):
    """What the classes are without the cache."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "shipped.py").write_text(CLASSES)
    return subprocess.run(
        [sys.executable, "-c", "import shipped; print(shipped.VALUE)"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "plain")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


def methods(cache):
    """Return the entry of the methods of the module ``shipped``."""
    (found,) = (
        each
        for each in cache.entries()
        if each.suffix == ".methods" and b"FrozenInstanceError" in each.read_bytes()
    )
    return found


def test_the_methods_of_dataclasses_are_the_same_from_the_cache(cache, plain):
    path = cache.zip("one.zip", CLASSES)
    assert cache.run(path) == plain
    written = methods(cache).read_bytes()
    assert cache.run(path) == plain
    assert methods(cache).read_bytes() == written


def test_the_methods_of_dataclasses_are_compiled_once(cache, plain):
    path = cache.zip("one.zip", CLASSES)
    assert cache.run(path) == plain
    entry = methods(cache)
    known = marshal.loads(entry.read_bytes()[8:])  # noqa: S302 - our own
    (text,) = (each for each in known if "def __repr__(self):" in each and "self.id" in each)
    known[text] = compile(text.replace("id=", "kept="), "<string>", "exec", dont_inherit=True)
    content = marshal.dumps(known)
    entry.write_bytes(_imp.source_hash(0, content) + content)
    assert cache.run(path) == plain.replace("Lot(id=", "Lot(kept=")


@pytest.mark.parametrize("damage", [b"", b"short", bytes(1000)], ids=["empty", "short", "zeros"])
def test_damaged_methods_of_dataclasses_are_compiled_again(cache, plain, damage):
    path = cache.zip("one.zip", CLASSES)
    cache.run(path)
    entry = methods(cache)
    written = entry.read_bytes()
    entry.write_bytes(damage)
    assert cache.run(path) == plain
    assert methods(cache).read_bytes() == written


def test_ansible_asks_for_more_types_only_where_they_are_needed(cache):
    path = cache.zip("one.zip", "import sys")
    script = (
        "from ansible.module_utils.compat import typing\n"
        "import ansible.module_utils.basic\n"
        "loaded = 'typing_extensions' in sys.modules\n"
        "try:\n    typing.nothing\nexcept AttributeError as exc:\n    said = str(exc)\n"
        "import typing_extensions\n"
        "print(loaded, typing.Doc is typing_extensions.Doc, said)"
    )
    assert cache.run(path, script=f"import sys\n{script}") == (
        "False True module 'ansible.module_utils.compat.typing' has no attribute 'nothing'"
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:10],
        lambda content: content[:-1],
        lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        lambda content: bytes(len(content)),
        lambda content: content[32:],
    ],
    ids=["empty", "shorter than a digest", "short", "one bit", "zeros", "no digest"],
)
def test_a_damaged_entry_is_compiled_and_written_again(cache, damage):
    path = cache.zip("one.zip", "VALUE = 1")
    cache.run(path)
    written = cache.entry().read_bytes()
    cache.entry().write_bytes(damage(written))
    assert cache.run(path) == "1"
    assert len(cache.entry().read_bytes()) == len(written)


def test_a_module_runs_without_a_place_for_the_cache(cache):
    cache.folder.parent.mkdir(parents=True)
    cache.folder.write_text("a file where the folder has to be")
    assert cache.run(cache.zip("one.zip", "VALUE = 1")) == "1"


def test_a_module_runs_on_a_full_disk(cache):
    cache.before = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    assert cache.run(cache.zip("one.zip", "VALUE = 1")) == "1"
    assert not cache.entries()


def test_processes_write_at_the_same_time(cache):
    path = cache.zip("one.zip", "VALUE = 1\n" + "def f(): return 1\n" * 500)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(cache.run, [path] * 16)) == {"1"}
    assert len(cache.entry().name) == 64  # nothing partial is left
    assert cache.run(path) == "1"


def test_a_hidden_sitecustomize_runs_too(cache, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import sys; sys.hidden = 'ran'")
    path = cache.zip("one.zip", "VALUE = 1")
    assert cache.run(path, other, script="print(sys.hidden)") == "ran"


def test_every_process_that_a_test_starts_has_the_cache(monkeypatch):
    assert os.environ["PYTHONPATH"].split(os.pathsep).count(str(INTERPRETER)) == 1
    assert os.environ["PMS_TEST_PYTHONPATH"] == str(INTERPRETER)
    assert "PYTHONUNBUFFERED" not in os.environ
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    share_interpreter_cache()
    share_interpreter_cache()
    assert os.environ["PYTHONPATH"] == f"{INTERPRETER}{os.pathsep}/elsewhere"
    monkeypatch.delenv("PYTHONPATH")
    share_interpreter_cache()
    assert os.environ["PYTHONPATH"] == str(INTERPRETER)


SOURCES = [
    path
    for folder in (PROJECT / "library", *map(Path, ansible.module_utils.__path__))
    for path in folder.rglob("*.py")
]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Return the statements in a node, however deep; expressions are most of a tree."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        for each in getattr(node, name, ()):
            yield each
            yield from statements(each)


def found(tree: ast.Module) -> set[tuple[str, bool]]:
    """Return each import of a tree, and whether it is at the top level."""
    return {
        (ast.dump(node), node in tree.body)
        for node in statements(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }


@pytest.fixture
def sources(site):
    """The functions that stand in for those of Ansible, with the cache."""
    return importlib.import_module("ansible_sources")


@pytest.fixture
def parse(sources):
    return sources.parse


def test_every_import_of_every_source_is_kept(cache, parse):
    assert len(SOURCES) > 250
    expected = {path: found(ast.parse(path.read_bytes())) for path in SOURCES}
    for _first_and_second in range(2):
        for path in SOURCES:
            tree = parse(path.read_bytes(), str(path), "exec", ast.PyCF_ONLY_AST)
            assert found(tree) == expected[path], path
    assert len(cache.entries()) > 250


def test_a_source_that_is_no_python_is_refused_as_ever(cache, parse):
    for _first_and_second in range(2):
        with pytest.raises(SyntaxError) as caught:
            parse(b"import os\nimport", "here.py", "exec", ast.PyCF_ONLY_AST)
        assert (caught.value.filename, caught.value.lineno) == ("here.py", 2)
    assert not cache.entries()


def test_the_metadata_of_ansible_are_read_once(cache, sources):
    text = (Path(ansible.config.__file__).parent / "ansible_builtin_runtime.yml").read_bytes()
    expected = _collection_meta._meta_yml_to_dict(text, "expected")
    asked = []

    def read(given, name):
        asked.append(name)
        return _collection_meta._meta_yml_to_dict(given, name)

    for name in ("first", "second"):
        assert sources.metadata(read)(text, name) == expected
    assert len(expected["plugin_routing"]) > 5
    assert asked == ["first"]
    assert sources.metadata(read)(text + b"\nanother: value", "third")["another"] == "value"
    assert asked == ["first", "third"]


def with_tags(data: object) -> tuple[object, ...]:
    """Return data with the types and tags of all that is in them."""
    inner: object = data
    if isinstance(data, dict):
        inner = [(with_tags(key), with_tags(value)) for key, value in data.items()]
    elif isinstance(data, list):
        inner = [with_tags(each) for each in data]
    return (type(data), sorted(map(repr, AnsibleTagHelper.tags(data))), inner)


TEXT = """
- name: Say 'what' # it is
  debug: {msg: ["{{ a }}", 1, 2.5, no, 2026-11-29, ~, ""]}
  vars: {a: &a {b: c}, d: *a, long: LONG}
""".replace("LONG", "word " * 300)


@pytest.fixture
def document(sources):
    """Return the document in a text, with types and tags, of a path."""
    loaders = again(_loader)
    sources.change_loaders(loaders)

    def read(text, path=None, loader="AnsibleLoader"):
        if path:
            text = TrustedAsTemplate().tag(Origin(path=str(path)).tag(text))
        return with_tags(yaml.load(text, Loader=getattr(loaders, loader)))  # noqa: S506 - Ansible's

    return read


def expected(text, path=None):
    if path:
        text = TrustedAsTemplate().tag(Origin(path=str(path)).tag(text))
    return with_tags(yaml.load(text, Loader=again(_loader).AnsibleLoader))  # noqa: S506 - Ansible's


def test_a_document_is_read_once_with_its_types_and_tags(cache, document):
    path = cache.root / "project/roles/desk/tasks/main.yml"
    for _first_and_second in range(2):
        assert document(TEXT, path) == expected(TEXT, path)
        assert cache.entry().suffix == ".document"
    # What is in the cache is what is said.
    content = pickle.dumps("read from the cache")
    cache.entry().write_bytes(hashlib.sha256(content).digest() + content)
    assert document(TEXT, path)[2] == "read from the cache"
    # Another text, place, or kind of loader counts at once.
    other = path.with_name("other.yml")
    assert document(TEXT + "# more", path) == expected(TEXT, path)
    assert document(TEXT, other) == expected(TEXT, other)
    assert document(TEXT, path, "AnsibleInstrumentedLoader") == expected(TEXT, path)


def test_a_document_that_may_hold_a_password_is_not_kept(cache, document):
    for name in (".lab/state.yml", "inventory/one/group_vars/pms.yml", "rolesother/a.yml"):
        path = cache.root / "project" / name
        assert document(TEXT, path) == expected(TEXT, path)
    assert document(TEXT) == expected(TEXT)  # who knows where it is from
    assert not cache.entries()


def test_a_file_of_a_role_that_is_looked_up_is_read_once(cache, document):
    path = cache.root / "project/roles/desk/files/checklist.yml"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    for _first_and_second in range(2):
        assert document(TEXT.rstrip()) == expected(TEXT.rstrip())
    assert cache.entry().suffix == ".document"
    assert document(TEXT.replace("no", "yes")) != expected(TEXT)
    assert len(cache.entries()) == 1


def test_a_document_with_an_error_is_refused_as_ever(cache, document):
    for _first_and_second in range(2):
        with pytest.raises(yaml.YAMLError):
            document(TEXT + " - {", cache.root / "project/roles/desk/tasks/main.yml")
    assert not cache.entries()


def test_a_copy_has_types_and_tags_and_is_another(sources):
    data = yaml.load(Origin(path="/here").tag(TEXT), Loader=_loader.AnsibleLoader)  # noqa: S506
    copied = sources.Copier.deepcopy(data)
    assert with_tags(copied) == with_tags(data)
    copied[0]["debug"]["msg"].append("more")
    assert len(data[0]["debug"]["msg"]) == 7
    no_pickle = {"call": lambda: 1, "list": []}
    copied = sources.Copier.deepcopy(no_pickle)
    assert copied == no_pickle and copied["list"] is not no_pickle["list"]


def test_the_settings_of_ansible_are_read_once(cache, sources):
    path = Path(ansible.config.__file__).with_name("base.yml")
    plain = again(ansible.config.manager).ConfigManager._read_config_yaml_file(None, path)
    manager = again(ansible.config.manager)
    sources.change_settings(manager)
    for _first_and_second in range(2):
        assert with_tags(manager.ConfigManager._read_config_yaml_file(None, path)) == with_tags(
            plain
        )
    assert cache.entry().suffix == ".document"
    assert len(plain) > 150


class Fund:
    """A small project that runs with a cache of its own, three times; the last time it is another.

    The second time, what the cache has of its templates says so.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.root = cache.root / "fund"
        self.write(FIRST)
        self.first = self.run()
        self.kept = {path for path in cache.entries() if path.suffix in (".package", ".template")}
        for path in self.kept:
            if path.suffix == ".template":
                code = path.read_bytes()[32:].replace(b"mark 1", b"mark 2")
                path.write_bytes(hashlib.sha256(code).digest() + code)
        self.second = self.run("-vvvvv")
        self.kept_after = {
            path for path in cache.entries() if path.suffix in (".package", ".template")
        }
        self.write(CHANGED)
        self.third = self.run()

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, *options: str) -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "run.yml", *options],
            cwd=self.root,
            env={
                # Without those of Ansible: tests of the front door leave the project's own.
                **{name: text for name, text in os.environ.items() if "ANSIBLE" not in name},
                "PYTHONPATH": str(self.cache.site),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_LOCALHOST_WARNING": "0",
                "ANSIBLE_MODULE_UTILS": str(self.root / "module_utils"),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


MODULE = """
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.NAME import VALUE
AnsibleModule({}).exit_json(value=VALUE)
"""
FILTERS = """
import os
LOADED_BY = os.getpid()
class FilterModule:
    def filters(self):
        return {
            "said": lambda text: f"so {text}",
            "seen": lambda text: f"seen {text}",
            "loaded": lambda text: text if LOADED_BY == os.getppid() else "a task",
        }
"""
FIRST = {
    "library/fund.py": MODULE.replace("NAME", "book"),
    "library/desk.py": MODULE.replace("NAME", "quotes").replace("VALUE)", "'a desk')"),
    "library/feed.py": MODULE.replace("NAME", "quotes"),
    "module_utils/book.py": "VALUE = 'a book'",
    "module_utils/quotes.py": "VALUE = 'a file'",
    "filter_plugins/filters.py": FILTERS,
    "page.j2": r"{{ 'a\tb' }}",
    "run.yml": r"""
- hosts: localhost
  gather_facts: false
  tasks:
    - {fund: , register: fund}
    - {desk: , register: desk}
    - {feed: , register: feed}
    - debug:
        msg:
        - "mark 1: {{ fund.value | said }}, {{ desk.value | seen }}, {{ feed.value }}"
        - "{{ 'a\\tb' }}"
        - "loaded by {{ 'the playbook' | loaded }}"
        - "{{ lookup('template', 'page.j2') }}"
    - {debug: , when: "'mark 1' in [fund.value, 'mark 2']"}
    - {debug: {msg: "{{ 1 || 2 }}"}, ignore_errors: true}
""",
}
CHANGED = {
    "library/desk.py": FIRST["library/desk.py"].replace("a desk", "another desk"),
    "module_utils/book.py": "VALUE = 'another book'",
    # A package comes before a file of its name.
    "module_utils/quotes/__init__.py": "VALUE = 'a package'",
    # Which arguments a filter gets is part of the code of a template.
    "filter_plugins/filters.py": "from jinja2 import pass_context\n"
    + FILTERS.replace("so ", "then ").replace(
        'lambda text: f"seen {text}"',
        'pass_context(lambda context, text: f"{text} in {type(context).__name__}")',
    ),
}


def test_templates_and_packages_are_kept_as_long_as_nothing_has_changed(cache):
    """In one test: two workers that shared its parts would each run the three playbooks."""
    fund = Fund(cache)
    # Each template is compiled once.
    assert "mark 1: so a book, seen a desk, a file" in fund.first
    assert "mark 2: so a book, seen a desk, a file" in fund.second
    # And each condition.
    assert ["Hello world!" in said for said in (fund.first, fund.second, fund.third)] == [
        *(False, True, False)
    ]
    assert fund.kept == fund.kept_after
    # Each module is packed once, and Python compiles what it imports once.
    assert sorted(path.suffix for path in fund.kept).count(".package") == 3
    assert "Including module_utils file" not in fund.second
    assert {each.suffix for each in cache.entries()} >= {"", ".imports", ".meta"}
    # What has changed since an earlier run counts.
    expected = "mark 1: then another book, another desk in AnsibleContext, a package"
    assert expected in fund.third
    for said in (fund.first, fund.second, fund.third):
        # A backslash is text in a playbook, and a sign in a file.
        assert re.search(r'^ +"a\\\\tb",$', said, re.M)
        assert re.search(r'^ +"a\\tb"$', said, re.M)
        # Filters are loaded once, and not by each task.
        assert "loaded by the playbook" in said
        # A template with an error is refused as ever.
        assert "Syntax error in template" in said


def shipped(cache: Cache, path: str, root: Path) -> dict[str, bytes]:
    """Return the files that Ansible ships for pms_gate with a PYTHONPATH."""
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible"), "localhost", "-m", "pms_gate"),
            *("-e", "ansible_python_interpreter=true"),  # what is shipped needs not run
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_REMOTE_TMP": str(root),
        },
        capture_output=True,
        timeout=60,
    )
    (script,) = root.glob("*/AnsiballZ_pms_gate.py")
    package = base64.b64decode(re.search(r"^zip_data='(.*)',$", script.read_text(), re.M)[1])
    with zipfile.ZipFile(io.BytesIO(package)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_ansible_ships_the_same_files(cache):
    """With the cache, empty and full, as without it."""
    without, empty, full = (
        shipped(cache, path, cache.root / "remote")
        for path in ("", str(cache.site), str(cache.site))
    )
    assert {each.suffix for each in cache.entries()} >= {".imports", ".meta", ".package"}
    assert len(without) > 100
    assert without == empty == full


def test_a_program_that_sets_its_path_anew_runs():
    code = (
        f"import sys; sys.path = [p for p in sys.path if p != {str(INTERPRETER)!r}];"
        " from ansible.executor import module_common; print(module_common.compile.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(INTERPRETER)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("parse\n", 0), done.stderr


def test_a_playbook_looks_fifty_times_a_second_whether_a_task_has_ended():
    code = (
        "from ansible.plugins import strategy; import ansible.executor.process.worker;"
        " print(strategy.C.DEFAULT_INTERNAL_POLL_INTERVAL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=PROJECT
    )
    assert done.stdout == "0.02\n", done.stderr


def test_molecule_looks_for_a_program_and_does_not_start_it(cache, tmp_path):
    program = tmp_path / "some-playbook"
    program.write_text(f"#!/bin/sh\necho started >>{tmp_path}/started\n")
    program.chmod(0o755)
    path = cache.zip("one.zip", "VALUE = 1")
    script = (
        "import logging\n"
        "from types import SimpleNamespace\n"
        "from molecule.provisioner.ansible_playbook import AnsiblePlaybook\n"
        "look = AnsiblePlaybook._validate_backend\n"
        "asking = SimpleNamespace(_log=logging.getLogger())\n"
        f"look(asking, {str(program)!r}); look(asking, '')\n"
        "try:\n    look(asking, 'no-such-playbook')\n"
        "except FileNotFoundError as exc:\n    print(exc.filename)"
    )
    assert cache.run(path, script=script) == "no-such-playbook"
    assert not (tmp_path / "started").exists()
