# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests' own server runs without psql: a statement that any client can run."""

from __future__ import annotations

import pytest

from tests.support.server import only_statement


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("SELECT 1", "SELECT 1"),
        (" DROP DATABASE IF EXISTS a WITH (FORCE);\n", "DROP DATABASE IF EXISTS a WITH (FORCE)"),
        ("SELECT 'a'::text", "SELECT 'a'::text"),
        ("SELECT 1; SELECT 2", None),
        ('DROP DATABASE "a;b"', None),
        ("SELECT 1 \\g /dev/null", None),
        ("set role macro_user", None),
        ("COPY t FROM stdin", None),
        ("SELECT setval('a', 1)", "SELECT setval('a', 1)"),
    ],
)
def test_what_is_more_than_a_statement_or_changes_the_session_is_left_to_psql(sql, statement):
    assert only_statement(sql) == statement
