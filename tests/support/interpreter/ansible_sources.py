# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps what Ansible reads out of its own files and of modules' sources. For tests only.

- Of each source that it ships, Ansible looks at the imports, and whether they are at the top level.
  Which files that are, it still finds out in each run. ``parse`` takes the place of ``compile``.
- Each run reads 10,000 lines of YAML on plugins that were renamed. ``metadata`` takes the place of
  ``_meta_yml_to_dict``, which Ansible expects to be replaced by tools.

sitecustomize.py puts them there.
"""

from __future__ import annotations

import ast
import marshal
from collections.abc import Callable
from hashlib import sha256
from types import ModuleType
from typing import Any

from sitecustomize import keep, kept

# Ansible reads more than imports out of sources with these words.
SPECIAL = (b"METADATA", b"embed")


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


def change_imports(module: ModuleType) -> None:
    """Let Ansible take imports that are kept."""
    module.compile = parse


def change_metadata(module: ModuleType) -> None:
    """Let Ansible take metadata that are kept."""
    module._meta_yml_to_dict = metadata(module._meta_yml_to_dict)


CHANGES = {
    "ansible.executor.module_common": change_imports,
    "ansible.utils.collection_loader._collection_meta": change_metadata,
}
