# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors that the code can report, read from the code: for docs/ERRORS.md."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
name: pms_error_codes
short_description: List the errors that the project's code can report
description: Reads every OpsError out of the Python sources below a folder.
author: Operations team (@ops)
options:
  _input:
    description: Folder of the sources.
    type: path
    required: true
"""

EXAMPLES = r"""
errors: "{{ (playbook_dir ~ '/../module_utils/pmsops') | pms_error_codes }}"
"""

RETURN = r"""
_value:
  description: One entry for each code, with the texts it comes with; values are between angle
    brackets.
  type: list
  elements: dict
  sample: [{code: lock.held, cases: [{what: "Cannot begin the <purpose>", remedy: "Wait"}]}]
"""


def error_codes(folder: str) -> list[dict[str, Any]]:
    """Return code, and what and remedy of each place that raises it, sorted."""
    found: dict[str, list[dict[str, str]]] = {}
    trees = [
        (path.stem, ast.parse(path.read_text())) for path in sorted(Path(folder).rglob("*.py"))
    ]
    texts = {f"{stem}.{name}": text for stem, tree in trees for name, text in _constants(tree)}
    for stem, tree in trees:
        own = {name.partition(".")[2]: text for name, text in texts.items() if _of(name, stem)}
        for code, what, remedy in [*_raised(tree, texts | own), *_tabled(tree)]:
            case = {"what": what, "remedy": remedy}
            if case not in found.setdefault(code, []):
                found[code].append(case)
    return [{"code": code, "cases": cases} for code, cases in sorted(found.items())]


def _of(name: str, stem: str) -> bool:
    return name.startswith(f"{stem}.")


def _constants(tree: ast.Module) -> list[tuple[str, str]]:
    """Return the texts that a file keeps under a name in capitals."""
    return [
        (node.targets[0].id, node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.isupper()
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def _raised(tree: ast.AST, texts: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return the errors built by a call ``OpsError(what, remedy, code="...")``, or of its kind."""
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error")):
            continue
        given = {each.arg: each.value for each in node.keywords}
        code = given.get("code")
        if isinstance(code, ast.Constant) and len(node.args) == 2:
            what, remedy = (texts.get(ast.unparse(each)) or _text(each) for each in node.args)
            found.append((str(code.value), what, remedy))
    return found


def _tabled(tree: ast.AST) -> list[tuple[str, str, str]]:
    """Return the rows of a table ``_KNOWN`` of (pattern, code, remedy)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_KNOWN":
            what = "<tool> ended with status <status>: <what it said>"
            return [(row[1], what, row[2]) for row in ast.literal_eval(node.value)]
    return []


def _text(node: ast.expr) -> str:
    """Return a string expression with its values named between angle brackets."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"<{_name(node.value)}>"
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "strip":
        return _text(node.func.value)  # type: ignore[attr-defined]  # a text that is trimmed
    return f"<{_name(node)}>"


def _name(node: ast.expr) -> str:
    """Return the last name of an expression: what the value is called."""
    if isinstance(node, ast.Attribute):
        return node.attr.replace("_", " ")
    if isinstance(node, ast.Name):
        return node.id.replace("_", " ")
    if isinstance(node, ast.Subscript | ast.Call | ast.BinOp | ast.IfExp):
        inner = next(
            (
                each
                for each in ast.walk(node)
                if isinstance(each, ast.Attribute | ast.Name)
                and getattr(each, "id", "") not in ("str", "len", "repr", "type")
            ),
            None,
        )
        return _name(inner) if inner is not None else "value"
    return "value"


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_error_codes": error_codes}
