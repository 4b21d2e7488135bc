# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""globals.sql: roles, tablespaces, settings: what a dump of one database lacks. No passwords."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.client_tools import tool_errors
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.postgresql import list_settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all, quote_ident

_DATABASE = """
SELECT format('ALTER DATABASE %I OWNER TO %I;', d.datname, pg_get_userbyid(d.datdba)), 0
  FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC;', d.datname), 1
  FROM pg_database d WHERE d.datname = current_database() AND d.datacl IS NOT NULL
UNION ALL
SELECT format('GRANT %s ON DATABASE %I TO %s%s;', a.privilege_type, d.datname,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                   ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), 2
  FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = current_database()
 ORDER BY 2, 1"""
_SETTINGS = """
SELECT CASE WHEN s.setrole = 0 THEN format('DATABASE %I', current_database())
            ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(s.setrole), current_database())
       END, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
  FROM pg_db_role_setting s, unnest(s.setconfig) c
 WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY 1, 2"""


def of_database(cursor: Any, database: Database) -> list[str]:
    """Return the statements that give the cursor's database its owner, grants and settings.

    *database* is the same one, for questions that need a session of their own.
    """
    settings = fetch_all(cursor, _SETTINGS)
    lists = list_settings.among(database, [(name, value) for _, name, value in settings])
    return [
        *(line for line, _order in fetch_all(cursor, _DATABASE)),
        *(
            f"ALTER {target} SET {quote_ident(name)} TO"
            f" {list_settings.spelled(name, value, lists).strip()};"
            for target, name, value in settings
        ),
    ]


def read(tools: ClientTools, statements: list[str]) -> bytes:
    """Return roles, memberships, tablespaces and role settings, then the database's *statements*.

    :raises OpsError: those of tool_errors.to_error.
    """
    status, output, errors = tools.capture(
        "pg_dumpall",
        [
            "--globals-only",
            "--no-role-passwords",
            "--no-password",
            f"--database={tools.database.name}",
        ],
    )
    if status != 0:
        raise tool_errors.to_error("pg_dumpall", status, errors, tools.database)
    lines = [f"\n--\n-- Database {tools.database.name}\n--\n"]
    return output + "\n".join(lines + statements).encode() + b"\n"
