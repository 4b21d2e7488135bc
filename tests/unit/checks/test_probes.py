"""Each kind of probe: a right target passes; a missing, misspelt or empty one never does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible.module_utils.pmsops.checks import probes, worker
from ansible.module_utils.pmsops.checks.probes import (
    Deadline,
    Failed,
    Unanswerable,
    evidence,
    grafana,
    http,
)
from ansible.module_utils.pmsops.checks.probes.container import describe
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.checks.probes.sql import _plain as plain_value
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.exchange_calendar import Clock
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets, warm_note

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = "the-signing-key"


def ask(kind: str, params: dict[str, Any], shared: Any = None, **settings: Any) -> Any:
    context = Context(Settings(now=NOW, **settings), shared=shared or {})
    return probes.function(kind)(params, context, Deadline.after(3))


def judged(kind: str, params: dict[str, Any], *expect: dict[str, Any], **settings: Any) -> Any:
    context = Context(Settings(now=NOW, **settings))
    return worker.answer(kind, params, list(expect), Deadline.after(3), context, Clock(NOW))


class Service(BaseHTTPRequestHandler):
    """A PMS, a Dagster and a Grafana, as small as a test needs them."""

    schedules: ClassVar[list[dict[str, Any]]] = []
    graphql: ClassVar[dict[str, Any]] = {}

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def reply(self, status: int, body: Any, content: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "")
        routes = {
            "/health": (200, {"status": "degraded", "database": "disconnected"}),
            "/openapi.json": (200, {"paths": {"/api/v1/pms/mtm": {}, "/a/{id}/close": {}}}),
            "/text": (200, b"no json at all"),
            "/moved": (307, {}),
            "/api/v1/auth/me": (200, {"username": "boss"}) if valid(token) else (401, {}),
            "/api/health": (200, {"database": "ok"}),
            "/api/search?type=dash-db": (200, [{"uid": "risk", "title": "Risk"}]),
            "/api/dashboards/uid/risk": (
                200,
                {
                    "dashboard": {
                        "title": "Risk",
                        "panels": [
                            {"title": "A", "targets": [{"rawSql": "SELECT 1"}]},
                            {
                                "title": "row",
                                "panels": [{"title": "B", "targets": [{"rawSql": "x"}]}],
                            },
                        ],
                    }
                },
            ),
        }
        self.reply(*routes.get(self.path, (404, {"detail": "Not Found"})))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/v1/auth/token":
            right = body == {"username": "boss", "password": "right-password"}
            answer = (200, {"access_token": sign(SECRET)}) if right else (401, {"detail": "no"})
            self.reply(*answer)
        elif self.path == "/graphql":
            found = next((v for k, v in self.graphql.items() if k in body["query"]), None)
            self.reply(
                200, {"data": found} if found else {"errors": [{"message": "no such field"}]}
            )
        else:
            self.reply(422, {"detail": []})


def sign(secret: str) -> str:
    return http.forge({"secret": secret})


def valid(header: str) -> bool:
    if not header.startswith("Bearer "):
        return False
    head, claims, signature = header.removeprefix("Bearer ").split(".")
    digest = hmac.new(SECRET.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == signature


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# --- http -----------------------------------------------------------------------------------------


def test_http_judges_the_body_and_not_the_status(url):
    expect = {"path": "json.database", "eq": "connected"}
    found = judged("http", {"url": "/health"}, expect, api={"url": url})
    assert (found.status, found.finding) == (
        "fail",
        "json database is disconnected, expected connected",
    )
    expect = {"path": "json.database", "eq": "disconnected"}
    assert judged("http", {"url": "/health"}, expect, api={"url": url}).status == "pass"


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"url": "/helth"}, "HTTP status is 404"),
        ({"url": "/text"}, "the answer has no json"),
        ({"url": "/moved"}, "HTTP status is 307"),
        ({"url": "/health", "method": "FETCH"}, "no HTTP method"),
        ({"url": "/health", "auth": "magic"}, "not one of"),
        ({"url": "/health", "base": "dagster"}, "no URL of dagster"),
    ],
    ids=str,
)
def test_http_never_passes_a_wrong_target(url, params, says):
    expect = {"path": "json.status", "not_empty": True}
    found = judged("http", params, expect, api={"url": url})
    assert found.status in ("fail", "unknown")
    assert says in found.finding


def test_http_says_that_a_name_cannot_be_resolved(monkeypatch):
    def unknown(*_: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = judged("http", {"url": "http://nowhere.invalid/"}, {"path": "status", "eq": 200})
    assert found.finding == "nobody answers at nowhere.invalid:80/: the name cannot be resolved"


def test_http_says_that_nobody_answers(closed_port):
    expect = {"path": "status", "eq": 200}
    params = {"url": f"http://127.0.0.1:{closed_port}/"}
    found = judged("http", params, expect)
    assert found.status == "fail"
    assert f"nobody answers at 127.0.0.1:{closed_port}/: Connection refused" in found.finding


def test_http_gets_a_token_for_the_given_user_and_nobody_else(url):
    api = {"url": url, "username": "boss", "password": "right-password"}
    context = Context(Settings(now=NOW, api=api))
    token = http.token(context, Deadline.after(3))
    found = ask("http", {"url": "/api/v1/auth/me", "auth": "token"}, {"token": token}, api=api)
    assert (found["status"], found["json"]) == (200, {"username": "boss"})
    wrong = Context(Settings(now=NOW, api=api | {"password": "wrong"}))
    with pytest.raises(Failed, match="gives user boss no token: HTTP 401"):
        http.token(wrong, Deadline.after(3))
    with pytest.raises(Unanswerable, match="no user"):
        http.token(Context(Settings(now=NOW, api={"url": url})), Deadline.after(3))


def test_the_runner_gets_one_token_for_all_and_names_why_there_is_none(url):
    from ansible.module_utils.pmsops.checks import gate

    from tests.support.gates import document, item

    items = [
        item(
            f"me{number}",
            "http",
            params={"url": "/api/v1/auth/me", "auth": "token"},
            expect=[{"path": "json.username", "eq": "boss"}],
        )
        for number in range(6)
    ]
    api = {"url": url, "username": "boss", "password": "right-password"}
    found = gate.run(document(*items), Settings(now=NOW, api=api), gate.Options())
    assert found["counts"]["pass"] == 6
    api["password"] = "wrong-password"
    found = gate.run(document(*items), Settings(now=NOW, api=api), gate.Options())
    assert found["counts"]["fail"] == 6
    assert "gives user boss no token" in found["results"][0]["finding"]
    assert "wrong-password" not in json.dumps(found)


@pytest.mark.parametrize(("secret", "status"), [(SECRET, 200), ("", 401), ("changeme", 401)])
def test_a_forged_token_tells_whether_a_signing_key_is_known(url, secret, status):
    params = {"url": "/api/v1/auth/me", "auth": "forged", "secret": secret}
    assert ask("http", params, api={"url": url})["status"] == status


def test_of_several_dialects_the_one_that_the_service_has_is_asked(url):
    context = Context(Settings(now=NOW, api={"url": url}))
    routes = http.routes(context, Deadline.after(3))
    assert routes == ["/a/{id}/close", "/api/v1/pms/mtm"]
    shared = {"routes": routes}
    params = {"url": ["/api/v1/pms/book/mtm", "/api/v1/pms/mtm"]}
    assert ask("http", params, shared, api={"url": url})["url"] == f"{url}/api/v1/pms/mtm"
    assert ask("http", {"url": ["/a/7/close"]}, shared, api={"url": url})["url"].endswith(
        "/7/close"
    )
    with pytest.raises(Failed, match="none of the routes /x, /y"):
        ask("http", {"url": ["/x", "/y"]}, shared, api={"url": url})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Max retries: Connection refused", "Connection refused"),
        ("No route to host", "No route to host"),
        ("RemoteDisconnected('x')", "it closed the connection without an answer"),
        ("something else", "ConnectionError"),
    ],
)
def test_http_names_why_nobody_answers(monkeypatch, text, says):
    import requests

    def refuse(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError(text)

    monkeypatch.setattr(requests.Session, "request", refuse)
    found = judged("http", {"url": "https://pms/health"}, {"path": "status", "eq": 200})
    assert found.finding == f"nobody answers at pms:443/health: {says}"


def test_http_refuses_a_url_that_is_none_and_a_description_without_routes(url):
    found = judged("http", {"url": "http://"}, {"path": "status", "eq": 200})
    assert (found.status, "InvalidURL" in found.finding) == ("fail", True)
    with pytest.raises(Failed, match="names no route: HTTP 404"):
        http.routes(Context(Settings(now=NOW, api={"url": f"{url}/nowhere"})), Deadline.after(3))


def test_http_logs_in_to_grafana_by_name(url):
    grafana_of = {"url": url, "username": "admin", "password": "secret"}
    params = {"url": "/api/health", "base": "grafana", "auth": "basic"}
    assert ask("http", params, grafana=grafana_of)["json"] == {"database": "ok"}


def test_an_answer_longer_than_eight_megabytes_is_not_read_to_its_end(url, monkeypatch):
    monkeypatch.setattr(http, "MAX_BYTES", 4)
    with pytest.raises(Failed, match="the answer is longer than"):
        ask("http", {"url": "/text"}, api={"url": url})


# --- redis ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["FLUSHALL"], ["SET", "a", "1"], ["CONFIG", "SET", "a", "b"]])
def test_redis_is_only_read(command):
    with pytest.raises(Unanswerable, match="only read"):
        ask("redis", {"command": command}, redis={"host": "127.0.0.1", "port": 1})


def test_redis_that_is_away_fails_and_one_not_given_is_unknown(closed_port):
    expect = {"path": "reply", "eq": "PONG"}
    found = judged(
        "redis", {"command": ["PING"]}, expect, redis={"host": "127.0.0.1", "port": closed_port}
    )
    assert found.status == "fail"
    assert f"nobody answers at 127.0.0.1:{closed_port}" in found.finding
    assert judged("redis", {"command": ["PING"]}, expect).status == "unknown"


# --- sql ------------------------------------------------------------------------------------------


def test_sql_without_a_server_fails(closed_port):
    database = {"host": "127.0.0.1", "port": closed_port, "name": "x", "user": "x"}
    found = judged("sql", {"query": "SELECT 1"}, {"path": "value", "eq": 1}, database=database)
    assert found.status == "fail"
    assert "Cannot connect" in found.finding


def test_sql_gives_numbers_as_numbers():
    from decimal import Decimal

    assert [plain_value(v) for v in (Decimal(3), Decimal("1.5"), "x", None)] == [3, 1.5, "x", None]


# --- container ------------------------------------------------------------------------------------


def inspected(**state: Any) -> dict[str, Any]:
    return {
        "Name": "/macro_redis",
        "RestartCount": state.pop("restarts", 0),
        "State": {
            "Running": True,
            "Status": "running",
            "Health": {"Status": "healthy"},
            "StartedAt": "2026-11-23T11:00:00.123456789Z",
            **state,
        },
        "Config": {"Image": "redis:7", "Env": ["DEBUG=false", "SECRET=abc"]},
        "HostConfig": {
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
            "RestartPolicy": {"Name": "unless-stopped"},
        },
        "NetworkSettings": {
            "Ports": {"6379/tcp": [{"HostIp": "127.0.0.1", "HostPort": "6379"}], "1/tcp": None}
        },
    }


def test_a_container_is_described_by_what_the_engine_says():
    found = describe(inspected(), NOW, ["DEBUG", "NOWHERE"])
    assert (found["name"], found["status"], found["health"]) == (
        "macro_redis",
        "running",
        "healthy",
    )
    assert found["ports"] == [{"container": "6379/tcp", "ip": "127.0.0.1", "port": "6379"}]
    assert found["log"] == {"driver": "json-file", "options": {"max-size": "10m"}}
    assert found["env"] == {"DEBUG": "false"}
    assert "abc" not in json.dumps(found)


@pytest.mark.parametrize(
    ("state", "looping"),
    [
        ({}, False),
        ({"restarts": 3}, False),
        ({"restarts": 3, "StartedAt": "2026-11-23T11:59:30Z"}, True),
        ({"Restarting": True}, True),
    ],
    ids=str,
)
def test_a_restart_loop_is_told_from_an_old_restart(state, looping):
    found = describe(inspected(**state), NOW, [])
    assert found["looping"] is looping
    # Only of the moment: one that came back and stays is no disaster any more.
    assert found["restarting"] is bool(state.get("Restarting"))


def test_without_docker_a_container_is_unknown(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    found = judged("container", {"name": "x"}, {"path": "status", "eq": "running"})
    assert (found.status, found.finding[:26]) == ("unknown", "Docker does not answer: Er")


# --- dagster and grafana --------------------------------------------------------------------------

GRAPHQL = {
    "workspaceOrError": {
        "workspaceOrError": {
            "__typename": "Workspace",
            "locationEntries": [
                {"name": "ok", "loadStatus": "LOADED", "locationOrLoadError": {"__typename": "L"}},
                {
                    "name": "bad",
                    "loadStatus": "LOADED",
                    "locationOrLoadError": {"__typename": "PythonError", "message": "No module"},
                },
            ],
        }
    },
    "cronSchedule": {
        "repositoriesOrError": {
            "__typename": "RepositoryConnection",
            "nodes": [
                {
                    "schedules": [
                        {
                            "name": "eod",
                            "cronSchedule": "0 21 * * 1-5",
                            "pipelineName": "eod_job",
                            "scheduleState": {"status": "STOPPED"},
                        }
                    ]
                }
            ],
        }
    },
    "daemonHealth": {
        "instance": {
            "daemonHealth": {
                "allDaemonStatuses": [
                    {
                        "daemonType": "SCHEDULER",
                        "healthy": False,
                        "required": True,
                        "lastHeartbeatTime": None,
                    }
                ]
            }
        }
    },
    "runsOrError": {
        "runsOrError": {
            "__typename": "Runs",
            "results": [
                {
                    "runId": "1",
                    "jobName": "eod_job",
                    "status": "FAILURE",
                    "startTime": 1700000000.0,
                    "endTime": None,
                }
            ],
        }
    },
}


@pytest.mark.parametrize(
    ("about", "expect", "says"),
    [
        ("locations", {"path": "locations[*].status", "eq": "LOADED"}, "ERROR"),
        ("schedules", {"path": "schedules[name=eod].status", "eq": "RUNNING"}, "STOPPED"),
        ("schedules", {"path": "schedules[name=pre].status", "eq": "RUNNING"}, "has no pre"),
        ("daemons", {"path": "daemons[*].healthy", "eq": True}, "is no, expected yes"),
        ("runs", {"path": "runs[0].status", "eq": "SUCCESS"}, "FAILURE"),
        ("runs", {"path": "runs[0].ended_at", "max_age": "1d"}, "none (null)"),
        ("nonsense", {"path": "x", "eq": 1}, "not one of"),
    ],
)
def test_dagster_s_answers_are_judged(url, about, expect, says, monkeypatch):
    monkeypatch.setattr(Service, "graphql", GRAPHQL)
    found = judged("dagster", {"about": about}, expect, dagster_url=url)
    assert found.status in ("fail", "unknown")
    assert says in found.finding


def test_dagster_that_refuses_the_query_fails(url, monkeypatch):
    monkeypatch.setattr(Service, "graphql", {})
    found = judged("dagster", {"about": "daemons"}, {"path": "x", "eq": 1}, dagster_url=url)
    assert (found.status, found.finding) == (
        "fail",
        "Dagster refuses the query: no such field",
    )


def test_grafana_s_panels_are_tried_one_by_one(url, monkeypatch):
    def query(context: Context, deadline: Deadline, sql: str) -> None:
        if "(x\n)" in sql:
            raise Failed("the query fails: column x does not exist")

    monkeypatch.setattr(grafana, "query", query)
    found = ask("grafana", {"dashboard": "risk"}, grafana={"url": url})
    assert (found["count"], found["broken"]) == (2, ["B"])
    assert found["panels"][0] == {"title": "A", "runs": True, "error": None}
    with pytest.raises(Failed, match="HTTP 404"):
        ask("grafana", {"dashboard": "nowhere"}, grafana={"url": url})
    assert ask("grafana", {"about": "dashboards"}, grafana={"url": url})["count"] == 1
    assert ask("grafana", {"about": "health"}, grafana={"url": url}) == {"database": "ok"}


def test_grafana_s_macros_become_sql():
    sql = "SELECT $__timeGroup(t, '1d'), v FROM x WHERE $__timeFilter(t) AND a = '${who}';"
    assert grafana.plain_sql(sql, {"who": "me"}) == (
        "SELECT date_trunc('hour', t::timestamptz), v FROM x"
        " WHERE t BETWEEN now() - interval '6 hours' AND now() AND a = 'me'"
    )
    assert grafana.plain_sql("SELECT $__timeFrom()", {}) == "SELECT (now() - interval '6 hours')"


# --- files, commands, disks -----------------------------------------------------------------------


def test_a_file_is_described_and_a_missing_one_never_passes(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"n": 1}')
    path.chmod(0o600)
    os.utime(path, (NOW.timestamp() - 60, NOW.timestamp() - 60))
    found = ask("file", {"path": str(path), "read": "json"})
    assert (found["mode"], found["age_seconds"], found["json"]) == ("0600", 60.0, {"n": 1})
    missing = judged("file", {"path": str(tmp_path / "b")}, {"path": "size_bytes", "ge": 0})
    assert (missing.status, missing.finding) == ("fail", f"{tmp_path}/b does not exist")
    gone = judged("file", {"path": str(tmp_path / "b")}, {"path": "exists", "eq": True})
    assert gone.status == "fail"


def test_the_newest_match_of_a_pattern_is_looked_at(tmp_path):
    for age, name in enumerate(("new.log", "old.log")):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    found = ask("file", {"glob": f"{tmp_path}/*.log", "read": "text"})
    assert found["text"] == "new.log"
    assert ask("file", {"glob": f"{tmp_path}/*.txt"})["exists"] is False
    assert ask("file", {"path": str(tmp_path)})["entries"] == 2


def test_a_file_that_is_not_what_it_should_be_fails(tmp_path):
    (tmp_path / "a").write_text("{")
    with pytest.raises(Failed, match="no valid JSON"):
        ask("file", {"path": str(tmp_path / "a"), "read": "json"})
    with pytest.raises(Unanswerable, match="read: xml"):
        ask("file", {"path": str(tmp_path / "a"), "read": "xml"})
    with pytest.raises(Failed, match="a/b: Not a directory"):
        ask("file", {"path": str(tmp_path / "a" / "b")})
    (tmp_path / "a").write_bytes(b"x" * (2 << 20))
    with pytest.raises(Failed, match="is longer than 1 MB"):
        ask("file", {"path": str(tmp_path / "a"), "read": "text"})
    found = ask("file", {"path": str(tmp_path / "a")})
    assert (found["size_bytes"], found["kind"]) == (2 << 20, "file")


def test_the_owner_of_a_file_is_a_name_or_a_number(tmp_path, monkeypatch):
    import pwd

    assert ask("file", {"path": str(tmp_path)})["owner"] == pwd.getpwuid(os.getuid()).pw_name

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert ask("file", {"path": str(tmp_path)})["owner"] == str(os.getuid())


def test_a_command_gives_its_status_and_its_output():
    found = ask("command", {"argv": ["sh", "-c", "echo $A; echo b >&2; exit 3"], "env": {"A": "x"}})
    assert found == {"rc": 3, "stdout": "x\n", "stderr": "b\n"}
    parsed = ask("command", {"argv": ["echo", '{"n": 2}'], "parse": "json"})
    assert parsed["json"] == {"n": 2}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"argv": ["no-such-program"]}, "cannot be started"),
        ({"argv": ["true"], "cwd": "/nowhere"}, "cannot be started"),
        ({"argv": ["true"], "parse": "json"}, "prints no JSON"),
    ],
)
def test_a_command_that_cannot_answer_fails(params, says):
    with pytest.raises(Failed, match=says):
        ask("command", params)


def test_a_command_that_does_not_end_in_time_is_killed_and_a_text_is_no_command():
    context = Context(Settings(now=NOW))
    with pytest.raises(Failed, match="sleep did not end in time and was killed"):
        probes.function("command")({"argv": ["sleep", "60"]}, context, Deadline.after(0.2))
    with pytest.raises(Unanswerable, match="argv is no list"):
        ask("command", {"argv": "true"})


def test_a_command_has_no_input_to_wait_for():
    assert ask("command", {"argv": ["cat"]})["rc"] == 0


def test_a_disk_says_what_is_free_and_a_missing_one_fails():
    found = ask("disk", {"path": "/"})
    assert 0 <= found["free_percent"] <= 100
    assert found["total_bytes"] > 0
    with pytest.raises(Failed, match="/nowhere: No such file"):
        ask("disk", {"path": "/nowhere"})
    # The space that a folder has which somebody has yet to make
    later = ask("disk", {"path": "/nowhere/later", "nearest": True})
    assert later["total_bytes"] == found["total_bytes"]


def test_the_room_of_a_warm_copy_counts_as_free(tmp_path):
    (tmp_path / sets.STATE).mkdir()
    asked = {"path": str(tmp_path), "warm_of": str(tmp_path)}
    before = ask("disk", asked)
    assert before["warm_bytes"] == 0
    facts = dict.fromkeys(warm_note.KEYS, "x") | {"size_bytes": before["total_bytes"]}
    warm_note.write(tmp_path, [facts])
    found = ask("disk", asked)
    assert found["free_bytes"] == before["total_bytes"] == found["warm_bytes"]


# --- backups, drills, the ledger ------------------------------------------------------------------


def backup_set(root: Path, name: str, size: int = 1000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "dump").write_bytes(os.urandom(size))
    document = {
        "schema_version": 1,
        "id": name,
        "database_name": "macro_trading",
        "snapshot_at": "2026-11-23T06:00:00Z",
        "started_at": "2026-11-23T06:00:00Z",
        "finished_at": "2026-11-23T06:00:04Z",
        "totals": {"bytes": size},
        **{name: {} for name in manifest.REQUIRED[3:-1]},
        "files": {},
    }
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


def test_the_newest_set_says_its_age_its_size_and_whether_it_was_proved(tmp_path):
    backup_set(tmp_path, "2026-11-22_0600")
    newest = backup_set(tmp_path, "2026-11-23_0600", 5000)
    settings = {"backup_root": str(tmp_path), "database": {"name": "macro_trading"}}
    found = ask("backup", {}, **settings)
    assert (found["id"], found["verified"], found["sets"]) == ("2026-11-23_0600", False, 2)
    # Without a database nobody can say whose server it was.
    assert (found["duration_seconds"], found["same_server"]) == (4.0, None)
    assert found["growth_bytes_per_day"] >= 5000
    assert found["days_of_space"] > 1
    sets.mark_verified(newest, {"rows": 1})
    assert ask("backup", {}, **settings)["verified"] is True
    (newest / "manifest.json").write_text((newest / "manifest.json").read_text() + " ")
    assert ask("backup", {}, **settings)["verified"] is False


def test_the_newest_set_says_whether_it_would_restore(tmp_path):
    newest = backup_set(tmp_path, "2026-11-23_0600")
    settings = {"backup_root": str(tmp_path)}
    found = ask("backup", {}, **settings)
    assert (found["trial"], found["refused"]) == ("not run", "nothing")
    document = json.loads((newest / "manifest.json").read_text())
    finding = {"object": "CHECK public.t.c", "what": "is violated by 2 rows.", "remedy": "..."}
    for reason, trial in ((None, "refused"), ("not within 30 s", "not run in full")):
        document["trial"] = {"status": "refused", "reason": reason, "findings": [finding]}
        (newest / "manifest.json").write_text(json.dumps(document))
        found = ask("backup", {}, **settings)
        assert (found["trial"], found["trial_reason"]) == (trial, reason)
        assert found["refused"] == "CHECK public.t.c: is violated by 2 rows."


def test_the_newest_set_says_which_of_its_parts_were_not_taken(tmp_path):
    newest = backup_set(tmp_path, "2026-11-23_0600")
    assert ask("backup", {}, backup_root=str(tmp_path))["parts_not_taken"] == "nothing"
    document = json.loads((newest / "manifest.json").read_text())
    parts = {
        "redis": set_parts.not_taken(set_parts.REDIS, "Redis did not answer."),
        "compose": set_parts.entry(set_parts.FILES, left_out=["/pms/.env: a secret"]),
    }
    (newest / "manifest.json").write_text(json.dumps(document | {"parts": parts}))
    told = ask("backup", {}, backup_root=str(tmp_path))["parts_not_taken"]
    assert told == "Part redis is not in the set: Redis did not answer."


@pytest.mark.parametrize(("recorded", "same"), [("7391823", True), ("7391824", False)])
def test_a_set_of_another_server_is_told_from_one_of_this(tmp_path, monkeypatch, recorded, same):
    newest = backup_set(tmp_path, "2026-11-23_0600")
    document = json.loads((newest / "manifest.json").read_text())
    document["server"] = {"system_identifier": recorded}
    (newest / "manifest.json").write_text(json.dumps(document))
    monkeypatch.setattr(evidence, "query", lambda *_: {"value": "7391823"})
    assert ask("backup", {}, backup_root=str(tmp_path))["same_server"] is same


def test_no_set_at_all_fails_and_no_folder_given_is_unknown(tmp_path):
    expect = {"path": "verified", "eq": True}
    assert judged("backup", {}, expect, backup_root=str(tmp_path)).status == "fail"
    assert judged("backup", {"root": "/nowhere"}, expect).status == "fail"
    assert judged("backup", {}, expect).status == "unknown"


SYSTEM = "7391823"


def drilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **record: Any) -> dict[str, Any]:
    newest = backup_set(tmp_path / "backups", "2026-11-23_0600")
    monkeypatch.setattr(evidence, "query", lambda *_: {"value": SYSTEM})
    entry = {
        "set": "2026-11-23_0600",
        "manifest_sha256": files.sha256(newest / "manifest.json"),
        "system_identifier": SYSTEM,
        "proved": True,
        "rto_seconds": 41.5,
    } | record
    entry = {name: value for name, value in entry.items() if value is not None}
    ledger.append(tmp_path / "evidence", "drill", entry, now=NOW - timedelta(days=1))
    roots = {"backup_root": str(tmp_path / "backups"), "evidence_root": str(tmp_path / "evidence")}
    return ask("drill", {}, **roots)


def test_a_drill_counts_that_names_the_newest_set_and_this_system(tmp_path, monkeypatch):
    found = drilled(tmp_path, monkeypatch)
    assert (found["names_newest_set"], found["same_system"], found["proved"]) == (True, True, True)
    assert found["at"].startswith("2026-11-22")
    assert found["rto_seconds"] == 41.5


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        ({"set": "2026-11-01_0600", "manifest_sha256": "0" * 64}, "names_newest_set"),
        ({"system_identifier": "1"}, "same_system"),
        ({"system_identifier": None}, "same_system"),
        ({"proved": False}, "proved"),
        ({"proved": "yes"}, "proved"),
    ],
    ids=str,
)
def test_a_drill_of_another_set_or_system_or_without_proof_says_so(
    tmp_path, monkeypatch, record, wrong
):
    assert drilled(tmp_path, monkeypatch, **record)[wrong] is False


def test_without_a_drill_the_check_fails(tmp_path):
    with pytest.raises(Failed, match="has no drill"):
        ask("drill", {}, evidence_root=str(tmp_path))


def test_a_damaged_ledger_is_found(tmp_path):
    for number in range(3):
        ledger.append(tmp_path, "gate", {"n": number}, now=NOW)
    expect = {"path": "problems", "take": "count", "eq": 0}
    assert judged("ledger", {}, expect, evidence_root=str(tmp_path)).status == "pass"
    path = tmp_path / "ledger.jsonl"
    path.write_text(path.read_text().replace('"n":1', '"n":9'))
    assert judged("ledger", {}, expect, evidence_root=str(tmp_path)).status == "fail"


# --- the smoke test's steps -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([{"id": "open", "status": "pass"}], "pass"),
        ([{"id": "open", "status": "fail", "finding": "HTTP 500"}], "fail"),
        ([{"id": "open", "status": "skipped"}], "unknown"),
        ([{"id": "open", "status": "PASS"}], "unknown"),
        ([{"id": "open"}], "unknown"),
        ([{"id": "close", "status": "pass"}], "unknown"),
        ([], "unknown"),
        (None, "unknown"),
    ],
    ids=str,
)
def test_a_step_passes_only_where_the_smoke_test_says_pass(steps, status):
    facts = {"smoke": {"steps": steps}} if steps is not None else {}
    assert judged("smoke", {"step": "open"}, facts=facts).status == status


def test_every_kind_of_probe_has_code_and_every_parameter_a_kind():
    for kind in set(probes.KINDS) - {"attest"}:
        assert callable(probes.function(kind))
    with pytest.raises(KeyError):
        probes.function("telepathy")
