# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clock that is wrong, noticed before a copy is dated by it: ahead, set back, set at all."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.offsite import boot, restic_errors, server
from ansible.module_utils.pmsops.offsite.site import Site

DAY = timedelta(days=1)


@contextmanager
def answering(now):
    """A server that refuses everybody, and whose answers are dated by *now*."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response_only(401)
            self.send_header("Date", format_datetime(now))
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found.server_port
        found.shutdown()


@pytest.mark.parametrize("url", ["rest:http://fund@127.0.0.1:{}/x", "s3:http://127.0.0.1:{}/b"])
def test_a_site_that_speaks_http_says_its_time_without_credentials(url):
    then = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with answering(then) as port:
        assert server.time_of(Site("vault", url.format(port), Path("x"))) == then


@pytest.mark.parametrize(
    "url", ["/srv/x", "sftp:u@host:/x", "rest:http://127.0.0.1:9/x", "s3:", "rest:ftp://h/x"]
)
def test_a_site_that_says_no_time_settles_nothing(url):
    assert server.time_of(Site("vault", url, Path("x"))) is None


@pytest.mark.parametrize(("wrong", "said"), [(DAY, "24 h ahead of"), (-DAY, "24 h behind")])
def test_a_clock_that_differs_from_the_site_stops_what_would_be_written(
    stocked, monkeypatch, wrong, said
):
    stocked.make_set("2026-11-23_0600")
    monkeypatch.setattr(server, "time_of", lambda site: datetime.now(UTC) - wrong)
    for state in ("uploaded", "tried"):
        found = stocked.call(state)
        assert found["code"] == "offsite.clock" and said in found["msg"]
        assert stocked.calls()[-1]["argv"][1] == "snapshots"


def test_a_clock_that_the_site_confirms_is_right_whatever_was_written_before(stocked, monkeypatch):
    ledger.append(stocked.folder / "evidence", "gate", {}, now=datetime.now(UTC) + DAY)
    monkeypatch.setattr(server, "time_of", lambda site: datetime.now(UTC))
    assert stocked.site("uploaded")["changed"]
    monkeypatch.setattr(server, "time_of", lambda site: None)  # and so for the sites without HTTP
    assert stocked.site("uploaded")["ok"]


@pytest.mark.parametrize(("hours", "where"), [(24, "ahead"), (-24, "back")])
def test_a_clock_that_was_set_since_the_last_act_is_named_until_a_person_accepts_it(
    stocked, monkeypatch, hours, where
):
    real = boot.uptime
    monkeypatch.setattr(boot, "uptime", lambda: real() - hours * 3600)
    stocked.make_set("2026-11-23_0600")
    found = stocked.call("uploaded")
    assert found["code"] == "offsite.clock" and f"set {where} by 24 h" in found["msg"]
    assert stocked.calls()[-1]["argv"][1] == "snapshots"
    stocked.call("accepted", reason="it is right now")
    assert stocked.site("uploaded")["changed"]


def test_another_start_of_the_machine_says_nothing_of_the_clock(stocked, monkeypatch):
    monkeypatch.setattr(boot, "uptime", lambda: 5.0)
    monkeypatch.setattr(boot, "identity", lambda: "another")
    stocked.make_set("2026-11-23_0600")
    assert stocked.site("uploaded")["changed"]


def test_a_line_of_the_ledger_or_a_set_of_the_future_says_that_the_clock_went_back(stocked):
    ledger.append(stocked.folder / "evidence", "gate", {}, now=datetime.now(UTC) + DAY)
    found = stocked.call("uploaded")
    assert found["code"] == "offsite.clock" and "last line of the ledger" in found["msg"]
    name = f"{datetime.now(UTC) + 2 * DAY:%Y-%m-%d}_0600"
    stocked.make_set(name)
    found = stocked.call("uploaded")
    assert f"set {name} is of" in found["msg"]


def test_a_site_that_refuses_a_request_for_its_time_is_no_matter_of_credentials():
    said = "Stat: The difference between the request time and the server's time is too large. 403"
    assert restic_errors.to_error("vault", "backup", 1, said).code == "offsite.clock"
