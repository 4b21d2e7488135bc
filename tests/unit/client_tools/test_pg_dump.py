# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.client_tools import pg_dump, tool_errors
from ansible.module_utils.pmsops.client_tools.host import HostProcess

NOISE = """\
pg_dump: warning: there are circular foreign-key constraints on this table:
pg_dump: detail: hypertable
pg_dump: hint: You might not be able to restore the dump without using --disable-triggers or \
temporarily dropping the constraints.
pg_dump: hint: Consider using a full dump instead of a --data-only dump to avoid this problem.
"""


class FakeClient:
    """A run of pg_dump that has ended already."""

    def __init__(self, status, errors):
        self.status, self.text, self.stopped = status, errors, False

    def wait(self):
        return self.status

    def errors(self):
        return self.text

    def stop(self):
        self.stopped = True


class FakeTools:
    def __init__(self, *clients, major=17):
        self.clients, self.asked, self._major = list(clients), [], major

    def major(self, _tool):
        return self._major

    def start(self, _tool, args, **_options):
        self.asked.append(args)
        return self.clients.pop(0)


def dumped(tools, tmp_path, **options):
    job = pg_dump.DumpOptions(target=tmp_path / "x.pgdump", snapshot="0003-1", **options)
    return pg_dump.run(tools, job, watch=lambda client: None)


def test_the_noise_of_the_catalogue_goes_and_a_real_warning_stays():
    text = NOISE + "pg_dump: warning: typed table owner missing\n" + NOISE
    assert tool_errors.warnings(text) == ["pg_dump: warning: typed table owner missing"]


def test_zstd_is_taken_where_the_build_has_it(tmp_path):
    tools = FakeTools(FakeClient(0, NOISE))
    assert dumped(tools, tmp_path) == ("zstd:1", [])
    assert "--snapshot=0003-1" in tools.asked[0]
    assert "--jobs=2" in tools.asked[0]


def test_a_build_without_zstd_falls_back_to_gzip(tmp_path):
    refused = FakeClient(1, "pg_dump: error: this build does not support compression with ZSTD\n")
    tools = FakeTools(refused, FakeClient(0, ""))
    assert dumped(tools, tmp_path)[0] == "gzip:1"
    assert refused.stopped


def test_tools_older_than_zstd_are_not_asked_for_it(tmp_path):
    assert dumped(FakeTools(FakeClient(0, ""), major=15), tmp_path)[0] == "1"


def test_a_single_file_is_dumped_without_jobs(tmp_path):
    tools = FakeTools(FakeClient(0, ""))
    dumped(tools, tmp_path, format="custom")
    assert not any(argument.startswith("--jobs") for argument in tools.asked[0])


def test_no_password_and_no_connection_is_among_the_arguments():
    job = pg_dump.DumpOptions(target=Path("/b/x"), snapshot="s")
    text = " ".join(job.arguments("zstd:1"))
    assert "postgres" not in text and "--host" not in text and "--no-password" in text


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("pg_dump: error: could not write to file: No space left on device", "disk.full"),
        ("pg_dump: error: could not close data file: Success", "disk.full"),
        ("pg_dump: error: query failed: ERROR:  permission denied for table t", "database.rights"),
        ("pg_dump: error: could not obtain lock on relation 'x'", "database.locked"),
        ("pg_dump: error: aborting because of server version mismatch", "clients.old"),
        ("connection to server failed: password authentication failed", "database.auth"),
        ("pg_dump: error: server closed the connection unexpectedly", "database.session-ended"),
        ("FATAL:  terminating connection due to transaction timeout", "database.timeout"),
        ("ERROR:  canceling statement due to statement timeout", "database.timeout"),
        ("pg_dump: error: connection to server failed: Connection refused", "database.unreachable"),
        ("could not create directory: Permission denied", "files.unwritable"),
        ("something nobody has seen before", "clients.failed"),
    ],
)
def test_a_failure_is_explained(said, code):
    error = tool_errors.to_error("pg_dump", 1, NOISE + said)
    assert error.code == code
    assert said in str(error)
    assert "circular" not in str(error)


def test_a_pg_dump_that_is_started_beforehand_begins_as_soon_as_it_has_its_snapshot(tmp_path):
    """A change each 0.3 s came between the snapshot and pg_dump's locks: issue 18, A24."""
    # With pms_db_bin_dir that folder is all of PATH.
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "pg_dump").write_text('#!/bin/sh\necho "$@"\n')
    (bin_dir / "pg_dump").chmod(0o700)

    class Tools(FakeTools):
        def start(self, tool, args, **_options):
            environment = {"PATH": str(bin_dir)}
            return HostProcess(tool, [tool, *args], environment, stream=False)

    job = pg_dump.DumpOptions(target=tmp_path / "x y.pgdump")
    with pg_dump.waiting(Tools(), job) as begun:
        assert begun.process.ended(0.1) is None
        begun.go("0003-1")
        client, began = begun.take(), time.monotonic()
        assert client.wait() == 0
        assert time.monotonic() - began < 2
        said = client.errors()
        client.stop()
    assert said.startswith("--snapshot=0003-1 --format=directory --file=")
    assert "x y.pgdump" in said and not list(tmp_path.glob(".snapshot*"))
    with pg_dump.waiting(Tools(), job) as begun:
        pass
    assert begun.process._process.poll() is not None


def test_the_planners_statistics_are_dumped_where_that_was_decided(tmp_path):
    tools = FakeTools(FakeClient(0, ""), FakeClient(0, ""), major=18)
    dumped(tools, tmp_path)
    dumped(tools, tmp_path, statistics=True)
    assert ["--statistics" in args for args in tools.asked] == [False, True]


def test_a_dump_of_the_schema_alone_has_no_statistics(tmp_path):
    class Tools(FakeTools):
        def capture(self, _tool, args, **_options):
            self.asked.append(args)
            return 0, b"", ""

    tools = Tools(major=18)
    pg_dump.schema(tools, pg_dump.DumpOptions(target=tmp_path / "x", statistics=True))
    assert "--statistics" not in tools.asked[0]
