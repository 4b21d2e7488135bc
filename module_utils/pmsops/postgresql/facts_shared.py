# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of schemas, extensions, grants, comments and labels."""

from __future__ import annotations

from ansible.module_utils.pmsops.postgresql.facts_sql import (
    FIRST_USER_OID,
    USER_SCHEMA,
    acl,
    logical,
    own,
    texts,
)

# The owner of an extension is whoever creates it, so only an owner without superuser's rights,
# who keeps none after a restore, is a fact.
EXTENSIONS = """
    SELECT e.extname, jsonb_build_object(
               'version', e.extversion, 'schema', n.nspname,
               'owner', CASE WHEN NOT r.rolsuper THEN r.rolname END)
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
      JOIN pg_roles r ON r.oid = e.extowner"""

SCHEMAS = f"""
    SELECT n.nspname, jsonb_build_object('owner', n.nspowner::regrole::text,
                                         'grants', {acl("n.nspacl", "n", "n.nspowner")})
      FROM pg_namespace n
     WHERE {USER_SCHEMA} AND {own("pg_namespace", "n.oid")}"""

DEFAULT_GRANTS = f"""
    SELECT coalesce(n.nspname, '*') || '.' || d.defaclrole::regrole::text || '.'
               || d.defaclobjtype::text,
           jsonb_build_object('grants', {texts("d.defaclacl")})
      FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"""

_SYSTEM = f"(o.objid < {FIRST_USER_OID} OR x.objid IS NOT NULL)"


def _rights(column: str, other: str) -> str:
    """Return the single rights of one list of grants that another one lacks; see _grants."""
    exploded = """SELECT (CASE WHEN grantee = o.owner THEN 'OWNER' WHEN grantee = 0 THEN 'PUBLIC'
                               ELSE grantee::regrole::text END)
                         || '=' || privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END
                         || CASE WHEN grantor = o.owner THEN ''
                                 ELSE '/' || grantor::regrole::text END
                    FROM aclexplode(%s)"""
    return f"""(SELECT array_agg(r ORDER BY r COLLATE "C") FROM (
                    {exploded.replace("%s", column)}
                    EXCEPT {exploded.replace("%s", other)}) g(r))"""


# initdb grants on this schema after it has noted the first grants of the others.
_STANDARD = "'information_schema'::regnamespace"
# A dump carries the difference between the grants on an object of the server or of an extension
# and its first grants. The owner is whoever made it, so it has no name here.
SYSTEM_GRANTS = f"""
    SELECT i.type || ' ' || i.identity, jsonb_build_object(
               'granted', {_rights("o.acl", "coalesce(p.initprivs, o.usual)")},
               'revoked', {_rights("coalesce(p.initprivs, o.usual)", "o.acl")},
               'restorable', coalesce(i.schema, '') <> 'information_schema')
      FROM (SELECT 'pg_class'::regclass AS classid, oid AS objid, 0 AS objsubid, relacl AS acl,
                   acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)
                       || CASE WHEN relnamespace = {_STANDARD}
                               THEN ARRAY[makeaclitem(0, relowner, 'SELECT', false)] END AS usual,
                   relowner AS owner FROM pg_class
            UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attacl, NULL, c.relowner
                        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            UNION ALL SELECT 'pg_proc'::regclass, oid, 0, proacl, acldefault('f', proowner),
                             proowner FROM pg_proc
            UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspacl, acldefault('n', nspowner)
                             || CASE WHEN oid = {_STANDARD}
                                     THEN ARRAY[makeaclitem(0, nspowner, 'USAGE', false)] END,
                             nspowner FROM pg_namespace WHERE nspname <> 'public'
            UNION ALL SELECT 'pg_language'::regclass, oid, 0, lanacl, acldefault('l', lanowner),
                             lanowner FROM pg_language
            UNION ALL SELECT 'pg_type'::regclass, oid, 0, typacl, acldefault('T', typowner),
                             typowner FROM pg_type
            UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwacl,
                             acldefault('F', fdwowner), fdwowner FROM pg_foreign_data_wrapper
            UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0, srvacl,
                             acldefault('S', srvowner), srvowner FROM pg_foreign_server
           ) o
      LEFT JOIN pg_init_privs p ON p.classoid = o.classid AND p.objoid = o.objid
                               AND p.objsubid = o.objsubid
      LEFT JOIN pg_depend x ON x.classid = o.classid AND x.objid = o.objid AND x.deptype = 'e'
      CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, o.objsubid) i
     WHERE o.acl IS NOT NULL AND o.acl IS DISTINCT FROM p.initprivs AND {_SYSTEM}
       AND {_rights("o.acl", "coalesce(p.initprivs, o.usual)")}
           IS DISTINCT FROM {_rights("coalesce(p.initprivs, o.usual)", "o.acl")}"""

# Not of the server's own objects, nor of members of an extension, which come with their extension,
# nor of what no dump holds: subscriptions (where it is a fact of theirs) and invalid indexes.
_DESCRIBED = f"""(d.objoid >= {FIRST_USER_OID}
        OR d.classoid = 'pg_namespace'::regclass AND d.objoid = 'public'::regnamespace)
       AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classoid
                          AND x.objid = d.objoid AND x.deptype = 'e')"""
# Newer servers call a transform "for integer language sql".
COMMENTS = f"""
    SELECT i.type || ' ' || replace(i.identity, ' on language ', ' language '),
           jsonb_build_object('text', d.description)
      FROM pg_description d
      CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
     WHERE {_DESCRIBED} AND i.identity IS NOT NULL
       AND coalesce(i.schema, '') NOT IN ('pg_catalog', 'information_schema')
       AND d.classoid <> 'pg_subscription'::regclass
       AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
                        WHERE d.classoid = 'pg_class'::regclass AND x.indexrelid = d.objoid
                          AND NOT x.indisvalid AND c.relkind = 'i')
       AND (d.classoid <> 'pg_class'::regclass OR {logical("d.objoid")})"""

SECURITY_LABELS = f"""
    SELECT i.type || ' ' || i.identity || ' for ' || d.provider,
           jsonb_build_object('label', d.label)
      FROM pg_seclabel d
      CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
     WHERE i.identity IS NOT NULL AND d.classoid <> 'pg_subscription'::regclass
       AND (d.classoid <> 'pg_class'::regclass OR {logical("d.objoid")})"""

# CREATE EXTENSION makes the members of an extension anew: what was changed on them is lost.
EXTENSION_OBJECTS = """
    SELECT i.type || ' ' || i.identity, jsonb_build_object(
               'extension', e.extname,
               'definition', CASE d.classid
                   WHEN 'pg_proc'::regclass THEN
                       (SELECT left(md5(pg_get_functiondef(p.oid)), 12)
                          FROM pg_proc p WHERE p.oid = d.objid AND p.prokind <> 'a')
                   WHEN 'pg_class'::regclass THEN
                       (SELECT left(md5(concat_ws(chr(10), c.relkind, c.reloptions::text,
                                   CASE WHEN c.relkind IN ('v', 'm')
                                        THEN pg_get_viewdef(c.oid) END,
                                   (SELECT string_agg(concat_ws(' ', a.attname,
                                               format_type(a.atttypid, a.atttypmod), a.attnotnull),
                                               ',' ORDER BY a.attnum)
                                      FROM pg_attribute a WHERE a.attrelid = c.oid
                                       AND a.attnum > 0 AND NOT a.attisdropped),
                                   (SELECT string_agg(k.conname, ',' ORDER BY k.conname COLLATE "C")
                                      FROM pg_constraint k WHERE k.conrelid = c.oid),
                                   (SELECT string_agg(t.tgname || ' ' || t.tgenabled::text, ','
                                                      ORDER BY t.tgname COLLATE "C")
                                      FROM pg_trigger t WHERE t.tgrelid = c.oid
                                       AND NOT t.tgisinternal),
                                   (SELECT string_agg(r.rulename, ','
                                                      ORDER BY r.rulename COLLATE "C")
                                      FROM pg_rewrite r WHERE r.ev_class = c.oid),
                                   (SELECT string_agg(pg_get_indexdef(x.indexrelid), ','
                                               ORDER BY x.indexrelid::regclass::text COLLATE "C")
                                      FROM pg_index x WHERE x.indrelid = c.oid))), 12)
                          FROM pg_class c WHERE c.oid = d.objid)
                   WHEN 'pg_foreign_data_wrapper'::regclass THEN
                       (SELECT left(md5(w.fdwoptions::text), 12) FROM pg_foreign_data_wrapper w
                         WHERE w.oid = d.objid) END)
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
      CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) i
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'"""

EXTENSION_DEPENDENCIES = """
    SELECT i.type || ' ' || i.identity || ' on ' || e.extname, '{}'::jsonb
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
      CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) i
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'"""

# What somebody made in a schema of the server; pg_dump passes it over.
SYSTEM_OBJECTS = f"""
    SELECT i.type || ' ' || i.identity, '{{}}'::jsonb
      FROM (SELECT 'pg_class'::regclass AS classid, oid AS objid, relnamespace AS schema
              FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
            UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
            UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
                       WHERE typrelid = 0 AND typelem = 0
            UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator) o
      CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, 0) i
     WHERE o.objid >= {FIRST_USER_OID}
       AND o.schema IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
       AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = o.classid
                          AND x.objid = o.objid AND x.deptype = 'e')"""

STATEMENTS = {
    "extensions": EXTENSIONS,
    "schemas": SCHEMAS,
    "default_grants": DEFAULT_GRANTS,
    "system_grants": SYSTEM_GRANTS,
    "comments": COMMENTS,
    "security_labels": SECURITY_LABELS,
    "extension_objects": EXTENSION_OBJECTS,
    "extension_dependencies": EXTENSION_DEPENDENCIES,
    "system_objects": SYSTEM_OBJECTS,
}
