# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors of pg_restore: none is left out, each has its object."""

from __future__ import annotations

from ansible.module_utils.pmsops.restore import pg_restore_errors

SAID = """pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 281; 1259 17909 TABLE md macro_user
pg_restore: error: could not execute query: ERROR:  role "macro_user" does not exist
Command was: ALTER TABLE public.md OWNER TO macro_user;

pg_restore: from TOC entry 282; 1259 17909 TABLE other macro_user
pg_restore: error: could not execute query: ERROR:  disk full
"""


def test_each_error_of_pg_restore_is_kept_with_its_object():
    rows = pg_restore_errors.parse(SAID)
    assert [row["object"] for row in rows] == ["TABLE md macro_user", "TABLE other macro_user"]
    assert "does not exist / Command was: ALTER TABLE" in rows[0]["error"]
    error = pg_restore_errors.to_error("pre-data", SAID)
    assert error.rows == rows
    assert "TABLE md macro_user: could not execute" in str(error)
    assert "TABLE other macro_user" in str(error)


def test_a_tool_that_ends_without_a_word_is_an_error_too():
    assert pg_restore_errors.parse("")[0]["error"] == "pg_restore wrote nothing"
