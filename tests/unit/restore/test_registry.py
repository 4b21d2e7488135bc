# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import registry

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def database(name, oid, **mark):
    return registry.ManagedDatabase(name, oid, True, None, ({"of": "pms"} | mark) if mark else {})


def found(*each):
    return {one.name: one for one in each}


def test_a_name_fits_into_63_bytes_and_tells_what_it_is():
    assert (
        registry.database_name("pms", registry.STAGING, "20261123060000")
        == "pms__restore_20261123060000"
    )
    long = registry.database_name("ü" * 40, registry.FORMER, "20261123060000")
    assert len(long.encode()) <= 63
    assert long.endswith("__before_20261123060000")


def test_a_name_that_is_taken_gets_the_next_second():
    taken = {"pms__before_20261123060000"}
    assert registry.free_name("pms", registry.FORMER, taken, NOW) == "pms__before_20261123060001"


def test_only_a_comment_of_ours_is_a_mark():
    assert registry.read_mark(registry.mark_text({"is": "copy"})) == {"is": "copy"}
    for other in (None, "", "the book", "pms-ops: no json", "pms-ops: [1]"):
        assert registry.read_mark(other) == {}


def test_copies_are_known_by_mark_or_by_name_and_nothing_else_is():
    everything = found(
        database("pms", 1),
        database("a", 2, **{"is": "copy"}),
        database("pms__restore_20261123060000", 3),
        database("pms__restore_mine", 4),
        database("other__restore_20261123060000", 5),
        database("b", 6, **{"is": "former"}),
        database("pms__before_20261123060000", 7),
    )
    assert registry.abandoned(everything, "pms") == ["a", "pms__restore_20261123060000"]


def test_a_rollback_brings_back_what_the_live_database_replaced():
    everything = found(
        database("pms", 10),
        database("old", 1, **{"is": "former"}, replaced_by=2, since="2026-01-01T00:00:00Z"),
        database("mid", 2, **{"is": "former"}, replaced_by=10, since="2026-02-01T00:00:00Z"),
    )
    assert registry.rollback_target(everything, "pms").name == "mid"


def test_a_rollback_repeated_goes_no_restore_further_back():
    everything = found(
        database("pms", 2),
        database("old", 1, **{"is": "former"}, replaced_by=2),
        database("undone", 10, **{"is": "undone"}, replaced_by=2),
    )
    assert registry.rollback_target(everything, "pms") is None


def test_where_nothing_was_replaced_the_others_are_named():
    everything = found(database("pms", 9), database("old", 1, **{"is": "former"}, replaced_by=2))
    with pytest.raises(OpsError, match=r"on the server: old") as caught:
        registry.rollback_target(everything, "pms")
    assert caught.value.code == "restore.no-former"
