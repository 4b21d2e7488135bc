# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pieces of SQL that the statements of all kinds of facts share.

A statement gives rows of (name, attributes as jsonb). Its parameter ``schema`` is that of the
manifest. search_path holds pg_catalog alone while it runs, so that definitions name every other
object with its schema. Lists are sorted by bytes, whatever the collation of a database is.

A column that came with a later version of PostgreSQL is read as ``to_jsonb(row) ->> 'column'``.
"""

from __future__ import annotations

from ansible.module_utils.pmsops.postgresql import timescaledb_chunks

USER_SCHEMA = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
)
# The first OID of what initdb did not make.
FIRST_USER_OID = 16384
# Values of options with such names are secrets: the manifest of an encrypted set can be read.
_HIDDEN = "(password|passwd|secret|token|passfile|credential|private|sslkey|api_?key)"


def own(catalogue: str, oid: str) -> str:
    """Return the condition that an object is no member of an extension."""
    return f"""NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '{catalogue}'::regclass
                       AND x.objid = {oid} AND x.deptype = 'e')"""


def logical(oid: str) -> str:
    """Return the condition that a relation is no physical form of another one."""
    return timescaledb_chunks.NOT_PHYSICAL.format(oid=oid)


def acl(column: str, kind: str, owner: str) -> str:
    """Return the grants of an object, sorted.

    A null ACL means the built-in default, which a dump restores as explicit grants: spelled out.
    """
    return texts(f"coalesce({column}, acldefault('{kind}', {owner}))", empty="'{}'")


def texts(array: str, *, empty: str = "NULL") -> str:
    """Return the elements of an array as sorted text, *empty* where there is none."""
    return (
        f'(SELECT coalesce(array_agg(a::text ORDER BY a::text COLLATE "C"), {empty})'
        f" FROM unnest({array}) a)"
    )


def options(array: str) -> str:
    """Return the options of a foreign object, sorted; the value of a secret is left out."""
    return f"""(SELECT array_agg(
                   CASE WHEN a ~* '^[^=]*{_HIDDEN}[^=]*=' THEN split_part(a, '=', 1) || '=<secret>'
                        ELSE a END ORDER BY a COLLATE "C") FROM unnest({array}) a)"""


def function(oid: str) -> str:
    """Return a function with its arguments; null for none."""
    return f"CASE WHEN {oid} <> 0 THEN {oid}::oid::regprocedure::text END"
