# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects of a database that a restore has to bring back, read from the catalogues.

Facts have the shape ``{kind: {name: {attribute: value}}}``, so a comparison needs no knowledge of
the kinds. Names are qualified. No value is an OID, a date or a setting of the server, so a faithful
copy has equal facts.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.postgresql import timescaledb_chunks, timescaledb_facts
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value

SCHEMA = 3  # of the facts; 1 and 2 have chunks and compressed relations among the tables
# Objects of an extension are left out; the extension itself is a fact.
_OWN = """NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '{catalogue}'::regclass
                       AND x.objid = {oid} AND x.deptype = 'e')"""
_USER_SCHEMA = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
)
# A null ACL means the built-in default, which a dump restores as explicit grants: spell it out.
_ACL = (
    "(SELECT coalesce(array_agg(a::text ORDER BY a::text), '{{}}')"
    " FROM unnest(coalesce({acl}, acldefault('{kind}', {owner}))) a)"
)


def _own(catalogue: str, oid: str) -> str:
    return _OWN.format(catalogue=catalogue, oid=oid)


def _logical(oid: str) -> str:
    return timescaledb_chunks.NOT_PHYSICAL.format(oid=oid)


def _acl(acl: str, kind: str, owner: str) -> str:
    return _ACL.format(acl=acl, kind=kind, owner=owner)


# Each statement gives rows of (name, attributes as json). search_path is empty while they run, so
# that definitions name every object with its schema.
FACTS: dict[str, str] = {
    "extensions": """
        SELECT e.extname, jsonb_build_object('version', e.extversion, 'schema', n.nspname)
          FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace""",
    "schemas": f"""
        SELECT n.nspname, jsonb_build_object('owner', n.nspowner::regrole::text,
                                             'grants', {_acl("n.nspacl", "n", "n.nspowner")})
          FROM pg_namespace n
         WHERE {_USER_SCHEMA} AND {_own("pg_namespace", "n.oid")}""",
    "tables": f"""
        SELECT n.nspname || '.' || c.relname, jsonb_build_object(
                   'kind', c.relkind, 'persistence', c.relpersistence,
                   'owner', c.relowner::regrole::text,
                   'grants', {_acl("c.relacl", "r", "c.relowner")},
                   'row_security', c.relrowsecurity, 'row_security_forced', c.relforcerowsecurity,
                   'replica_identity', c.relreplident, 'options', c.reloptions,
                   'partition_key', pg_get_partkeydef(c.oid),
                   'partition_bound', pg_get_expr(c.relpartbound, c.oid),
                   'parents', (SELECT array_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
                                 FROM pg_inherits i WHERE i.inhrelid = c.oid),
                   'comment', obj_description(c.oid, 'pg_class'))
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
           AND {_USER_SCHEMA} AND {_own("pg_class", "c.oid")} AND {_logical("c.oid")}""",
    "columns": f"""
        SELECT n.nspname || '.' || c.relname || '.' || a.attname, jsonb_build_object(
                   'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
                   'position', (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = a.attrelid
                                  AND b.attnum BETWEEN 1 AND a.attnum AND NOT b.attisdropped),
                   'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity,
                   'generated', a.attgenerated, 'grants', {_acl("a.attacl", "c", "c.relowner")},
                   'collation', (SELECT l.collname FROM pg_collation l
                                  WHERE l.oid = a.attcollation))
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND c.relpersistence <> 't'
           AND a.attnum > 0 AND NOT a.attisdropped
           AND {_USER_SCHEMA} AND {_own("pg_class", "c.oid")} AND {_logical("c.oid")}""",
    "constraints": f"""
        SELECT n.nspname || '.' || coalesce(c.relname, t.typname) || '.' || k.conname,
               jsonb_build_object('definition', pg_get_constraintdef(k.oid),
                                  'validated', k.convalidated)
          FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
          LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
         WHERE {_USER_SCHEMA} AND (k.conrelid = 0 OR {_own("pg_class", "k.conrelid")})
           AND k.contype <> 't' AND {_own("pg_type", "k.contypid")}
           AND {_logical("k.conrelid")}""",
    "indexes": f"""
        SELECT n.nspname || '.' || c.relname, jsonb_build_object(
                   'definition', pg_get_indexdef(c.oid), 'valid', i.indisvalid AND i.indisready,
                   'clustered', i.indisclustered, 'options', c.reloptions)
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_USER_SCHEMA} AND {_own("pg_class", "i.indrelid")}
           AND {_logical("i.indrelid")}""",
    "triggers": f"""
        SELECT n.nspname || '.' || c.relname || '.' || t.tgname, jsonb_build_object(
                   'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT t.tgisinternal AND {_USER_SCHEMA} AND {_own("pg_class", "c.oid")}
           AND {_logical("c.oid")}""",
    "event_triggers": f"""
        SELECT t.evtname, jsonb_build_object('event', t.evtevent, 'enabled', t.evtenabled,
                   'function', t.evtfoid::regprocedure::text, 'tags', t.evttags)
          FROM pg_event_trigger t WHERE {_own("pg_event_trigger", "t.oid")}""",
    "rules": f"""
        SELECT n.nspname || '.' || c.relname || '.' || r.rulename, jsonb_build_object(
                   'definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled)
          FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE r.rulename <> '_RETURN' AND {_USER_SCHEMA} AND {_own("pg_class", "c.oid")}
           AND {_logical("c.oid")}""",
    "policies": f"""
        SELECT n.nspname || '.' || c.relname || '.' || p.polname, jsonb_build_object(
                   'command', p.polcmd, 'permissive', p.polpermissive,
                   'roles', (SELECT array_agg(r::regrole::text ORDER BY r::regrole::text)
                               FROM unnest(p.polroles) r),
                   'using', pg_get_expr(p.polqual, p.polrelid),
                   'check', pg_get_expr(p.polwithcheck, p.polrelid))
          FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_USER_SCHEMA} AND {_own("pg_class", "c.oid")} AND {_logical("c.oid")}""",
    "views": f"""
        SELECT n.nspname || '.' || c.relname, jsonb_build_object(
                   'kind', c.relkind, 'definition', pg_get_viewdef(c.oid),
                   'owner', c.relowner::regrole::text,
                   'grants', {_acl("c.relacl", "r", "c.relowner")},
                   'options', c.reloptions, 'populated', c.relispopulated)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('v', 'm') AND {_USER_SCHEMA} AND {_own("pg_class", "c.oid")}""",
    "functions": f"""
        SELECT p.oid::regprocedure::text, jsonb_build_object(
                   'definition', CASE WHEN p.prokind IN ('f', 'p')
                                      THEN md5(pg_get_functiondef(p.oid)) END,
                   'kind', p.prokind, 'owner', p.proowner::regrole::text,
                   'grants', {_acl("p.proacl", "f", "p.proowner")})
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE {_USER_SCHEMA} AND {_own("pg_proc", "p.oid")}""",
    "types": f"""
        SELECT n.nspname || '.' || t.typname, jsonb_build_object(
                   'kind', t.typtype, 'owner', t.typowner::regrole::text,
                   'grants', {_acl("t.typacl", "T", "t.typowner")}, 'default', t.typdefault,
                   'not_null', t.typnotnull,
                   'base', CASE WHEN t.typtype = 'd'
                                THEN format_type(t.typbasetype, t.typtypmod) END,
                   'range_of', (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r
                                 WHERE r.rngtypid = t.oid),
                   'labels', (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder)
                                FROM pg_enum e WHERE e.enumtypid = t.oid))
          FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
          LEFT JOIN pg_class c ON c.oid = t.typrelid
         WHERE t.typtype IN ('c', 'd', 'e', 'r') AND (c.oid IS NULL OR c.relkind = 'c')
           AND {_USER_SCHEMA} AND {_own("pg_type", "t.oid")}""",
    "default_grants": """
        SELECT coalesce(n.nspname, '*') || '.' || d.defaclrole::regrole::text || '.'
                   || d.defaclobjtype::text,
               jsonb_build_object('grants', (SELECT array_agg(a::text ORDER BY a::text)
                                               FROM unnest(d.defaclacl) a))
          FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace""",
    "publications": """
        SELECT p.pubname, jsonb_build_object('owner', p.pubowner::regrole::text,
                   'all_tables', p.puballtables,
                   'tables', (SELECT array_agg(x.name ORDER BY x.name COLLATE "C")
                                FROM (SELECT t.schemaname || '.' || t.tablename AS name
                                        FROM pg_publication_tables t
                                       WHERE t.pubname = p.pubname) x))
          FROM pg_publication p""",
    "foreign_servers": f"""
        SELECT s.srvname, jsonb_build_object('owner', s.srvowner::regrole::text,
                   'wrapper', w.fdwname, 'grants', {_acl("s.srvacl", "S", "s.srvowner")})
          FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw""",
}

_SEQUENCES = f"""
    SELECT n.nspname, c.relname, jsonb_build_object(
               'owner', c.relowner::regrole::text, 'grants', {_acl("c.relacl", "s", "c.relowner")},
               'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'step', s.seqincrement,
               'minimum', s.seqmin, 'maximum', s.seqmax, 'cycle', s.seqcycle,
               'owned_by', (SELECT d.refobjid::regclass::text || '.' || a.attname
                              FROM pg_depend d JOIN pg_attribute a
                                ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                               AND d.deptype IN ('a', 'i')))
      FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {_USER_SCHEMA} AND c.relpersistence <> 't' AND {_own("pg_class", "c.oid")}"""

_DATABASE = f"""
    SELECT jsonb_build_object(
               'owner', d.datdba::regrole::text, 'encoding', pg_encoding_to_char(d.encoding),
               'collate', d.datcollate, 'ctype', d.datctype, 'connection_limit', d.datconnlimit,
               'provider', d.datlocprovider, 'collation_version', d.datcollversion,
               'grants', {_acl("d.datacl", "d", "d.datdba")},
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
    found = {kind: dict(sorted(fetch_all(cursor, sql))) for kind, sql in FACTS.items()}
    found["sequences"] = _sequences(cursor)
    found["large_objects"] = {"all": {"count": large_objects(cursor)}}
    found |= timescaledb_facts.facts(cursor, schema)
    return found


def large_objects(cursor: Any) -> int:
    """Return how many large objects there are."""
    return int(fetch_value(cursor, "SELECT count(*) FROM pg_largeobject_metadata"))


def required_roles(cursor: Any) -> list[str]:
    """Return the roles without which a restore of this database would lose owners or grants."""
    return sorted(row[0] for row in fetch_all(cursor, _ROLES))


def _sequences(cursor: Any) -> dict[str, dict[str, Any]]:
    sequences = {}
    for schema, name, attributes in fetch_all(cursor, _SEQUENCES):
        # A sequence's value is a row of its own relation; there is no catalogue of all of them
        # that a role with nothing but SELECT can rely on.
        cursor.execute(
            "SELECT format('SELECT last_value, is_called FROM %%I.%%I', %s, %s)", (schema, name)
        )
        last_value, is_called = fetch_all(cursor, cursor.fetchone()[0])[0]
        sequences[f"{schema}.{name}"] = attributes | {
            "last_value": last_value,
            "is_called": is_called,
        }
    return dict(sorted(sequences.items()))
