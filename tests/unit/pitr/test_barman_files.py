# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Barman's own files on its base backups, as Barman 3.13.3 writes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.pitr import barman, barman_files, engine
from ansible.module_utils.pmsops.pitr.container import INSIDE, Answer

from tests.conftest import PROJECT

INFO = (PROJECT / "tests/support/recorded/barman/backup.info").read_text(encoding="utf-8")
META = "/var/lib/barman/pms/meta"


def said(name: str, info: str = INFO, *, base: str | None = None) -> str:
    lines = "".join(f"= {line}\n" for line in info.splitlines())
    return (
        f"backup {META}/{name}-backup.info\n{lines}base /var/lib/barman/pms/base/{base or name}/\n"
    )


def test_a_base_backup_and_its_place_in_the_wal_are_read_from_its_file():
    ((made, place),) = barman_files.read(said("20261129T203947")).backups() or []
    assert made == engine.BaseBackup(
        "20261129T203947",
        engine.FULL,
        engine.DONE,
        datetime(2026, 11, 29, 20, 39, 52, tzinfo=UTC),
        42306558,
    )
    assert place == engine.Detail(
        id="20261129T203947",
        begin_wal="000000010000000000000003",
        begin_lsn="0/3000028",
        end_lsn="0/4000000",
        timeline=1,
        system_identifier="7713695802371465234",
        version=170012,
        data_directory="/var/lib/postgresql/test/data",
        tablespaces=(),
    )


def test_they_come_oldest_first_with_their_kind_and_tablespaces():
    child = INFO.replace("parent_backup_id=None", "parent_backup_id=20261129T203947")
    child = child.replace("tablespaces=None", "tablespaces=[('quick', 16501, '/srv/quick')]")
    found = barman_files.read(said("20261130T020001", child) + said("20261129T203947")).backups()
    (first, _), (second, place) = found or []
    assert (first.kind, second.kind) == (engine.FULL, engine.INCREMENTAL)
    assert place and "/srv/quick" in place.tablespaces[0]


def test_a_backup_that_runs_or_failed_has_no_place():
    for status in ("STARTED", "FAILED", "EMPTY"):
        info = INFO.replace("status=DONE", f"status={status}").replace("end_wal=0", "end_wal=None#")
        ((made, place),) = barman_files.read(said("1", info)).backups() or []
        assert not made.usable and place is None


@pytest.mark.parametrize(
    "output",
    [
        "",
        said("1", INFO.replace("begin_wal=", "first_wal=")),
        said("1", INFO.replace("status=", "state=")),
        said("1", base="2"),  # one without a file
    ],
)
def test_barman_is_asked_where_its_files_are_not_understood(output):
    assert barman_files.read(output).backups() is None
    asked: list[str] = []

    class Runner:
        home = INSIDE

        def run(self, argv: list[str], *, seconds: int = 60) -> Answer:
            if argv[0] != "barman":
                return Answer(0, output, "")
            asked.append(argv[5])
            return Answer(0, '{"pms": []}', "")

    assert barman.Barman(Runner()).info().backups == ()
    assert asked == ["list-backup"]


def test_a_plan_starts_no_barman_and_retention_does():
    asked: list[str] = []

    class Runner:
        home = INSIDE

        def run(self, argv: list[str], *, seconds: int = 60) -> Answer:
            if argv[0] != "barman":
                return Answer(0, said("20261129T203947") + "free 10\ndisk 20\n", "")
            asked.append(argv[5])
            return Answer(0, '{"pms": []}', "")

    made = barman.Barman(Runner())
    info = made.info()
    assert made.describe(info.usable[0].id).begin_lsn == "0/3000028" and asked == []
    assert (info.free_bytes, info.disk_bytes) == (10 << 10, 20 << 10)
    made.info(retention=True)
    assert asked == ["list-backup"]


def test_the_older_place_of_the_file_is_read_too():
    output = said("1").replace(f"{META}/1-backup.info", "/var/lib/barman/pms/base/1/backup.info")
    ((made, _),) = barman_files.read(output).backups() or []
    assert made.id == "1"
