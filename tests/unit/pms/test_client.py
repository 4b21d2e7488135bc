# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTTP client of the PMS: dialects, tokens, and errors that say no secret."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.client import PmsApi, describe_error
from ansible.module_utils.pmsops.pms.dialect import OPERATIONS, Dialect

from tests.support.standin_pms import StandIn, served


def openapi(*routes: tuple[str, str, tuple[str, ...]]) -> dict:
    """Return a description of routes whose bodies are schemas by reference, as FastAPI writes."""
    paths, schemas = {}, {}
    for number, (method, path, fields) in enumerate(routes):
        schemas[f"Body{number}"] = {"properties": {name: {} for name in fields}}
        reference = {"schema": {"$ref": f"#/components/schemas/Body{number}"}}
        paths.setdefault(path, {})[method] = {
            "requestBody": {"content": {"application/json": reference}}
        }
    return {"paths": paths, "components": {"schemas": schemas}}


def test_the_path_of_the_code_wins_where_both_are_served():
    both = openapi(
        ("post", "/api/v1/pms/book/mtm", ("manual_prices",)),
        ("post", "/api/v1/pms/mtm", ("price_overrides",)),
    )
    dialect = Dialect.of(both)
    assert dialect.path("mtm") == "/api/v1/pms/mtm"
    assert dialect.body("mtm", {"price_overrides": {"A": 1.0}}) == {"price_overrides": {"A": 1.0}}


def test_the_documented_path_and_field_serve_where_the_codes_are_missing():
    dialect = Dialect.of(openapi(("post", "/api/v1/pms/book/mtm", ("manual_prices",))))
    assert dialect.path("mtm") == "/api/v1/pms/book/mtm"
    assert dialect.body("mtm", {"price_overrides": {"A": 1.0}, "fx_rate": 5.0}) == {
        "manual_prices": {"A": 1.0},
        "fx_rate": 5.0,
    }


def test_the_name_of_a_path_parameter_does_not_matter():
    path = "/api/v1/pms/book/positions/{position_id}/close"
    dialect = Dialect.of(openapi(("post", path, ("exit_price", "notes"))))
    assert dialect.path("close_position", id=7) == "/api/v1/pms/book/positions/7/close"
    assert dialect.body("close_position", {"close_price": 1.0}) == {"exit_price": 1.0}


def test_the_same_path_with_another_method_is_another_operation():
    dialect = Dialect.of(openapi(("get", "/api/v1/pms/mtm", ())))
    with pytest.raises(OpsError, match="offers none of POST /api/v1/pms/mtm"):
        dialect.path("mtm")


def test_what_is_not_offered_is_never_called_by_a_guess():
    with pytest.raises(OpsError) as caught:
        Dialect.of({}).path("approve", id=1)
    assert caught.value.code == "pms.no_operation"


def test_every_operation_has_a_path_below_the_api_or_the_root():
    for operation in OPERATIONS.values():
        assert operation.paths
        assert all(path.startswith(("/api/v1/", "/health")) for path in operation.paths)


def test_a_refused_password_is_named_by_its_variable_and_not_shown():
    with served(StandIn()) as url:
        api = PmsApi(url, "manager", "a-wrong-secret")
        with pytest.raises(OpsError) as caught:
            api.login()
    assert caught.value.code == "pms.login"
    assert "pms_api_password" in caught.value.remedy
    assert "a-wrong-secret" not in str(caught.value) + caught.value.remedy


def test_without_a_user_name_no_token_is_asked_for():
    book = StandIn()
    with served(book) as url:
        assert PmsApi(url).login() is False
    assert book.requests == []


def test_a_server_that_is_no_pms_is_told_from_one():
    book = StandIn()
    book.openapi = lambda: ["not", "a", "description"]
    with served(book) as url, pytest.raises(OpsError, match="no description"):
        PmsApi(url).call("mtm", {})


@pytest.mark.parametrize("status", [401, 403, 404])
def test_without_a_description_the_pms_is_read_by_the_paths_of_its_code_and_never_written_to(
    status,
):
    book = StandIn()
    answer = book.answer
    book.answer = lambda method, path, *rest: (
        (status, {}) if path == "/openapi.json" else answer(method, path, *rest)
    )
    with served(book) as url:
        api = PmsApi(url)
        assert api.ask("positions") == []
        with pytest.raises(OpsError) as caught:
            api.call("mtm", {})
    assert caught.value.code == "pms.no_operation"


def test_a_validation_error_is_told_without_the_input_it_echoes():
    body = {"detail": [{"loc": ["body", "password"], "msg": "too short", "input": "s3cret"}]}
    assert describe_error(body) == ": body.password: too short"
    assert describe_error({"detail": "Position 9 not found"}) == ": Position 9 not found"
    assert describe_error("s3cret") == ""


def test_the_token_is_sent_and_no_netrc_replaces_it(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with served(StandIn()) as url:
        api = PmsApi(url, "manager", "right")
        assert api.login() is True
        prepared = api._session.prepare_request(__import__("requests").Request("GET", url))
        assert prepared.headers["Authorization"].startswith("Bearer ")


def test_a_pms_that_is_busy_is_asked_again_when_it_says(monkeypatch):
    from ansible.module_utils.pmsops.pms import client

    class Answers:
        def __init__(self, status, **headers):
            self.status_code, self.headers = status, headers

        def json(self):
            return []

    def asked(*answers):
        left, pauses = list(answers), []
        api = PmsApi("http://pms")
        monkeypatch.setattr(api._session, "request", lambda *_args, **_options: left.pop(0))
        monkeypatch.setattr(client.time, "sleep", pauses.append)
        return api.request("POST", "/trade", {}).status, pauses

    busy = Answers(429, **{"Retry-After": "20"})
    assert asked(busy, busy, Answers(200)) == (200, [20, 20])
    # Neither for good, nor what may have been carried out.
    assert asked(*[busy] * 9) == (429, [20] * 6)
    assert asked(Answers(503, **{"Retry-After": "1"})) == (503, [])
    assert asked(Answers(429)) == (429, [])


def test_a_date_is_a_time_to_wait_as_well():
    from datetime import UTC, datetime

    from ansible.module_utils.pmsops.common import retry_after

    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert retry_after.seconds("Tue, 24 Nov 2026 12:00:30 GMT", now) == 30
    assert [retry_after.seconds(each, now) for each in (None, "soon", "nan", "-1")] == [
        None,
        None,
        None,
        0,
    ]
