# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parameters that a dump sets: options of tables, columns, indexes and views, and settings.

They are read in the archive's own text, since a version of PostgreSQL may write what no other
version takes: then pg_restore loses the statement around it, a whole CREATE TABLE for example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.pmsops.client_tools import tool_errors
from ansible.module_utils.pmsops.client_tools.base import ClientTools

TABLE, COLUMN, INDEX, VIEW, SETTING = "table", "column", "index", "view", "setting"
_ENTRY = re.compile(r"^-- Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: .*$", re.MULTILINE)
# What may hold anything: comments, bodies, strings, quoted names.
_OPAQUE = re.compile(r"""--[^\n]*|\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|"(?:[^"]|"")*\"""", re.DOTALL)
# pg_dump quotes each value but a number or a word.
_OPTION = re.compile(r"([\w.]+)\s*=\s*('(?:[^']|'')*'|[\w.+-]+)")
_WITH = re.compile(r"\sWITH \(([^()]*)\)")
_OF_COLUMN = re.compile(r"^ALTER .*? ALTER COLUMN (\S+) SET \(([^()]*)\)", re.MULTILINE)
_OF_FUNCTION = re.compile(r"^    SET (\S+) TO ", re.MULTILINE)
_OF_SESSION = re.compile(r"^SET (\w+) = ", re.MULTILINE)
_USING = re.compile(r"\sUSING (\w+) ")
_WITH_OF = {
    "TABLE": TABLE,
    "MATERIALIZED VIEW": TABLE,
    "VIEW": VIEW,
    "INDEX": INDEX,
    "CONSTRAINT": INDEX,
}
_FUNCTIONS = ("FUNCTION", "PROCEDURE")


@dataclass(frozen=True)
class Parameter:
    """A parameter with the value that a dump gives it, as SQL."""

    kind: str
    name: str
    value: str = ""
    # The access method of an index.
    method: str = ""


# Each parameter with the objects that have it.
Parameters = dict[Parameter, list[str]]


def read(tools: ClientTools, path: Path) -> Parameters:
    """Return the parameters that the dump at *path* sets outside its rows.

    :raises OpsError: those of tool_errors.to_error.
    """
    status, output, errors = tools.capture(
        "pg_restore",
        ["--file=-", "--section=pre-data", "--section=post-data", str(path)],
        folders={path.parent: "ro"},
    )
    if status:
        raise tool_errors.to_error("pg_restore", status, errors)
    return parse(output.decode(errors="replace"))


def parse(script: str) -> Parameters:
    """Read a script of pg_restore."""
    found: Parameters = {}
    for name, kind, text in _entries(script):
        if "SET " in text or "WITH (" in text:
            masked = _OPAQUE.sub(lambda match: "x" * len(match[0]), text)
            for parameter, column in _of_entry(kind, text, masked):
                objects = found.setdefault(parameter, [])
                objects.append(f"{name}.{column}" if column else name)
    return found


def _entries(script: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, kind and text of each entry; the text before the first has no kind."""
    start, name, kind = 0, "the session of pg_restore", ""
    for match in _ENTRY.finditer(script):
        yield name, kind, script[start : match.start()]
        schema = "" if match[3] == "-" else f"{match[3]}."
        start, name, kind = match.end(), f"{match[2]} {schema}{match[1]}", match[2]
    yield name, kind, script[start:]


def _of_entry(kind: str, text: str, masked: str) -> Iterator[tuple[Parameter, str]]:
    for match in _OF_SESSION.finditer(masked):
        yield Parameter(SETTING, match[1]), ""
    if kind in _FUNCTIONS:
        for match in _OF_FUNCTION.finditer(masked):
            name = text[match.start(1) : match.end(1)].strip('"')
            yield Parameter(SETTING, name.lower()), ""
    if kind in _WITH_OF and (given := _WITH.search(masked)):
        using = _USING.search(masked)
        method = (using[1] if using else "btree") if _WITH_OF[kind] == INDEX else ""
        for option, value in _options(text[given.start(1) : given.end(1)]):
            yield Parameter(_WITH_OF[kind], option, value, method), ""
    if kind in ("TABLE", "FOREIGN TABLE", "MATERIALIZED VIEW"):
        for match in _OF_COLUMN.finditer(masked):
            column = text[match.start(1) : match.end(1)]
            for option, value in _options(text[match.start(2) : match.end(2)]):
                yield Parameter(COLUMN, option, value), column


def _options(text: str) -> list[tuple[str, str]]:
    return [(match[1], match[2].strip()) for match in _OPTION.finditer(text)]
