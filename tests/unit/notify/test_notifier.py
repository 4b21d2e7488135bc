# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.notify import notifier as notify
from ansible.module_utils.pmsops.notify import state as notify_state
from ansible.module_utils.pmsops.notify.channels import Undelivered
from ansible.module_utils.pmsops.notify.message import Event, compose

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Channel:
    """A channel that fails as it is told to, then takes the message."""

    def __init__(self, name="one", *problems):
        self.name = name
        self.problems = list(problems)
        self.messages = []

    def deliver(self, message, seconds):
        if self.problems:
            raise self.problems.pop(0)
        self.messages.append(message)


def notifier(tmp_path, *channels, **options):
    made = notify.Notifier.from_options({"state_dir": str(tmp_path / "n")} | options)
    return replace(made, channels=channels, sleep=lambda _: None)


def failure(minutes=0, code="disk.full", source="backup", **more):
    return Event("failure", source, "It failed.", NOW + minutes * MINUTE, code=code, **more)


def recovery(minutes):
    return Event("recovery", "backup", "It is well.", NOW + minutes * MINUTE)


def test_the_same_failure_is_told_once_in_an_hour_and_then_with_their_number(tmp_path):
    channel = Channel()
    made = notifier(tmp_path, channel)
    sent = [made.send(failure(minutes)).sent for minutes in (0, 10, 59, 60)]
    assert sent == [True, False, False, True]
    assert [message.suppressed for message in channel.messages] == [0, 2]
    assert "Messages suppressed since the last one: 2." in channel.messages[1].text


def test_another_error_or_another_job_is_told_at_once(tmp_path):
    made = notifier(tmp_path, Channel())
    events = [failure(), failure(1, code="lock.held"), failure(2, source="drill")]
    assert [made.send(event).sent for event in events] == [True, True, True]


def test_a_success_is_told_once_and_only_after_a_failure(tmp_path):
    channel = Channel()
    made = notifier(tmp_path, channel)
    events = [recovery(0), failure(1), failure(2), recovery(3), recovery(4), failure(5)]
    assert [made.send(event).sent for event in events] == [False, True, False, True, False, True]
    assert channel.messages[1].suppressed == 1


def test_a_failure_that_reached_nobody_is_told_with_the_next_one(tmp_path):
    dead = Undelivered("it refused the connection", retry=False)
    channel = Channel("one", dead)
    made = notifier(tmp_path, channel)
    assert made.send(failure()).problems == {"one": "it refused the connection"}
    assert made.send(failure(1)).problems == {"one": None}
    assert channel.messages[0].suppressed == 1


def test_what_did_not_arrive_is_recorded_until_something_does(tmp_path):
    channel = Channel("one", *[Undelivered("it answered 500", retry=False)] * 2)
    made = notifier(tmp_path, channel, Channel("two"), metrics_dir=str(tmp_path / "m"))

    def kept():
        return made.state.read()["channels"]["one"]

    def figure():
        text = (tmp_path / "m" / "pms_notify.prom").read_text()
        return [line for line in text.splitlines() if line.startswith("pms_notify_undelivered")]

    made.send(failure())
    made.send(failure(70))
    assert (kept()["undelivered"], kept()["problem"]) == (2, "it answered 500")
    assert kept()["failing_since"] == "2026-11-24T12:00:00+00:00"
    assert figure()[0] == 'pms_notify_undelivered{system="pms-ops",channel="one"} 2'
    made.send(failure(140))
    assert (kept()["undelivered"], kept()["problem"]) == (0, None)
    assert figure()[0] == 'pms_notify_undelivered{system="pms-ops",channel="one"} 0'


def test_tries_are_counted_and_what_cannot_help_is_not_tried_again(tmp_path):
    pauses = []
    often = Channel("often", *[Undelivered("it answered 503", retry=True)] * 5)
    once = Channel("once", *[Undelivered("it answered 404", retry=False)] * 5)
    odd = Channel("odd", RuntimeError("https://hooks.example/SECRET"))
    made = replace(notifier(tmp_path, often, once, odd), sleep=pauses.append)
    found = made.send(failure()).problems
    assert (len(often.problems), len(once.problems)) == (2, 4)
    assert pauses == [1.0, 2.0]
    assert found["odd"] == "it failed unexpectedly (RuntimeError)"


def test_a_server_that_asks_for_patience_is_given_it(tmp_path):
    pauses = []
    busy = Channel("busy", *[Undelivered("it answered 429", retry=True, wait=30)] * 3)
    endless = Channel("endless", *[Undelivered("it answered 429", retry=True, wait=100)] * 9)
    made = replace(notifier(tmp_path, busy), sleep=pauses.append)
    assert made.send(failure()).problems == {"busy": None}
    assert pauses == [30, 30, 30]
    made = replace(notifier(tmp_path, endless), sleep=lambda _seconds: None)
    assert made.send(failure(70)).problems == {"endless": "it answered 429"}


def test_a_memory_that_cannot_be_kept_does_not_keep_a_message_back(tmp_path):
    (tmp_path / "n").write_text("a file where the folder should be")
    channel = Channel()
    delivery = notifier(tmp_path, channel).send(failure())
    assert delivery.sent and delivery.unrecorded and len(channel.messages) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"open": {}}', "null"])
def test_a_damaged_memory_counts_as_none(tmp_path, content):
    folder = tmp_path / "n"
    folder.mkdir()
    (folder / "notify.json").write_text(content)
    assert notifier(tmp_path, Channel()).send(failure()).sent
    assert json.loads((folder / "notify.json").read_text())["open"]["backup"]


def test_a_clock_that_was_set_back_silences_nobody(tmp_path):
    made = notifier(tmp_path, Channel())
    assert made.send(failure(600)).sent
    assert made.send(failure(0)).sent


def test_what_is_remembered_of_messages_is_bounded(tmp_path):
    state = notify_state.State(tmp_path)
    for minute in range(60):
        with state.changed() as document:
            notify_state.record(document, failure(minute), {"one": None}, 0)
    kept = state.read()["messages"]
    assert len(kept) == 50 and kept[-1]["at"] == "2026-11-24T12:59:00+00:00"


def composed(details, secrets=frozenset()):
    event = failure(facts={"task": "roles/x.yml:3"}, details=("USDBRL at 5.43, password hunter2",))
    return compose(event, "prod", details=details, suppressed=0, secrets=secrets)


def test_details_go_out_only_where_asked_for_and_never_with_a_secret():
    assert "5.43" not in composed(False).text + json.dumps(composed(False).document())
    text = composed(True, frozenset({"hunter2", "hunter"})).text
    assert text.endswith("USDBRL at 5.43, password ********\n")


def test_a_message_is_told_from_its_first_line_and_has_an_end():
    message = compose(
        failure(details=("x" * 9000,)),
        "prod\nline",
        details=True,
        suppressed=0,
        secrets=frozenset(),
    )
    assert message.subject == "[prod line] backup: FAILED"
    assert len(message.text) < 6100


GOOD = {"name": "c", "type": "webhook", "url": "https://hooks.example/SECRET"}
MAIL = {
    "name": "c",
    "type": "email",
    "host": "smtp.example",
    "sender": "a@b",
    "recipients": ["c@d"],
}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (GOOD | {"type": "pigeon"}, "type is not one of"),
        (GOOD | {"url": "http://hooks.example/SECRET"}, "https"),
        (GOOD | {"url": "http://[SECRET"}, "https"),
        (GOOD | {"url": "ftp://hooks.example/SECRET"}, "https"),
        (GOOD | {"url": ""}, "url is missing"),
        (GOOD | {"recipients": ["x"]}, "has no recipients"),
        (MAIL | {"sender": None}, "sender is missing"),
        (MAIL | {"security": "maybe"}, "security"),
        (MAIL | {"security": "none", "username": "u", "password": "SECRET"}, "clear text"),
        (MAIL | {"recipients": ["c@d\r\nBcc: SECRET"]}, "line break"),
    ],
)
def test_a_channel_that_cannot_be_used_is_refused_by_name_and_without_its_values(options, says):
    with pytest.raises(OpsError, match=says) as caught:
        notify.channel(options)
    assert caught.value.code == "notify.channel"
    assert "SECRET" not in str(caught.value) + caught.value.remedy


def test_channels_do_not_show_their_secrets():
    shown = repr(notify.channel(GOOD)) + repr(notify.channel(MAIL | {"password": "SECRET"}))
    assert "SECRET" not in shown


def test_two_channels_of_one_name_are_refused():
    with pytest.raises(OpsError, match="same name"):
        notify.Notifier.from_options({"channels": [GOOD, GOOD]})
