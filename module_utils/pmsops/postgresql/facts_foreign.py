# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of foreign data and of logical replication."""

from __future__ import annotations

from ansible.module_utils.pmsops.postgresql.facts_sql import acl, function, logical, options, own

FOREIGN_DATA_WRAPPERS = f"""
    SELECT w.fdwname, jsonb_build_object(
               'owner', w.fdwowner::regrole::text, 'grants', {acl("w.fdwacl", "F", "w.fdwowner")},
               'handler', {function("w.fdwhandler")}, 'validator', {function("w.fdwvalidator")},
               'connection', to_jsonb(w) ->> 'fdwconnection',
               'options', {options("w.fdwoptions")})
      FROM pg_foreign_data_wrapper w WHERE {own("pg_foreign_data_wrapper", "w.oid")}"""

FOREIGN_SERVERS = f"""
    SELECT s.srvname, jsonb_build_object(
               'owner', s.srvowner::regrole::text, 'wrapper', w.fdwname,
               'type', s.srvtype, 'version', s.srvversion, 'options', {options("s.srvoptions")},
               'grants', {acl("s.srvacl", "S", "s.srvowner")})
      FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw"""

# pg_dump reads the view, where a role that is no superuser sees only the options of its own
# mappings; the values of the others are lost by the dump.
_MAPPING = """
    SELECT coalesce(nullif(m.umuser, 0)::regrole::text, 'PUBLIC') || ' on ' || s.srvname,
           jsonb_build_object('options', {options})
      FROM {catalogue} m JOIN pg_foreign_server s ON s.oid = m.{server}"""
USER_MAPPINGS = _MAPPING.format(
    catalogue="pg_user_mapping", server="umserver", options=options("m.umoptions")
)
# For a role that may not read the catalogue.
VISIBLE_USER_MAPPINGS = _MAPPING.format(
    catalogue="pg_user_mappings", server="srvid", options=options("m.umoptions")
)

# Sets of schema 1 and 2 name the partitions and chunks of a table too.
PUBLICATIONS = f"""
    SELECT p.pubname, jsonb_build_object(
               'owner', p.pubowner::regrole::text, 'all_tables', p.puballtables,
               'all_sequences', to_jsonb(p) ->> 'puballsequences',
               'insert', p.pubinsert, 'update', p.pubupdate, 'delete', p.pubdelete,
               'truncate', p.pubtruncate, 'via_root', p.pubviaroot,
               'generated_columns', to_jsonb(p) ->> 'pubgencols',
               'schemas', (SELECT array_agg(n.nspname ORDER BY n.nspname COLLATE "C")
                             FROM pg_publication_namespace m
                             JOIN pg_namespace n ON n.oid = m.pnnspid WHERE m.pnpubid = p.oid),
               'tables', CASE WHEN %(schema)s < 3 THEN
                   (SELECT array_agg(t.schemaname || '.' || t.tablename
                                     ORDER BY t.schemaname, t.tablename)
                      FROM pg_publication_tables t WHERE t.pubname = p.pubname)
                   ELSE
                   (SELECT array_agg(n.nspname || '.' || c.relname
                                     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C")
                      FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
                      JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE r.prpubid = p.oid AND {logical("c.oid")}) END)
      FROM pg_publication p"""

PUBLICATION_TABLES = f"""
    SELECT p.pubname || ' of ' || n.nspname || '.' || c.relname, jsonb_build_object(
               'filter', pg_get_expr(r.prqual, r.prrelid),
               'columns', (SELECT array_agg(a.attname ORDER BY a.attnum)
                             FROM unnest(r.prattrs) k
                             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k))
           || CASE WHEN to_jsonb(r) ? 'prexcept'
                   THEN jsonb_build_object('except', to_jsonb(r) -> 'prexcept') ELSE '{{}}' END
      FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
      JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {logical("c.oid")}"""

# A role that is no superuser may read single columns, never the whole row: a name that the
# catalogue of an older server lacks is found in "absent" instead.
_LATER = (
    "subtwophasestate",
    "subdisableonerr",
    "subpasswordrequired",
    "subrunasowner",
    "subfailover",
    "suborigin",
    "subretaindeadtuples",
    "submaxretention",
    "subwalrcvtimeout",
)
SUBSCRIPTIONS = f"""
    SELECT s.subname, jsonb_build_object(
               'owner', s.subowner::regrole::text, 'enabled', s.subenabled,
               'publications', (SELECT array_agg(p ORDER BY p COLLATE "C")
                                  FROM unnest(s.subpublications) p),
               'slot', s.subslotname, 'synchronous_commit', s.subsynccommit,
               'binary', s.subbinary, 'streaming', s.substream,
               {
    ", ".join(
        f"'{name.removeprefix('sub')}',"
        f" (SELECT {name}::text FROM pg_subscription i WHERE i.oid = s.oid)"
        for name in _LATER
    )
},
               'comment', obj_description(s.oid, 'pg_subscription'),
               'server', (SELECT v.srvname FROM pg_foreign_server v WHERE v.oid =
                              (SELECT subserver FROM pg_subscription i WHERE i.oid = s.oid)),
               'tables', (SELECT array_agg(r.srrelid::regclass::text
                                           ORDER BY r.srrelid::regclass::text COLLATE "C")
                            FROM pg_subscription_rel r WHERE r.srsubid = s.oid
                             AND {logical("r.srrelid")}))
      FROM pg_subscription s,
           (SELECT 0::oid AS subserver, {", ".join(f"NULL AS {name}" for name in _LATER)}) absent
     WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""

STATEMENTS = {
    "foreign_data_wrappers": FOREIGN_DATA_WRAPPERS,
    "foreign_servers": FOREIGN_SERVERS,
    "publications": PUBLICATIONS,
    "publication_tables": PUBLICATION_TABLES,
    "subscriptions": SUBSCRIPTIONS,
}
