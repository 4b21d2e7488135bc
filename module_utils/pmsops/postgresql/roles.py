# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles as data: attributes, settings, memberships. Never a password.

Roles belong to the server, not to a database. A set has those that its database needs, with the
roles that they are members of and the roles that are members of them: an application logs in as one
of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import fetch_all

Roles = dict[str, dict[str, Any]]

# PostgreSQL's own roles (pg_monitor) are on every server.
_ROLES = """
WITH RECURSIVE above(oid) AS (
    SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)
    UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN above ON above.oid = m.member
), below(oid) AS (
    SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)
    UNION SELECT m.member FROM pg_catalog.pg_auth_members m JOIN below ON below.oid = m.roleid
)
SELECT r.rolname, jsonb_build_object(
           'superuser', r.rolsuper, 'inherit', r.rolinherit, 'create_role', r.rolcreaterole,
           'create_db', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication,
           'bypass_rls', r.rolbypassrls, 'connection_limit', r.rolconnlimit,
           'valid_until', r.rolvaliduntil::text,
           'settings', coalesce((SELECT jsonb_agg(c ORDER BY c) FROM unnest(r.rolconfig) c), '[]'),
           'comment', pg_catalog.shobj_description(r.oid, 'pg_authid'),
           'member_of', coalesce((
               SELECT jsonb_object_agg(parent, options) FROM (
                   SELECT p.rolname AS parent, jsonb_build_object(
                              'admin', bool_or(m.admin_option),
                              'inherit', bool_or((to_jsonb(m) ->> 'inherit_option')::bool),
                              'set', bool_or((to_jsonb(m) ->> 'set_option')::bool)) AS options
                     FROM pg_catalog.pg_auth_members m
                     JOIN pg_catalog.pg_roles p ON p.oid = m.roleid
                    WHERE m.member = r.oid GROUP BY 1) AS memberships), '{}'))
  FROM pg_catalog.pg_roles r
 WHERE r.oid IN (SELECT oid FROM above UNION SELECT oid FROM below) AND r.rolname !~ '^pg_'
 ORDER BY 1"""


def describe(cursor: Any, names: Iterable[str]) -> Roles:
    """Return the roles *names*, those above them and those below them."""
    wanted = sorted(names)
    return dict(fetch_all(cursor, _ROLES, (wanted, wanted)))
