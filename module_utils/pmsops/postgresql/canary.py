# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The canary row, written just before a backup: a drill that finds it restored this very backup.

Its table ``pms_ops.canary`` belongs to the toolkit; the PMS's tables are not touched.
"""

from __future__ import annotations

import uuid
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

# One row: a canary needs no history, and a backup must not make the database grow.
_CREATE = """
CREATE SCHEMA IF NOT EXISTS pms_ops;
CREATE TABLE IF NOT EXISTS pms_ops.canary (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    token text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now());
-- The owner of the database, who backs it up by other means too, must be able to read all of it.
GRANT USAGE ON SCHEMA pms_ops TO PUBLIC;
GRANT SELECT ON pms_ops.canary TO PUBLIC;
COMMENT ON SCHEMA pms_ops IS 'Written by pms-ops before each backup; a drill looks for it.';
"""
_WRITE = """
INSERT INTO pms_ops.canary (token) VALUES (%s)
ON CONFLICT (id) DO UPDATE SET token = excluded.token, written_at = now()
"""


# The role may not, the database is read-only, or a trigger that freezes the schema raises.
_REFUSED = (
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.ReadOnlySqlTransaction,
    psycopg2.errors.RaiseException,
)


def write(database: Database) -> str | None:
    """Write a new token and return it, None if the database refuses it."""
    token = uuid.uuid4().hex
    try:
        with database.session() as cursor:
            if fetch_value(cursor, "SELECT to_regclass('pms_ops.canary') IS NULL"):
                cursor.execute(_CREATE)
            cursor.execute(_WRITE, (token,))
    except _REFUSED:
        return None
    return token


def seen(cursor: Any, token: str) -> bool:
    """Tell whether the database that *cursor* is connected to carries the token."""
    if fetch_value(cursor, "SELECT to_regclass('pms_ops.canary') IS NULL"):
        return False
    return bool(fetch_value(cursor, "SELECT 1 FROM pms_ops.canary WHERE token = %s", (token,)))
