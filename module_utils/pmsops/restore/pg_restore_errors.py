# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The output of a failed pg_restore, as an error with one row per failed object."""

from __future__ import annotations

import re

from ansible.module_utils.pmsops.common.errors import OpsError

SHOWN_ERRORS = 12
_ENTRY = re.compile(r"^pg_restore: from TOC entry \d+; \d+ \d+ (.*)$")
_ERROR = re.compile(r"^pg_restore: (?:error|fatal): (.*)$")
_SUMMARY = re.compile(r"^pg_restore: warning: errors ignored on restore: \d+$")
_COMMAND = "Command was: "
_PART = r'(?:"(?:[^"]|"")+"|[a-z_][\w$]*)'  # quoted where it has capitals
_NAME = rf"({_PART}(?:\.{_PART})*)"
_CONSTRAINT = re.compile(rf"ALTER TABLE (?:ONLY )?{_NAME}\s+ADD CONSTRAINT {_NAME}")
_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {_NAME} ON (?:ONLY )?{_NAME}")
_STATEMENT = re.compile(
    r"(?:CREATE (?:OR REPLACE )?|ALTER |COMMENT ON |REFRESH )"
    rf"((?:[A-Z]+ )*?[A-Z]+) (?:IF NOT EXISTS |ONLY )?{_NAME}"
)


class RestoreError(OpsError):
    """An error of pg_restore; ``rows`` holds ``{object, error}`` for each line of its output."""

    def __init__(self, what: str, remedy: str, *, code: str, rows: list[dict[str, str]]) -> None:
        super().__init__(what, remedy, code=code)
        self.rows = rows


def to_error(section: str, output: str) -> RestoreError:
    """Turn pg_restore's output into one error that keeps each object and each reason."""
    rows = parse(output)
    lines = [f"{row['object']}: {row['error']}" if row["object"] else row["error"] for row in rows]
    more = f"; and {len(lines) - SHOWN_ERRORS} more" if len(lines) > SHOWN_ERRORS else ""
    return RestoreError(
        f"pg_restore failed in {section}: {'; '.join(lines[:SHOWN_ERRORS])}{more}",
        "The live database was not touched. docs/RESTORE.md lists the known causes; otherwise take"
        " another set.",
        code="restore.failed",
        rows=rows,
    )


def parse(output: str) -> list[dict[str, str]]:
    """Return a row ``{object, error}`` for each error in pg_restore's output, none left out."""
    rows: list[dict[str, str]] = []
    entry = ""
    for line in output.splitlines():
        if _SUMMARY.match(line):
            continue
        if match := _ENTRY.match(line):
            entry = match[1]
        elif match := _ERROR.match(line):
            rows.append({"object": entry, "error": match[1]})
        elif line.strip() and not line.startswith("pg_restore: while"):
            if rows:
                rows[-1]["error"] += f" / {line.strip()}"
            else:
                rows.append({"object": "", "error": line.strip()})
    for row in rows:
        if not row["object"]:
            command = row["error"].partition(f" / {_COMMAND}")[2]
            row["object"] = object_of(command.replace(" / ", " "))
    return rows or [{"object": "", "error": "pg_restore wrote nothing"}]


def object_of(command: str) -> str:
    """Return kind and name of the object that a statement is about, as far as its start says."""
    if match := _CONSTRAINT.match(command):
        return f"CONSTRAINT {match[1]}.{match[2]}"
    if match := _INDEX.match(command):
        return f"INDEX {match[1]} ON {match[2]}"
    match = _STATEMENT.match(command)
    return f"{match[1]} {match[2]}" if match else command[:60]
