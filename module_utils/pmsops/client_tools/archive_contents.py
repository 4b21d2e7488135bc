# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contents of a plain dump without a manifest, from reading it once to its end.

pg_restore turns the archive into a script, and this module reads it. That shows whether the archive
is complete, the rows of each table, the roles, the database's locale and the version of
TimescaleDB. It does not prove that nobody changed the dump.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.client_tools import directory_dump
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common.errors import OpsError

_NAME = r'("(?:[^"]|"")+"|[^\s".;]+)'
_HEADER = re.compile(r"^-- Data for Name: .*; Type: TABLE DATA; ")
_ENTRY = re.compile(r"^-- (?:Data for |Statistics for )?Name: .*; Type: (.+?); ")
_COPY = re.compile(rf"^COPY {_NAME}\.{_NAME} \((.*)\) FROM stdin;$")
_GRANT = re.compile(rf"^GRANT .+ TO {_NAME}(?: WITH GRANT OPTION)?;$")
_OWNER = re.compile(rf"^ALTER .+ OWNER TO {_NAME};$")
_CREATE = re.compile(rf"^CREATE DATABASE {_NAME} WITH (.*);$")
_EXTENSION = re.compile(rf"^CREATE EXTENSION IF NOT EXISTS {_NAME} WITH SCHEMA {_NAME};$")
_PROPERTY = re.compile(
    r"^((?:ALTER(?: ROLE .+ IN)?|COMMENT ON|(?:GRANT|REVOKE) .+ ON) DATABASE )"
    + _NAME
    + r"((?: SET | CONNECTION | IS | TO | FROM ).*;)$"
)
_OPTION = re.compile(r"(\w+) = ('(?:[^']|'')*'|\S+)")
_END = b"\\.\n"
# Tables whose rows are read, not only counted.
_READ = frozenset({"metadata", "bgw_job"})
_READ_BYTES = 1 << 20
HEADER_LINES = 4


@dataclass
class Contents:
    """The contents of a dump, as its script shows them."""

    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)
    database: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    owner: str | None = None
    timescaledb_version: str | None = None
    # Extensions and the schemas they are in.
    extensions: dict[str, str] = field(default_factory=dict)
    # Settings, grants and limit of the database: the parts of a statement around its name.
    properties: list[tuple[str, str]] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """Return the database's properties in the form of a manifest."""
        options = self.options
        locale = options.get("LOCALE", "C")
        provider = options.get("LOCALE_PROVIDER", "libc")
        named = options.get("BUILTIN_LOCALE") or options.get("ICU_LOCALE")
        return {
            "encoding": options.get("ENCODING", "UTF8"),
            "provider": {"libc": "c", "icu": "i", "builtin": "b"}.get(provider, "c"),
            "collate": options.get("LC_COLLATE", locale),
            "ctype": options.get("LC_CTYPE", locale),
            "locale": named or (locale if provider != "libc" else None),
            "icu_rules": options.get("ICU_RULES"),
            "owner": self.owner,
        }


def read(
    tools: ClientTools, path: Path, *, progress: Callable[[int], None] = lambda done: None
) -> Contents:
    """Read a whole dump; return what it holds.

    :raises OpsError: set.damaged if the archive is incomplete.
    """
    if path.is_dir():
        directory_dump.check(path)
    client = tools.start(
        "pg_restore",
        ["--create", "--file=-", str(path)],
        folders={path.parent: "ro"},
        stream=True,
    )
    try:
        contents = parse(_counted(client.output(), progress))
        status, errors = client.wait(), client.errors()
    finally:
        client.stop()
    if status:
        raise OpsError(
            f"{path} cannot be read to its end: {' / '.join(errors.splitlines()[-3:])}",
            "It is truncated or damaged; take another dump.",
            code="set.damaged",
        )
    return contents


def parse(blocks: Iterable[bytes]) -> Contents:
    """Read a script of pg_restore block by block, with one block in memory at a time."""
    reader = _Reader()
    buffer = b""
    for block in blocks:
        buffer = reader.take(buffer + block)
    if buffer:
        reader.take(buffer + b"\n")
    return reader.contents


class _Reader:
    """The state of reading: inside the rows of a table, or between tables."""

    def __init__(self) -> None:
        self.contents = Contents()
        self._table: tuple[str, str] | None = None
        self._columns: list[str] = []
        self._kept: list[bytes] | None = None
        self._kept_bytes = 0
        self._since_header = HEADER_LINES
        # Among values of rows, which may look like anything: samples for the planner.
        self._sampled = False

    def take(self, buffer: bytes) -> bytes:
        """Read all whole lines of *buffer*; return the rest."""
        start = 0
        while True:
            if self._table is not None:
                start, more = self._rows(self._table, buffer, start)
                if not more:
                    return buffer[start:]
                continue
            end = buffer.find(b"\n", start)
            if end < 0:
                return buffer[start:]
            self._line(buffer[start:end].decode(errors="replace"))
            start = end + 1

    def _rows(self, table: tuple[str, str], buffer: bytes, start: int) -> tuple[int, bool]:
        """Count rows to the end mark or the last whole line; return position and whether ended."""
        if buffer.startswith(_END, start):
            mark = start
        else:
            found = buffer.find(b"\n" + _END, start)
            mark = found + 1 if found >= 0 else -1
        end = mark if mark >= 0 else buffer.rfind(b"\n") + 1
        if end > start:
            self.contents.rows[table] += buffer.count(b"\n", start, end)
            if self._kept is not None and self._kept_bytes < _READ_BYTES:
                self._kept.append(buffer[start:end])
                self._kept_bytes += end - start
        if mark < 0:
            return max(end, start), False
        self._ended(table)
        return mark + len(_END), True

    def _ended(self, table: tuple[str, str]) -> None:
        if self._kept is not None:
            rows = [line.split("\t") for line in b"".join(self._kept).decode().splitlines()]
            self._known(table, [dict(zip(self._columns, row)) for row in rows])
        self._table = self._kept = None

    def _known(self, table: tuple[str, str], rows: list[dict[str, str]]) -> None:
        if table[1] == "metadata":
            for row in rows:
                if row.get("key") == "timescaledb_version":
                    self.contents.timescaledb_version = row.get("value")
        if table[1] == "bgw_job":
            self.contents.roles |= {unquoted(row["owner"]) for row in rows if "owner" in row}

    def _line(self, line: str) -> None:
        self._since_header += 1
        if line.startswith("-- ") and (entry := _ENTRY.match(line)):
            self._sampled = entry[1] == "STATISTICS DATA"
        if self._sampled:
            return
        if _HEADER.match(line):
            self._since_header = 0
        elif line.startswith("COPY ") and self._since_header < HEADER_LINES:
            if match := _COPY.match(line):
                schema, name = unquoted(match[1]), unquoted(match[2])
                self._table = (schema, name)
                self.contents.rows.setdefault(self._table, 0)
                self._columns = [unquoted(each) for each in match[3].split(", ")]
                if schema.startswith("_timescaledb_") and name in _READ:
                    self._kept, self._kept_bytes = [], 0
        elif match := _CREATE.match(line):
            self.contents.database = unquoted(match[1])
            self.contents.options = {
                key: value[1:-1].replace("''", "'") if value.startswith("'") else value
                for key, value in _OPTION.findall(match[2])
            }
        else:
            self._statement(line)

    def _statement(self, line: str) -> None:
        if match := _GRANT.match(line) or _OWNER.match(line):
            self.contents.roles.add(unquoted(match[1]))
            if line.startswith("ALTER DATABASE "):
                self.contents.owner = unquoted(match[1])
                return
        if match := _EXTENSION.match(line):
            self.contents.extensions[unquoted(match[1])] = unquoted(match[2])
        match = _PROPERTY.match(line)
        if match and unquoted(match[2]) == self.contents.database:
            self.contents.properties.append((match[1], match[3]))


def unquoted(name: str) -> str:
    """Return an SQL identifier as the catalogue spells it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _counted(blocks: Iterable[bytes], progress: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for block in blocks:
        done += len(block)
        progress(done)
        yield block
