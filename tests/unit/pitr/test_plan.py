# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a restore to a moment: which base backup, and what is refused by which name.

The scans are recorded: pg_waldump of PostgreSQL 17.12 over an archive, whole and with a segment
taken away, damaged, or given the system identifier of another server.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import engine, moment, plan, throw_away, wal, wal_scan, window

from tests.conftest import PROJECT

RECORDED = PROJECT / "tests" / "support" / "recorded" / "barman"
NOW = datetime(2026, 11, 29, 14, 5, tzinfo=UTC)
HALF = timedelta(seconds=30)
FIRST = engine.BaseBackup(
    "20261122T020000", engine.FULL, engine.DONE, datetime(2026, 11, 22, 2, tzinfo=UTC), 1 << 20
)
SECOND = engine.BaseBackup(
    "20261129T133928",
    engine.FULL,
    engine.DONE,
    datetime(2026, 11, 29, 13, 39, 31, tzinfo=UTC),
    1 << 20,
)
INFO = engine.Info(
    backups=(FIRST, SECOND),
    segments=tuple(wal.name(1, count) for count in range(0x0B, 0x11)),
    partial=wal.name(1, 0x11),
    receiving=True,
)
FLOWS = window.Stream(active=True, slot="reserved", behind_bytes=0, seconds=1.0, kept_bytes=0)


def describe(backup: str) -> engine.Detail:
    return engine.Detail(backup, wal.name(1, 0x0B), "0/B000028", "0/C000000", 1, "7713", 170012)


def scanned(name: str, last: int = 0x11) -> wal_scan.Scan:
    text = (RECORDED / f"scan-{name}.txt").read_text(encoding="utf-8")
    return wal_scan.read(text, wal.name(1, last), 1, 16 << 20)


def planned(
    asked: str,
    scan: str = "latest",
    *,
    info: engine.Info = INFO,
    flow: window.Stream | None = FLOWS,
) -> plan.Plan:
    return plan.make(moment.parse(asked), info, describe, lambda *_: scanned(scan), flow, NOW)


def refused(asked: str, scan: str = "latest", **more: object) -> OpsError:
    with pytest.raises(OpsError) as caught:
        planned(asked, scan, **more)  # type: ignore[arg-type]
    return caught.value


def test_a_time_without_an_offset_is_the_funds():
    assert moment.parse("2026-11-27 14:59:30").at == datetime(2026, 11, 27, 17, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-27 14:59:30-03:00", "2026-11-27 14:59:30-03", "2026-11-27T17:59:30+00:00"]
)
def test_an_offset_is_taken_as_it_is_written(text):
    assert moment.parse(text).at == datetime(2026, 11, 27, 17, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-27", "20261127", "2026-W48-5"])
def test_a_day_without_a_time_is_no_midnight(text):
    with pytest.raises(OpsError) as caught:
        moment.parse(text)
    assert caught.value.code == "pitr.moment"
    assert "day without a time" in str(caught.value)


@pytest.mark.parametrize("text", ["yesterday", "2026-11-27 14:59:30 UTC-3", "2026-11-27 14:59 BRT"])
def test_what_programs_read_differently_is_refused(text):
    with pytest.raises(OpsError) as caught:
        moment.parse(text)
    assert caught.value.code == "pitr.moment"


def test_the_same_moment_is_known_however_it_is_typed():
    assert moment.parse("2026-11-27 14:59:30").same(moment.parse("2026-11-27T17:59:30+00:00"))
    assert not moment.parse("0/A068B20").same(moment.parse("0/A068B21"))


def test_the_commit_before_the_moment_is_the_target():
    made = planned("2026-11-29 13:55:50+00:00", "time")
    assert made.target_lsn == "0/0D002AF8"
    assert made.backup is SECOND
    assert made.scan.after == 272
    assert made.scan.last_at is not None
    assert made.scan.last_at < made.moment.at < made.scan.first_after


def test_a_moment_without_a_commit_since_the_base_ends_where_that_is_consistent():
    empty = wal_scan.Scan(None, None, 3, NOW, NOW)
    made = plan.make(
        moment.parse("2026-11-29 13:39:33+00:00"), INFO, describe, lambda *_: empty, FLOWS, NOW
    )
    assert made.target_lsn is None


def test_the_newest_base_backup_that_ended_before_the_moment_is_taken():
    assert planned("2026-11-28 10:00", "time").backup is FIRST
    # Its end is given in whole seconds: within that second it may still have run.
    assert planned("2026-11-29 13:39:31.5+00:00", "time").backup is FIRST
    assert planned("latest").backup is SECOND


def test_the_latest_is_the_last_commit_received():
    made = planned("latest", flow=None)  # the server is gone
    assert made.target_lsn == "0/110000B0"
    assert made.at == made.scan.last_at
    assert "nothing that has been received" in made.lines()[-1]


def test_a_moment_before_the_window_names_the_first_that_can_be_had():
    exc = refused("2026-11-01 10:00")
    assert exc.code == "pitr.before-window"
    assert "2026-11-21 23:00:01.000000-03:00" in exc.remedy


def test_the_future_is_refused():
    assert refused("2026-11-30 10:00").code == "pitr.future"


def test_without_a_base_backup_no_moment_can_be_had():
    nothing = engine.Info(backups=(), segments=(), partial=None, receiving=True)
    assert refused("latest", info=nothing).code == "pitr.no-base"


def test_a_missing_segment_is_named_with_the_nearest_moment():
    exc = refused("latest", "missing")
    assert exc.code == "pitr.wal-missing"
    assert wal.name(1, 0x10) in str(exc)
    assert "--at '2026-11-29 11:03:24.172449-03:00'" in exc.remedy


def test_a_damaged_segment_is_named_with_the_nearest_moment():
    exc = refused("latest", "damaged")
    assert exc.code == "pitr.wal-damaged"
    assert wal.name(1, 0x10) in str(exc)
    assert "--at '2026-11-29 11:03:24.172449-03:00'" in exc.remedy


def test_a_segment_of_another_server_is_named():
    exc = refused("latest", "foreign")
    assert exc.code == "pitr.wal-foreign"
    assert wal.name(1, 0x10) in str(exc)


def test_damage_after_the_moment_does_not_matter():
    text = (RECORDED / "scan-damaged.txt").read_text(encoding="utf-8")
    found = wal_scan.read(
        text + "after 2 2026-11-29 14:03:24.000000\n", wal.name(1, 0x11), 1, 16 << 20
    )
    assert found.damaged
    made = plan.make(
        moment.parse("2026-11-29 14:03:23.9+00:00"), INFO, describe, lambda *_: found, FLOWS, NOW
    )
    assert made.scan is found


def test_the_end_of_what_was_received_is_no_damage():
    found = scanned("latest")
    assert (found.missing, found.damaged, found.foreign) == (None, None, None)
    # The same words in a segment before the last one are.
    assert scanned("latest", last=0x12).damaged == wal.name(1, 0x11)


def test_the_next_segment_need_not_be_there():
    assert scanned("missing", last=0x0F).missing is None


def test_a_moment_that_was_not_received_is_refused_unless_the_server_says_there_is_no_more():
    asked = "2026-11-29 14:04:00+00:00"  # after the newest commit
    assert planned(asked).target_lsn == "0/110000B0"
    behind = window.Stream(True, "reserved", 1 << 20, 1.0, 0)
    away = window.Stream(False, "reserved", None, None, 0)
    for flow in (None, behind, away):
        exc = refused(asked, flow=flow)
        assert exc.code == "pitr.not-received"
        assert "latest" in exc.remedy


def test_a_position_is_compared_by_its_bytes():
    assert wal_scan.arguments(moment.parse("0/a068b20")) == ("lsn", "       0/0A068B20")
    assert wal_scan.arguments(moment.parse("latest")) == ("latest", "")


def test_no_library_that_starts_work_of_its_own_runs_in_the_copy():
    assert throw_away.libraries_of("timescaledb, pg_cron,pg_stat_statements") == (
        "timescaledb,pg_stat_statements"
    )
    arguments = ["/x.sh", "-c", "shared_preload_libraries=timescaledb", "-c", "jit=off"]
    assert throw_away.libraries_in(arguments) == "timescaledb"


def test_a_moment_on_a_timeline_that_no_base_backup_leads_to_is_refused_by_name():
    """It was called a damaged segment: the old timeline ends within one."""
    later = replace(INFO, segments=(*INFO.segments, wal.name(2, 0x11)), partial=wal.name(2, 0x12))
    exc = refused("latest", info=later)
    assert exc.code == "pitr.timeline"
    assert "timeline 2" in str(exc)


def test_a_timeline_of_which_nothing_has_arrived_yet_is_not_left_out_of_the_latest():
    """The server was up on timeline 2; the end of timeline 1 was restored as the latest."""
    exc = refused("latest", flow=replace(FLOWS, timeline=2))
    assert exc.code == "pitr.timeline"
    assert "timeline 2" in str(exc)
    assert planned("latest", flow=replace(FLOWS, timeline=1)).backup == SECOND


FORKED = engine.Info(
    backups=(
        *INFO.backups,
        engine.BaseBackup("20261129T140300", engine.FULL, engine.DONE, NOW - HALF, 1 << 20),
    ),
    segments=(*INFO.segments, wal.name(2, 0x11), wal.name(2, 0x12)),
    partial=wal.name(2, 0x13),
    receiving=True,
)


def of_timelines(backup: str) -> engine.Detail:
    found = describe(backup)
    new = {"timeline": 2, "begin_wal": wal.name(2, 0x12), "end_lsn": "0/13000000"}
    return replace(found, **new) if backup == "20261129T140300" else found


def forked(asked: moment.Moment, name: str = "latest") -> plan.Plan:
    last = []

    def scan(_detail: engine.Detail, segment: str) -> wal_scan.Scan:
        last.append(segment)
        return scanned(name, int(segment[16:], 16))

    made = plan.make(asked, FORKED, of_timelines, scan, FLOWS, NOW)
    assert last[0][:8] == f"{made.detail.timeline:08X}"
    return made


def test_a_moment_of_before_the_server_was_brought_back_is_had_from_its_own_timeline():
    assert forked(moment.parse("2026-11-29 10:39:45"), "time").backup == SECOND


def test_what_was_committed_before_the_new_base_backup_is_refused_and_never_left_out():
    """After the server came back, and before its first base backup."""
    with pytest.raises(OpsError) as caught:
        forked(moment.parse((NOW - 2 * HALF).isoformat()))
    assert caught.value.code == "pitr.timeline"
    assert "11:04:" in caught.value.remedy  # the new base backup, in the fund's time


def test_an_lsn_of_the_abandoned_timeline_is_not_looked_for_on_the_new_one():
    asked = moment.Moment("a set", lsn="0/13000010", snapshot="9:9:", taken=NOW - 2 * HALF)
    assert plan._base(asked, FORKED, of_timelines, NOW)[0] == SECOND
    assert plan._base(replace(asked, taken=NOW), FORKED, of_timelines, NOW)[0] != SECOND
