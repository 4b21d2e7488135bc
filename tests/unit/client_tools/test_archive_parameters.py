# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parameters in the text of a dump: all of them, and nothing of bodies and strings."""

from __future__ import annotations

from ansible.module_utils.pmsops.client_tools import archive_parameters
from ansible.module_utils.pmsops.client_tools.archive_parameters import (
    COLUMN,
    INDEX,
    SETTING,
    TABLE,
    VIEW,
    Parameter,
)

SCRIPT = r"""--
-- PostgreSQL database dump
--

\restrict abc

SET statement_timeout = 0;
SET transaction_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: keyed(text); Type: FUNCTION; Schema: public; Owner: macro_user
--

CREATE FUNCTION public.keyed(text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'public'
    SET "my.own" TO '1'
    AS $$
    SET in_the_body TO 1
SET also_in_the_body = 1;
    BEGIN RETURN 'WITH (no = 1)'; END $$;


--
-- Name: my table; Type: TABLE; Schema: public; Owner: macro_user
--

CREATE TABLE public."my table" (
    id integer DEFAULT 1,
    word text DEFAULT ' WITH (not_this=1)'::text
)
WITH (fillfactor='70', toast.autovacuum_enabled='false');
ALTER TABLE ONLY public."my table" ALTER COLUMN id SET STATISTICS 7;
ALTER TABLE ONLY public."my table" ALTER COLUMN "a b" SET (attver=17.12, n_distinct=-0.5);


--
-- Name: TABLE "my table"; Type: COMMENT; Schema: public; Owner: macro_user
--

COMMENT ON TABLE public."my table" IS 'made
SET commented = 1;
 WITH (x=1)';


--
-- Name: v; Type: VIEW; Schema: public; Owner: macro_user
--

CREATE VIEW public.v WITH (security_barrier='true') AS
 WITH x AS (SELECT 1) SELECT * FROM x;


--
-- Name: k; Type: INDEX; Schema: app; Owner: macro_user
--

CREATE INDEX k ON app.t USING gin (words) WITH (fastupdate='false') WHERE (n > 3);

--
-- Name: t t_pkey; Type: CONSTRAINT; Schema: app; Owner: macro_user
--

ALTER TABLE ONLY app.t
    ADD CONSTRAINT t_pkey PRIMARY KEY (id) WITH (fillfactor='80');
"""


def test_every_parameter_is_found_with_its_object():
    assert archive_parameters.parse(SCRIPT) == {
        Parameter(SETTING, "statement_timeout"): ["the session of pg_restore"],
        Parameter(SETTING, "transaction_timeout"): ["the session of pg_restore"],
        Parameter(SETTING, "search_path"): ["FUNCTION public.keyed(text)"],
        Parameter(SETTING, "my.own"): ["FUNCTION public.keyed(text)"],
        Parameter(TABLE, "fillfactor", "'70'"): ["TABLE public.my table"],
        Parameter(TABLE, "toast.autovacuum_enabled", "'false'"): ["TABLE public.my table"],
        Parameter(COLUMN, "attver", "17.12"): ['TABLE public.my table."a b"'],
        Parameter(COLUMN, "n_distinct", "-0.5"): ['TABLE public.my table."a b"'],
        Parameter(VIEW, "security_barrier", "'true'"): ["VIEW public.v"],
        Parameter(INDEX, "fastupdate", "'false'", "gin"): ["INDEX app.k"],
        Parameter(INDEX, "fillfactor", "'80'", "btree"): ["CONSTRAINT app.t t_pkey"],
    }


def test_a_value_is_a_string_a_number_or_a_word_and_nothing_that_follows_it():
    script = """-- Name: t; Type: TABLE; Schema: public; Owner: o

CREATE TABLE public.t (a int) WITH (fillfactor=70; SELECT 1, other='it''s, one', n=-0.5);
"""
    values = {each.name: each.value for each in archive_parameters.parse(script)}
    assert values == {"fillfactor": "70", "other": "'it''s, one'", "n": "-0.5"}
