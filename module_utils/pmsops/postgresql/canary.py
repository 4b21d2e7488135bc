# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The canary row, written just before a backup: a drill that finds it restored this very backup.

Its table ``pms_ops.canary`` belongs to the toolkit; the PMS's tables are not touched.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import psycopg2
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


@dataclass(frozen=True)
class Canary:
    """The token that was written, or why the database refused it."""

    token: str | None
    refusal: str = ""

    @property
    def warnings(self) -> list[str]:
        """Return what a backup has to say of it."""
        if self.token:
            return []
        return [
            f"No canary row, because the database refuses it: {self.refusal}. Drills cannot prove"
            " that they restored this very backup. If a trigger freezes the schema, let it pass"
            " schema pms_ops, or make one backup while it is off."
        ]


def write(database: Database) -> Canary:
    """Write a new token, unless the database refuses it.

    The role may not, the database is read-only, or an event trigger that freezes the schema raises
    an error of its own.
    """
    token = uuid.uuid4().hex
    try:
        with database.session() as cursor:
            if fetch_value(cursor, "SELECT to_regclass('pms_ops.canary') IS NULL"):
                cursor.execute(_CREATE)
            cursor.execute(_WRITE, (token,))
    except psycopg2.OperationalError:
        raise  # the connection, a lock or a resource: no answer to the canary
    except psycopg2.DatabaseError as exc:
        said = str(exc).strip().splitlines() or [type(exc).__name__]
        trigger = next((line for line in said if line.startswith("CONTEXT:")), "")
        return Canary(None, f"{said[0]} {trigger}".strip())
    return Canary(token)


def seen(cursor: Any, token: str) -> bool:
    """Tell whether the database that *cursor* is connected to carries the token."""
    if fetch_value(cursor, "SELECT to_regclass('pms_ops.canary') IS NULL"):
        return False
    return bool(fetch_value(cursor, "SELECT 1 FROM pms_ops.canary WHERE token = %s", (token,)))
