# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Heaps and indexes of a database, page by page, by pg_amcheck."""

from __future__ import annotations

from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value, superuser_role

DENIED = "permission denied"
HEAP_ALL = ["--heapallindexed"]


def damaged(database: Database, *, jobs: int = 1, indexes: bool = True) -> list[str]:
    """Check heaps and indexes page by page; return a line for each damage.

    Without *indexes* those of the PMS's tables are left out, which a dump neither reads nor
    carries; a dump does read the catalogue through its indexes. With them it takes longest: for
    each index its table is read once more. Relations are checked by *jobs* connections at once.

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
    tools = client_tools.for_database(database)
    common = ["--no-password", f"--database={database.name}", f"--jobs={jobs}"]
    catalogue = ["--schema=pg_catalog"]
    tables = ["--exclude-schema=pg_catalog", "--no-dependent-indexes"]
    found = []
    for scope in [HEAP_ALL] if indexes else [[*HEAP_ALL, *catalogue], tables]:
        status, output = tools.run(
            "pg_amcheck", [*scope, *common], settings={"role": role} if role else {}
        )
        if DENIED in output:  # a table that was not read is neither intact nor damaged
            raise OpsError(
                f"Role {database.user} may not check the pages of {database.name}.",
                "Grant it pms_restore as docs/database-rights.sql does.",
                code="verify.amcheck-rights",
            )
        lines = [line for line in output.splitlines() if line.strip()]
        if status:
            found += lines or [f"pg_amcheck ended with status {status}"]
    return found
