# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compose files of the kinds that people have, reduced, each with the inventory that is right."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from pmsops_cli import compose, compose_running, init
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import DONE, USAGE
from tests.conftest import PROJECT
from tests.unit.cli.conftest import find_tool

FOLDER = PROJECT / "tests" / "fixtures" / "compose"
PROJECTS = sorted(path.parent.name for path in FOLDER.glob("*/right.yml"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a function that copies a project to a folder of its name and goes there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(init, "PROJECT", tmp_path)
    monkeypatch.setattr(compose_running, "containers", lambda: None)
    here = Path.cwd()

    def copy(name: str) -> Path:
        shutil.copytree(FOLDER / name, tmp_path / name)
        if (tmp_path / name / "env").exists():
            (tmp_path / name / "env").rename(tmp_path / name / ".env")
        return tmp_path / name

    yield copy
    os.chdir(here)


def written(folder: Path) -> tuple[dict, dict]:
    """Return the variables and the secrets of the inventory, as Ansible reads them."""
    from ansible.parsing.dataloader import DataLoader

    group = folder.parent / "inventory/prod/group_vars/pms"
    loader = DataLoader()
    return loader.load_from_file(str(group / "pms.yml")), loader.load_from_file(
        str(group / "vault.yml")
    )


def run_init(folder: Path, *more: str) -> int:
    names = ("base.yml", "compose.yaml", "compose.yml", "docker-compose.yml")
    file = next(each for each in names if (folder / each).exists())
    return main(["init", file, "--plain-secrets", *more], folder)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_becomes_the_inventory_that_is_right(place, name, capsys):
    folder = place(name)
    right = yaml.safe_load((folder / "right.yml").read_text())
    words = folder / "arguments"
    more = shlex.split(words.read_text()) if words.exists() else []
    assert run_init(folder, *more, "--json") == DONE
    document = json.loads(capsys.readouterr().out)
    assert (document["roles"], document["owner"]) == (right["roles"], right["owner"])
    variables, secrets = written(folder)
    assert {key: variables[key] for key in right["values"]} == right["values"]
    wanted = right.get("secrets", {})
    assert {key: secrets[key] for key in wanted} == wanted
    for each in right.get("notes", []):
        assert any(each in note for note in document["notes"]), document["notes"]


def project_of(folder: Path, services: dict, **more) -> Path:
    """Write a Compose file of these services to a folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "compose.yml"
    file.write_text(yaml.safe_dump({"services": services, **more}))
    return folder


PG = {
    "image": "postgres:17",
    "ports": ["127.0.0.1:5432:5432"],
    "environment": {"POSTGRES_USER": "f"},
}


def found(folder: Path, capsys, *more: str) -> dict:
    assert run_init(folder, "--check", "--json", *more) == DONE
    return json.loads(capsys.readouterr().out)


def test_a_file_that_only_suggests_a_role_is_a_question_with_what_to_type(place, tmp_path, capsys):
    services = {"db": PG, "api": {"build": "."}, "grafana": {"build": "."}}
    folder = project_of(tmp_path / "fund", services)
    assert run_init(folder) == USAGE
    said = capsys.readouterr().err
    assert "Is api the api?" in said and "--service api=api or --service api=" in said
    assert "--service grafana=grafana" in said
    document = found(folder, capsys, "--service", "api=api", "--service", "grafana=")
    assert document["roles"] == {"database": "db", "api": "api"}


def test_a_debugger_s_port_is_never_taken_for_the_api_s(place, tmp_path, capsys):
    ports = ["5678:5678", "127.0.0.1:9001:9000"]
    services = {"db": PG, "api": {"image": "fund", "ports": ports}}
    folder = project_of(tmp_path / "fund", services)
    assert run_init(folder, "--service", "api=api") == USAGE
    assert "--port api=5678 or --port api=9000" in capsys.readouterr().err
    document = found(folder, capsys, "--service", "api=api", "--port", "api=9000")
    assert document["values"]["pms_api_url"] == "http://127.0.0.1:9001"


def test_a_question_is_answered_at_a_terminal(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter(["1", "2"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(typed))
    ports = ["5678:5678", "127.0.0.1:9001:9000"]
    services = {"db": PG, "api": {"image": "fund", "ports": ports}}
    folder = project_of(tmp_path / "fund", services)
    assert run_init(folder) == DONE
    assert written(folder)[0]["pms_api_url"] == "http://127.0.0.1:9001"
    assert "--service api=api --port api=9000" in capsys.readouterr().out


def test_a_linked_folder_names_the_project_as_compose_does(place, tmp_path, capsys, monkeypatch):
    project_of(tmp_path / "release_7", {"db": PG})
    (tmp_path / "fund").symlink_to("release_7")
    assert found(tmp_path / "fund", capsys)["values"]["pms_compose_project"] == "fund"
    # The shell tells by PWD that it came through the link.
    monkeypatch.setenv("PWD", str(tmp_path / "fund"))
    assert found(tmp_path / "release_7", capsys)["values"]["pms_compose_project"] == "fund"


@pytest.mark.parametrize(
    ("command", "environment", "password", "note"),
    [
        (["redis-server", "--requirepass", "two words"], {}, "two words", ""),
        ("sh -c 'redis-server --requirepass $${PW:-other}'", {}, "other", ""),
        ("sh -c 'redis-server --requirepass $$(pass show redis)'", {}, "", "a shell in the"),
        ("sh -c 'redis-server --requirepass $$(cat /run/secrets/x)'", {}, "", "a shell in the"),
        (["redis-server", "--requirepass", "$$PW"], {"PW": "x"}, "$PW", ""),
        (["redis-server", "/etc/redis.conf"], {}, "", "its configuration is /etc/redis.conf"),
        (["redis-server", "--aclfile", "/acl"], {}, "", "its users are in /acl"),
        (None, {"REDIS_PASSWORD_FILE": "/run/secrets/x"}, "", "it is in /run/secrets/x"),
        (None, {}, "", "Redis has no password, as far as its files say"),
    ],
)  # fmt: skip
def test_no_text_of_a_shell_becomes_the_password_of_redis(
    place, tmp_path, capsys, command, environment, password, note
):
    redis = {"image": "redis:7", "environment": environment, "ports": ["6379:6379"]}
    folder = project_of(
        tmp_path / "fund", {"db": PG, "redis": redis | ({"command": command} if command else {})}
    )
    assert run_init(folder, "--json") == DONE
    assert any(note in each for each in json.loads(capsys.readouterr().out)["notes"])
    assert written(folder)[1]["vault_pms_redis_password"] == password


def container(service: str, folder: Path, **more) -> dict:
    """Return what the Engine tells of a container of a project in a folder."""
    labels = {
        "project": more.get("project", "started"),
        "service": service,
        "project.config_files": ",".join(
            str(folder / each) for each in more.get("files", ["compose.yml"])
        ),
        "project.working_dir": str(folder),
    }
    return {
        "Name": f"/{more.get('name', service)}",
        "Created": "2026-11-01",
        "Config": {
            "Image": more.get("image", "fund"),
            "Env": more.get("env", []),
            "Cmd": more.get("cmd", []),
            "Entrypoint": None,
            "Labels": {f"com.docker.compose.{key}": value for key, value in labels.items()},
        },
        "HostConfig": {"NetworkMode": "default", "PortBindings": {}},
        "NetworkSettings": {"Ports": more.get("ports", {})},
    }  # fmt: skip


def test_containers_know_more_than_the_files(place, tmp_path, capsys, monkeypatch):
    services = {
        "db": PG,
        "api": {"image": "fund", "ports": ["8000"]},
        "importer": {"image": "fund", "environment": {"DB_HOST": "db"}},
        "pipelines": {"image": "fund", "profiles": ["daily"], "environment": {"DB_HOST": "db"}},
    }
    folder = project_of(tmp_path / "fund", services)
    (folder / "prod.yml").write_text("services: {db: {environment: {POSTGRES_DB: book}}}")
    files = {"files": ["compose.yml", "prod.yml"]}
    made = [
        container(
            "db", folder, image="postgres:17", name="pg-1", env=["POSTGRES_DB=book"], **files,
            ports={"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "6000"}]},
        ),
        container(
            "api", folder, cmd=["uvicorn", "app"], env=["DB_HOST=db"], **files,
            ports={"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "9/udp": None},
        ),
        container("pipelines", folder, cmd=["dagster-daemon", "run"], **files),
    ]  # fmt: skip
    monkeypatch.setattr(compose_running, "containers", lambda: made)
    document = found(folder, capsys)
    assert document["roles"] == {"database": "db", "api": "api", "daemon": "pipelines"}
    right = {
        "pms_compose_project": "started",
        "pms_db_container": "pg-1",
        "pms_db_port": 6000,
        "pms_db_name": "book",
        "pms_api_url": "http://127.0.0.1:32768",
        "pms_app_services": ["api", "pipelines"],
    }
    assert {key: document["values"][key] for key in right} == right
    assert any("No container: importer" in each for each in document["notes"])


def test_two_projects_of_the_same_files_are_a_question(place, tmp_path, capsys, monkeypatch):
    folder = project_of(tmp_path / "fund", {"db": PG})
    made = [container("db", folder, project=each, image="postgres") for each in ("blue", "green")]
    monkeypatch.setattr(compose_running, "containers", lambda: made)
    assert run_init(folder) == USAGE
    assert "--project blue" in capsys.readouterr().err
    assert found(folder, capsys, "--project", "green")["values"]["pms_compose_project"] == "green"


def test_on_another_host_only_the_project_s_own_files_are_read_here(place, tmp_path, capsys):
    folder = place("secret_files")
    outside = tmp_path / "manager.txt"
    outside.write_text("of this machine")
    file = folder / "compose.yml"
    file.write_text(file.read_text().replace("environment: MANAGER", f"file: {outside}"))
    assert run_init(folder, "--host", "ops@pms.example.net", "--json") == DONE
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("PMS_MANAGER_PASSWORD is in /run/secrets/manager" in each for each in notes)
    secrets = written(folder)[1]
    assert secrets["vault_pms_api_password"] == ""
    assert secrets["vault_pms_redis_password"] == "cache$pw"


@pytest.mark.parametrize(
    ("version", "used"), [("2.29.1", "docker compose"), ("1.29.2", ""), ("", "")]
)
def test_compose_is_asked_by_the_tool_that_runs_the_pms(monkeypatch, tmp_path, version, used):
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n[ -n '{version}' ] || exit 1\necho {version}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    own = str(compose.VENV_BIN / "docker-compose")
    assert " ".join(find_tool()) == (used or own)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"network_mode": "none"}, "network_mode is none, with which Compose publishes no ports"),
        ({"ports": ["5432"]}, 'give it a fixed one, "127.0.0.1:5433:5432"'),
        ({}, 'add ports: ["127.0.0.1:5433:5432"] to db'),
    ],
)
def test_no_ports_are_advised_that_compose_forbids_or_another_service_has(
    place, tmp_path, capsys, more, words
):
    database = {key: value for key, value in PG.items() if key != "ports"} | more
    pooler = {"image": "edoburu/pgbouncer", "ports": ["5432:5432"]}
    folder = project_of(tmp_path / "fund", {"db": database, "pooler": pooler})
    notes = found(folder, capsys)["notes"]
    assert any(words in each for each in notes), notes
