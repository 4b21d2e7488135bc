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
