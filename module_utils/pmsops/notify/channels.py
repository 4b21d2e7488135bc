# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ways a message leaves: e-mail, a Slack-compatible webhook, any webhook.

An address of a webhook is a secret, and the exceptions of libraries have it in their text; so
nothing of an exception or an answer goes into what is said here, only what kind it was.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

from ansible.module_utils.pmsops.notify.message import Message

_TRY_AGAIN = (408, 425, 429)


class Undelivered(Exception):
    """Why a message did not leave; *again* where another try could help."""

    def __init__(self, problem: str, *, again: bool) -> None:
        super().__init__(problem)
        self.again = again


@dataclass(frozen=True)
class Email:
    """A mail server."""

    name: str
    host: str
    sender: str
    recipients: tuple[str, ...]
    port: int = 587
    security: str = "starttls"
    ca_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def deliver(self, message: Message, seconds: float) -> None:
        """Hand the message to the server for every recipient.

        :raises Undelivered: with what kept it
        """
        try:
            with self._connected(seconds) as server:
                refused = server.send_message(self._mail(message))
        except smtplib.SMTPAuthenticationError as exc:
            raise Undelivered("the server refused the login", again=False) from exc
        except smtplib.SMTPRecipientsRefused as exc:
            raise Undelivered("the server refused every recipient", again=False) from exc
        except smtplib.SMTPNotSupportedError as exc:
            raise Undelivered("the server does not offer what is asked for", again=False) from exc
        except smtplib.SMTPResponseException as exc:
            again = 400 <= exc.smtp_code < 500
            raise Undelivered(f"the server answered {exc.smtp_code}", again=again) from exc
        except smtplib.SMTPException as exc:
            raise Undelivered("the server broke off or said nothing", again=True) from exc
        except ssl.SSLCertVerificationError as exc:
            raise Undelivered("the server's certificate is not trusted", again=False) from exc
        except OSError as exc:
            raise _undelivered(exc) from exc
        if refused:
            count = f"{len(refused)} of {len(self.recipients)}"
            raise Undelivered(f"the server refused {count} recipients", again=False)

    def _connected(self, seconds: float) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=seconds, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=seconds)
        try:
            if self.security == "starttls":
                # Raises where the server does not offer it: nothing goes out in the clear.
                server.starttls(context=context)
            if self.username:
                server.login(self.username, self.password or "")
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.recipients)
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = make_msgid(domain="pms-ops.invalid")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail


@dataclass(frozen=True)
class Webhook:
    """An address that takes JSON."""

    name: str
    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def body(self, message: Message) -> dict[str, Any]:
        """Return what is posted."""
        return message.document()

    def deliver(self, message: Message, seconds: float) -> None:
        """Post the message; only an answer of 2xx counts.

        :raises Undelivered: with what kept it
        """
        import requests

        try:
            # The answer's body is not read. A redirect is not followed: the message, and a token
            # with it, go where the inventory says and nowhere else.
            with requests.post(
                self.url,
                json=self.body(message),
                auth=self._authorize,
                timeout=seconds,
                allow_redirects=False,
                verify=self.ca_file or True,
                stream=True,
            ) as answer:
                status = answer.status_code
        except requests.exceptions.SSLError as exc:
            raise Undelivered("its TLS certificate is not trusted", again=False) from exc
        except requests.exceptions.Timeout as exc:
            raise Undelivered(f"no answer within {seconds:g} s", again=True) from exc
        except requests.exceptions.ConnectionError as exc:
            raise Undelivered("it could not be connected to", again=True) from exc
        except (requests.exceptions.RequestException, ValueError) as exc:
            raise Undelivered("its url cannot be used", again=False) from exc
        except OSError as exc:
            raise _undelivered(exc) from exc
        if 300 <= status < 400:
            raise Undelivered(f"it answered {status}, a redirect: give its new url", again=False)
        if not 200 <= status < 300:
            again = status >= 500 or status in _TRY_AGAIN
            raise Undelivered(f"it answered {status}", again=again)

    def _authorize(self, request: Any) -> Any:
        # Given as a function, because requests lets ~/.netrc overwrite a plain header.
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


@dataclass(frozen=True)
class Slack(Webhook):
    """An incoming webhook of Slack, or of what speaks like it (Mattermost, Rocket.Chat)."""

    def body(self, message: Message) -> dict[str, Any]:
        """Return what is posted; the three signs that have a meaning there are escaped."""
        text = message.text
        for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(sign, escaped)
        return {"text": text}


Channel = Email | Webhook
KINDS: dict[str, type] = {"email": Email, "slack": Slack, "webhook": Webhook}


def _undelivered(exc: OSError) -> Undelivered:
    if isinstance(exc, TimeoutError):
        return Undelivered("no answer in time", again=True)
    if isinstance(exc, socket.gaierror):
        return Undelivered("its host name cannot be resolved", again=True)
    if isinstance(exc, ConnectionRefusedError):
        return Undelivered("it refused the connection", again=True)
    if isinstance(exc, ssl.SSLError):
        return Undelivered("it does not speak TLS as asked for", again=False)
    return Undelivered("the connection broke", again=True)
