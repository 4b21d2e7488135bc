# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Servers that pgBackRest and Barman protect, both real: what they do not say is seen or named."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.external_server import (
    ARCHIVE,
    COPY_PORT,
    FILES,
    FOLDER,
    INFO,
    VERIFY,
    ExternalServer,
    external_server,
)

pytestmark = pytest.mark.nightly
FLIP = (
    "import sys; f = open(sys.argv[1], 'r+b'); f.seek(9000); b = f.read(1); f.seek(9000);"
    " f.write(bytes([b[0] ^ 1]))"
)
BARMAN_HOME = "/var/lib/barman/pms"
WALS = f"find {BARMAN_HOME}/wals -type f -printf '%s %p\\n'"


@pytest.fixture(scope="module")
def server() -> Iterator[ExternalServer]:
    with external_server() as made:
        yield made


@pytest.fixture(scope="module")
def backed_up(server) -> ExternalServer:
    """The server with two full backups, and segments between and after them."""
    server.run("pgbackrest --stanza=main backup --type=full")
    server.write(1)
    server.write(2)
    server.run("pgbackrest --stanza=main backup --type=full")
    server.write(3)
    server.archived(server.write(4))
    return server


def problems(answer) -> str:
    return " ".join(answer["window"]["problems"])


@contextmanager
def flipped(server: ExternalServer, path: str) -> Iterator[None]:
    """One bit of a file is another one; its size is as before."""
    damage = f"python3 -c {shlex.quote(FLIP)} {path}"
    server.run(damage)
    try:
        yield
    finally:
        server.run(damage)


def test_what_nobody_has_looked_at_is_named(backed_up):
    unknown = backed_up.look(INFO)["unknown"]
    assert "repo-ls --recurse" in unknown["chain"] and "verify" in unknown["content"]
    assert set(backed_up.look(INFO, FILES)["unknown"]) == {"content"}
    whole = backed_up.look(INFO, FILES, VERIFY)
    assert (whole["unknown"], problems(whole), whole["window"]["backups"]) == ({}, "", 2)


def test_a_damaged_segment_that_kept_its_size_is_told_by_what_verify_read(backed_up):
    segment = backed_up.write(5)
    backed_up.archived(segment)
    path = backed_up.file_of(segment)
    with flipped(backed_up, path):
        assert problems(backed_up.look(INFO, FILES)) == ""
        answer = backed_up.look(INFO, FILES, VERIFY)
        assert "WAL segments of 17-1 are damaged (missing: 0, checksum invalid: 1" in problems(
            answer
        )
        # Its own exit status says nothing, and neither does it itself, without a word for it.
        assert backed_up.run("pgbackrest --stanza=main verify") == ""


def test_a_backup_that_is_damaged_begins_no_window(backed_up):
    before = backed_up.look(INFO)["window"]
    label = backed_up.run("ls -d /var/lib/pgbackrest/backup/main/*F | head -1")
    path = backed_up.run(f"find {label}/pg_data/base -type f -size +64k | sort | head -1")
    with flipped(backed_up, path):
        answer = backed_up.look(INFO, VERIFY)
    assert label.rpartition("/")[2] in problems(answer) and "is invalid" in problems(answer)
    assert (before["backups"], answer["window"]["backups"]) == (2, 1)
    assert answer["window"]["earliest"] == before["newest_backup"]


def test_a_segment_that_is_missing_between_two_backups_is_a_gap_and_no_end(backed_up):
    path = backed_up.run(f"find {ARCHIVE} -type f -name '*-*' | sort | sed -n 4p")
    backed_up.run(f"mv {path} /tmp/kept")
    try:
        answer = backed_up.look(INFO, FILES)
        segment = path.rpartition("/")[2][:24]
        assert (answer["window"]["gap"], answer["window"]["missing"]) == (segment, None)
        assert problems(answer) == ""
    finally:
        backed_up.run(f"mv /tmp/kept {path}")


def test_a_restore_with_a_set_younger_than_its_target_has_younger_rows(backed_up):
    """As PITR.md says it is right, and wrong."""
    target = backed_up.sql("SELECT clock_timestamp()")
    backed_up.sql("INSERT INTO t VALUES (100)")
    backed_up.run("pgbackrest --stanza=main backup --type=full")
    backed_up.archived(backed_up.write(101))
    label = backed_up.run("ls -d /var/lib/pgbackrest/backup/main/*F | tail -1").rpartition("/")[2]
    asked = ["--type=time", f"--target={target}", "--target-action=pause"]
    timeline = backed_up.sql("SELECT timeline_id FROM pg_control_checkpoint()")
    right = backed_up.restored(*asked, f"--target-timeline={timeline}")
    assert right == "1 2 3 4 5 true"
    # A pause does not save it: what it shows is of after the target.
    assert " 100 " in backed_up.restored(*asked, f"--set={label}")


def test_wal_of_a_promoted_copy_turns_the_next_restore_and_is_named(backed_up):
    backed_up.start_copy(
        "--type=default", archives=True
    )  # a test copy that archives, and is promoted
    try:
        backed_up.sql("INSERT INTO t VALUES (666); SELECT pg_switch_wal()", COPY_PORT)
        backed_up.run(
            f"for i in $(seq 60); do ls {ARCHIVE}/0000000200000000 && break; sleep 1; done"
        )
    finally:
        backed_up.run(f"/usr/lib/postgresql/17/bin/pg_ctl -D {FOLDER}/copy -m fast stop")
    backed_up.archived(backed_up.write(102))
    text = problems(backed_up.look(INFO, FILES))
    assert "timeline 2" in text and "--target-timeline=1" in text
    assert "666" in backed_up.restored("--type=default")
    assert "666" not in backed_up.restored("--type=default", "--target-timeline=1")
    backed_up.run(f"rm -rf {ARCHIVE}/0000000200000000 {ARCHIVE}/00000002.history")


def test_wal_that_a_queue_limit_dropped_is_named_at_once_and_as_a_gap(backed_up):
    """Its check, info and verify are well; its restore stops at the gap, and promotes."""
    limit = "archive-async=y\\nspool-path=/var/spool/pgbackrest\\narchive-push-queue-max=16MB\\n"
    backed_up.run(
        f"sed -i 's|^start-fast|{limit}start-fast|' /etc/pgbackrest/pgbackrest.conf", "root"
    )
    backed_up.run(f"chown root {ARCHIVE} && chmod 700 {ARCHIVE}", "root")
    lost = []
    try:
        # The archiver gives up until the next segment wakes it.
        while backed_up.sql("SELECT last_archived_wal FROM pg_stat_archiver") < (lost or ["F"])[0]:
            assert len(lost) < 40
            lost.append(backed_up.write(201 + len(lost)))
            time.sleep(2)
        # What was not dropped stays where it is: pushed, it would be the newest.
        backed_up.sql("ALTER SYSTEM SET archive_command = 'false'")
        backed_up.sql("SELECT pg_reload_conf()")
        time.sleep(3)
    finally:
        backed_up.run(f"chown postgres {ARCHIVE} && chmod 750 {ARCHIVE}", "root")
    assert "archive-push-queue-max" in problems(backed_up.look(INFO))
    backed_up.sql("ALTER SYSTEM RESET archive_command")
    backed_up.sql("SELECT pg_reload_conf()")
    backed_up.archived(backed_up.write(301))
    backed_up.run("pgbackrest --stanza=main check")
    assert "status: ok" in backed_up.run(VERIFY)
    answer = backed_up.look(INFO, FILES, VERIFY)
    assert answer["window"]["missing"] == lost[0]
    assert f"WAL segment {lost[0]} is missing" in problems(answer)
    # No moment after it is had, and no error says so.
    rows = backed_up.restored("--type=default", "--target-timeline=1").split()
    assert rows[-1] == "false" and not {"202", "301"} & set(rows)


def test_a_segment_that_barman_lacks_is_found_by_its_files(server):
    server.run(
        "install -d -o barman -g barman /var/lib/barman /var/log/barman /etc/barman.d"
        " && printf '%s\\n' '[pms]' 'description = pms' 'conninfo = host=/run/postgresql"
        " user=postgres dbname=postgres' 'streaming_conninfo = host=/run/postgresql user=postgres'"
        " 'backup_method = postgres' 'streaming_archiver = on' 'slot_name = barman'"
        " 'create_slot = auto' 'path_prefix = /usr/lib/postgresql/17/bin' >/etc/barman.d/pms.conf",
        "root",
    )
    server.run("(barman receive-wal pms >/tmp/receive.log 2>&1 &) ; sleep 5", "barman")
    server.run("barman switch-wal --force --archive pms", "barman", None)
    server.run("barman backup --wait --wait-timeout 60 pms", "barman", None)
    listed = "barman -f json list-backups pms"
    for each in (401, 402, 403):
        server.write(each)
        server.run("sleep 2; barman archive-wal pms", "barman")
    seen = server.look(listed, user="barman")
    assert "find WALS_FOLDER" in seen["unknown"]["chain"]
    assert problems(server.look(listed, WALS, user="barman")) == ""
    path = server.run(
        f"find {BARMAN_HOME}/wals -type f -name '0*' | sort | tail -2 | head -1", "barman"
    )
    server.run(f"mv {path} /tmp/lost", "barman")
    # Neither its check nor its list says a word of it.
    assert "FAILED" not in server.run("barman check pms", "barman", None)
    assert problems(server.look(listed, user="barman")) == ""
    answer = server.look(listed, WALS, user="barman")
    assert answer["window"]["missing"] == path.rpartition("/")[2]
    server.run("barman receive-wal --stop pms", "barman", None)
