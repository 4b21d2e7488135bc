# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks before a backup: server, rights, client tools, room on the disk."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.backup.attempts import READERS
from ansible.module_utils.pmsops.backup.settings import ALWAYS, AUTO, NEVER, Settings
from ansible.module_utils.pmsops.client_tools import pg_dump, versions
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common import file_system, files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.postgresql import lock_table
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all, fetch_value
from ansible.module_utils.pmsops.repository import manifest, sets

MIN_SERVER = 140000  # hash_record_extended came with PostgreSQL 14
# The most that a first dump needs, as a share of the database's size: indexes are not dumped.
FIRST_DUMP_SHARE = 0.5
NEXT_DUMP_SHARE = 1.2


def check(database: Database, tools: ClientTools, settings: Settings) -> dict[str, str]:
    """Check all that can be known before a backup; return the versions of server and pg_dump.

    Nothing is written.

    :raises OpsError: backup.server-old, backup.restoring, backup.statistics, backup.table,
        database.*, clients.*, disk.full
    """
    with (
        ThreadPoolExecutor(max_workers=1) as pool,  # a container of its own: the slowest of these
        database.session(read_only=True) as cursor,
    ):
        version = fetch_value(cursor, "SELECT current_setting('server_version_num')::int")
        tools.prefer(version // 10000)
        asked = pool.submit(tools.version, "pg_dump")
        if version < MIN_SERVER:
            raise OpsError(
                f"The server is PostgreSQL {version // 10000}; a backup needs 14 or newer.",
                "Upgrade the server: older versions lack the hash functions of fingerprints.",
                code="backup.server-old",
            )
        if fetch_value(cursor, "SELECT current_setting('timescaledb.restoring', true) = 'on'"):
            raise OpsError(
                f"Database {database.name} is in TimescaleDB's restoring mode: its hypertables"
                " show only part of their rows.",
                "Finish the restore that set it (SELECT timescaledb_post_restore()), and verify.",
                code="backup.restoring",
            )
        _check_rights(cursor, database)
        for table in settings.tables:
            require_table(cursor, table, database.name)
        size = fetch_value(cursor, "SELECT pg_database_size(current_database())")
        made = {
            "server": versions.short(
                fetch_value(cursor, "SELECT current_setting('server_version')")
            ),
            "pg_dump": asked.result(),
        }
        major = versions.parts(made["pg_dump"])[0]
        if major < version // 10000:
            raise OpsError(
                f"pg_dump is version {major}, older than the server's {version // 10000}.",
                "Install the server version's client tools and set pms_db_bin_dir to them.",
                code="clients.old",
            )
    with_statistics(settings, made)
    if settings.root.exists():
        needed = round(estimate(settings.root, size) * NEXT_DUMP_SHARE)
        free = shutil.disk_usage(settings.root).free
        if free < needed:
            raise OpsError(
                f"{settings.root} has {human(free)} free; the backup needs about {human(needed)}.",
                "Free space there, or set backup_root to a larger disk.",
                code="disk.full",
            )
    return made


def with_statistics(settings: Settings, made: dict[str, str]) -> Settings:
    """Return the settings with the decision whether the planner's statistics are dumped.

    *made* has the versions of server and pg_dump.

    :raises OpsError: backup.statistics if they are demanded, and cannot be
    """
    older = [
        f"{name} is {version}"
        for name, version in (("the server", made["server"]), ("pg_dump", made["pg_dump"]))
        if versions.parts(version)[0] < pg_dump.STATISTICS_SINCE
    ]
    if settings.statistics == ALWAYS and older:
        raise OpsError(
            "The planner's statistics cannot be dumped, and backup_statistics demands them:"
            f" {' and '.join(older)}; both have to be {pg_dump.STATISTICS_SINCE} or newer.",
            "Set backup_statistics: auto. A restore then analyzes every table.",
            code="backup.statistics",
        )
    if settings.statistics == AUTO:
        return replace(settings, statistics=NEVER if older else ALWAYS)
    return settings


def older_tools(made: dict[str, str]) -> list[str]:
    """Return a warning where pg_dump is older in the minor than the server."""
    if not versions.older_minor(made["pg_dump"], made["server"]):
        return []
    return [
        f"pg_dump {made['pg_dump']} is older than the server, PostgreSQL {made['server']}: it may"
        " write what other versions refuse. Install the server's own version, and set"
        " pms_db_bin_dir to it."
    ]


def fitting(database: Database, settings: Settings) -> tuple[Settings, list[str]]:
    """Return the settings with as many processes as the server's table of locks takes.

    A warning says what max_locks_per_transaction would have to be for the processes asked for.

    :raises OpsError: backup.locks if the table is too small for one process too
    """
    with database.session(read_only=True) as cursor:
        locks = lock_table.read(cursor)
    asked = 1 if settings.recipients else settings.jobs
    needed = locks.needed(jobs=asked, readers=READERS)
    if needed <= locks.setting:
        return settings, []
    if locks.needed(jobs=1, readers=READERS, spare=1.0) > locks.setting:
        raise OpsError(
            f"Database {database.name} has {locks.tables} tables, and a dump locks all of them:"
            f" that takes a max_locks_per_transaction of {needed}, and the server has"
            f" {locks.setting}.",
            f"ALTER SYSTEM SET max_locks_per_transaction = {needed}; then restart the server.",
            code="backup.locks",
        )
    return replace(settings, jobs=1), [
        f"The dump is made by one process: {asked} processes need a max_locks_per_transaction of"
        f" {needed} for {locks.tables} tables, and the server has {locks.setting}."
    ]


def require_table(cursor: Any, table: str, database_name: str) -> None:
    """Stop at an entry of pms_db_tables that the database has not.

    :raises OpsError: backup.table
    """
    if fetch_value(
        cursor, "SELECT to_regclass(format('%%I.%%I', %s, %s)) IS NULL", split_table(table)
    ):
        raise OpsError(
            f"Table {table} of pms_db_tables does not exist in {database_name}.",
            "Correct pms_db_tables, or migrate the database.",
            code="backup.table",
        )


def split_table(table: str) -> tuple[str, str]:
    """Return schema and name of an entry of pms_db_tables; ``public`` may be left out."""
    schema, dot, name = table.rpartition(".")
    return (schema, name) if dot else ("public", name)


def _check_rights(cursor: Any, database: Database) -> None:
    refused = fetch_all(
        cursor,
        """SELECT n.nspname || '.' || c.relname
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence <> 't'
              AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
              AND NOT (has_schema_privilege(n.oid, 'USAGE') AND
                       CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                                      ELSE has_table_privilege(c.oid, 'SELECT') END)
              AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass
                                 AND x.objid = c.oid AND x.deptype = 'e')
            ORDER BY 1 LIMIT 6""",
    )
    if refused:
        names = ", ".join(row[0] for row in refused[:5]) + (" and more" if len(refused) > 5 else "")
        raise OpsError(
            f"Role {database.user} may not read {names}.",
            "Grant the maintenance role what docs/database-rights.sql gives it.",
            code="database.rights",
        )


def estimate(root: Path, database_bytes: int) -> int:
    """Return the expected size of the next dump in bytes: by the newest set, else a share."""
    try:
        recorded = manifest.read(sets.newest(root))["totals"]
        share: float = recorded["bytes"] / max(recorded["database_bytes"], 1)
        return round(share * database_bytes)
    except (OpsError, KeyError):
        return round(database_bytes * FIRST_DUMP_SHARE)


def writable_root(root: Path) -> Path:
    """Make the folder of the sets where it is missing; return the folder of its state.

    :raises OpsError: files.unwritable, disk.*
    """
    try:
        files.make_private_folder(root)
        state = sets.state_folder(root)
        if not os.access(root, os.W_OK) or not os.access(state, os.W_OK):
            raise PermissionError(13, "not writable", str(root))
    except OSError as exc:
        raise file_system.error_of(exc, root) from exc
    return state


def free_name(root: Path, moment: datetime) -> str:
    """Return the name of a set begun at *moment*; a second one in a minute gets a number."""
    stem = moment.astimezone(UTC).strftime("%Y-%m-%d_%H%M")
    for number in range(1, 1000):
        name = stem if number == 1 else f"{stem}-{number}"
        if not any((root / each).exists() for each in (name, f"{sets.PARTIAL}{name}")):
            return name
    raise OpsError(
        f"{root} holds 999 sets of {stem}.",
        "Check what starts backups, and the clock.",
        code="backup.name",
    )


def clock_set_back(earlier: list[Path], name: str) -> list[str]:
    """Return a warning where a set of *earlier* is dated after the new one, *name*."""
    if not earlier or earlier[-1].name <= name:
        return []
    return [
        f"Set {earlier[-1].name} is dated after this run: a clock was set back. Until it has caught"
        " up, that set passes for the newest; correct the clock."
    ]
