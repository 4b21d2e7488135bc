# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects of a database that a restore has to bring back, read from the catalogues.

Facts have the shape ``{kind: {name: {attribute: value}}}``, so a comparison needs no knowledge of
the kinds. Names are qualified. No value is an OID, a date or a setting of the server, so a faithful
copy has equal facts.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.postgresql import (
    facts_foreign,
    facts_relations,
    facts_routines,
    facts_shared,
    facts_types,
    large_objects,
    materialized_views,
    timescaledb_chunks,
    timescaledb_facts,
)
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value
from ansible.module_utils.pmsops.postgresql.facts_sql import acl

SCHEMA = 3  # of the facts; 1 and 2 have chunks and compressed relations among the tables
# The statement of each kind; see facts_sql. Kinds that take more than one are below.
STATEMENTS = {
    **facts_shared.STATEMENTS,
    **facts_relations.STATEMENTS,
    **facts_routines.STATEMENTS,
    **facts_types.STATEMENTS,
    **facts_foreign.STATEMENTS,
}
# Branches of one statement that reads the values of sequences: the server plans all of them.
_SEQUENCES_AT_ONCE = 200

_DATABASE = f"""
    SELECT jsonb_build_object(
               'owner', d.datdba::regrole::text, 'encoding', pg_encoding_to_char(d.encoding),
               'collate', d.datcollate, 'ctype', d.datctype, 'connection_limit', d.datconnlimit,
               'provider', d.datlocprovider, 'collation_version', d.datcollversion,
               'grants', {acl("d.datacl", "d", "d.datdba")},
               'comment', shobj_description(d.oid, 'pg_database'),
               'locale', to_jsonb(d) ->> CASE WHEN to_jsonb(d) ? 'datlocale' THEN 'datlocale'
                                              ELSE 'daticulocale' END,
               'icu_rules', to_jsonb(d) ->> 'daticurules')
      FROM pg_database d WHERE d.datname = current_database()"""

# Per role where the setting is for one role in this database, '' for the database itself.
_SETTINGS = """
    SELECT coalesce(r.rolname, ''), to_jsonb(s.setconfig)
      FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
     WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"""

# Owners of objects and grantees: they must exist before a restore.
_ROLES = """
    SELECT DISTINCT r.rolname FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
     WHERE s.refclassid = 'pg_authid'::regclass
       AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            OR (s.dbid = 0 AND s.classid = 'pg_database'::regclass AND s.objid =
                (SELECT oid FROM pg_database WHERE datname = current_database())))
    UNION SELECT d.datdba::regrole::text FROM pg_database d WHERE d.datname = current_database()"""


def prepare(cursor: Any) -> None:
    """Set up a session so that facts and fingerprints have one form on every server."""
    cursor.execute("SELECT pg_catalog.set_config('search_path', 'pg_catalog', false)")
    cursor.execute("SET SESSION quote_all_identifiers = off")


def server(cursor: Any) -> dict[str, Any]:
    """Return version, edition and identity of the server, and the moment of the snapshot."""
    cursor.execute(
        """SELECT jsonb_build_object(
               'version', current_setting('server_version'),
               'version_num', current_setting('server_version_num')::int,
               'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
               'data_checksums', current_setting('data_checksums'),
               'timescaledb_license', current_setting('timescaledb.license', true),
               'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text
                           ELSE pg_current_wal_lsn()::text END,
               'snapshot', pg_current_snapshot()::text,
               'size_bytes', pg_database_size(current_database()),
               'time_zone', (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'))"""
    )
    found: dict[str, Any] = cursor.fetchone()[0]
    return found


def database(cursor: Any) -> dict[str, Any]:
    """Return the properties that CREATE and ALTER DATABASE need for a database like this one."""
    cursor.execute(_DATABASE)
    facts: dict[str, Any] = cursor.fetchone()[0]
    facts["settings"] = {role: sorted(values) for role, values in fetch_all(cursor, _SETTINGS)}
    return facts


def facts(cursor: Any, schema: int = SCHEMA) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the facts of the database that *cursor* is connected to, kind by kind.

    *schema* is that of the manifest to compare with. Before schema 3, chunks and compressed
    relations are tables like others.
    """
    timescaledb_chunks.leave_out(cursor, schema >= 3)
    found = {kind: _named(cursor, sql, schema) for kind, sql in STATEMENTS.items()}
    found["user_mappings"] = _user_mappings(cursor, schema)
    found["sequences"] = sequences(cursor)
    found["large_objects"] = large_objects.facts(cursor, schema)
    found["materialized_views"] = materialized_views.facts(cursor) if schema >= 3 else {}
    found |= timescaledb_facts.facts(cursor, schema)
    return found


def of_kind(cursor: Any, kind: str) -> dict[str, dict[str, Any]]:
    """Return the facts of one kind that a single statement reads."""
    return _named(cursor, STATEMENTS[kind], SCHEMA)


def required_roles(cursor: Any) -> list[str]:
    """Return the roles without which a restore of this database would lose owners or grants."""
    return sorted(row[0] for row in fetch_all(cursor, _ROLES))


def roles_of(
    required: list[str], database: dict[str, Any], facts: dict[str, dict[str, Any]]
) -> set[str]:
    """Return the *required* roles, with those that own jobs or have settings in the database."""
    return (
        set(required)
        | {job["owner"] for job in facts["jobs"].values()}
        | {role for role in database["settings"] if role}
    )


def _named(cursor: Any, sql: str, schema: int) -> dict[str, dict[str, Any]]:
    """Return the objects that a statement gives, by name.

    Names that hold dots can be equal (``a.b`` in c, and b in ``a``): the second one has a number.
    An object that was dropped meanwhile has no name.
    """
    rows = [row for row in fetch_all(cursor, sql, {"schema": schema}) if row[0] is not None]
    rows.sort(key=lambda row: str(row[0]))
    found: dict[str, dict[str, Any]] = dict(rows)
    if len(found) == len(rows):
        return found
    found = {}
    for name, attributes in sorted(rows, key=lambda row: (row[0], str(row[1]))):
        number = 1
        while (key := f"{name} ({number})" if number > 1 else name) in found:
            number += 1
        found[key] = attributes
    return found


def _user_mappings(cursor: Any, schema: int) -> dict[str, dict[str, Any]]:
    """Return the user mappings, with those options that the session's role may read."""
    readable = "SELECT has_table_privilege('pg_user_mapping', 'SELECT')"
    return _named(
        cursor,
        facts_foreign.USER_MAPPINGS
        if fetch_value(cursor, readable)
        else facts_foreign.VISIBLE_USER_MAPPINGS,
        schema,
    )


def sequences(cursor: Any) -> dict[str, dict[str, Any]]:
    """Return the sequences with their values, each of which is a row of its own relation."""
    found = sorted(fetch_all(cursor, facts_relations.SEQUENCES, {}))
    values: list[tuple[Any, ...]] = []
    for first in range(0, len(found), _SEQUENCES_AT_ONCE):
        branches = [
            f"SELECT {number}, last_value, is_called FROM {relation}"
            for number, (_, _, relation) in enumerate(found[first : first + _SEQUENCES_AT_ONCE])
        ]
        values += sorted(fetch_all(cursor, " UNION ALL ".join(branches)))
    return {
        name: attributes | {"last_value": last_value, "is_called": is_called}
        for (name, attributes, _), (_, last_value, is_called) in together(found, values)
    }
