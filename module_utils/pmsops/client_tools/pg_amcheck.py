# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Heaps and indexes of a database, page by page, by pg_amcheck."""

from __future__ import annotations

from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value, superuser_role

DENIED = "permission denied"


def damaged(database: Database) -> list[str]:
    """Check heaps and indexes page by page; return a line for each damage.

    :raises OpsError: verify.amcheck if the extension is missing, verify.amcheck-rights.
    """
    with database.session(read_only=True) as cursor:
        if not fetch_value(cursor, "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"):
            raise OpsError(
                f"Database {database.name} lacks the extension amcheck.",
                "Run CREATE EXTENSION amcheck in this database as a superuser, then run again.",
                code="verify.amcheck",
            )
        role = superuser_role(cursor)
    status, output = client_tools.for_database(database).run(
        "pg_amcheck",
        ["--heapallindexed", "--no-password", f"--database={database.name}"],
        settings={"role": role} if role else {},
    )
    if DENIED in output:  # a table that was not read is neither intact nor damaged
        raise OpsError(
            f"Role {database.user} may not check the pages of {database.name}.",
            "Grant it pms_restore as docs/database-rights.sql does.",
            code="verify.amcheck-rights",
        )
    lines = [line for line in output.splitlines() if line.strip()]
    if status and not lines:
        lines = [f"pg_amcheck ended with status {status}"]
    return lines if status else []
