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


# As pg_restore 17 writes them: no line names the entry.
BARE = """pg_restore: error: could not execute query: ERROR:  unrecognized parameter "attver"
Command was: CREATE TABLE public.funds (
    id integer NOT NULL
);

pg_restore: error: could not execute query: ERROR:  relation "public.funds" does not exist
Command was: ALTER TABLE ONLY public.trades
    ADD CONSTRAINT trades_fund_fkey FOREIGN KEY (fund) REFERENCES public.funds(id);

pg_restore: error: could not execute query: ERROR:  function plain(text) does not exist
Command was: CREATE UNIQUE INDEX by_key ON public."my table" USING btree (public.keyed(word));

pg_restore: error: could not execute query: ERROR:  no
Command was: CREATE EXTENSION IF NOT EXISTS only_here WITH SCHEMA pg_catalog;

pg_restore: error: could not execute query: ERROR:  no
Command was: REFRESH MATERIALIZED VIEW public.per_fund;

pg_restore: warning: errors ignored on restore: 5
"""


def test_an_error_without_its_entry_is_named_by_its_statement():
    assert [row["object"] for row in pg_restore_errors.parse(BARE)] == [
        "TABLE public.funds",
        "CONSTRAINT public.trades.trades_fund_fkey",
        'INDEX by_key ON public."my table"',
        "EXTENSION only_here",
        "MATERIALIZED VIEW public.per_fund",
    ]
