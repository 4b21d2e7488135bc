# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Large objects as facts: ids, contents, owners, grants and comments, hashed in the server.

A few are facts one by one, many are one fact. The content is what a reader gets: a page that is
missing reads as zeros, and a restore writes these zeros, so pages of zeros do not count.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import (
    fetch_all,
    fetch_value,
    quote_ident,
    superuser_role,
)

NAMED = 100  # up to so many, each is a fact of its own

_OBJECTS = """
WITH page AS (
    SELECT loid, pageno, length(data) AS bytes, rtrim(data, '\\x00'::bytea) AS data
      FROM pg_catalog.pg_largeobject
), content AS (
    SELECT loid, sum(hash_record_extended(ROW(pageno, data), 0)) FILTER (WHERE data <> '') AS hash,
           max(pageno * (current_setting('block_size')::int8 / 4) + bytes) AS bytes
      FROM page GROUP BY loid
), object AS (
    SELECT m.oid, coalesce(c.bytes, 0) AS bytes,
           format('%%s %%s', coalesce(c.hash, 0) %% 18446744073709551616,
                  coalesce(c.bytes, 0)) AS content,
           m.lomowner::regrole::text AS owner,
           (SELECT coalesce(array_agg(a::text ORDER BY a::text COLLATE "C"), '{}')
              FROM unnest(coalesce(m.lomacl, acldefault('L', m.lomowner))) a) AS grants,
           obj_description(m.oid, 'pg_largeobject') AS comment
      FROM pg_catalog.pg_largeobject_metadata m LEFT JOIN content c ON c.loid = m.oid
)
"""
_EACH = (
    _OBJECTS
    + """
SELECT oid::text, jsonb_build_object('bytes', bytes, 'content', content, 'owner', owner,
                                     'grants', grants, 'comment', comment)
  FROM object WHERE (SELECT count(*) FROM object) <= %s"""
)
# An object's id is part of each hash.
_ALL = (
    _OBJECTS
    + """
SELECT jsonb_build_object(
           'count', count(*), 'bytes', coalesce(sum(bytes), 0),
           'contents', sum(hashtextextended(format('%%s %%s', oid, content), 0))::text,
           'owners', sum(hashtextextended(format('%%s %%s', oid, owner), 0))::text,
           'access', sum(hashtextextended(format('%%s %%s', oid, grants), 0))::text,
           'comments', sum(hashtextextended(format('%%s %%s', oid, comment), 0))::text)
  FROM object"""
)


def count(cursor: Any) -> int:
    """Return how many large objects there are."""
    return int(fetch_value(cursor, "SELECT count(*) FROM pg_largeobject_metadata"))


def facts(cursor: Any, schema: int) -> dict[str, dict[str, Any]]:
    """Return the facts by id, and those of ``all``.

    Sets before schema 3 have their number only. So has a database whose contents the role of the
    session may not read; pg_dump fails there.
    """
    number = count(cursor)
    if schema < 3 or not number:
        return {"all": {"count": number}}
    role = superuser_role(cursor)
    if role is None:
        return {"all": {"count": number}}
    before = fetch_value(cursor, "SELECT current_setting('role')")
    cursor.execute(f"SET ROLE {quote_ident(role)}")
    try:
        found = dict(fetch_all(cursor, _EACH, (NAMED,)))
        found["all"] = fetch_value(cursor, _ALL, ())
    finally:
        cursor.execute("SELECT set_config('role', %s, false)", (before,))
    return found
