# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests save of the interpreter's time: no module and no playbook notices it."""

from __future__ import annotations

import ast
import hashlib
import importlib
import marshal
import os
import resource
import shutil
import subprocess
import sys
import zipfile
import zipimport
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ansible.config
import ansible.module_utils
import pytest
from ansible.utils.collection_loader import _collection_meta

from tests.conftest import PROJECT, share_interpreter_cache

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
    assert len(cache.entries()) == 1


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


def found(tree: ast.Module) -> set[tuple[str, bool]]:
    """Return each import of a tree, and whether it is at the top level."""
    return {
        (ast.dump(node), node in tree.body)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }


@pytest.fixture
def sources(cache, monkeypatch):
    """The functions that stand in for those of Ansible, with the cache."""
    for name in ("sitecustomize", "ansible_sources"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(zipimport, "_compile_source", zipimport._compile_source)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(cache.site)
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


def test_ansible_ships_the_same_files(cache):
    """With the cache, empty and full, as without it."""
    shipped = []
    for path in ("", cache.site, cache.site):
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible"), "localhost", "-vvvvv", "-m", "pms_gate"],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(path), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        lines = done.stdout.splitlines()
        shipped.append({line for line in lines if "Including module_utils file" in line})
        kept = {each.suffix for each in cache.entries()}
        assert kept == ({"", ".imports", ".meta"} if path else set())
    assert len(shipped[0]) > 100
    assert shipped[0] == shipped[1] == shipped[2]


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
