# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.client_tools import archive_contents

SCRIPT = rb'''
--
-- Name: pms; Type: DATABASE; Schema: -; Owner: macro_user
--

CREATE DATABASE pms WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C.UTF-8';

ALTER DATABASE pms OWNER TO macro_user;
ALTER DATABASE pms CONNECTION LIMIT = 50;
ALTER DATABASE pms SET search_path TO '$user', 'public', 'odd one';
ALTER ROLE reader IN DATABASE pms SET work_mem TO '8MB';
GRANT CONNECT ON DATABASE pms TO reader;
CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;

CREATE FUNCTION public.f() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
COPY public.fake (id) FROM stdin;
\.
END $$;
ALTER FUNCTION public.f() OWNER TO macro_user;
GRANT SELECT ON TABLE public.t TO "Odd ""role""" WITH GRANT OPTION;

--
-- Data for Name: metadata; Type: TABLE DATA; Schema: _timescaledb_catalog; Owner: postgres
--

COPY _timescaledb_catalog.metadata (key, value, include_in_telemetry) FROM stdin;
exported_uuid	x	t
timescaledb_version	2.19.3	f
\.


--
-- Data for Name: bgw_job; Type: TABLE DATA; Schema: _timescaledb_config; Owner: postgres
--

COPY _timescaledb_config.bgw_job (id, owner) FROM stdin;
1000	job_owner
\.

--
-- Data for Name: T "x"; Type: TABLE DATA; Schema: odd one; Owner: macro_user
--

COPY "odd one"."T ""x""" ("a b") FROM stdin;
1
\\.
a\n\\.
\.

--
-- Data for Name: empty; Type: TABLE DATA; Schema: public; Owner: macro_user
--

COPY public.empty (id) FROM stdin;
\.

'''


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10**6])
def test_rows_are_counted_however_the_script_is_cut_into_blocks(size):
    blocks = [SCRIPT[start : start + size] for start in range(0, len(SCRIPT), size)]
    contents = archive_contents.parse(blocks)
    assert contents.rows == {
        ("_timescaledb_catalog", "metadata"): 2,
        ("_timescaledb_config", "bgw_job"): 1,
        ("odd one", 'T "x"'): 3,
        ("public", "empty"): 0,
    }
    assert contents.timescaledb_version == "2.19.3"


def test_the_script_says_what_the_database_has_to_be():
    contents = archive_contents.parse([SCRIPT])
    assert contents.database == "pms"
    assert contents.owner == "macro_user"
    assert contents.extensions == {"timescaledb": "public"}
    assert contents.roles >= {"macro_user", "job_owner", 'Odd "role"', "reader"}
    described = contents.described()
    assert (described["collate"], described["provider"]) == ("C.UTF-8", "c")


def test_what_belongs_to_the_database_is_kept_for_its_copy():
    contents = archive_contents.parse([SCRIPT])
    assert [f"{before}copy{after}" for before, after in contents.properties] == [
        "ALTER DATABASE copy CONNECTION LIMIT = 50;",
        "ALTER DATABASE copy SET search_path TO '$user', 'public', 'odd one';",
        "ALTER ROLE reader IN DATABASE copy SET work_mem TO '8MB';",
        "GRANT CONNECT ON DATABASE copy TO reader;",
    ]


def test_values_among_the_planners_statistics_are_no_statements():
    """A frequent value may hold any text, on lines of its own."""
    statistics = b"""
--
-- Statistics for Name: t; Type: STATISTICS DATA; Schema: public; Owner: -
--

SELECT * FROM pg_catalog.pg_restore_attribute_stats(
\t'most_common_vals', '{"
GRANT SELECT ON TABLE public.t TO nobody;
CREATE EXTENSION IF NOT EXISTS none WITH SCHEMA public;
"}'::text
);

--
-- Name: t2; Type: TABLE; Schema: public; Owner: other
--

ALTER TABLE public.t2 OWNER TO other;
"""
    contents = archive_contents.parse([SCRIPT + statistics])
    assert "nobody" not in contents.roles and "other" in contents.roles
    assert contents.extensions == {"timescaledb": "public"}
