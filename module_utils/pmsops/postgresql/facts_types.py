# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of types, collations and text search."""

from __future__ import annotations

from ansible.module_utils.pmsops.postgresql.facts_sql import USER_SCHEMA, acl, function, own

# A row type is a fact of its table; it is one of its own where it has grants, which no dump holds.
_OLD_TYPES = "t.typtype IN ('c', 'd', 'e', 'r') AND (c.oid IS NULL OR c.relkind = 'c')"
_NEW_TYPES = "(t.typtype = 'b' AND t.typelem = 0 OR t.typtype = 'p' OR t.typacl IS NOT NULL)"
TYPES = f"""
    SELECT n.nspname || '.' || t.typname, jsonb_build_object(
               'kind', t.typtype, 'owner', t.typowner::regrole::text,
               'grants', {acl("t.typacl", "T", "t.typowner")}, 'default', t.typdefault,
               'not_null', t.typnotnull,
               'base', CASE WHEN t.typtype = 'd'
                            THEN format_type(t.typbasetype, t.typtypmod) END,
               'range_of', format_type(r.rngsubtype, NULL),
               'labels', (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder)
                            FROM pg_enum e WHERE e.enumtypid = t.oid),
               'collation', (SELECT s.nspname || '.' || l.collname FROM pg_collation l
                               JOIN pg_namespace s ON s.oid = l.collnamespace
                              WHERE l.oid = t.typcollation AND t.typtype <> 'b'),
               'row_type', c.relkind IS NOT NULL AND c.relkind <> 'c',
               'range', CASE WHEN r.rngtypid IS NOT NULL THEN jsonb_build_object(
                            'operator_class', (SELECT s.nspname || '.' || o.opcname
                                                 FROM pg_opclass o JOIN pg_namespace s
                                                   ON s.oid = o.opcnamespace
                                                WHERE o.oid = r.rngsubopc),
                            'collation', (SELECT s.nspname || '.' || l.collname
                                            FROM pg_collation l JOIN pg_namespace s
                                              ON s.oid = l.collnamespace
                                           WHERE l.oid = r.rngcollation),
                            'canonical', {function("r.rngcanonical")},
                            'difference', {function("r.rngsubdiff")},
                            'multirange', r.rngmultitypid::regtype::text) END,
               'base_type', CASE WHEN t.typtype = 'b' THEN jsonb_build_object(
                            'input', {function("t.typinput")}, 'output', {function("t.typoutput")},
                            'receive', {function("t.typreceive")}, 'send', {function("t.typsend")},
                            'modifier_input', {function("t.typmodin")},
                            'modifier_output', {function("t.typmodout")},
                            'analyze', {function("t.typanalyze")},
                            'subscript', {function("t.typsubscript")},
                            'length', t.typlen, 'by_value', t.typbyval, 'alignment', t.typalign,
                            'storage', t.typstorage, 'category', t.typcategory,
                            'preferred', t.typispreferred, 'delimiter', t.typdelim,
                            'collatable', t.typcollation <> 0) END)
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_range r ON r.rngtypid = t.oid
     WHERE ({_OLD_TYPES} OR %(schema)s >= 3 AND {_NEW_TYPES})
       AND {USER_SCHEMA} AND {own("pg_type", "t.oid")}"""

# Not the version of a collation: it is that of the server's libraries, and indexes are newly built.
COLLATIONS = f"""
    SELECT n.nspname || '.' || l.collname, jsonb_build_object(
               'owner', l.collowner::regrole::text, 'provider', l.collprovider,
               'deterministic', l.collisdeterministic,
               'collate', l.collcollate, 'ctype', l.collctype,
               'locale', coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale'),
               'rules', to_jsonb(l) ->> 'collicurules')
      FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
     WHERE {USER_SCHEMA} AND {own("pg_collation", "l.oid")}"""

TEXT_SEARCH_PARSERS = f"""
    SELECT n.nspname || '.' || p.prsname, jsonb_build_object(
               'start', {function("p.prsstart")}, 'token', {function("p.prstoken")},
               'end', {function("p.prsend")}, 'headline', {function("p.prsheadline")},
               'types', {function("p.prslextype")})
      FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace
     WHERE {USER_SCHEMA} AND {own("pg_ts_parser", "p.oid")}"""

TEXT_SEARCH_TEMPLATES = f"""
    SELECT n.nspname || '.' || t.tmplname, jsonb_build_object(
               'init', {function("t.tmplinit")}, 'lexize', {function("t.tmpllexize")})
      FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace
     WHERE {USER_SCHEMA} AND {own("pg_ts_template", "t.oid")}"""

TEXT_SEARCH_DICTIONARIES = f"""
    SELECT n.nspname || '.' || d.dictname, jsonb_build_object(
               'owner', d.dictowner::regrole::text, 'options', d.dictinitoption,
               'template', (SELECT s.nspname || '.' || t.tmplname FROM pg_ts_template t
                              JOIN pg_namespace s ON s.oid = t.tmplnamespace
                             WHERE t.oid = d.dicttemplate))
      FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace
     WHERE {USER_SCHEMA} AND {own("pg_ts_dict", "d.oid")}"""

TEXT_SEARCH_CONFIGURATIONS = f"""
    SELECT n.nspname || '.' || g.cfgname, jsonb_build_object(
               'owner', g.cfgowner::regrole::text,
               'parser', (SELECT s.nspname || '.' || p.prsname FROM pg_ts_parser p
                            JOIN pg_namespace s ON s.oid = p.prsnamespace
                           WHERE p.oid = g.cfgparser),
               'dictionaries', (SELECT array_agg(m.maptokentype || ' '
                                                 || m.mapdict::regdictionary::text
                                                 ORDER BY m.maptokentype, m.mapseqno)
                                  FROM pg_ts_config_map m WHERE m.mapcfg = g.oid))
      FROM pg_ts_config g JOIN pg_namespace n ON n.oid = g.cfgnamespace
     WHERE {USER_SCHEMA} AND {own("pg_ts_config", "g.oid")}"""

STATEMENTS = {
    "types": TYPES,
    "collations": COLLATIONS,
    "text_search_parsers": TEXT_SEARCH_PARSERS,
    "text_search_templates": TEXT_SEARCH_TEMPLATES,
    "text_search_dictionaries": TEXT_SEARCH_DICTIONARIES,
    "text_search_configurations": TEXT_SEARCH_CONFIGURATIONS,
}
