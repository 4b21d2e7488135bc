# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the objects of a database are that have expressions: the relation or the type of each."""

from __future__ import annotations

_RELATION = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
_COLUMNS = """(SELECT md5(string_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod,
                                              a.attcollation), ',' ORDER BY a.attnum))
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped)"""
_OF_RELATION = f"{_RELATION}, quote_ident(c.relname), {_COLUMNS}"
# A domain's base type: its VALUE is of that type.
_OF_DOMAIN = """format_type(t.typbasetype, t.typtypmod),
               (SELECT ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                  FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
                 WHERE co.oid = t.typcollation AND co.oid <> b.typcollation)
          FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
          JOIN pg_type b ON b.oid = t.typbasetype"""
# Per kind, the place of each object: name as in the facts, relation, its bare name, its columns;
# for domains name, null, base type, COLLATE.
QUERIES = {
    "constraints": f"""
        SELECT n.nspname || '.' || c.relname || '.' || k.conname, {_OF_RELATION}
          FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
          JOIN pg_namespace n ON n.oid = k.connamespace
         UNION ALL
        SELECT n.nspname || '.' || t.typname || '.' || k.conname, NULL, {_OF_DOMAIN}
          JOIN pg_constraint k ON k.contypid = t.oid""",
    "types": f"SELECT n.nspname || '.' || t.typname, NULL, {_OF_DOMAIN}",
    "indexes": f"""
        SELECT m.nspname || '.' || x.relname, {_OF_RELATION}
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          JOIN pg_namespace m ON m.oid = x.relnamespace
          JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace""",
    "columns": f"""
        SELECT n.nspname || '.' || c.relname || '.' || k.attname, {_OF_RELATION}
          FROM pg_attribute k JOIN pg_class c ON c.oid = k.attrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.atthasdef""",
    "tables": f"""
        SELECT n.nspname || '.' || c.relname, {_OF_RELATION}
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace""",
    "triggers": f"""
        SELECT n.nspname || '.' || c.relname || '.' || k.tgname, {_OF_RELATION}
          FROM pg_trigger k JOIN pg_class c ON c.oid = k.tgrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace""",
    "rules": f"""
        SELECT n.nspname || '.' || c.relname || '.' || k.rulename, {_OF_RELATION}
          FROM pg_rewrite k JOIN pg_class c ON c.oid = k.ev_class
          JOIN pg_namespace n ON n.oid = c.relnamespace""",
    "policies": f"""
        SELECT n.nspname || '.' || c.relname || '.' || k.polname, {_OF_RELATION}
          FROM pg_policy k JOIN pg_class c ON c.oid = k.polrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace""",
    "statistics_objects": f"""
        SELECT m.nspname || '.' || k.stxname, {_OF_RELATION}
          FROM pg_statistic_ext k JOIN pg_namespace m ON m.oid = k.stxnamespace
          JOIN pg_class c ON c.oid = k.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace""",
    "publication_tables": f"""
        SELECT p.pubname || ' of ' || n.nspname || '.' || c.relname, {_OF_RELATION}
          FROM pg_publication_rel k JOIN pg_publication p ON p.oid = k.prpubid
          JOIN pg_class c ON c.oid = k.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace""",
}
