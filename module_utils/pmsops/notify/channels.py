# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The channels of a message: e-mail, a Slack-compatible webhook, any webhook; and heartbeats.

The address of a webhook is a secret, and exceptions of libraries have it in their text. So a
problem names the kind of an exception or an answer, and quotes nothing of it.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any, Union

from ansible.module_utils.pmsops.common import retry_after
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.notify.message import Message

_RETRY_STATUSES = (408, 425, 429)


class Undelivered(Exception):
    """Why a message was not delivered; *retry* where another attempt could help.

    *wait* is for how many seconds the server asked to be left alone, None if it did not.
    """

    def __init__(self, problem: str, *, retry: bool, wait: float | None = None) -> None:
        super().__init__(problem)
        self.retry = retry
        self.wait = wait


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

        :raises Undelivered: when it cannot be delivered.
        """
        try:
            with self._connected(seconds) as server:
                refused = server.send_message(self._mail(message))
        except smtplib.SMTPAuthenticationError as exc:
            raise Undelivered("the server refused the login", retry=False) from exc
        except smtplib.SMTPRecipientsRefused as exc:
            raise Undelivered("the server refused every recipient", retry=False) from exc
        except smtplib.SMTPNotSupportedError as exc:
            raise Undelivered(
                "the server lacks a feature that the message needs", retry=False
            ) from exc
        except smtplib.SMTPResponseException as exc:
            retry = 400 <= exc.smtp_code < 500
            raise Undelivered(f"the server answered {exc.smtp_code}", retry=retry) from exc
        except smtplib.SMTPException as exc:
            raise Undelivered(
                "the server closed the connection or sent no answer", retry=True
            ) from exc
        except ssl.SSLCertVerificationError as exc:
            raise Undelivered("the server's certificate is not trusted", retry=False) from exc
        except OSError as exc:
            raise _undelivered(exc) from exc
        if refused:
            count = f"{len(refused)} of {len(self.recipients)}"
            raise Undelivered(f"the server refused {count} recipients", retry=False)

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
                # Raises where the server does not offer it: nothing is sent in clear text.
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
    """An address that accepts JSON."""

    name: str
    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def body(self, message: Message) -> dict[str, Any] | None:
        """Return the document to post."""
        return message.document()

    def address(self, message: Message) -> str:
        """Return where to post it."""
        return self.url

    def deliver(self, message: Message, seconds: float) -> None:
        """Post the message; it is delivered if the answer is 2xx.

        :raises Undelivered: when it cannot be delivered.
        """
        import requests

        try:
            # The body of the answer is not read. A redirect is not followed: message and token go
            # only to the address in the inventory.
            with requests.post(
                self.address(message),
                json=self.body(message),
                auth=self._authorize,
                timeout=seconds,
                allow_redirects=False,
                verify=self.ca_file or True,
                stream=True,
            ) as answer:
                status = answer.status_code
                wait = retry_after.seconds(answer.headers.get("Retry-After"), datetime.now(UTC))
        except requests.exceptions.SSLError as exc:
            raise Undelivered("its TLS certificate is not trusted", retry=False) from exc
        except requests.exceptions.Timeout as exc:
            raise Undelivered(f"no answer within {seconds:g} s", retry=True) from exc
        except requests.exceptions.ConnectionError as exc:
            raise Undelivered("it could not be connected to", retry=True) from exc
        except (requests.exceptions.RequestException, ValueError) as exc:
            raise Undelivered("its url cannot be used", retry=False) from exc
        except OSError as exc:
            raise _undelivered(exc) from exc
        if 300 <= status < 400:
            raise Undelivered(f"it answered {status}, a redirect: give its new url", retry=False)
        if not 200 <= status < 300:
            retry = status >= 500 or status in _RETRY_STATUSES
            raise Undelivered(f"it answered {status}", retry=retry, wait=wait)

    def _authorize(self, request: Any) -> Any:
        # A function, because requests lets ~/.netrc overwrite a plain header.
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


@dataclass(frozen=True)
class Slack(Webhook):
    """An incoming webhook of Slack, or one compatible with it (Mattermost, Rocket.Chat)."""

    def body(self, message: Message) -> dict[str, Any]:
        """Return the document to post; Slack's three control characters are escaped."""
        text = message.text
        for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(sign, escaped)
        return {"text": text}


@dataclass(frozen=True)
class Heartbeat(Webhook):
    """A dead man's switch outside this machine: it alarms where no job told it of a success.

    It is pinged after each success of the *jobs*, of all jobs without them, and gets no message.
    ``{job}`` in its url is the name of the job.
    """

    jobs: tuple[str, ...] = ()

    def is_of(self, job: str) -> bool:
        """Tell whether a success of *job* is told to it."""
        return not self.jobs or job in self.jobs

    def body(self, message: Message) -> None:
        """Return None: a ping has no content, so nothing of the fund leaves the machine."""

    def address(self, message: Message) -> str:
        """Return the address of the job's switch."""
        return self.url.replace("{job}", message.event.source)


Channel = Union[Email, Webhook]
KINDS: dict[str, type[Email] | type[Webhook]] = {
    "email": Email,
    "slack": Slack,
    "webhook": Webhook,
    "heartbeat": Heartbeat,
}


def _undelivered(exc: OSError) -> Undelivered:
    if isinstance(exc, (TimeoutError, socket.timeout)):  # one class since Python 3.10
        return Undelivered("no answer in time", retry=True)
    if isinstance(exc, socket.gaierror):
        return Undelivered("its host name cannot be resolved", retry=True)
    if isinstance(exc, ConnectionRefusedError):
        return Undelivered("it refused the connection", retry=True)
    if isinstance(exc, ssl.SSLError):
        return Undelivered("it does not support TLS as configured", retry=False)
    return Undelivered("the connection broke", retry=True)
