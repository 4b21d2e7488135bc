# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which second the drill takes: one that the window has, and none that a gap hides."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import engine, moment_drill, wal

NOW = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def base(name: str, before: timedelta) -> engine.BaseBackup:
    return engine.BaseBackup(name, engine.FULL, engine.DONE, NOW - before, 1 << 20)


def held(*backups: engine.BaseBackup, missing: int | None = None) -> engine.Info:
    numbers = [count for count in range(4, 20) if count != missing]
    segments = tuple(wal.name(1, count) for count in numbers)
    return engine.Info(backups, segments, wal.name(1, 20), receiving=True)


def test_the_span_is_the_last_day_and_not_before_the_first_base_backup():
    begins = {"a": wal.name(1, 4)}
    end = NOW - moment_drill.BEHIND
    assert moment_drill.span(held(base("a", 9 * DAY)), begins, NOW) == (NOW - DAY, end)
    young = moment_drill.span(held(base("a", DAY / 4)), begins, NOW)
    assert young == (NOW - DAY / 4 + timedelta(seconds=1), end)


def test_no_second_is_taken_from_before_a_gap():
    info = held(base("a", DAY / 2), base("b", DAY / 4), missing=8)
    begins = {"a": wal.name(1, 4), "b": wal.name(1, 12)}
    begin, _ = moment_drill.span(info, begins, NOW)
    assert begin > NOW - DAY / 4
    after_both = held(base("a", DAY / 2), base("b", DAY / 4), missing=15)
    assert moment_drill.span(after_both, begins, NOW) is None


def test_a_base_backup_of_just_now_leads_to_no_moment_yet():
    assert moment_drill.span(held(base("a", timedelta(0))), {"a": wal.name(1, 4)}, NOW) is None
    assert moment_drill.span(held(), {}, NOW) is None


def test_each_second_can_be_taken_both_ends_too():
    end = NOW + timedelta(seconds=3)
    taken = {moment_drill.pick(NOW, end, random.Random(each)) for each in range(200)}
    assert taken == {NOW + timedelta(seconds=each) for each in range(4)}
    assert moment_drill.pick(NOW, NOW, random.Random(1)) == NOW


@dataclass
class Fake:
    """What a drill asks of a protection."""

    there: bool = True
    settings: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(container="pitr"))

    @property
    def container(self) -> SimpleNamespace:
        return SimpleNamespace(find=lambda: object() if self.there else None)


def test_a_system_without_protection_is_refused_by_name(tmp_path):
    facts: dict = {}
    with pytest.raises(OpsError) as caught:
        moment_drill.drill(Fake(there=False), tmp_path, "random", [], facts)
    assert caught.value.code == "pitr.not-enabled"
    assert "pms-ops drill." in caught.value.remedy
    # What the ledger records of it.
    assert (facts["of"], facts["proved"]) == ("moment", False)


def test_a_stream_that_is_down_is_no_moment_before_anything_is_made(tmp_path, monkeypatch):
    made = Fake()
    made.engine = SimpleNamespace(
        info=lambda: held(base("a", DAY)),
        describe=lambda name: SimpleNamespace(begin_wal=wal.name(1, 4)),
    )
    made.database = None
    flow = SimpleNamespace(active=False)
    monkeypatch.setattr(moment_drill.window, "stream", lambda *_: flow)
    with pytest.raises(OpsError, match="stream is down") as caught:
        moment_drill.drill(made, tmp_path, "random", [], {})
    assert caught.value.code == "pitr.no-random"
