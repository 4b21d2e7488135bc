# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Barman's answers, recorded from Barman 3.13.3 on PostgreSQL 17.12, and what is made of them."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import barman, engine
from ansible.module_utils.pmsops.pitr.container import INSIDE, Answer

from tests.conftest import PROJECT

RECORDED = PROJECT / "tests" / "support" / "recorded" / "barman"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


class Recorded:
    """Answers the words of a Barman command; remembers what was asked."""

    home = INSIDE

    def __init__(self, **answers: str | Answer) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def run(self, argv: list[str], *, seconds: int = 60) -> Answer:
        if argv[0] != "barman":
            text = recorded("files.txt") if "find" in argv[-1] else ""
            return Answer(0, text, "")
        self.asked.append(" ".join(argv[5:]))
        given = self.answers.get(argv[5].replace("-", "_"), "{}")
        return given if isinstance(given, Answer) else Answer(0, given, "")


def test_the_base_backups_are_read_oldest_first_with_their_kind():
    found = barman.Barman(Recorded(list_backup=recorded("list-backup.json"))).info()
    assert [each.kind for each in found.backups] == [engine.FULL, engine.INCREMENTAL]
    assert found.backups[0].ended_at < found.backups[1].ended_at
    assert all(each.usable and each.size_bytes > 0 for each in found.backups)


def test_the_segment_being_received_is_told_from_whole_ones():
    found = barman.Barman(Recorded(list_backup=recorded("list-backup.json"))).info()
    assert found.receiving
    assert found.partial is not None
    assert found.partial not in found.segments
    assert found.segment_bytes == 16 << 20


def test_where_a_base_backup_lies_is_read():
    found = barman.Barman(Recorded(show_backup=recorded("show-backup.json"))).describe("last")
    assert found.timeline == 1
    assert found.version == 170012
    assert found.begin_lsn.startswith("0/")


def test_an_unknown_backup_is_an_error_with_barmans_words():
    runner = Recorded(show_backup=Answer(1, recorded("unknown-backup.json"), ""))
    with pytest.raises(OpsError, match="Unknown backup 'nosuch'") as caught:
        barman.Barman(runner).describe("nosuch")
    assert caught.value.code == "pitr.engine"


def test_an_error_in_the_answer_counts_even_with_exit_status_0():
    runner = Recorded(list_backup=Answer(0, '{"_ERROR": ["no such server"]}', ""))
    with pytest.raises(OpsError, match="no such server"):
        barman.Barman(runner).info()


def test_an_answer_that_is_no_json_is_an_error_and_no_empty_list():
    runner = Recorded(list_backup=Answer(0, "Traceback (most recent call last)", ""))
    with pytest.raises(OpsError, match="Traceback"):
        barman.Barman(runner).info()


def listed(status: str) -> str:
    document = json.loads(recorded("list-backup.json"))
    document["pms"][0]["status"] = status
    return json.dumps(document)


def made() -> str:
    return json.dumps(
        {"backup_id": json.loads(recorded("list-backup.json"))["pms"][0]["backup_id"]}
    )


def test_a_backup_on_an_idle_server_switches_the_segment_and_does_not_wait_for_ever():
    class Idle(Recorded):
        def run(self, argv: list[str], *, seconds: int = 60) -> Answer:
            if any(each.startswith("check-backup") for each in self.asked):
                self.answers["list_backup"] = listed("DONE")
            return super().run(argv, seconds=seconds)

    runner = Idle(backup=made(), list_backup=listed("WAITING_FOR_WALS"))
    assert barman.Barman(runner).backup().status == engine.DONE
    words = [each.split()[0] for each in runner.asked]
    assert words.index("switch-wal") > words.index("backup")
    assert not any("--wait" in each for each in runner.asked)


def test_a_backup_whose_wal_never_arrives_is_an_error():
    runner = Recorded(backup=made(), list_backup=listed("WAITING_FOR_WALS"))
    with pytest.raises(OpsError) as caught:
        barman.Barman(runner).backup()
    assert caught.value.code == "pitr.wal-not-arrived"
    assert len([each for each in runner.asked if each.startswith("switch-wal")]) == barman.SWITCHES


def test_an_incremental_backup_needs_a_full_one():
    with pytest.raises(OpsError) as caught:
        barman.Barman(Recorded(list_backup='{"pms": []}')).backup(engine.INCREMENTAL)
    assert caught.value.code == "pitr.no-parent"


def test_only_what_no_moment_needs_is_deleted():
    document = json.loads(recorded("list-backup.json"))
    document["pms"][-1]["retention_status"] = "OBSOLETE"
    oldest = document["pms"][-1]["backup_id"]
    runner = Recorded(list_backup=json.dumps(document))
    assert barman.Barman(runner).expire() == [oldest]
    assert [each for each in runner.asked if each.startswith("delete")] == [f"delete pms {oldest}"]


def test_a_damaged_base_backup_is_named():
    runner = Recorded(verify_backup=Answer(1, '{"_ERROR": ["checksum mismatch for file 1"]}', ""))
    with pytest.raises(OpsError, match="20261129T1 is damaged: checksum mismatch") as caught:
        barman.Barman(runner).verify("20261129T1")
    assert caught.value.code == "pitr.base-damaged"


def test_a_restore_of_an_incremental_backup_gets_its_folders_and_the_newest_wal():
    class Shell(Recorded):
        def run(self, argv: list[str], *, seconds: int = 60) -> Answer:
            if argv[0] != "barman":
                self.asked.append(" ".join(argv))
            return super().run(argv, seconds=seconds)

    runner = Shell()
    made = barman.Barman(runner).restore("20261129T1", "/r/one", until_lsn="0/A068B20")
    assert made.wal_folder == "/r/one/barman_wal"
    restore = next(each for each in runner.asked if each.startswith("restore"))
    assert "--target-lsn 0/A068B20" in restore
    after = runner.asked[runner.asked.index(restore) + 1]
    assert "mkdir -p pg_wal pg_tblspc" in after
    assert "streaming" in after


def test_the_configuration_streams_and_holds_no_password():
    text = barman.configuration(INSIDE, "db", 5432, "pms_pitr", "/usr/lib/postgresql/17/bin", 14)
    assert "streaming_archiver = on" in text
    assert "retention_policy = RECOVERY WINDOW OF 14 DAYS" in text
    assert "password" not in text


def test_an_empty_segment_of_a_full_disk_is_no_size_of_segments():
    """It was divided by."""

    class Full(Recorded):
        def run(self, argv: list[str], *, seconds: int = 60) -> Answer:
            if "find" in argv[-1]:
                name = "00000001000000000000000D.partial"
                return Answer(0, f"{name} 0\n00000001000000000000000C 16777216\nfree 0\n", "")
            return super().run(argv, seconds=seconds)

    found = barman.Barman(Full(list_backup=recorded("list-backup.json"))).info()
    assert (found.segment_bytes, found.free_bytes) == (16 << 20, 0)
