# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Former servers: how long they stay, and what of them is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import former_servers
from ansible.module_utils.pmsops.pitr.former_servers import Former, Policy

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def former(days: float, name: str = "") -> Former:
    at = NOW - timedelta(days=days)
    volume = name or f"db_before_{at:%Y%m%d%H%M%S}"
    return Former(volume, "db", former_servers.BEFORE, at, 1 << 30, "/var/lib/postgresql/data")


@pytest.mark.parametrize(
    ("policy", "days", "stay"),
    [
        (Policy(), [400, 200, 20], [400, 200, 20]),  # by default all
        (Policy(count=1), [400, 200, 20], [20]),
        (Policy(count=2), [400, 200, 20], [200, 20]),
        (Policy(undo_days=14, count=1), [20, 13, 1], [13, 1]),  # none within its days
        (Policy(count=1), [400], [400]),  # the newest is never beyond a number
        (Policy(max_days=90), [400, 20], [20]),
        (Policy(max_days=90), [91], []),  # but it grows old
        (Policy(undo_days=14, max_days=1), [13], [13]),  # never the only one within its days
        (Policy(undo_days=0, max_days=1), [2, 0.5], [0.5]),
    ],
)
def test_which_former_servers_stay(policy, days, stay):
    found = [former(each) for each in days]
    gone = former_servers.expired(found, policy, NOW)
    assert [each for each in found if each not in gone] == [former(each) for each in stay]


def test_the_status_says_from_when_on_one_may_go():
    found = [former(20), former(1)]
    shown = former_servers.documents(found, Policy(undo_days=14, count=1))
    assert [each["goes_at"] for each in shown] == ["2026-11-23T12:00:00Z", None]
    assert shown[1]["kept_at"] == "2026-11-28T12:00:00Z" and shown[1]["size_bytes"] == 1 << 30


def test_one_of_which_nobody_knows_when_it_was_kept_stays():
    unknown = Former("mine", "db", former_servers.BEFORE, None, 0, "")
    assert former_servers.expired([unknown], Policy(0, 1, 1), NOW) == []


class Volumes:
    """The volumes of an engine."""

    def __init__(self, *attrs: tuple[str, dict[str, str]]) -> None:
        self.removed: list[str] = []
        self._all = [
            SimpleNamespace(
                name=name,
                attrs={"Labels": labels},
                remove=lambda name=name: self.removed.append(name),
            )
            for name, labels in attrs
        ]

    def list(self, filters: dict[str, str]) -> list[Any]:
        label, _, value = filters["label"].partition("=")
        return [each for each in self._all if each.attrs["Labels"].get(label) == value]

    def get(self, name: str) -> Any:
        return next(each for each in self._all if each.name == name)


def test_they_are_read_from_labels_oldest_first_also_those_of_the_first_release(monkeypatch):
    new = former(3, "db_undone_x")
    volumes = Volumes(
        ("db_undone_x", former_servers.labels(new)),
        ("db_before_20261101101112", {former_servers.LABEL: "db"}),
        ("other_before_20261101101112", {former_servers.LABEL: "other"}),
    )
    monkeypatch.setattr(
        former_servers.docker_engine, "engine", lambda: SimpleNamespace(volumes=volumes)
    )
    first, second = former_servers.listed("db")
    assert second == new
    assert (first.volume, first.data_directory) == ("db_before_20261101101112", "")
    assert first.kept_at == datetime(2026, 11, 1, 10, 11, 12, tzinfo=UTC)
    would = former_servers.drop("db", [first], check=True)
    assert would[0].startswith("remove the former server db_before_2026") and not volumes.removed
    former_servers.drop("db", [first], check=False)
    assert volumes.removed == ["db_before_20261101101112"]


def test_one_that_is_gone_is_refused_by_name_with_those_that_are_there():
    with pytest.raises(OpsError, match="no former server db_before_1 of db") as caught:
        former_servers.chosen([former(1, "db_before_2")], "db_before_1", "db")
    assert caught.value.code == "pitr.former-gone" and "db_before_2" in str(caught.value.remedy)
    both = [former(2, "a"), former(1, "b")]
    assert former_servers.chosen(both, former_servers.ALL, "db") == both
