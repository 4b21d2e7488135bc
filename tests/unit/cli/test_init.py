# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from pmsops_cli import (
    arguments,
    compose,
    compose_roles,
    compose_running,
    compose_service,
    init,
    vault,
)
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import DONE, USAGE, Stop
from pmsops_cli.inventory_writer import describe
from tests.conftest import PROJECT

MACRO = PROJECT / "tests" / "fixtures" / "compose" / "macro.yml"
ENV = """\
POSTGRES_PASSWORD='pa$$w"ord #1'
REDIS_PASSWORD='red$is,secret'
PMS_MANAGER_PASSWORD="manager secret"
POSTGRES_HOST=timescaledb
COMPOSE_PROFILES=dagster,monitoring
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the Compose file and its .env, and a project whose inventories are ours."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(init, "PROJECT", tmp_path)
    monkeypatch.setattr(compose_running, "containers", lambda: None)
    shutil.copy(MACRO, tmp_path / "docker-compose.yml")
    (tmp_path / ".env").write_text(ENV)
    here = Path.cwd()
    yield tmp_path
    os.chdir(here)


def run_init(place: Path, *more: str) -> int:
    return main(["init", "docker-compose.yml", *more], place)


def variables(place: Path) -> dict:
    return yaml.safe_load((place / "inventory/prod/group_vars/pms/pms.yml").read_text())


def secrets(place: Path) -> dict:
    password = (place / "config/pms-ops/vault/prod.pass").read_bytes().strip()
    text = (place / "inventory/prod/group_vars/pms/vault.yml").read_bytes()
    return yaml.safe_load(VaultLib([("prod", VaultSecret(password))]).decrypt(text))


def test_a_production_s_compose_file_becomes_an_inventory(place, capsys):
    assert run_init(place) == DONE
    found = variables(place)
    assert {name: found[name] for name in ("pms_db_name", "pms_db_port", "pms_db_container")} == {
        "pms_db_name": "macro_trading",
        "pms_db_port": 5432,
        "pms_db_container": "macro_timescaledb",
    }
    assert found["pms_app_services"] == ["api", "dagster-daemon", "dagster-webserver"]
    assert found["pms_api_url"] == "http://127.0.0.1:8000"
    assert found["pms_dagster_url"] == "http://127.0.0.1:3001"
    assert found["pms_grafana_url"] == "http://127.0.0.1:3000"
    assert found["pms_compose_project"] == place.name.lower()
    assert found["golive_smoke_test"] is False
    assert secrets(place)["vault_pms_redis_password"] == "red$is,secret"
    assert secrets(place)["vault_pms_api_password"] == "manager secret"
    assert secrets(place)["vault_pms_grafana_password"] == "admin"
    said = capsys.readouterr().out
    assert "with owner=macro_user" in said
    typed = next(line.strip() for line in said.splitlines() if "--create-role" in line)
    assert typed.startswith("pms-ops init ") and "..." not in typed
    assert arguments.parse(shlex.split(typed)[1:]).create_role


def test_no_secret_is_readable_by_others_or_shown(place, capsys):
    assert run_init(place) == DONE
    shown = capsys.readouterr().out
    texts = [p.read_text() for p in (place / "inventory").rglob("*") if p.is_file()]
    for secret in secrets(place).values():
        # Grafana's is the word admin, as its default: that is no secret to look for.
        if secret and secret != "admin":
            assert secret not in shown
            assert not any(secret in text for text in texts)
    for path in (
        place / "inventory/prod/group_vars/pms/vault.yml",
        place / "config/pms-ops/vault/prod.pass",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_database_that_only_the_api_names_is_found(place, capsys):
    file = place / "docker-compose.yml"
    document = yaml.safe_load(file.read_text())
    services = document["services"]
    base = services["timescaledb"]["environment"]
    moved = {name: base.pop(name) for name in ("POSTGRES_DB", "POSTGRES_USER") if name in base}
    assert moved
    file.write_text(yaml.safe_dump(document))
    assert run_init(place) == DONE
    assert variables(place)["pms_db_name"] == "postgres"
    assert "set pms_db_name" in capsys.readouterr().out
    services["api"]["environment"] = {"POSTGRES_DB": "fund", "POSTGRES_USER": "fund_user"}
    file.write_text(yaml.safe_dump(document))
    assert run_init(place, "--force") == DONE
    assert variables(place)["pms_db_name"] == "fund"
    assert "with owner=fund_user" in capsys.readouterr().out


def test_the_role_can_be_made_for_an_inventory_that_was_edited(place, capsys, monkeypatch):
    assert run_init(place) == DONE
    path = place / "inventory/prod/group_vars/pms/pms.yml"
    path.write_text(path.read_text().replace("pms_db_port: 5432", "pms_db_port: 6000"))
    made = []
    monkeypatch.setattr(init, "_create_role", lambda *_: made.append(1) or (DONE, {}))
    assert run_init(place, "--create-role") == DONE
    assert made and variables(place)["pms_db_port"] == 6000
    assert "stays as it is" in capsys.readouterr().err


def test_the_same_again_writes_nothing_and_keeps_the_password_of_the_role(place, capsys):
    assert run_init(place) == DONE
    before = secrets(place)["vault_pms_db_password"]
    stamps = {p: p.stat().st_mtime_ns for p in (place / "inventory").rglob("*")}
    assert run_init(place) == DONE
    assert "nothing was written" in capsys.readouterr().out
    assert stamps == {p: p.stat().st_mtime_ns for p in (place / "inventory").rglob("*")}
    assert secrets(place)["vault_pms_db_password"] == before


def test_a_difference_is_shown_and_written_only_with_force(place, capsys):
    assert run_init(place) == DONE
    role = secrets(place)["vault_pms_db_password"]
    capsys.readouterr()
    (place / ".env").write_text(ENV.replace("manager secret", "other") + "DB_PORT=6543\n")
    assert run_init(place) == USAGE
    shown = capsys.readouterr()
    assert "-pms_db_port: 5432" in shown.out and "+pms_db_port: 6543" in shown.out
    assert "other values for vault_pms_api_password" in shown.out
    assert "--force" in shown.err
    assert variables(place)["pms_db_port"] == 5432
    assert run_init(place, "--check") == DONE
    assert variables(place)["pms_db_port"] == 5432
    assert run_init(place, "--force") == DONE
    assert variables(place)["pms_db_port"] == 6543
    assert secrets(place)["vault_pms_api_password"] == "other"
    assert secrets(place)["vault_pms_db_password"] == role


def test_a_host_over_ssh_gets_the_environment_that_prepare_makes(place):
    assert run_init(place, "--host", "ops@pms.example.net:2222") == DONE
    hosts = yaml.safe_load((place / "inventory/prod/hosts.yml").read_text())
    assert hosts["pms"]["hosts"]["prod"] == {
        "ansible_host": "pms.example.net",
        "ansible_user": "ops",
        "ansible_port": 2222,
        "ansible_python_interpreter": "/opt/pms-ops/venv/bin/python",
    }


def test_its_user_becomes_root_by_sudo_where_that_is_said(place, capsys):
    assert run_init(place, "--host", "ops@pms.example.net", "--become") == DONE
    said = capsys.readouterr().out
    assert "Once, after prepare:\n  pms-ops init" in said
    assert "--name prod --become --host ops@pms.example.net --create-role" in said
    hosts = yaml.safe_load((place / "inventory/prod/hosts.yml").read_text())
    assert hosts["pms"]["hosts"]["prod"]["ansible_become"] is True
    assert run_init(place, "--become", "--force") == USAGE
    assert "Name it by --host" in capsys.readouterr().err


def test_the_operator_s_own_vault_password_is_used(place):
    (place / "mine").write_text("my password\n")
    assert run_init(place, "--vault-password-file", "mine") == DONE
    text = (place / "inventory/prod/group_vars/pms/vault.yml").read_bytes()
    found = VaultLib([("default", VaultSecret(b"my password"))]).decrypt(text)
    assert b"manager secret" in found
    assert not (place / "config").exists()


def test_plain_secrets_are_an_explicit_choice_and_private(place):
    assert run_init(place, "--plain-secrets") == DONE
    path = place / "inventory/prod/group_vars/pms/vault.yml"
    assert yaml.safe_load(path.read_text())["vault_pms_api_password"] == "manager secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert vault.Vault("prod", None).read(path)["vault_pms_api_password"] == "manager secret"


def test_a_variable_that_compose_demands_is_named(place, capsys):
    (place / ".env").write_text("REDIS_PASSWORD=x\n")
    assert run_init(place) == USAGE
    assert "POSTGRES_PASSWORD" in capsys.readouterr().err
    assert not (place / "inventory").exists()


def test_this_shell_s_variables_do_not_count(place, monkeypatch):
    monkeypatch.setenv("POSTGRES_DB", "of_my_shell")
    assert run_init(place) == DONE
    assert variables(place)["pms_db_name"] == "macro_trading"


@pytest.mark.parametrize("argv", [["--name", "../x"], ["--name", "lab"], ["--host", "a b"],
                                  ["--service", "queue=kafka"], ["--service", "api=nothing"],
                                  ["--env", "missing.env"]])  # fmt: skip
def test_what_cannot_be_meant_is_refused(place, argv):
    assert run_init(place, *argv) == USAGE
    assert not (place / "inventory").exists()


def services_of(folder: Path, **raw) -> tuple[compose.Project, dict]:
    project = compose.Project("fund", folder, raw, set(raw))
    return project, compose_service.services(project, local=True)


PG = {"image": "postgres:17", "ports": [{"target": 5432, "published": "6000"}],
      "environment": {"POSTGRES_USER": "boss"}}  # fmt: skip


def test_two_databases_are_a_question_and_no_guess(tmp_path):
    _, services = services_of(tmp_path, a=PG, b=PG)
    _, questions = compose_roles.find(services, {})
    assert questions[0].words == "Several services may be the database: a, b."
    assert questions[0].answers == ("--service database=a", "--service database=b")
    roles, questions = compose_roles.find(services, {"database": "b"})
    assert roles["database"] == "b" and not questions
    with pytest.raises(Stop, match="None of the services is the database"):
        compose_roles.find(services_of(tmp_path, web={"image": "nginx"})[1], {})


def test_odd_files_are_read_as_far_as_they_go(tmp_path):
    project, services = services_of(
        tmp_path,
        db=PG,
        cache={"image": "valkey/valkey:8", "command": ["sh", "-c", "valkey --requirepass 'a b'"]},
        worker={"image": "own", "environment": {"DATABASE_URL": "postgresql://db"}},
        bystander={"image": "nginx"},
    )
    roles, _ = compose_roles.find(services, {})
    found = describe(project, services, roles, {})
    assert found.values["pms_db_container"] == "fund-db-1"
    assert found.values["pms_db_name"] == "boss"  # as the image does without POSTGRES_DB
    assert found.values["pms_app_services"] == ["worker"]
    assert found.values["golive_services"]["database"] == "db"
    assert found.secrets["vault_pms_redis_password"] == "a b"
    assert any("cache cannot be reached" in note for note in found.notes)
    assert found.values["pms_api_url"] == "" and found.values["pms_api_username"] == ""


def test_a_service_of_an_inactive_profile_is_left_out_and_told(place, capsys):
    (place / ".env").write_text(ENV.replace("dagster,monitoring", ""))
    assert run_init(place) == DONE
    assert variables(place)["pms_app_services"] == ["api"]
    assert "--profile dagster" in capsys.readouterr().out
    assert run_init(place, "--force", "--profile", "dagster") == DONE
    assert variables(place)["pms_app_services"] == ["api", "dagster-daemon", "dagster-webserver"]


def test_a_secret_that_looks_like_a_template_stays_what_it_is(tmp_path):
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    secrets = {"a": "k{{9}}x", "b": "{# no end", "c": "{% if", "d": "plain: #1", "e": "it's {{"}
    file = tmp_path / "vault.yml"
    file.write_text(vault.plain_text(secrets))
    loader = DataLoader()
    for name, value in loader.load_from_file(str(file)).items():
        assert Templar(loader).template(value) == secrets[name]
    assert vault.Vault("prod", None).read(file) == secrets
    plain = init._scalar("k{{9}}x")
    (tmp_path / "pms.yml").write_text(f"x: {plain}\n")
    assert loader.load_from_file(str(tmp_path / "pms.yml"))["x"] == "k{{9}}x" and plain.startswith(
        "!unsafe "
    )


def test_every_value_survives_the_way_through_yaml():
    for value in ("127.0.0.1", "yes", "5432", "on", "a: b", "#x", "macro_trading", "", "~", 5432):
        assert yaml.safe_load(f"x: {init._scalar(value)}")["x"] == value


def test_json_is_one_document_without_a_secret(place, capsys):
    assert run_init(place, "--json") == DONE
    text = capsys.readouterr().out
    assert json.loads(text)["roles"]["database"] == "timescaledb"
    assert "manager secret" not in text


def test_what_no_compose_file_can_tell_is_left_to_the_operator(place):
    assert run_init(place) == DONE
    assert not {"notify_channels", "schedule_state_dir", "schedule_user"} & set(variables(place))
    text = (place / "inventory/prod/group_vars/pms/pms.yml").read_text()
    assert "# notify_channels:" in text and "# schedule_user: ops" in text


def test_a_database_of_dagster_s_own_is_backed_up_with_the_pms_s(place, capsys, monkeypatch):
    """It was in no set, and lost with the server: issue 18, A19."""
    assert run_init(place) == DONE
    assert variables(place)["backup_other_databases"] == []
    file = place / "docker-compose.yml"
    document = yaml.safe_load(file.read_text())
    for name in ("dagster-webserver", "dagster-daemon"):
        document["services"][name]["environment"] = {
            "DAGSTER_PG_HOST": "timescaledb",
            "DAGSTER_PG_DB": "dagster_storage",
            "DAGSTER_PG_USER": "dagster_user",
        }
    file.write_text(yaml.safe_dump(document))
    assert run_init(place, "--force") == DONE
    assert variables(place)["backup_other_databases"] == ["dagster_storage"]
    said = capsys.readouterr().out
    assert "dagster_storage: other databases of the server" in said
    assert "then with owner=dagster_user" in said
    granted = []

    class Shown:
        def end(self, _document):
            pass

    def quiet_run(_self, _name, _playbook, given, **_more):
        granted.append(given["database_owner"])
        return DONE, {}, Shown()

    monkeypatch.setattr("pmsops_cli.commands.Session.quiet_run", quiet_run)
    assert run_init(place, "--create-role") == DONE
    assert granted == ["macro_user", "dagster_user"]
