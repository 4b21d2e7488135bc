# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine as a service of a host: its files, what is refused, and the server's files there."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import container, host_engine, places, watch
from ansible.module_utils.pmsops.pitr.engine_home import Answer, host_home
from ansible.module_utils.pmsops.pitr.host_engine import HostEngine
from ansible.module_utils.pmsops.pitr.server_files import HostServerFiles
from ansible.module_utils.pmsops.postgresql.connection import Database


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A folder of units, and systemd's answers; returns what was asked of it."""
    monkeypatch.setattr(host_engine, "UNITS", tmp_path)
    monkeypatch.setattr(host_engine, "SYSTEMD", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: "/x" if name == "file" else programs(name))
    found: list[list[str]] = []

    def call(words, **_):
        found.append(list(words))
        return Answer(0, "", "")

    monkeypatch.setattr(host_engine, "_call", call)
    return found


def test_it_has_folders_of_its_own_name():
    home = host_home("pms_pitr")
    assert (home.home, home.conf) == ("/var/lib/pms_pitr", "/etc/pms_pitr/barman.conf")
    assert host_home("a", archive="/srv/wal").home == "/srv/wal"


def test_the_loop_of_a_host_is_that_of_a_container_with_other_folders():
    loop = host_home("pms_pitr", barman="/opt/pms_pitr/bin/barman").loop()
    for here, inside in (
        ("/opt/pms_pitr/bin/barman -q", "barman -q"),
        ("/etc/pms_pitr/barman.conf", "/var/lib/barman/barman.conf"),
        ("/etc/pms_pitr/canary.sh", "/var/lib/barman/canary.sh"),
        ("/var/lib/pms_pitr/", "/var/lib/barman/"),
    ):
        loop = loop.replace(here, inside)
    assert loop == container.INSIDE.loop()


def test_the_unit_is_valid(tmp_path):
    """Judged by systemd's own tool."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    files = HostEngine("pms_pitr")._files()
    text = next(each for path, each in files.items() if path.name.endswith(".service"))
    unit = tmp_path / "pms_pitr.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "pms_pitr" not in done.stderr, done.stderr
    for line in ("User=pms_pitr", "NoNewPrivileges=yes", "Restart=always", "ProtectSystem=strict"):
        assert f"\n{line}\n" in text


def test_a_unit_of_another_release_is_outdated(asked, tmp_path):
    engine = HostEngine("pms_pitr")
    assert not engine.found() and not engine.outdated()
    engine.home = SimpleNamespace(  # type: ignore[assignment]
        user="pms_pitr", home="/x", configuration=str(tmp_path), loop=lambda: "loop"
    )
    for path, text in engine._files().items():
        path.write_text(text)
    assert engine.found() and not engine.outdated()
    (tmp_path / "loop.sh").write_text("another")
    assert engine.outdated()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m, p: m.setattr(os, "geteuid", lambda: 1000), "pitr.host-rights"),
        (lambda m, p: m.setattr(host_engine, "SYSTEMD", p / "none"), "pitr.host-systemd"),
        (lambda m, p: None, "pitr.host-barman"),
    ],
)
def test_a_host_that_cannot_have_it_is_refused(asked, monkeypatch, tmp_path, change, code):
    change(monkeypatch, tmp_path)
    with pytest.raises(OpsError) as caught:
        HostEngine("x", barman="/no/such/barman").require()
    assert caught.value.code == code and "Nothing was" in str(caught.value)


def test_a_plan_does_not_ask_for_the_barman_that_is_installed_before(asked):
    """Before, the first `pitr enable --check` on a host refused what enable installs itself."""
    HostEngine("x", barman="/no/such/barman").require(comes=True)


@pytest.mark.parametrize(
    ("version", "fits"), [("3.13.3", True), ("3.19.1", True), ("3.4.0", False)]
)
def test_a_barman_that_is_too_old_is_refused(asked, tmp_path, version, fits):
    program = tmp_path / "barman"
    program.write_text(f"#!/bin/sh\necho '{version} Barman by EnterpriseDB'\n")
    program.chmod(0o755)
    expected = pytest.raises(OpsError, match=r"3\.13 or newer is needed")
    with nullcontext() if fits else expected:
        HostEngine("x", barman=str(program)).require()


def test_the_user_has_no_login(asked):
    HostEngine("no_such_user_here")._make_user()
    assert asked[0][0] == "useradd"
    assert asked[0][asked[0].index("--shell") + 1] == "/usr/sbin/nologin"


def test_a_service_that_is_not_there_is_named(asked):
    with pytest.raises(OpsError) as caught:
        HostEngine("pms_pitr").run(["true"])
    assert caught.value.code == "pitr.not-running" and "is not there" in str(caught.value)


def test_pg_hba_keeps_owner_mode_and_link(tmp_path):
    real, link = tmp_path / "etc" / "pg_hba.conf", tmp_path / "pg_hba.conf"
    real.parent.mkdir()
    real.write_text("local all all peer\n")
    real.chmod(0o640)
    link.symlink_to(real)
    files = HostServerFiles(str(tmp_path))
    files.write_hba(str(link), "new\n" + files.hba(str(link)))
    assert link.is_symlink() and real.read_text() == "new\nlocal all all peer\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in real.parent.iterdir()] == ["pg_hba.conf"]
    with pytest.raises(OpsError) as caught:
        files.hba(str(tmp_path / "none"))
    assert caught.value.code == "pitr.hba"


def test_a_server_that_is_elsewhere_is_refused(monkeypatch, tmp_path):
    place = places.Host(Database("db", 5432, "book", "x", access="host"), "pms_pitr", "", "")
    monkeypatch.setattr(places, "fetch_all", lambda *_: [(str(tmp_path), "5432")])
    monkeypatch.setattr(Database, "session", lambda *_, **__: nullcontext())
    with pytest.raises(OpsError) as caught:
        place.files()
    assert caught.value.code == "pitr.host-elsewhere"
    (tmp_path / "postmaster.pid").touch()
    assert place.files().free_bytes(str(tmp_path)) > 0


def test_the_watch_asks_as_the_engine_s_user():
    target = watch.Target.from_options(
        {"container": "pms_pitr", "slot": "pms_pitr", "on_host": True, "archive": "/srv/wal"}
    )
    words = target.command()
    assert words[:6] == ["runuser", "-u", "pms_pitr", "--", "sh", "-c"]
    assert "/etc/pms_pitr/barman.conf" in words[6] and "df -Pk /srv/wal" in words[6]
    gone = Answer(1, "", "runuser: user pms_pitr does not exist or the user entry is wrong")
    problem = watch.judge(gone, target).problem
    assert problem and problem.code == "pitr.not-running" and "Service pms_pitr" in str(problem)
