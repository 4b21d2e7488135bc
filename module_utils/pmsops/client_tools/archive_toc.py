# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of contents of a dump, as ``pg_restore --list`` prints it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible.module_utils.pmsops.client_tools import tool_errors, versions
from ansible.module_utils.pmsops.client_tools.base import ClientTools

# "4292; 0 17103 TABLE DATA _timescaledb_catalog chunk postgres"
_DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA ")
_EXTENSION_COMMENT = re.compile(r"^\d+; \d+ \d+ COMMENT - EXTENSION ")
_EXTENSION = re.compile(r"^\d+; \d+ \d+ EXTENSION - (.+?) ?$")
# A chunk, plain or compressed, and what belongs to it; its hypertable makes all of them.
CHUNK = r"(?:_hyper|compress_hyper)_\d+_\d+_chunk"
_OF_CHUNK = re.compile(rf"^\d+; \d+ \d+ (?:[A-Z]+ )+_timescaledb_internal (?:[A-Z]+ )*{CHUNK}")
_SCHEMA = re.compile(r"^\d+; \d+ \d+ SCHEMA - ")
# "4248; 0 0 STATISTICS DATA public book ": without an owner
_STATISTICS = re.compile(r"^\d+; \d+ \d+ STATISTICS DATA ")
_INDEX = re.compile(r"^\d+; \d+ \d+ (?:INDEX|CONSTRAINT) ")
_EVENT_TRIGGER = re.compile(r"^\d+; \d+ \d+ (?:EVENT TRIGGER|[A-Z ]+ - EVENT TRIGGER) ")
_DATABASE = re.compile(r"^;\s+dbname: (.*)$")
_VERSION = re.compile(r"^;\s+Dumped (from database|by pg_dump) version: (\S+)")


@dataclass(frozen=True)
class Contents:
    """The lines of the table of contents, and the facts of its header."""

    lines: tuple[str, ...]
    # Those of the planner's statistics, which no other list has: a dump of PostgreSQL 18 or newer.
    statistics: tuple[str, ...] = ()
    database: str | None = None
    server_major: int | None = None
    # Of "server" and "pg_dump", as the header spells them.
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def extensions(self) -> list[str]:
        """Return the names of the extensions that the dump creates."""
        return [match[1] for line in self.lines if (match := _EXTENSION.match(line))]

    @property
    def indexes(self) -> int:
        """Return the number of indexes that the dump creates, those of keys included."""
        return sum(bool(_INDEX.match(line)) for line in self.lines)

    def without(self, schemas: Iterable[str]) -> list[str]:
        """Return all lines except comments on extensions and the schemas that exist already.

        Only an extension's owner may comment on it, and CREATE EXTENSION sets the comment.
        """
        there = frozenset(schemas)
        return [
            line
            for line in self.lines
            if not _EXTENSION_COMMENT.match(line) and _named(_SCHEMA, line) not in there
        ]

    def without_extensions(self, names: Sequence[str], members: Collection[str]) -> Contents:
        """Return a dump's contents without the extensions *names* and the rows of their *members*.

        Members are spelled ``schema.name``, a schema by its name.
        """
        if not names:
            return self
        there = [
            rf"(?:TABLE DATA|SEQUENCE SET|ACL) {re.escape(schema)} (?:[A-Z]+ )*{re.escape(name)} "
            for schema, dot, name in (each.partition(".") for each in members)
            if dot
        ]
        there += [rf"ACL - SCHEMA {re.escape(each)} " for each in members if "." not in each]
        there += [rf"(?:COMMENT - )?EXTENSION (?:- )?{re.escape(each)}(?: |$)" for each in names]
        gone = re.compile(r"^\d+; \d+ \d+ (?:" + "|".join(there) + ")")
        return replace(self, lines=tuple(line for line in self.lines if not gone.match(line)))

    @property
    def event_triggers(self) -> list[str]:
        """Return the entries of event triggers, with the comments and labels on them."""
        return [line for line in self.lines if _EVENT_TRIGGER.match(line)]

    def without_chunks(self, schemas: Iterable[str]) -> list[str]:
        """Return the lines of ``without`` except those of TimescaleDB's chunks."""
        return [line for line in self.without(schemas) if not _OF_CHUNK.match(line)]

    def data_of(self, tables: set[tuple[str, str]]) -> list[str]:
        """Return the data entries of *tables*."""
        wanted = {" ".join(each) for each in tables}
        return [line for line in self.lines if _named(_DATA, line) in wanted]

    def statistics_of(self, relations: Collection[tuple[str, str]]) -> list[str]:
        """Return the entries with the planner's statistics of *relations*, indexes among them."""
        wanted = {" ".join(each) for each in relations}
        return [line for line in self.statistics if _named(_STATISTICS, line) in wanted]

    def data_not_of(self, tables: set[tuple[str, str]]) -> list[str]:
        """Return all lines but the data entries of *tables*."""
        wanted = {" ".join(each) for each in tables}
        return [line for line in self.lines if _named(_DATA, line) not in wanted]


def read(tools: ClientTools, path: Path) -> Contents:
    """Return the table of contents of a dump; this proves nothing about the data.

    :raises OpsError: those of tool_errors.to_error.
    """
    status, contents, errors = tools.capture_lines(
        "pg_restore",
        ["--list", str(path)],
        # Line by line: the list of 20,000 chunks has 20 MB.
        lambda lines: of_lines(line.decode(errors="replace") for line in lines),
        folders={path.parent: "ro"},
    )
    if status:
        raise tool_errors.to_error("pg_restore", status, errors)
    return contents


def parse(text: str) -> Contents:
    """Read what ``pg_restore --list`` printed."""
    return of_lines(text.splitlines())


def of_lines(printed: Iterable[str]) -> Contents:
    """Read the lines that ``pg_restore --list`` printed."""
    lines: list[str] = []
    statistics: list[str] = []
    database = None
    made_by: dict[str, str] = {}
    for whole in printed:
        line = whole.rstrip("\r\n")
        if line and not line.startswith(";"):
            (statistics if _STATISTICS.match(line) else lines).append(line)
        elif match := _DATABASE.match(line):
            database = match[1].strip()
        elif match := _VERSION.match(line):
            made_by["server" if match[1] == "from database" else "pg_dump"] = match[2]
    major = versions.parts(made_by["server"])[0] if "server" in made_by else None
    return Contents(tuple(lines), tuple(statistics), database, major, made_by)


def _named(kind: re.Pattern[str], line: str) -> str | None:
    """Return schema and name of an entry; its last word is the owner."""
    match = kind.match(line)
    return line[match.end() :].rpartition(" ")[0] if match else None
