# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A further system in an inventory: its own files, its own vault, nothing of the first."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from pmsops_cli import arguments, commands, compose_running, hosts, init, inventory
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import DONE, USAGE
from tests.conftest import PROJECT

MACRO = PROJECT / "tests" / "fixtures" / "compose" / "macro.yml"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The Compose files of two funds, each with a .env, and the inventory of the first."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(init, "PROJECT", tmp_path)
    monkeypatch.setattr(inventory, "PROJECT", tmp_path)
    monkeypatch.setattr(compose_running, "containers", lambda: None)
    for name in inventory.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for number, name in enumerate(("first", "second")):
        (tmp_path / name).mkdir()
        text = MACRO.read_text().replace("macro_timescaledb", f"{name}_timescaledb")
        (tmp_path / name / "docker-compose.yml").write_text(text)
        (tmp_path / name / ".env").write_text(
            f"POSTGRES_PASSWORD=pg-{name}\nREDIS_PASSWORD=redis-{name}\n"
            f"PMS_MANAGER_PASSWORD=manager-{name}\nDB_PORT={5432 + number}\n"
            "POSTGRES_HOST=timescaledb\n"
        )
    here = Path.cwd()
    assert main(["init", "first/docker-compose.yml", "--name", "prod"], tmp_path) == DONE
    yield tmp_path
    os.chdir(here)


def add(place: Path, *more: str, name: str = "fund2") -> int:
    words = ["-i", "prod", "init", "second/docker-compose.yml", "--add", "--name", name]
    return main([*words, *more], place)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def vault_of(place: Path, label: str, path: str) -> dict:
    password = (place / "config/pms-ops/vault" / f"{label}.pass").read_bytes().strip()
    text = (place / "inventory/prod" / path).read_bytes()
    return yaml.safe_load(VaultLib([(label, VaultSecret(password))]).decrypt(text))


def systems(place: Path) -> dict[str, hosts.System]:
    found = hosts.read(hosts.Sources([str(place / "inventory/prod")], []))
    return {each.host: each for each in found}


def test_a_second_system_gets_files_of_its_own_and_the_first_keeps_its(place, capsys):
    before = contents(place / "inventory/prod")
    assert add(place) == DONE
    after = contents(place / "inventory/prod")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        "fund2.yml",
        "host_vars/fund2/pms.yml",
        "host_vars/fund2/vault.yml",
    }
    both = systems(place)
    assert set(both) == {"prod", "fund2"}
    assert str(both["prod"].backup_root) == "/srv/pms-ops/prod/backups"
    assert str(both["fund2"].backup_root) == "/srv/pms-ops/fund2/backups"
    assert both["prod"].keys != both["fund2"].keys
    assert "pms-ops -i prod -l fund2 golive" in capsys.readouterr().out


def test_each_vault_opens_with_its_own_password_alone(place):
    assert add(place) == DONE
    first = vault_of(place, "prod", "group_vars/pms/vault.yml")
    second = vault_of(place, "prod.fund2", "host_vars/fund2/vault.yml")
    assert first["vault_pms_redis_password"] == "redis-first"
    assert second["vault_pms_redis_password"] == "redis-second"
    assert first["vault_pms_db_password"] != second["vault_pms_db_password"]
    with pytest.raises(Exception, match=r"[Dd]ecryption failed"):
        vault_of(place, "prod", "host_vars/fund2/vault.yml")
    for path in (
        place / "inventory/prod/host_vars/fund2/vault.yml",
        place / "config/pms-ops/vault/prod.fund2.pass",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_that_the_group_says_of_the_first_reaches_the_second(place):
    group = place / "inventory/prod/group_vars/pms/pms.yml"
    group.write_text(
        group.read_text()
        + "notify_channels: [{name: chat, type: slack, url: of-the-first}]\n"
        + 'offsite_repositories: [{name: nas, password: "{{ vault_pms_db_password }}"}]\n'
        + "restore_role_passwords: {owner: of-the-first}\n"
    )
    assert add(place) == DONE
    known = yaml.safe_load((place / "inventory/prod/host_vars/fund2/pms.yml").read_text())
    assert known["notify_channels"] == [] and known["offsite_repositories"] == []
    assert known["restore_role_passwords"] == {}
    assert "of-the-first" not in str(known)


def test_a_secret_that_only_the_first_has_is_empty_for_the_second(place):
    text = yaml.safe_dump({"vault_notify_chat_url": "of-the-first"})
    (place / "inventory/prod/group_vars/pms/more.yml").write_text(text)
    assert add(place) == DONE
    second = vault_of(place, "prod.fund2", "host_vars/fund2/vault.yml")
    assert second["vault_notify_chat_url"] == ""


def test_the_same_again_writes_nothing(place, capsys):
    assert add(place) == DONE
    before = contents(place / "inventory/prod")
    assert add(place) == DONE
    assert "nothing was written" in capsys.readouterr().out
    assert contents(place / "inventory/prod") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--name", "prod"], "has prod already"),
        (["--name", "pms"], "has pms already"),
        (["--root", "/srv/pms-ops/prod"], "are not apart"),
        (["--root", "/srv/pms-ops/prod/backups/second"], "are not apart"),
        (["--root", "/srv/pms-ops/prod/backups/.."], "are not apart"),
    ],
)
def test_what_is_taken_is_refused(place, capsys, words, said):
    before = contents(place / "inventory/prod")
    assert add(place, *words) == USAGE
    assert said in capsys.readouterr().err
    assert contents(place / "inventory/prod") == before


def test_the_database_of_the_first_is_refused_under_another_name(place, capsys):
    words = ["-i", "prod", "init", "first/docker-compose.yml", "--add", "--name", "again"]
    assert main(words, place) == USAGE
    assert "Database macro_trading" in capsys.readouterr().err
    assert not (place / "inventory/prod/again.yml").exists()


def test_one_address_on_two_machines_is_two_databases(place):
    (place / "second" / ".env").write_text(
        (place / "first" / ".env").read_text().replace("first", "second")
    )
    assert add(place, "--host", "ops@pms2.example.net", "--root", "/srv/pms-ops/prod") == DONE


def test_add_without_an_inventory_says_what_to_type(place, capsys):
    words = ["init", "second/docker-compose.yml", "--add", "--name", "fund2"]
    assert main(words, place) == USAGE
    assert "pms-ops -i prod init" in capsys.readouterr().err


def test_a_vault_that_does_not_open_leaves_the_other_systems_readable(place):
    assert add(place) == DONE
    (place / "config/pms-ops/vault/prod.fund2.pass").write_text("wrong\n")
    found, unread = hosts.read_each(hosts.Sources([str(place / "inventory/prod")], []))
    assert [each.host for each in found] == ["prod"]
    assert "fund2" in unread and "vault" in unread["fund2"].lower()


def test_no_command_runs_on_two_systems_that_share_a_folder(place, capsys):
    assert add(place) == DONE
    path = place / "inventory/prod/host_vars/fund2/pms.yml"
    path.write_text(path.read_text().replace("/srv/pms-ops/fund2/", "/srv/pms-ops/prod/"))
    assert main(["-i", "prod", "backup"], place) == USAGE
    said = capsys.readouterr().err
    assert "Nothing was run." in said and "backup_root of" in said


def test_a_playbook_runs_without_the_system_whose_vault_does_not_open(place):
    assert add(place) == DONE
    (place / "config/pms-ops/vault/prod.fund2.pass").write_text("wrong\n")
    session = commands.Session(arguments.parse(["-i", "prod", "backup"]), place)
    assert session._limit() == "all:!fund2"
    assert list(session.unread) == ["fund2"]
    limited = commands.Session(arguments.parse(["-i", "prod", "-l", "prod", "backup"]), place)
    assert limited._limit() == "prod"


@pytest.mark.parametrize("words", [["rollback"], ["restore", "--at", "latest"], ["dr", "api"]])
def test_what_destroys_is_refused_for_two_systems_of_one_database_name(place, capsys, words):
    assert add(place) == DONE
    capsys.readouterr()
    assert main(["-i", "prod", *words, "--confirm", "macro_trading"], place) == USAGE
    said = capsys.readouterr().err
    assert "fund2:macro_trading,prod:macro_trading" in said and "Nothing was changed." in said
