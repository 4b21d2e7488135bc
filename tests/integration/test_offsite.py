# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies on other sites by the real restic: on a disk, over SFTP, on rest-server and on S3."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pms_offsite
import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.offsite import contents, fetch_folder
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.testing import patch_module_args

from tests.conftest import PROJECT
from tests.support import sites
from tests.support.backup_sets import make_set

FIRST, SECOND = "2026-11-22_0600", "2026-11-23_0600"
CONTENTS = {"app.pgdump/toc.dat": "toc", "a.csv": "id\n1\n"}
LAST = {"keep_last": 1, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}


@dataclass
class Fund:
    """A system with a set, and pms_offsite called as Ansible calls it."""

    folder: Path
    restic: Path
    site: dict[str, Any]
    capsys: Any

    @property
    def root(self) -> Path:
        return self.folder / "backups"

    def options(self, state: str, **more: Any) -> dict[str, Any]:
        return {
            "state": state,
            "system": "fund",
            "root": str(self.root),
            "evidence_root": str(self.folder / "evidence"),
            "keys": str(self.folder / "keys"),
            "restic": str(self.restic),
            "repositories": [self.site],
        } | more

    def call(self, state: str, **more: Any) -> dict[str, Any]:
        self.capsys.readouterr()
        with patch_module_args(self.options(state, **more)), pytest.raises(SystemExit):
            pms_offsite.main()
        return json.loads(self.capsys.readouterr().out)

    def good(self, state: str, **more: Any) -> dict[str, Any]:
        found = self.call(state, **more)
        assert not found.get("failed"), found.get("msg")
        return found["sites"][0]

    def code(self, state: str, **more: Any) -> str:
        return self.call(state, **more)["code"]

    def make_set(self, name: str, size: int = 0) -> Path:
        parts = {
            f"part-{number}": random.randbytes(size // 8).hex()
            for number in range(4 if size else 0)
        }
        return make_set(self.root, self.folder / "keys", name, CONTENTS | parts)

    def repository(self) -> Path:
        return Path(self.site["url"])


@pytest.fixture(scope="module")
def restic(tmp_path_factory):
    return sites.restic(tmp_path_factory.mktemp("restic"))


@pytest.fixture
def prepared(tmp_path, restic, capsys):
    """Return a function that gives a fund with a repository on a site of a kind."""
    with ExitStack() as stack:

        def prepare(kind: str) -> Fund:
            place = tmp_path / kind
            place.mkdir()
            address = stack.enter_context(sites.KINDS[kind](place))
            found = Fund(tmp_path, restic, address.option(kind, tmp_path), capsys)
            ledger.append(tmp_path / "evidence", "backup", {"set": FIRST}, now=datetime.now(UTC))
            found.make_set(FIRST)
            assert [found.good("present")["changed"] for _ in range(2)] == [True, False]
            return found

        yield prepare


@pytest.mark.parametrize(
    "kind", ["local", *(pytest.param(k, marks=pytest.mark.nightly) for k in ("sftp", "rest", "s3"))]
)
def test_a_set_is_copied_proved_and_fetched(prepared, kind, tmp_path):
    fund = prepared(kind)
    made = fund.good("uploaded", inventory={"pms_db_name": "app"})
    assert (made["changed"], made["set"], made["proved"]) == (True, FIRST, False)
    sets.mark_verified(fund.root / FIRST, {})
    again = fund.good("uploaded")
    assert again["proved"] and again["new_bytes"] < 20_000
    assert not fund.good("uploaded")["changed"]
    assert fund.good("checked", check_parts=1)["part"] == 1
    assert fund.good("tried")["refused"] is (kind == "rest")
    found = fund.good("fetched", into=str(tmp_path / "back"), set="proved")
    back = Path(found["folder"])
    assert (back / "manifest.json").read_bytes() == (
        fund.root / FIRST / "manifest.json"
    ).read_bytes()
    assert sets.verification(back)
    assert sorted(path.name for path in back.parent.iterdir()) == [FIRST, "evidence", "keys"]
    fund.make_set(SECOND)
    fund.good("uploaded")
    fund.site["deletes"] = True
    if kind == "rest":
        assert fund.code("pruned", **LAST) == "offsite.append-only"
    else:
        assert fund.good("pruned", **LAST)["removed"] == []  # the first is the last proved one
        sets.mark_verified(fund.root / SECOND, {})
        fund.good("uploaded")
        assert fund.good("pruned", **LAST)["removed"] == [FIRST]
    assert fund.good("checked", check_parts=1)
    Path(fund.site["password_file"]).write_text("of another fund")
    assert fund.code("fetched", into=str(tmp_path / "x")) == "offsite.wrong-password"


def test_a_copy_that_lacks_a_part_is_none(prepared, monkeypatch):
    """restic 0.18 ends with 0 where a path is not there, and 0.19 with 3; the snapshot is made."""
    fund = prepared("local")
    fund.make_set(SECOND)
    of_set, keys = contents.of_set, fund.folder / "keys"

    def then_gone(*arguments):
        found = of_set(*arguments)
        assert str(keys) in found.parts["keys"]
        keys.rename(fund.folder / "away")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(contents, "of_set", then_gone)
        assert fund.code("uploaded") == "offsite.unread"
    (fund.folder / "away").rename(keys)
    assert fund.good("uploaded")["changed"]
    assert not fund.good("uploaded")["changed"]


@contextmanager
def mounted_read_only(folder: Path, repository: Path) -> Iterator[sites.Address]:
    """A folder that is mounted so that nobody can write there, not even root."""
    folder = folder / "mounted"
    folder.mkdir()
    for command in (["--bind", repository], ["-o", "remount,bind,ro"]):
        if subprocess.run(["mount", *command, folder], check=False).returncode:
            pytest.skip("only root can mount a folder read-only")
    try:
        yield sites.Address(str(folder))
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    "kind",
    [mounted_read_only, pytest.param(sites.reading, marks=pytest.mark.nightly)],
    ids=["folder", "sftp"],
)
def test_a_set_comes_from_a_site_that_can_only_be_read(prepared, tmp_path, kind):
    """restic locks even while it reads: it tried for minutes to write its lock."""
    fund = prepared("local")
    fund.good("uploaded")
    (tmp_path / "reading").mkdir()
    with kind(tmp_path / "reading", fund.repository()) as address:
        fund.site |= address.option("local", tmp_path)
        fund.make_set(SECOND)
        began = time.monotonic()
        assert fund.code("uploaded") == "offsite.read-only"
        assert fund.good("fetched", into=str(tmp_path / "back"))["set"] == FIRST
        assert time.monotonic() - began < 60
        assert (tmp_path / "back" / FIRST / "manifest.json").is_file()


@pytest.mark.nightly
def test_a_bucket_with_object_lock_hides_a_copy_and_keeps_it(prepared, tmp_path):
    """moto has object lock in part: it refuses to delete a version, as Amazon S3 does."""
    fund = prepared("locked")
    fund.good("uploaded")
    found = fund.good("tried")
    assert (found["refused"], found["held"]) == (True, True)
    assert fund.good("fetched", into=str(tmp_path / "back"))["set"] == FIRST


@pytest.mark.parametrize(
    "kind", ["local", *(pytest.param(k, marks=pytest.mark.nightly) for k in ("private", "locked"))]
)
def test_no_secret_is_in_a_process_listing_or_in_a_file_of_a_real_run(prepared, kind):
    fund = prepared(kind)
    fund.make_set(SECOND, size=2_000_000)
    secrets = [Path(fund.site["password_file"]).read_text()]
    if "environment_file" in fund.site:
        lines = Path(fund.site["environment_file"]).read_text().splitlines()
        secrets += [line.partition("=")[2] for line in lines if "USERNAME" not in line]
        secrets.remove(sites.S3_KEYS["AWS_ACCESS_KEY_ID"]) if kind == "locked" else None
    with Listing() as listing:
        said = [fund.call("uploaded"), fund.call("tried"), fund.call("checked")]
        Path(fund.site["password_file"]).write_text("of-another-fund")
        said.append(fund.call("uploaded"))
    assert [each.get("code") for each in said] == [*[None] * 3, "offsite.wrong-password"]
    assert sum(" backup " in line for line in listing.seen) >= 2, listing.seen
    files = {path: path.read_bytes() for path in fund.folder.rglob("*") if is_ours(path, fund)}
    assert b"immutable" in files[fund.root / ".pms-ops" / "offsite.json"]
    for secret in secrets:
        assert not [line for line in listing.seen if secret in line]
        assert secret not in json.dumps(said)
        assert not [path for path, text in files.items() if secret.encode() in text]


def is_ours(path: Path, fund: Fund) -> bool:
    """Tell whether the run wrote a file: all but the files with secrets and the program."""
    given = {fund.site["password_file"], fund.site.get("environment_file"), str(fund.restic)}
    return path.is_file() and str(path) not in given and path.name != "htpasswd"


class Listing:
    """What ``ps`` shows of the programs that run meanwhile, looked at all the time."""

    def __enter__(self) -> Listing:
        self.seen: set[str] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if "restic" in line or "ssh" in line:
                        self.seen.add(line)


@pytest.mark.nightly
def test_a_fund_reads_no_repository_of_another_one(prepared, tmp_path):
    """Neither the network's credentials nor the repository's password of another fund open it."""
    fund = prepared("private")
    fund.good("uploaded")
    env = Path(fund.site["environment_file"])
    mine = env.read_text()
    env.write_text("".join(f"{n}={v}\n" for n, v in sites.http_user("other").items()))
    for state in ("uploaded", "fetched", "checked", "tried"):
        more = {"into": str(tmp_path / "x")} if state == "fetched" else {}
        assert fund.code(state, **more) == "offsite.refused"
    env.write_text(mine)
    Path(fund.site["password_file"]).write_text("password of another fund")
    assert fund.code("fetched", into=str(tmp_path / "x")) == "offsite.wrong-password"
    assert not (tmp_path / "x").exists()


@pytest.mark.nightly
def test_a_repository_of_another_system_and_a_copy_of_the_future_stop_an_upload(prepared):
    fund = prepared("local")
    assert fund.good("uploaded")["changed"]
    assert fund.code("uploaded", system="another") == "offsite.other-system"
    tomorrow = f"{datetime.now() + timedelta(days=1):%Y-%m-%d %H:%M:%S}"
    command = ["backup", "--host", "fund", "--time", tomorrow, "--tag", "pms-ops,kind=trial"]
    with_restic(fund, *command, str(fund.folder / "keys"))
    fund.make_set(SECOND)
    assert fund.code("uploaded") == "offsite.clock"
    fund.call("accepted", reason="the clock was a day ahead")
    assert fund.good("uploaded")["set"] == SECOND


def with_restic(fund: Fund, *arguments: str) -> None:
    """Run restic as another machine would, on the fund's repository."""
    environment = os.environ | {
        "RESTIC_REPOSITORY": fund.site["url"],
        "RESTIC_PASSWORD_FILE": fund.site["password_file"],
        "RESTIC_CACHE_DIR": str(fund.folder / "cache"),
    }
    subprocess.run([fund.restic, "--quiet", *arguments], env=environment, check=True, timeout=60)


@pytest.mark.nightly
def test_half_of_the_packs_is_missing(prepared, tmp_path):
    fund = prepared("local")
    fund.make_set(SECOND, size=3_000_000)
    fund.good("uploaded")
    packs = sorted(path for path in (fund.repository() / "data").rglob("*") if path.is_file())
    for path in packs[: max(len(packs) // 2, 1)]:
        path.unlink()
    assert fund.code("checked") == "offsite.damaged"
    assert sets.resolve(fund.root / SECOND) and (fund.root / FIRST).is_dir()


@pytest.mark.nightly
def test_a_damaged_pack_is_found_when_its_part_is_read_and_when_it_is_fetched(prepared, tmp_path):
    fund = prepared("local")
    fund.make_set(SECOND, size=3_000_000)
    fund.good("uploaded")
    packs = [path for path in (fund.repository() / "data").rglob("*") if path.is_file()]
    largest = max(packs, key=lambda path: path.stat().st_size)
    largest.chmod(0o600)
    with largest.open("r+b") as stream:
        stream.seek(5_000)
        stream.write(bytes(100))
    assert fund.code("checked", check_parts=1) == "offsite.damaged"
    assert fund.code("fetched", into=str(tmp_path / "x")) == "offsite.damaged"


@pytest.mark.nightly
def test_a_full_site_is_named_and_goes_on_when_there_is_room(prepared, tmp_path):
    fund = prepared("local")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=True)
    try:
        fund.site["url"] = str(place / "repository")
        fund.good("present")
        fund.make_set(SECOND, size=8_000_000)
        assert fund.code("uploaded") == "offsite.full"
        subprocess.run(["mount", "-o", "remount,size=60m", place], check=True)
        assert fund.good("uploaded")["set"] == SECOND
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.nightly
def test_a_server_without_room_is_named_within_a_minute(prepared):
    """restic tries the same for fifteen minutes; a backup does not wait for that."""
    fund = prepared("small")
    fund.make_set(SECOND, size=8_000_000)
    began = time.monotonic()
    assert fund.code("uploaded") == "offsite.full"
    assert time.monotonic() - began < 90
    assert fund.good("checked", check_parts=1)["part"] == 1


@pytest.mark.nightly
@pytest.mark.parametrize("url", ["sftp:root@127.0.0.1:/x", "rest:http://127.0.0.1:9/x"])
def test_a_site_that_is_away_is_named_within_seconds(prepared, url):
    fund = prepared("local")
    fund.site |= {"url": url, "options": ["sftp.args=-p 9 -o BatchMode=yes"]}
    if url.startswith("rest"):
        fund.site["options"] = []
    began = time.monotonic()
    assert fund.code("uploaded") == "offsite.unreachable"
    assert time.monotonic() - began < 60


@pytest.mark.nightly
def test_a_live_lock_is_named_and_the_lock_of_a_dead_run_is_removed(prepared):
    fund = prepared("local")
    fund.site["deletes"] = True
    for name in (FIRST, SECOND):
        if name == SECOND:
            fund.make_set(SECOND)
        fund.good("uploaded")
    held = hold(fund)
    try:
        assert fund.code("pruned", **LAST) == "offsite.locked"
        assert fund.good("uploaded")["ok"]  # it shares the lock of a backup
    finally:
        held.kill()
        held.communicate()
    assert list((fund.repository() / "locks").iterdir())
    assert fund.good("pruned", **LAST)["removed"] == [FIRST]


def hold(fund: Fund) -> subprocess.Popen[bytes]:
    """Start a backup that waits for its input, and so holds a lock; return when it has it."""
    environment = os.environ | {
        "RESTIC_REPOSITORY": fund.site["url"],
        "RESTIC_PASSWORD_FILE": fund.site["password_file"],
        "RESTIC_CACHE_DIR": str(fund.folder / "cache"),
    }
    command = [str(fund.restic), "backup", "--stdin", "--stdin-filename", "x"]
    held = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
    for _ in range(300):
        if list((fund.repository() / "locks").iterdir()):
            return held
        time.sleep(0.05)
    raise TimeoutError("restic took no lock")


@pytest.mark.nightly
def test_killed_at_any_point_of_any_act_the_next_run_goes_on(prepared, tmp_path, often):
    fund = prepared("local")
    fund.site["deletes"] = True
    fund.make_set(SECOND, size=20_000_000)
    for number in range(often // 4):
        for state in ("uploaded", "checked", "fetched", "pruned"):
            more = {"into": str(tmp_path / f"back-{number}")} if state == "fetched" else {}
            more |= LAST if state == "pruned" else {}
            ledger.append(fund.folder / "evidence", "gate", {"n": number}, now=datetime.now(UTC))
            killed(fund.options(state, **more), 0.1 + 3 * random.random())
            if state == "fetched" and is_done(tmp_path / f"back-{number}"):
                continue  # it was killed after its last step
            fund.good(state, **more)
            shutil.rmtree(tmp_path / f"back-{number}", ignore_errors=True)
        assert (fund.root / FIRST).is_dir() and (fund.root / SECOND).is_dir()
    assert fund.good("checked", check_parts=1)
    stale = tmp_path / "last" / ".fetched" / str(fund.folder).lstrip("/") / "evidence" / "stale"
    stale.parent.mkdir(parents=True)
    stale.write_text("of a copy that a killed run fetched")
    assert fund.good("fetched", into=str(tmp_path / "last"))["set"] == SECOND
    assert not list((tmp_path / "last").rglob("stale"))


def is_done(folder: Path) -> bool:
    """Tell whether a fetch into a folder was done, its check included."""
    return (
        folder.exists() and any(folder.iterdir()) and not (folder / fetch_folder.PARTIAL).exists()
    )


def killed(options: dict[str, Any], seconds: float) -> None:
    """Run the module in a process of its own, and kill it and restic after *seconds*."""
    environment = os.environ | {
        "PYTHONPATH": f"{PROJECT / 'library'}",
        "OPTIONS": json.dumps(options),
    }
    code = (
        "import json, os, ansible.module_utils as m;"
        f"m.__path__.append({str(PROJECT / 'module_utils')!r});"
        "from ansible.module_utils.testing import patch_module_args as p;"
        "import pms_offsite;"
        "c = p(json.loads(os.environ['OPTIONS'])); c.__enter__(); pms_offsite.main()"
    )
    run = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        run.send_signal(signal.SIGSTOP)  # so that it starts no other restic meanwhile
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(run.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    run.kill()
    for child in children:
        try:
            os.kill(int(child), signal.SIGKILL)
        except ProcessLookupError:
            continue
    run.wait()
