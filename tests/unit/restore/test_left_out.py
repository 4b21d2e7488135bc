# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore without pg_cron, which may exist in one database only: issue 18, A6."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.client_tools import archive_toc
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import left_out

LIST = """\
;     dbname: macro
2; 3079 16385 EXTENSION - pg_cron
3461; 0 0 COMMENT - EXTENSION pg_cron
7; 2615 16390 SCHEMA - app macro_user
3462; 0 0 ACL - SCHEMA cron postgres
213; 1259 16391 TABLE app job macro_user
3455; 0 16388 TABLE DATA cron job postgres
3456; 0 16391 TABLE DATA app job macro_user
3457; 0 0 SEQUENCE SET cron jobid_seq postgres
3463; 0 0 ACL cron TABLE job postgres
"""
CRON = {"extension": "pg_cron", "definition": None}
DOCUMENT = {
    "facts": {
        "extensions": {"pg_cron": {}, "timescaledb": {}, "plpgsql": {}},
        "extension_objects": {
            "schema cron": CRON,
            "table cron.job": CRON,
            "sequence cron.jobid_seq": CRON,
            "function cron.schedule(text)": CRON,
            "table x.y": {"extension": "timescaledb", "definition": None},
        },
        "tables": {"app.job": {}},
    },
    "contents": {"cron.job": {"rows": 3}, "app.job": {"rows": 1}},
}


def test_its_entries_are_left_out_and_no_others():
    members = left_out.members(DOCUMENT, ["pg_cron"])
    assert members == {"cron", "cron.job", "cron.jobid_seq"}
    contents = archive_toc.parse(LIST)
    kept = contents.without_extensions(["pg_cron"], members)
    assert kept.lines == (
        "7; 2615 16390 SCHEMA - app macro_user",
        "213; 1259 16391 TABLE app job macro_user",
        "3456; 0 16391 TABLE DATA app job macro_user",
    )
    assert contents.without_extensions([], set()) is contents


def test_the_proof_expects_what_was_restored_and_the_run_says_what_was_not():
    expected = left_out.manifest_without(DOCUMENT, ["pg_cron"])
    assert list(expected["facts"]["extensions"]) == ["timescaledb", "plpgsql"]
    assert list(expected["facts"]["extension_objects"]) == ["table x.y"]
    assert list(expected["contents"]) == ["app.job"]
    assert left_out.manifest_without(DOCUMENT, []) is DOCUMENT
    assert left_out.notes(DOCUMENT, []) == []
    assert left_out.notes(DOCUMENT, ["pg_cron"]) == [
        "Restored without extension pg_cron: its objects are missing. 3 rows of cron.job are not"
        " restored; extensions.json of this older set has at most 1000 of a table."
    ]
    kept = {"pg_cron": {"cron.job": {"name": "job", "rows": 2}}}
    assert left_out.notes(DOCUMENT | {"extension_tables": kept}, ["pg_cron"]) == [
        "Restored without extension pg_cron: its objects are missing. 2 of 3 rows of cron.job are"
        " in the plain table pms_ops_extension_pg_cron.job. The others are of the extension itself,"
        " by its own condition."
    ]


@pytest.mark.parametrize("name", ["timescaledb", "nothing_so"])
def test_what_cannot_be_left_out_is_named(name):
    with pytest.raises(OpsError, match=f"cannot leave out {name}") as caught:
        left_out.manifest_without(DOCUMENT, [name])
    assert caught.value.code == "restore.left-out"
