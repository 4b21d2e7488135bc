# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Messages over real sockets: a mail server with STARTTLS and logins, web servers of all moods."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import logging
import smtplib
import socket
import ssl
from dataclasses import replace

import pms_notify
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.notify.channels import Email, Undelivered, Webhook
from ansible.module_utils.pmsops.notify.message import Event, compose
from ansible.module_utils.pmsops.notify.notifier import Notifier
from ansible.module_utils.testing import patch_module_args
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.server import free_port
from tests.support.web import SECRET, Web, answers, drips, hangs, web_channel

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
FAILURE = Event(
    "failure",
    "backup",
    "The nightly backup ended with an error.",
    NOW,
    code="disk.full",
    facts={"error": "disk.full"},
    details=("USDBRL at 5.43 <b>",),
)


# ---------------------------------------------------------------- servers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody signed but itself: (certificate, key)."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1))
        .not_valid_after(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


class Mailbox:
    """What the mail server took, and whom it refuses."""

    def __init__(self):
        self.envelopes = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.envelopes.append((session.ssl is not None, envelope))
        return "250 OK"


def authenticated(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == (b"ops", SECRET.encode())
    return AuthResult(success=known, handled=False)


@contextlib.contextmanager
def mail_server(certificate, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    mailbox = Mailbox()
    port = free_port()
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=port, **{"tls_context": context} | options
    )
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


def tell(tmp_path, *channels, event=FAILURE, **options):
    known = {"state_dir": str(tmp_path / "n"), "channels": channels, "system": "prod"}
    made = Notifier.from_options(known | options)
    return replace(made, sleep=lambda _: None).send(event)


def mail_channel(port, certificate, **more):
    known = {"name": "mail", "type": "email", "host": "127.0.0.1", "port": port}
    known |= {"username": "ops", "password": SECRET, "ca_file": str(certificate[0])}
    return known | {"sender": "pms@example.net", "recipients": ["oncall@example.net"]} | more


# ---------------------------------------------------------------- e-mail


def auth(**more):
    return {"authenticator": authenticated, "auth_required": True, "require_starttls": True} | more


def test_a_mail_arrives_over_starttls_after_a_login(tmp_path, certificate):
    with mail_server(certificate, **auth()) as (mailbox, port):
        delivery = tell(tmp_path, mail_channel(port, certificate))
    assert delivery.problems == {"mail": None}
    ((encrypted, envelope),) = mailbox.envelopes
    text = envelope.content.decode()
    assert encrypted and envelope.rcpt_tos == ["oncall@example.net"]
    assert "Subject: [prod] backup: FAILED" in text
    assert "error: disk.full" in text and "5.43" not in text


@pytest.mark.parametrize(
    ("change", "server", "says"),
    [
        ({"password": "wrong-" + SECRET}, auth(), "the server refused the login"),
        ({"ca_file": None}, auth(), "the server's certificate is not trusted"),
        ({"recipients": ["nobody@x"]}, auth(), "the server refused every recipient"),
        ({"recipients": ["a@x", "nobody@x"]}, auth(), "the server refused 1 of 2 recipients"),
        ({}, {"tls_context": None}, "the server lacks a feature that the message needs"),
        (
            {},
            {"tls_context": None, "authenticator": authenticated, "auth_require_tls": False},
            "the server lacks a feature that the message needs",
        ),
        ({"security": "tls"}, auth(), "it does not support TLS as configured"),
    ],
)
def test_a_mail_server_that_is_not_as_configured_gets_no_password_in_clear(
    tmp_path, certificate, change, server, says
):
    with mail_server(certificate, **server) as (mailbox, port):
        delivery = tell(tmp_path, mail_channel(port, certificate, **change))
    assert delivery.problems == {"mail": says}
    assert [encrypted for encrypted, _ in mailbox.envelopes] in ([], [True])


def test_a_mail_server_that_says_nothing_is_left_after_the_time_out(tmp_path, certificate):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        options = {"timeout_seconds": 1, "attempts": 2, "deadline_seconds": 30}
        delivery = tell(tmp_path, mail_channel(port, certificate), **options)
    assert delivery.problems == {"mail": "the server closed the connection or sent no answer"}


# ---------------------------------------------------------------- webhooks


def test_slack_gets_text_and_a_webhook_gets_json_and_its_token(tmp_path):
    with Web(answers(200)) as slack, Web(answers(204)) as hook:
        channels = (
            web_channel(slack.url, "slack"),
            web_channel(hook.url, token="bearer-secret"),
        )
        delivery = tell(tmp_path, *channels, details=True)
    assert delivery.problems == {"slack": None, "webhook": None}
    assert list(slack.got[0][2]) == ["text"]
    assert "USDBRL at 5.43 &lt;b&gt;" in slack.got[0][2]["text"]
    path, headers, document = hook.got[0]
    assert path == f"/{SECRET}" and headers["Authorization"] == "Bearer bearer-secret"
    assert (document["kind"], document["system"], document["code"]) == (
        "failure",
        "prod",
        "disk.full",
    )


def test_https_with_a_certificate_of_its_own(tmp_path, certificate):
    with Web(answers(200), certificate) as web:
        trusting = tell(tmp_path, web_channel(web.url, ca_file=str(certificate[0])))
        distrusting = tell(tmp_path / "2", web_channel(web.url))
    assert trusting.problems == {"webhook": None}
    assert distrusting.problems == {"webhook": "its TLS certificate is not trusted"}
    assert len(web.got) == 1


@pytest.mark.parametrize(
    ("statuses", "problem", "tries"),
    [
        ((500, 503, 200), None, 3),
        ((500,), "it answered 500", 3),
        ((429, 200), None, 2),
        ((404,), "it answered 404", 1),
        ((302,), "it answered 302, a redirect: give its new url", 1),
        ((307,), "it answered 307, a redirect: give its new url", 1),
    ],
)
def test_what_a_web_server_answers_decides_about_another_try(tmp_path, statuses, problem, tries):
    with Web(answers(*statuses)) as web:
        delivery = tell(tmp_path, web_channel(web.url))
    assert delivery.problems == {"webhook": problem}
    assert [path for path, _, _ in web.got] == [f"/{SECRET}"] * tries


def test_a_token_is_not_replaced_by_one_of_netrc(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with Web(answers(200)) as web:
        tell(tmp_path, web_channel(web.url, token="bearer-secret"))
        tell(tmp_path / "2", web_channel(web.url))
    assert [headers.get("Authorization") for _, headers, _ in web.got] == [
        "Bearer bearer-secret",
        None,
    ]


def test_nobody_at_the_address(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    delivery = tell(tmp_path, web_channel(f"http://127.0.0.1:{port}/{SECRET}"))
    assert delivery.problems == {"webhook": "it could not be connected to"}


def test_servers_that_hang_or_drip_end_with_the_deadline_and_hold_up_nobody_else(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with Web(hangs) as hung, Web(drips) as slow, Web(answers(200)) as good:
        channels = [
            {"name": "hung", "type": "webhook", "url": hung.url},
            {"name": "slow", "type": "webhook", "url": slow.url},
            {"name": "good", "type": "webhook", "url": good.url},
        ]
        options = {"timeout_seconds": 1, "attempts": 2, "deadline_seconds": 4}
        delivery = tell(tmp_path, *channels, **options)
        hung.server.stop.set()
    assert delivery.problems == {
        "hung": "no answer within 1 s",
        "slow": "no end within 4 s",
        "good": None,
    }
    everything = (tmp_path / "n" / "notify.json").read_text() + caplog.text
    assert SECRET not in everything


# ---------------------------------------------------------------- the module


def called(capsys, **args):
    with patch_module_args(args), pytest.raises(SystemExit):
        pms_notify.main()
    return capsys.readouterr().out


def test_the_module_tells_once_and_check_mode_predicts_it(tmp_path, capsys):
    with Web(answers(200)) as web:
        args = {"channels": [web_channel(web.url)], "state_dir": str(tmp_path), "kind": "failure"}
        args |= {"source": "backup", "summary": "It failed."}
        runs = [called(capsys, **args, _ansible_check_mode=check) for check in (True, False) * 2]
    assert [json.loads(run)["changed"] for run in runs] == [True, True, False, False]
    assert json.loads(runs[3])["suppressed"] == 1
    assert len(web.got) == 1 and SECRET not in "".join(runs)


def test_the_module_fails_only_where_arrival_is_required(tmp_path, capsys):
    with Web(answers(404)) as web:
        args = {"channels": [web_channel(web.url)], "state_dir": str(tmp_path), "kind": "test"}
        args |= {"source": "set-up", "summary": "A try."}
        found = [json.loads(called(capsys, **args, required=each)) for each in (False, True)]
    assert found[0]["undelivered"] == {"webhook": "it answered 404"} and not found[0].get("failed")
    assert found[1]["code"] == "notify.undelivered" and "404" in found[1]["msg"]
    assert SECRET not in json.dumps(found)


# ---------------------------------------------------------------- what keeps a message


@pytest.mark.parametrize(
    ("error", "problem", "retry"),
    [
        (TimeoutError(), "no answer in time", True),
        (socket.gaierror(-2, "x"), "its host name cannot be resolved", True),
        (ConnectionRefusedError(), "it refused the connection", True),
        (ssl.SSLError(1, "x"), "it does not support TLS as configured", False),
        (OSError(113, "x"), "the connection broke", True),
        (smtplib.SMTPDataError(452, b"full"), "the server answered 452", True),
        (smtplib.SMTPDataError(554, b"spam"), "the server answered 554", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_has_its_sentence_and_only_a_passing_one_another_attempt(
    monkeypatch, error, problem, retry
):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(smtplib, "SMTP", refuse)
    mail = Email("mail", "smtp.example", "a@b", ("c@d",))
    with pytest.raises(Undelivered, match=problem) as caught:
        mail.deliver(compose(FAILURE, "prod", details=False, suppressed=0, secrets=frozenset()), 1)
    assert caught.value.retry is retry


def test_a_mail_server_without_tls_and_login_takes_a_message_where_that_is_configured(
    tmp_path, certificate
):
    plain = {"security": "none", "username": None, "password": None, "ca_file": None}
    with mail_server(certificate, tls_context=None) as (mailbox, port):
        delivery = tell(tmp_path, mail_channel(port, certificate, **plain))
    assert delivery.problems == {"mail": None}
    assert [encrypted for encrypted, _ in mailbox.envelopes] == [False]


def test_a_url_that_no_request_can_be_made_of_is_not_tried_again():
    hook = Webhook("hook", "https://127.0.0.1:99999/x")
    with pytest.raises(Undelivered, match="its url cannot be used") as caught:
        hook.deliver(compose(FAILURE, "prod", details=False, suppressed=0, secrets=frozenset()), 1)
    assert caught.value.retry is False


def test_how_long_a_busy_server_asks_to_be_left_alone_is_kept():
    def answer(handler):
        handler.send_response(429)
        handler.send_header("Retry-After", "30")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    message = compose(FAILURE, "prod", details=False, suppressed=0, secrets=frozenset())
    with Web(answer) as web, pytest.raises(Undelivered) as caught:
        Webhook("hook", web.url).deliver(message, 5)
    assert (caught.value.retry, caught.value.wait) == (True, 30)


# ---------------------------------------------------------------- heartbeats


def test_a_heartbeat_is_pinged_for_its_jobs_and_gets_no_message(tmp_path):
    with Web(answers(200)) as switch, Web(answers(200)) as every, Web(answers(200)) as hook:
        made = Notifier.from_options(
            {
                "state_dir": str(tmp_path),
                "channels": [
                    web_channel(f"{switch.url}/{{job}}", "heartbeat", name="own", jobs=["backup"]),
                    web_channel(every.url, "heartbeat", name="every", token="bearer-secret"),
                    web_channel(hook.url),
                ],
            }
        )
        assert made.beat("backup", NOW).problems == {"own": None, "every": None}
        assert made.beat("drill", NOW).problems == {"every": None}
        assert made.send(FAILURE).problems == {"webhook": None}
    assert [(path, body) for path, _headers, body in switch.got] == [(f"/{SECRET}/backup", None)]
    assert [headers["Authorization"] for _, headers, _ in every.got] == ["Bearer bearer-secret"] * 2
    assert len(hook.got) == 1
    assert [each["kind"] for each in made.state.read()["messages"]] == ["failure"]


def test_a_switch_that_does_not_answer_is_recorded_and_told_in_the_digest(tmp_path):
    with Web(answers(404)) as switch:
        options = {"channels": [web_channel(switch.url, "heartbeat")], "state_dir": str(tmp_path)}
        made = Notifier.from_options(options)
        assert made.beat("backup", NOW).problems == {"heartbeat": "it answered 404"}
    assert made.state.read()["channels"]["heartbeat"]["undelivered"] == 1
    with pytest.raises(OpsError, match="there is no channel for messages"):
        made.send(FAILURE).require()
