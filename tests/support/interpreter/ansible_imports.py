# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the imports of a source, which is all that Ansible parses it for. For tests only.

Ansible looks at each import of a source, and whether it is at the top level; which file that is,
it still finds out in each run. sitecustomize.py puts ``parse`` in the place of ``compile`` in
``ansible.executor.module_common``.
"""

from __future__ import annotations

import ast
from hashlib import sha256

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
