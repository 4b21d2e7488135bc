# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of contents of an archive, as pg_restore --list prints it."""

from __future__ import annotations

from ansible.module_utils.pmsops.client_tools import archive_toc

LIST = """;
; Archive created at 2026-11-23 03:09:02 UTC
;     dbname: pms
;     Dumped from database version: 17.12 (Debian 17.12-0+deb13u1)
;
2; 3079 17156 EXTENSION - timescaledb\x20
4070; 0 0 COMMENT - EXTENSION timescaledb\x20
15; 2615 17908 SCHEMA - odd one postgres
16; 2615 17909 SCHEMA - odd postgres
3748; 0 17178 TABLE DATA _timescaledb_catalog hypertable postgres
4287; 0 17909 TABLE DATA public hypertable postgres
"""


def test_the_list_of_entries_says_of_what_and_of_which_release_a_dump_is():
    contents = archive_toc.parse(LIST)
    assert contents.database == "pms"
    assert contents.server_major == 17
    assert contents.extensions == ["timescaledb"]
    assert len(contents.lines) == 6


def test_comments_on_extensions_and_schemas_made_beforehand_are_left_out():
    kept = archive_toc.parse(LIST).without(["odd"])
    assert not any(
        "COMMENT - EXTENSION" in line or "SCHEMA - odd postgres" in line for line in kept
    )
    assert any("SCHEMA - odd one" in line for line in kept)


def test_data_entries_are_told_apart_by_schema():
    contents = archive_toc.parse(LIST)
    catalogue = {("_timescaledb_catalog", "hypertable")}
    assert len(contents.data_of(catalogue)) == 1
    assert len(contents.data_not_of(catalogue)) == 5


def test_indexes_and_keys_are_counted():
    keys = """1; 2606 5 CONSTRAINT public t t_pkey owner
2; 1259 6 INDEX public by_name owner
3; 2606 7 FK CONSTRAINT public t t_fkey owner
4; 2606 8 CHECK CONSTRAINT public t positive owner
"""
    assert archive_toc.parse(LIST + keys).indexes == 2


CHUNKS = """
300; 1259 17103 TABLE _timescaledb_internal _hyper_1_1_chunk macro_user
301; 1259 17104 TABLE _timescaledb_internal compress_hyper_5_15_chunk macro_user
302; 1259 17105 TABLE _timescaledb_internal _materialized_hypertable_2 macro_user
303; 1259 17106 VIEW _timescaledb_internal _partial_view_2 macro_user
304; 0 0 ACL _timescaledb_internal TABLE _hyper_1_1_chunk macro_user
305; 2604 17107 DEFAULT _timescaledb_internal _hyper_1_1_chunk id macro_user
306; 2606 17108 CONSTRAINT _timescaledb_internal _hyper_1_1_chunk 1_1_md_pkey macro_user
307; 2606 17108 FK CONSTRAINT _timescaledb_internal _hyper_1_1_chunk 1_2_fkey macro_user
308; 1259 17109 INDEX _timescaledb_internal _hyper_1_1_chunk_md_at_idx macro_user
309; 2620 17110 TRIGGER _timescaledb_internal _hyper_1_1_chunk checked macro_user
310; 1259 17111 TABLE public _hyper_1_1_chunk macro_user
311; 1259 17112 VIEW public of_a_chunk macro_user
"""


def test_chunks_and_what_belongs_to_them_are_told_from_all_else():
    kept = archive_toc.parse(CHUNKS).without_chunks([])
    assert [line.partition(";")[0] for line in kept] == ["302", "303", "310", "311"]


STATISTICS = """400; 0 0 STATISTICS DATA public book\x20
401; 0 0 STATISTICS DATA public odd name\x20
402; 0 0 STATISTICS DATA _timescaledb_internal 1_1_md_pkey\x20
403; 3381 17319 STATISTICS public pairs postgres
"""


def test_the_planners_statistics_are_in_no_other_list():
    contents = archive_toc.parse(LIST + STATISTICS)
    assert len(contents.statistics) == 3
    lists = [contents.lines, contents.without([]), contents.without_chunks([])]
    for found in [*lists, contents.data_not_of(set())]:
        assert not any("STATISTICS DATA" in line for line in found)
        assert any("STATISTICS public pairs" in line for line in found)
    wanted = {("public", "odd name"), ("public", "nothing")}
    assert contents.statistics_of(wanted) == ["401; 0 0 STATISTICS DATA public odd name "]
    assert archive_toc.parse(LIST).statistics == ()
