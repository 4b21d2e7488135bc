# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import set_parts

SET = {
    "id": "2026-11-30_1200",
    "parts": {
        "dagster": set_parts.entry(set_parts.DATABASE, database="dagster_storage", set="x"),
        "wiki": set_parts.entry(set_parts.DATABASE, database="wiki", set="y"),
        "redis": set_parts.not_taken(set_parts.REDIS, "Redis did not answer."),
        "compose": set_parts.entry(set_parts.FILES, count=2),
    },
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["dagster"], ["dagster"]),
        (["dagster_storage"], ["dagster"]),
        (["databases", "compose"], ["dagster", "wiki", "compose"]),
        (["all"], ["dagster", "wiki", "compose"]),
    ],
)
def test_parts_are_asked_for_by_name_and_databases_by_their_own_too(asked, found):
    assert list(set_parts.chosen(SET, asked)) == found


@pytest.mark.parametrize(
    ("document", "asked", "code"),
    [
        (SET, "redsi", "parts.unknown"),
        (SET, "grafana", "parts.none"),
        (SET, "redis", "parts.not-taken"),
        ({"id": "2025-01-01_0000"}, "compose", "parts.none"),
        ({"id": "2025-01-01_0000"}, "all", "parts.none"),
    ],
)
def test_what_a_set_does_not_have_is_refused_by_name(document, asked, code):
    with pytest.raises(OpsError) as caught:
        set_parts.chosen(document, [asked])
    assert caught.value.code == code
    assert "Nothing was changed" in str(caught.value)
