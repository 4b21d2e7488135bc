# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Messages of the server with a cause that is known, whoever got them: a session or a tool."""

from __future__ import annotations

import re

# Pattern, error code, remedy.
_KNOWN = (
    (
        r'could not access file "[^"]*timescaledb[^"]*"',
        "database.library",
        "The server's image lacks the library of the TimescaleDB that this database uses: it was"
        " changed without the extension. Start the former image again, or make this the first"
        " statement of a new session in the database, as a superuser (psql -X): ALTER EXTENSION"
        " timescaledb UPDATE. No restore helps while the library is missing.",
    ),
    (
        r'could not access file "[^"]*"|could not load library "[^"]*"',
        "database.library",
        "The server lacks the library of an extension that this database uses. Start the former"
        " image again, or install the extension's package for this version of PostgreSQL.",
    ),
    (
        r'tablespace "[^"]*" does not exist',
        "database.tablespace",
        "Create the tablespace, with a folder that the server's user owns: CREATE TABLESPACE ..."
        " LOCATION. Then run again.",
    ),
    (
        r"(function|relation|type|operator) [^\n]* does not exist"
        r"(?=[\s\S]*CONTEXT:\s+(SQL|PL/\w+) function)",
        "database.search-path",
        "The function that CONTEXT names uses another one without its schema, and a restore has an"
        " empty search path: ALTER FUNCTION ... SET search_path = public, pg_catalog on the live"
        " database, then make a new backup.",
    ),
)


def find(text: str) -> tuple[str, str] | None:
    """Return the error code and the remedy of a message, None where its cause is not known."""
    return next(
        ((code, remedy) for pattern, code, remedy in _KNOWN if re.search(pattern, text)), None
    )
