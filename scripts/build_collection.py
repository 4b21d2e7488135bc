#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the collection pmsops.pms from the project's own modules, roles and playbooks.

    build_collection.py FOLDER          build FOLDER/pmsops-pms-VERSION.tar.gz, and print its path
    build_collection.py --tree FOLDER   lay it out below FOLDER/ansible_collections alone

A collection has folders and names of its own, so paths, imports and names are rewritten; nothing
else differs. The standard library suffices for --tree, which scripts/validate_modules.sh uses.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
NAMESPACE, NAME = "pmsops", "pms"
COLLECTION = f"{NAMESPACE}.{NAME}"
VERSION_FILE = PROJECT / "module_utils" / "pmsops" / "common" / "version.py"
# Where the project's folders belong in a collection.
FOLDERS = {
    "library": "plugins/modules",
    "module_utils": "plugins/module_utils",
    "plugins": "plugins",
    "roles": "roles",
    "playbooks": "playbooks",
    "collection": ".",
    "docs": "docs",
}
# Files that roles read beside themselves, and what describes the release.
FILES = ("requirements/managed.txt", "requirements/managed-old.txt", "CHANGELOG.md", "LICENSE")
# What works on the project's own folder: the lab with its images, and the rendered documents.
ONLY_THE_PROJECT = (
    "docs/templates",
    "roles/lab",
    "roles/docs",
    "playbooks/lab.yml",
    "playbooks/lab_down.yml",
    "playbooks/docs.yml",
    "playbooks/callback_plugins",  # a link, for a checkout that ansible-runner runs
    "plugins/filter/error_codes.py",
    "plugins/filter/playbooks.py",
)
UTILS = f"ansible_collections.{COLLECTION}.plugins.module_utils"
# The lines by which a plugin of the project finds module_utils; a collection's are importable.
PATH_OF_PROJECT = re.compile(
    r"(?:# [^\n]*\n)*_OURS = [^\n]*\n"
    r"if _OURS not in ansible\.module_utils\.__path__:\n"
    r" {4}ansible\.module_utils\.__path__\.append\(_OURS\)\n\n?"
)


def version() -> str:
    """Return the version, read without importing it."""
    found = re.search(r'^VERSION = "([^"]+)"$', VERSION_FILE.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{VERSION_FILE} has no line VERSION = ...")
    return found[1]


def alternatives(names: Iterable[str]) -> str:
    """Return a pattern that matches each of the *names*."""
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


MODULES = alternatives(path.stem for path in (PROJECT / "library").glob("pms_*.py"))
ROLES = alternatives(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir())
FILTERS = alternatives(
    name
    for path in (PROJECT / "plugins" / "filter").glob("*.py")
    for name in re.findall(r'"(pms_\w+)": ', path.read_text())
)


def imports(text: str) -> str:
    """Return Python that imports module_utils from the collection."""
    text = PATH_OF_PROJECT.sub("", text)
    text = re.sub(r"^import ansible\.module_utils\n", "", text, flags=re.MULTILINE)
    text = text.replace("from ansible.module_utils import pmsops", f"from {UTILS} import pmsops")
    return text.replace("ansible.module_utils.pmsops", f"{UTILS}.pmsops")


def names(text: str) -> str:
    """Return tasks, or the documentation of a plugin, with modules and filters by full name."""
    text = re.sub(
        rf"^( *(?:- )?)({MODULES}):(?=\s|$)", rf"\1{COLLECTION}.\2:", text, flags=re.MULTILINE
    )
    text = re.sub(rf"(\|\s*)({FILTERS})\b", rf"\1{COLLECTION}.\2", text)
    return re.sub(rf"\b([MP])\(({MODULES}|{FILTERS})\b", rf"\1({COLLECTION}.\2", text)


def fragments(text: str) -> str:
    """Return a module with its fragments, on one line or several, by full name."""
    return re.sub(
        r"^extends_documentation_fragment:.*$(?:\n +- .*$)*",
        lambda line: re.sub(r"\bpmsops\.", f"{COLLECTION}.pmsops.", line[0]),
        text,
        flags=re.MULTILINE,
    )


def roles(text: str) -> str:
    """Return a playbook or tasks with the roles by full name."""
    text = re.sub(rf"^( *- role: )({ROLES})$", rf"\1{COLLECTION}.\2", text, flags=re.MULTILINE)
    return re.sub(
        rf"((?:include|import)_role:\n +name: )({ROLES})$",
        rf"\1{COLLECTION}.\2",
        text,
        flags=re.MULTILINE,
    )


def rewritten(path: Path, rewrites: Iterable[Callable[[str], str]]) -> None:
    """Apply *rewrites* to a file."""
    text = before = path.read_text()
    for rewrite in rewrites:
        text = rewrite(text)
    if text != before:
        path.write_text(text)


def lay_out(folder: Path) -> Path:
    """Lay the collection out below *folder*; return its root."""
    root = folder / "ansible_collections" / NAMESPACE / NAME
    left_out = {str(PROJECT / each) for each in ONLY_THE_PROJECT}

    def ignored(where: str, found: list[str]) -> list[str]:
        return [name for name in found if name == "__pycache__" or f"{where}/{name}" in left_out]

    for source, target in FOLDERS.items():
        shutil.copytree(PROJECT / source, root / target, ignore=ignored, dirs_exist_ok=True)
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    for path in (root / "plugins").rglob("*.py"):
        rewritten(path, (imports, names, fragments))
        if "ansible.module_utils.__path__" in path.read_text():
            raise SystemExit(f"{path.relative_to(root)} finds module_utils in a way of its own.")
    for top in ("roles", "playbooks"):
        for path in (root / top).rglob("*.yml"):
            if "files" not in path.relative_to(root).parts:
                rewritten(path, (names, roles))
    template = root / "galaxy.yml.in"
    (root / "galaxy.yml").write_text(f"{template.read_text()}version: {version()}\n")
    template.unlink()
    return root


def build(folder: Path) -> Path:
    """Build the tarball; return its path."""
    program = Path(sys.executable).with_name("ansible-galaxy")
    with tempfile.TemporaryDirectory() as scratch:
        settings = Path(scratch) / "ansible.cfg"
        settings.touch()
        subprocess.run(
            [
                *(program, "collection", "build", lay_out(Path(scratch))),
                *("--output-path", folder, "--force"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "ANSIBLE_CONFIG": str(settings), "ANSIBLE_HOME": scratch},
        )
    return folder / f"{NAMESPACE}-{NAME}-{version()}.tar.gz"


def main() -> None:
    """Do what the arguments say."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tree", action="store_true", help="lay it out, and build no tarball")
    given = parser.parse_args()
    print(lay_out(given.folder) if given.tree else build(given.folder))


if __name__ == "__main__":
    main()
