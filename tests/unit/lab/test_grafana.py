"""The stand-in for Grafana: it answers four calls, and says what it is."""

from __future__ import annotations

import base64
import importlib.util
import json

import pytest

from tests.conftest import PROJECT

FOLDER = PROJECT / "roles" / "lab" / "files" / "grafana"
SPEC = importlib.util.spec_from_file_location("standin", FOLDER / "standin.py")
standin = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(standin)

LOGIN = "admin:right"
RIGHT = "Basic " + base64.b64encode(LOGIN.encode()).decode()
PANELS = {"pipeline-health": 8, "portfolio-performance": 8, "risk-dashboard": 7}


def ask(path: str, authorization: str = RIGHT) -> tuple[int, object]:
    return standin.answer(path, authorization, standin.dashboards(), LOGIN)


def test_health_is_for_everybody_and_says_that_it_is_a_stand_in():
    status, body = ask("/api/health", "")
    assert (status, body["database"], body["standIn"]) == (200, "ok", True)


@pytest.mark.parametrize("path", ["/api/search?type=dash-db", "/api/datasources"])
def test_the_rest_asks_for_the_password(path):
    wrong = "Basic " + base64.b64encode(b"admin:wrong").decode()
    assert ask(path, "")[0] == 401
    assert ask(path, wrong)[0] == 401
    assert ask(path)[0] == 200


def test_the_search_finds_the_four_dashboards_of_the_pms():
    found = {item["uid"] for item in ask("/api/search?type=dash-db")[1]}
    assert found == {*PANELS, "signal-overview"}


def test_every_panel_asks_the_one_data_source_something():
    source = ask("/api/datasources")[1][0]["uid"]
    for uid, count in {**PANELS, "signal-overview": 3}.items():
        panels = ask(f"/api/dashboards/uid/{uid}")[1]["dashboard"]["panels"]
        assert len(panels) == count
        assert {panel["datasource"]["uid"] for panel in panels} == {source}
        assert all(panel["targets"][0]["rawSql"] for panel in panels)


def test_an_unknown_dashboard_is_not_found():
    status, body = ask("/api/dashboards/uid/data-quality")
    assert status == 404
    assert json.dumps(body)
