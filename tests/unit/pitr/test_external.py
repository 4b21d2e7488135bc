# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An engine that the server has already: its answers, what they mean, and what they do not say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common import textfile_metrics
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import protected
from ansible.module_utils.pmsops.pitr import (
    archiver,
    engine,
    external_chain,
    overview,
    own_engine,
)
from ansible.module_utils.pmsops.pitr.archiver import Archiver
from ansible.module_utils.pmsops.pitr.external import External, choose, judge
from ansible.module_utils.pmsops.pitr.external_answers import read
from ansible.module_utils.pmsops.pitr.external_catalogue import Catalogue
from ansible.module_utils.pmsops.repository import protection

from tests.conftest import PROJECT

FIXTURES = PROJECT / "tests" / "fixtures" / "external"
NOW = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)
SYSTEM = "7577000000000000001"
SERVER = Archiver(
    system=SYSTEM,
    now=NOW,
    lsn="0/C000028",  # segment C has just begun
    segment_bytes=16 << 20,
    archives=True,
    command="wal-g wal-push %p",
    archived_wal="00000001000000000000000B",
    archived_at=NOW - timedelta(seconds=40),
    failed_wal=None,
    failed_at=None,
    streamed_bytes=None,
    lost_slots=None,
)
LATER = replace(SERVER, lsn="0/C001000")


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text()


def walg(*more: str) -> Catalogue:
    (found,) = read("".join(map(fixture, ("wal-g-detail.json", *more))))
    return found


def test_the_list_of_wal_g_is_read():
    found = walg()
    assert (found.program, found.system) == ("wal-g", SYSTEM)
    full, delta = found.backups
    assert (full.kind, delta.kind) == (engine.FULL, engine.INCREMENTAL)
    assert full.ended_at == datetime(2026, 11, 22, 2, 0, 40, 118274, UTC)
    assert (found.newest_wal, found.begin_wal) == (None, "00000001000000000000000A")


def test_without_detail_wal_g_says_when_a_backup_was_stored():
    (found,) = read(fixture("wal-g.json"))
    assert found.backups[0].ended_at == datetime(2026, 11, 22, 2, 0, 41, tzinfo=UTC)
    assert found.system is None


def test_several_documents_are_one_answer():
    found = walg("wal-g-wal-show.json")
    assert len(found.backups) == 2
    assert found.newest_wal == "00000001000000000000000C"
    assert found.missing == ("00000001000000000000000B",)


PGBACKREST_SYSTEM = "7713694104759745202"
BARMAN_SYSTEM = "7713693691207278611"


def test_the_answer_of_pgbackrest_is_read():
    (found,) = read(fixture("pgbackrest.json"))
    assert (found.program, found.name, found.system) == ("pgbackrest", "main", PGBACKREST_SYSTEM)
    full, increment = found.backups
    assert (full.id, full.kind, full.size_bytes) == ("20261129-203619F", engine.FULL, 23382430)
    assert (increment.kind, increment.usable) == (engine.INCREMENTAL, True)
    assert full.ended_at == datetime(2026, 11, 29, 20, 36, 39, tzinfo=UTC)
    assert (found.newest_wal, found.begin_wal) == (
        "000000010000000000000006",
        "000000010000000000000004",
    )
    assert found.problems == ()


def test_the_databases_of_before_an_upgrade_are_not_this_one():
    (stanza,) = json.loads(fixture("pgbackrest.json"))
    stanza["db"].append({"id": 2, "repo-key": 1, "system-id": 42, "version": "18"})
    (found,) = read(json.dumps([stanza]))
    assert (found.system, found.backups, found.newest_wal) == ("42", (), None)


def test_a_stanza_that_is_not_well_and_a_backup_that_failed_are_seen():
    (stanza,) = json.loads(fixture("pgbackrest.json"))
    stanza["status"] = {"code": 4, "message": "different across repos"}
    stanza["backup"][1]["error"] = True
    (found,) = read(json.dumps([stanza]))
    assert found.problems == ("pgBackRest says: different across repos.",)
    assert [each.usable for each in found.backups] == [True, False]


def test_the_answers_of_barman_are_read_alone_and_together():
    (listed,) = read(fixture("barman-list-backups.json"))
    assert (listed.program, listed.name, listed.system) == ("barman", "pms", None)
    assert [each.id for each in listed.backups] == ["20261129T203218", "20261129T203320"]
    assert listed.backups[1].ended_at == datetime(2026, 11, 29, 20, 33, 21, tzinfo=UTC)
    names = ("list-backups", "show-backup", "status", "check")
    (found,) = read("\n".join(fixture(f"barman-{each}.json") for each in names))
    assert (found.system, len(found.backups), found.problems) == (BARMAN_SYSTEM, 2, ())
    assert (found.newest_wal, found.begin_wal) == (
        "000000010000000000000009",
        "000000010000000000000008",
    )


def test_a_check_of_barman_that_fails_is_a_problem():
    checked = json.loads(fixture("barman-check.json"))
    checked["pms"]["receive_wal_running"] = {"hint": "See the log file", "status": "FAILED"}
    (found,) = read(json.dumps(checked))
    assert found.problems == ("Barman's check receive wal running fails: See the log file.",)


def test_a_server_that_barman_does_not_serve_is_a_problem():
    said = json.loads(fixture("barman-status.json"))
    said["pms"]["active"]["message"] = "False"
    said["pms"]["last_archived_wal"] = {"message": "000000010000000000000009, at Sun Nov 29"}
    (found,) = read(json.dumps(said))
    assert found.problems == ("Barman says: the server is not active.",)
    assert found.newest_wal == "000000010000000000000009"


# --- What both sides say together ----------------------------------------------------------------


def test_an_archive_that_has_every_whole_segment_of_a_quiet_server_loses_nothing():
    seen = judge(walg(), SERVER, NOW)
    assert (seen.active, seen.latest, seen.lag_seconds, seen.lag_bytes) == (True, NOW, 0.0, 0)
    assert not seen.problems and not seen.unknown


def test_what_was_written_since_the_newest_segment_is_the_lag():
    seen = judge(walg(), LATER, NOW)
    assert (seen.latest, seen.lag_seconds) == (SERVER.archived_at, 40.0)
    assert seen.lag_bytes == 0x1000


def test_an_engine_that_does_not_say_how_far_it_has_come_is_unknown_with_a_reason():
    seen = judge(walg(), replace(SERVER, command="cp %p /mnt/%f"), NOW)
    assert seen.latest is None and seen.lag_seconds is None
    assert "WAL-G does not say here" in seen.unknown["window"] == seen.unknown["stream"]


def test_an_archiver_that_fails_and_one_that_is_off_are_problems():
    failing = replace(LATER, failed_wal="00000001000000000000000C", failed_at=NOW)
    seen = judge(walg(), failing, NOW)
    assert not seen.active and "fails with WAL segment" in seen.problems[0]
    recovered = replace(failing, failed_at=NOW - timedelta(hours=1))
    assert judge(walg(), recovered, NOW).problems == []
    off = replace(LATER, archives=False, archived_wal=None, archived_at=None)
    assert "archives no WAL" in judge(walg(), off, NOW).problems[0]
    never = replace(LATER, archived_wal=None, archived_at=None)
    assert "has not archived" in judge(walg(), never, NOW).problems[0]


def test_an_archive_that_is_behind_the_server_is_elsewhere():
    old = replace(walg(), newest_wal="000000010000000000000007")
    assert "its archive is not where" in judge(old, SERVER, NOW).problems[0]
    dropped = replace(old, program="pgbackrest")
    assert "archive-push-queue-max" in judge(dropped, SERVER, NOW).problems[0]


def test_a_segment_that_arrived_between_the_two_questions_has_no_time():
    ahead = replace(walg(), newest_wal="00000001000000000000000C")
    later = replace(LATER, lsn="0/D001000")
    seen = judge(ahead, later, NOW)
    assert seen.lag_bytes == 0x1000 and "arrived" in seen.unknown["stream"]


def test_a_stream_of_barman_is_seen_in_the_server():
    of_barman = replace(walg(), program="barman")
    streaming = replace(LATER, archives=False, archived_wal=None, streamed_bytes=0)
    seen = judge(of_barman, streaming, NOW)
    assert (seen.active, seen.latest, seen.lag_seconds) == (True, NOW, 0.0)
    behind = judge(of_barman, replace(streaming, streamed_bytes=8192), NOW)
    assert behind.lag_bytes == 8192 and behind.lag_seconds is None and "stream" in behind.unknown
    # A receiver of somebody else does not help an engine that archives.
    assert judge(walg(), streaming, NOW).problems
    lost = judge(of_barman, replace(streaming, lost_slots="barman"), NOW)
    assert "slot barman is lost" in lost.problems[0]


def test_while_the_server_is_down_nobody_knows_how_far_the_wal_came():
    seen = judge(walg(), None, NOW)
    assert seen.latest is None and set(seen.unknown) == {"window", "stream"}


# --- Which server --------------------------------------------------------------------------------


def test_the_stanza_of_this_server_is_chosen_by_its_identity():
    here, there = Catalogue("pgbackrest", "a", SYSTEM), Catalogue("pgbackrest", "b", "1")
    assert choose([there, here], SYSTEM) is here
    assert choose([here], None) is here
    silent = Catalogue("barman", "a")
    assert choose([silent], SYSTEM) is silent


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([Catalogue("pgbackrest", "b", "1")], "pitr.external-foreign"),
        ([Catalogue("barman", "a"), Catalogue("barman", "b")], "pitr.external-several"),
    ],
)
def test_the_backups_of_another_server_protect_nothing(found, code):
    with pytest.raises(OpsError) as caught:
        choose(found, SYSTEM)
    assert caught.value.code == code


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def ask(monkeypatch):
    """Look at the protection that a command prints, beside a server that answers."""
    monkeypatch.setattr(archiver, "look", lambda _database: LATER)

    def status(*command: str, seconds: int = 20):
        return External(None, command, seconds).status()  # type: ignore[arg-type]

    return status


def test_the_status_has_the_shape_of_our_own_engine_s(ask):
    answer = ask("cat", str(FIXTURES / "wal-g-detail.json"))
    seen = overview.of(answer, None, NOW)
    assert (seen["engine"], seen["backups"]) == ("wal-g", 2)
    assert (seen["earliest"], seen["newest_backup"]) == (
        "2026-11-22T02:00:40Z",
        "2026-11-29T02:00:11Z",
    )
    assert (seen["latest"], seen["lag_seconds"]) == ("2026-11-29T13:59:20Z", 40.0)
    assert seen["active"] and not seen["slot_lost"] and seen["problems"] == []
    json.dumps(answer)
    assert "WAL-G proves its own backups" in seen["unprovable"]
    shown = textfile_metrics.render(protection.gauges("m", seen, None))
    assert 'pms_pitr_unprovable{database="m"} 1' in shown
    found = {"seen": seen, "age_seconds": 60.0, "proof": None}
    assert protected.due(found) == []
    said = {}
    protected.describe(found, said.__setitem__)
    assert said["engine"].startswith("wal-g") and said["last proof"].startswith("none: ")
    assert protected.due(found | {"seen": seen | {"problems": ["it fails."]}}) == [
        ("it fails.", "the commands of wal-g")
    ]


def test_a_segment_that_is_missing_after_the_newest_backup_ends_the_window(ask):
    files = [str(FIXTURES / each) for each in ("wal-g-detail.json", "wal-g-wal-show.json")]
    seen = overview.of(ask("cat", *files), None, NOW)
    assert seen["missing"] == "00000001000000000000000B" and "is missing" in seen["problems"][-1]


GAP = ["pgbackrest-info-of-gap.json", "pgbackrest-repo-ls-gap.json"]
GAP_SYSTEM = json.loads(fixture(GAP[0]))[0]["db"][0]["system-id"]
OF_GAP = replace(
    LATER,
    system=str(GAP_SYSTEM),
    lsn="0/9001000",
    archived_wal="000000010000000000000008",
    command="pgbackrest archive-push %p",
)


def seen_of(*documents: str, server: Archiver = OF_GAP) -> dict:
    (found,) = read("".join(documents))
    found = external_chain.with_gaps(found, server)
    look = judge(found, server, NOW)
    return {"found": found, "look": look, "problems": look.problems}


def test_a_segment_that_the_archive_of_pgbackrest_lacks_is_found_by_its_files(ask, monkeypatch):
    """Its info, check and verify end with 0, and its restore stops there and promotes."""
    monkeypatch.setattr(archiver, "look", lambda _: OF_GAP)
    alone = overview.of(ask("cat", str(FIXTURES / GAP[0])), None, NOW)
    assert alone["missing"] is None
    seen = overview.of(ask("cat", *(str(FIXTURES / each) for each in GAP)), None, NOW)
    assert seen["missing"] == "000000010000000000000005"
    assert "000000010000000000000005 is missing" in seen["problems"][-1]
    whole = fixture(GAP[0]), fixture("pgbackrest-repo-ls.json")
    assert seen_of(*whole)["found"].missing == ()


def test_a_segment_that_was_cut_to_nothing_is_missing():
    listing = json.loads(fixture("pgbackrest-repo-ls.json"))
    (name,) = (each for each in listing if "000000010000000000000006-" in each)
    listing[name]["size"] = 0
    seen = seen_of(fixture(GAP[0]), json.dumps(listing))
    assert seen["found"].missing == ("000000010000000000000006",)


def on_timeline(listing: str, segment: str, timeline: int) -> str:
    """Return a listing with one more segment, of another timeline."""
    name = f"{timeline:08X}{segment[8:]}"
    file = f"17-1/{name[:16]}/{name}-{'0' * 40}.gz"
    return json.dumps(json.loads(listing) | {file: {"type": "file", "size": 9, "time": 1}})


def test_wal_of_a_test_copy_that_was_promoted_is_a_problem():
    """The next restore of the live system would follow the copy."""
    listing = on_timeline(fixture("pgbackrest-repo-ls.json"), "000000010000000000000008", 2)
    live = replace(OF_GAP, lsn="0/8001000", archived_wal="000000010000000000000007")
    seen = seen_of(fixture(GAP[0]), listing, server=live)
    (text,) = seen["problems"]
    assert "timeline 2 (000000020000000000000008), and this server is on timeline 1" in text
    assert "--target-timeline=1" in text
    # Its segment is none of this server's: how far this one has come is not read off it.
    assert seen["look"].lag_bytes == 0x8001000 - 0x8000000
    # A server that was promoted itself goes on with the numbers of its former timeline.
    own = replace(OF_GAP, timeline=2, lsn="0/9000028", archived_wal="000000020000000000000008")
    again = seen_of(fixture(GAP[0]), listing, server=own)
    assert (again["problems"], again["found"].missing) == ([], ())


def test_without_its_files_the_newest_segment_tells_of_another_timeline():
    info = fixture(GAP[0]).replace('"max":"00000001', '"max":"00000003')
    (text,) = seen_of(info)["problems"]
    assert "timeline 3" in text and "--target-timeline=1" in text


def test_the_files_of_the_database_before_an_upgrade_do_not_count():
    listing = json.loads(fixture("pgbackrest-repo-ls.json"))
    newer = {
        name.replace("17-1/", "18-2/"): each
        for name, each in listing.items()
        if "000000010000000000000003-" in name
    }
    (found,) = read(json.dumps(listing | newer))
    assert found.held == ("000000010000000000000003",)


def test_what_is_unknown_is_no_old_figure(ask, monkeypatch):
    """The latest moment of an earlier look would pass for one of now."""
    monkeypatch.setattr(archiver, "look", lambda _: replace(LATER, command="x"))
    answer = ask("cat", str(FIXTURES / "wal-g-detail.json"))
    seen = overview.of(answer, {"latest": "2026-11-29T13:00:00Z"}, NOW)
    assert seen["latest"] is None and seen["lag_seconds"] is None
    assert set(seen["unknown"]) == {"window", "stream", "chain", "content"}


VERIFIED = """\
stanza: main
status: error
  archiveId: 17-1, total WAL checked: 8, total valid WAL: 7
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
  backup: 20261129-203619F, status: invalid, total files checked: 967, total valid files: 966
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
"""


def test_what_verify_of_pgbackrest_read_is_a_problem_and_takes_the_backups():
    """It ends with 0, and a segment that was damaged can have its size."""
    (found,) = read(fixture("pgbackrest.json") + VERIFIED)
    segments, backup = found.problems
    assert "1 of 8 WAL segments of 17-1 are damaged" in segments
    assert "backup 20261129-203619F is invalid, 966 of 967 files are whole" in backup
    assert (found.read, found.listed, found.usable()) == (True, False, [])  # its increment, too
    (again,) = read(VERIFIED + fixture("pgbackrest.json"))
    assert again.usable() == [] and again.problems == (segments, backup)
    whole = VERIFIED.replace("7\n", "8\n").replace("invalid, total", "valid, total")
    (found,) = read(fixture("pgbackrest.json") + whole)
    assert (found.read, found.problems, len(found.usable())) == (True, (), 2)


def test_without_a_word_of_what_it_read_verify_has_read_nothing():
    """So it answers without --verbose where all is well, and where there is no archive."""
    for said in ("ok", "error\n  archiveId: none found"):
        (found,) = read(fixture("pgbackrest.json") + f"stanza: main\nstatus: {said}")
        assert not found.read


def test_no_window_begins_with_damaged_backups(ask, tmp_path, monkeypatch):
    of_this = replace(OF_GAP, system=PGBACKREST_SYSTEM)
    monkeypatch.setattr(archiver, "look", lambda _: of_this)
    (tmp_path / "verify").write_text(VERIFIED)
    with pytest.raises(OpsError, match="966 of 967 files are whole") as caught:
        ask("cat", f"{FIXTURES}/pgbackrest.json", str(tmp_path / "verify"))
    assert caught.value.code == "pitr.external-no-backup"


WALS = """\
16777216 /srv/barman/pms/wals/0000000100000000/000000010000000000000007
0 /srv/barman/pms/wals/0000000100000000/000000010000000000000008
371 /srv/barman/pms/wals/0000000100000000/000000010000000000000008.00000028.backup
42 /srv/barman/pms/wals/00000002.history
9711 /srv/barman/pms/wals/pms-xlog.db
16777216 /srv/barman/pms/wals/0000000100000000/000000010000000000000009
"""


def test_the_files_of_barman_are_listed_by_their_names():
    (found,) = read(WALS + fixture("barman-list-backups.json"))
    assert (found.name, len(found.backups), found.listed) == ("pms", 2, True)
    assert found.held == ("000000010000000000000007", "000000010000000000000009")
    (found,) = read(fixture("barman-list-backups.json") + "\n" + WALS)
    gap = external_chain.with_gaps(found, OF_GAP)
    assert gap.missing == ("000000010000000000000008",)
    # Nothing says where the newest backup begins: it may need that one.
    assert external_chain.after_newest_backup(gap, 16 << 20) == "000000010000000000000008"
    newer = replace(gap, begin_wal="000000010000000000000009")
    assert external_chain.after_newest_backup(newer, 16 << 20) is None


def test_a_segment_that_is_missing_before_the_newest_backup_is_a_gap_and_no_end():
    listing = json.loads(fixture("pgbackrest-repo-ls.json"))
    (stanza,) = json.loads(fixture(GAP[0]))
    first = stanza["backup"][0]
    newer = json.loads(json.dumps(first))
    newer["archive"] = {"start": "000000010000000000000006", "stop": "000000010000000000000006"}
    stanza["backup"].append(newer | {"label": "20261130-000000F"})
    (name,) = (each for each in listing if "000000010000000000000005-" in each)
    del listing[name]
    seen = seen_of(json.dumps([stanza]), json.dumps(listing))
    assert seen["found"].missing == ("000000010000000000000005",)
    assert external_chain.after_newest_backup(seen["found"], 16 << 20) is None


def test_what_was_not_looked_at_is_named_with_what_would_look():
    (found,) = read(fixture("pgbackrest.json"))
    unknown = external_chain.not_looked_at(found)
    assert "repo-ls" in unknown["chain"] and "verify --output=text --verbose" in unknown["content"]
    assert "find WALS_FOLDER" in external_chain.not_looked_at(Catalogue("barman"))["chain"]
    assert set(external_chain.not_looked_at(walg("wal-g-wal-show.json"))) == {"content"}


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ([], "pitr.external-unset", "is empty"),
        (["/no/such/pgbackrest", "info"], "pitr.external-missing", "cannot be run"),
        (["sh", "-c", "echo denied >&2; exit 3"], "pitr.external-failed", "status 3: denied"),
        (["sleep", "5"], "pitr.external-timeout", "no answer within"),
        (["echo", "stanza: main"], "pitr.external-no-json", "not JSON"),
        (["echo", '[{"a": 1}]'], "pitr.external-shape", "a list of an object with a"),
        (["echo", '{"x": 1}'], "pitr.external-shape", "an object with x"),
        (["echo", "[]"], "pitr.external-no-backup", "No usable backup"),
        (["cat", f"{FIXTURES}/pgbackrest-no-backup.json"], "pitr.external-foreign", "main"),
        (
            ["cat", f"{FIXTURES}/pgbackrest-no-stanza.json"],
            "pitr.external-no-backup",
            "known to pgBackRest",
        ),
        (["true"], "pitr.external-no-backup", "No usable backup"),
        (["echo", "INFO: No backups found"], "pitr.external-no-backup", "known to WAL-G"),
        (["echo", '{"main": []}'], "pitr.external-no-backup", "known to Barman"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("pitr") else None,
)
def test_each_way_in_which_the_command_fails_has_a_name_and_a_remedy(ask, command, code, says):
    with pytest.raises(OpsError) as caught:
        ask(*command, seconds=1)
    assert (caught.value.code, bool(caught.value.remedy)) == (code, True)
    assert says in str(caught.value)


def test_an_argument_of_the_command_is_in_no_error(ask):
    with pytest.raises(OpsError) as caught:
        ask("false", "--password=SECRET")
    assert "SECRET" not in str(caught.value) + caught.value.remedy


def test_a_command_that_fails_is_seen_as_a_problem(ask):
    seen, error = overview.take(lambda: ask("/no/such/program"), None, NOW)
    assert isinstance(error, OpsError) and "cannot be run" in seen["problems"][0]


def test_what_only_our_own_engine_can_do_is_refused_by_name():
    own_engine.require_own("barman", "prove it")
    with pytest.raises(OpsError, match="cannot prove it") as caught:
        own_engine.require_own("external", "prove it")
    assert caught.value.code == "pitr.external" and "pgbackrest restore" in caught.value.remedy


def test_every_fixture_is_free_of_personal_details():
    for path in FIXTURES.iterdir():
        assert Path(path).suffix in (".json", ".md")
        assert "/home/" not in path.read_text()
