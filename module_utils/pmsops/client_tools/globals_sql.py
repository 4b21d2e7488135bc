# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A set's globals.sql: its name, and the roles that it describes."""

from __future__ import annotations

import re

NAME = "globals.sql"
_ROLE = re.compile(
    r'(CREATE ROLE|ALTER ROLE) ("(?P<quoted>([^"]|"")+)"|(?P<plain>\w+))'
    r"(;$| WITH [A-Z ]+( CONNECTION LIMIT -?\d+)?( VALID UNTIL '[^']*')?;$)"
)


def roles(text: str) -> dict[str, list[str]]:
    """Return, from the content of globals.sql, the statements that make each role."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = _ROLE.match(line)
        if match:
            name = match["quoted"].replace('""', '"') if match["quoted"] else match["plain"]
            found.setdefault(name, []).append(line)
    return found
