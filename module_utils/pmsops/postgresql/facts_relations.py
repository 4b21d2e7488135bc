# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of tables, columns, constraints, indexes, statistics objects, views and sequences."""

from __future__ import annotations

from ansible.module_utils.pmsops.postgresql.facts_sql import (
    USER_SCHEMA,
    acl,
    logical,
    options,
    own,
    texts,
)

_TABLESPACE = "(SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace)"
_ACCESS_METHOD = "(SELECT m.amname FROM pg_am m WHERE m.oid = c.relam)"

TABLES = f"""
    SELECT n.nspname || '.' || c.relname, jsonb_build_object(
               'kind', c.relkind, 'persistence', c.relpersistence,
               'owner', c.relowner::regrole::text,
               'grants', {acl("c.relacl", "r", "c.relowner")},
               'row_security', c.relrowsecurity, 'row_security_forced', c.relforcerowsecurity,
               'replica_identity', c.relreplident, 'options', c.reloptions,
               'toast_options', (SELECT t.reloptions FROM pg_class t
                                  WHERE t.oid = c.reltoastrelid),
               'access_method', {_ACCESS_METHOD}, 'tablespace', {_TABLESPACE},
               'of_type', CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END,
               'partition_key', pg_get_partkeydef(c.oid),
               'partition_bound', pg_get_expr(c.relpartbound, c.oid),
               'parents', (SELECT array_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
                             FROM pg_inherits i WHERE i.inhrelid = c.oid),
               'detaching', (SELECT bool_or(i.inhdetachpending) FROM pg_inherits i
                              WHERE i.inhrelid = c.oid),
               'foreign_server', s.srvname, 'foreign_options', {options("f.ftoptions")},
               'comment', obj_description(c.oid, 'pg_class'))
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
      LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
     WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
       AND {USER_SCHEMA} AND {own("pg_class", "c.oid")} AND {logical("c.oid")}"""

# PostgreSQL 18 keeps a constraint for each NOT NULL, which is a fact of its column; the attribute
# is there on such a server only. 17.12 notes its own version among the options of a column
# (pg_attver), which is no option.
COLUMNS = f"""
    SELECT n.nspname || '.' || c.relname || '.' || a.attname, jsonb_build_object(
               'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
               'position', row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
               'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity,
               'generated', a.attgenerated,
               'grants', CASE WHEN a.attacl IS NULL THEN '{{}}' ELSE {texts("a.attacl")} END,
               'collation', l.collname,
               'collation_schema', (SELECT o.nspname FROM pg_namespace o
                                     WHERE o.oid = l.collnamespace),
               'storage', a.attstorage, 'compression', a.attcompression,
               'statistics', nullif(a.attstattarget, -1),
               'options', CASE WHEN a.attoptions IS NOT NULL THEN
                   (SELECT array_agg(o ORDER BY o COLLATE "C") FROM unnest(a.attoptions) o
                     WHERE NOT starts_with(o, 'pg_attver=')) END,
               'foreign_options', CASE WHEN a.attfdwoptions IS NOT NULL
                                       THEN {options("a.attfdwoptions")} END,
               'local', a.attislocal, 'inherited', a.attinhcount)
           || CASE WHEN current_setting('server_version_num')::int < 180000 THEN '{{}}'
                   ELSE jsonb_build_object('not_null_constraint',
                            (SELECT jsonb_build_object('name', k.conname,
                                        'no_inherit', k.connoinherit, 'validated', k.convalidated,
                                        'local', k.conislocal)
                               FROM pg_constraint k
                              WHERE k.conrelid = a.attrelid AND k.contype = 'n'
                                AND k.conkey[1] = a.attnum)) END
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      LEFT JOIN pg_collation l ON l.oid = a.attcollation
     WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND c.relpersistence <> 't'
       AND a.attnum > 0 AND NOT a.attisdropped
       AND {USER_SCHEMA} AND {own("pg_class", "c.oid")} AND {logical("c.oid")}"""

# The server enforces a foreign key by internal triggers. A dump does not carry their state. Keys
# that the server derives, for each partition on either side, have names by the order of partitions.
CONSTRAINTS = f"""
    SELECT n.nspname || '.' || coalesce(c.relname, t.typname) || '.' || k.conname,
           jsonb_build_object('definition', pg_get_constraintdef(k.oid),
                              'validated', k.convalidated,
                              'local', k.conislocal, 'inherited', k.coninhcount,
                              'not_enforced_by',
                              (WITH RECURSIVE keys AS (
                                   SELECT k.oid UNION ALL
                                   SELECT d.oid FROM pg_constraint d JOIN keys y
                                       ON d.conparentid = y.oid WHERE k.contype = 'f')
                               SELECT array_agg(DISTINCT (
                                          g.tgfoid::regproc::text || ' ' || g.tgenabled::text
                                          || CASE WHEN g.tgrelid IN (k.conrelid, k.confrelid)
                                                  THEN '' ELSE ' on ' || g.tgrelid::regclass END
                                      ) COLLATE "C")
                                 FROM pg_trigger g JOIN keys ON g.tgconstraint = keys.oid
                                WHERE g.tgisinternal AND g.tgenabled <> 'O'))
      FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
      LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
     WHERE {USER_SCHEMA} AND (k.conrelid = 0 OR {own("pg_class", "k.conrelid")})
       AND {logical("k.conrelid")}
       AND k.contype <> 't' AND {own("pg_type", "k.contypid")}
       AND (%(schema)s < 3 OR k.contype <> 'n' OR k.contypid <> 0)
       AND (%(schema)s < 3 OR k.contype <> 'f' OR k.conparentid = 0)"""

INDEXES = f"""
    SELECT n.nspname || '.' || c.relname, jsonb_build_object(
               'definition', pg_get_indexdef(c.oid), 'valid', i.indisvalid AND i.indisready,
               'clustered', i.indisclustered, 'options', c.reloptions,
               'tablespace', {_TABLESPACE}, 'replica_identity', i.indisreplident,
               'parents', (SELECT array_agg(p.inhparent::regclass::text ORDER BY p.inhseqno)
                            FROM pg_inherits p WHERE p.inhrelid = c.oid),
               'statistics', (SELECT jsonb_object_agg(a.attnum, a.attstattarget)
                                FROM pg_attribute a
                               WHERE a.attrelid = c.oid AND a.attstattarget >= 0))
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {USER_SCHEMA} AND {own("pg_class", "i.indrelid")} AND {logical("i.indrelid")}"""

STATISTICS_OBJECTS = f"""
    SELECT n.nspname || '.' || s.stxname, jsonb_build_object(
               'definition', pg_get_statisticsobjdef(s.oid), 'owner', s.stxowner::regrole::text,
               'target', nullif(s.stxstattarget, -1))
      FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
     WHERE {USER_SCHEMA} AND {own("pg_statistic_ext", "s.oid")} AND {logical("s.stxrelid")}"""

VIEWS = f"""
    SELECT n.nspname || '.' || c.relname, jsonb_build_object(
               'kind', c.relkind, 'definition', pg_get_viewdef(c.oid),
               'owner', c.relowner::regrole::text,
               'grants', {acl("c.relacl", "r", "c.relowner")},
               'options', c.reloptions, 'populated', c.relispopulated,
               'access_method', {_ACCESS_METHOD}, 'tablespace', {_TABLESPACE})
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') AND {USER_SCHEMA} AND {own("pg_class", "c.oid")}"""

# Without the values: those are rows of each sequence's own relation.
SEQUENCES = f"""
    SELECT n.nspname || '.' || c.relname, jsonb_build_object(
               'owner', c.relowner::regrole::text, 'grants', {acl("c.relacl", "s", "c.relowner")},
               'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'step', s.seqincrement,
               'minimum', s.seqmin, 'maximum', s.seqmax, 'cycle', s.seqcycle,
               'cache', s.seqcache, 'persistence', c.relpersistence,
               'owned_by', (SELECT d.refobjid::regclass::text || '.' || a.attname
                              FROM pg_depend d JOIN pg_attribute a
                                ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                               AND d.deptype IN ('a', 'i'))),
           format('%%I.%%I', n.nspname, c.relname)
      FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {USER_SCHEMA} AND c.relpersistence <> 't' AND {own("pg_class", "c.oid")}"""

TRIGGERS = f"""
    SELECT n.nspname || '.' || c.relname || '.' || t.tgname, jsonb_build_object(
               'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.tgisinternal AND {USER_SCHEMA} AND {own("pg_class", "c.oid")}
       AND {logical("c.oid")}"""

EVENT_TRIGGERS = f"""
    SELECT t.evtname, jsonb_build_object(
               'event', t.evtevent, 'enabled', t.evtenabled, 'owner', t.evtowner::regrole::text,
               'function', t.evtfoid::regprocedure::text, 'tags', t.evttags)
      FROM pg_event_trigger t WHERE {own("pg_event_trigger", "t.oid")}"""

RULES = f"""
    SELECT n.nspname || '.' || c.relname || '.' || r.rulename, jsonb_build_object(
               'definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled)
      FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE r.rulename <> '_RETURN' AND {USER_SCHEMA} AND {own("pg_class", "c.oid")}
       AND {logical("c.oid")}"""

POLICIES = f"""
    SELECT n.nspname || '.' || c.relname || '.' || p.polname, jsonb_build_object(
               'command', p.polcmd, 'permissive', p.polpermissive,
               'roles', {texts("p.polroles::regrole[]")},
               'using', pg_get_expr(p.polqual, p.polrelid),
               'check', pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {USER_SCHEMA} AND {own("pg_class", "c.oid")} AND {logical("c.oid")}"""

STATEMENTS = {
    "tables": TABLES,
    "columns": COLUMNS,
    "constraints": CONSTRAINTS,
    "indexes": INDEXES,
    "statistics_objects": STATISTICS_OBJECTS,
    "views": VIEWS,
    "triggers": TRIGGERS,
    "event_triggers": EVENT_TRIGGERS,
    "rules": RULES,
    "policies": POLICIES,
}
