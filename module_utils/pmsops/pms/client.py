# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP with the PMS: one session, its token, and errors without secrets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common import retry_after
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.dialect import OPERATIONS, Dialect

TIMEOUTS_SECONDS = (5, 20)  # to connect, to read
# How a PMS that keeps /openapi.json to itself answers; its book can be read all the same.
UNDESCRIBED = (401, 403, 404)
DETAIL_LENGTH = 200


@dataclass(frozen=True)
class Answer:
    """Status and parsed body of an answer; the body is None if it is not JSON."""

    status: int
    body: Any


class PmsApi:
    """One session with a PMS."""

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        *,
        timeouts: tuple[float, float] = TIMEOUTS_SECONDS,
    ) -> None:
        import requests

        self.url = url.rstrip("/")
        self._username = username
        self._password = password
        self._timeouts = timeouts
        self._session = requests.Session()
        # No proxy and no ~/.netrc of the current user: netrc would replace the token.
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._dialect: Dialect | None = None
        # Told of each operation that changes something, before it is sent
        self.announce: Callable[[str], None] = lambda operation: None

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> PmsApi:
        """Return a session with the PMS that a module's option ``api`` describes.

        :raises OpsError: pms.no_url.
        """
        options = options or {}
        if not options.get("url"):
            raise OpsError(
                "The address of the PMS is missing: pms_api_url is empty.",
                "Set pms_api_url to the base URL of the PMS.",
                code="pms.no_url",
            )
        return cls(options["url"], options.get("username"), options.get("password"))

    @classmethod
    def if_configured(cls, options: Mapping[str, Any] | None) -> PmsApi | None:
        """Return a session as ``from_options`` does, or None without a URL."""
        return cls.from_options(options) if options and options.get("url") else None

    @property
    def dialect(self) -> Dialect:
        """Return the dialect, read from the service at first use.

        :raises OpsError: pms.unreachable or pms.answer.
        """
        if self._dialect is None:
            answer = self.request("GET", "/openapi.json")
            if answer.status in UNDESCRIBED:
                self._dialect = Dialect.undescribed()
                return self._dialect
            if answer.status != 200 or not isinstance(answer.body, Mapping):
                raise OpsError(
                    f"GET {self.url}/openapi.json answered {answer.status} and no description"
                    " of its routes.",
                    "Check that pms_api_url is the base URL of the PMS and not of a proxy.",
                    code="pms.answer",
                )
            self._dialect = Dialect.of(answer.body)
        return self._dialect

    def login(self) -> bool:
        """Get a token if a user name is given; return whether there is one.

        :raises OpsError: pms.login, never with the answer's body.
        """
        if not self._username:
            return False
        answer = self.request(
            "POST",
            OPERATIONS["token"].paths[0],
            {"username": self._username, "password": self._password or ""},
        )
        token = answer.body.get("access_token") if isinstance(answer.body, Mapping) else None
        if answer.status != 200 or not token:
            raise OpsError(
                f"{self.url} gave user {self._username} no token: HTTP {answer.status}.",
                "Check pms_api_username and pms_api_password. The PMS has the user only if"
                f" PMS_{self._username.upper()}_PASSWORD was set when it started.",
                code="pms.login",
            )
        self._session.headers["Authorization"] = f"Bearer {token}"
        return True

    def call(
        self,
        operation: str,
        values: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> Answer:
        """Send *operation* in the service's dialect, and return any answer."""
        body = None if values is None else self.dialect.body(operation, values)
        path = self.dialect.path(operation, **parameters)
        method = OPERATIONS[operation].method
        if method != "GET":
            self.announce(operation)
        return self.request(method, path, body, query=query)

    def ask(
        self,
        operation: str,
        values: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> Any:
        """Return the body of a successful answer to *operation*.

        :raises OpsError: pms.answer if the status is not 2xx or the body is not JSON.
        """
        answer = self.call(operation, values, query=query, **parameters)
        if not 200 <= answer.status < 300 or answer.body is None:
            path = self.dialect.path(operation, **parameters)
            raise OpsError(
                f"{OPERATIONS[operation].method} {path} answered {answer.status}"
                f"{describe_error(answer.body)}.",
                "Read the log of the PMS at this time; its answer has no other details.",
                code="pms.answer",
            )
        return answer.body

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send one request; again where the service says that it is busy and until when.

        :raises OpsError: pms.unreachable or pms.overdue.
        """
        import requests

        patience = retry_after.MOST_SECONDS
        try:
            while True:
                answer = self._session.request(
                    method, self.url + path, json=body, params=query, timeout=self._timeouts
                )
                # With 429 it has done nothing, so that even a trade may be sent again.
                wait = retry_after.pause(answer.status_code, answer.headers)
                if wait is None or wait > patience:
                    break
                patience -= wait
                time.sleep(wait)
        except requests.Timeout as exc:
            raise OpsError(
                f"{self.url} did not answer {method} {path} in time.",
                "Look first at what the host and the PMS are busy with. The PMS may still carry out"
                " the request: read its book before you send it again.",
                code="pms.overdue",
            ) from exc
        except requests.RequestException as exc:
            raise OpsError(
                f"{self.url} did not answer {method} {path}: {type(exc).__name__}.",
                "Check that the PMS runs and that pms_api_url points at it.",
                code="pms.unreachable",
            ) from exc
        try:
            return Answer(answer.status_code, answer.json())
        except ValueError:
            return Answer(answer.status_code, None)


def describe_error(body: Any) -> str:
    """Return the error text of a body, without the input that it may echo."""
    detail = body.get("detail") if isinstance(body, Mapping) else None
    if isinstance(detail, str):
        return f": {detail[:DETAIL_LENGTH]}"
    if isinstance(detail, list):
        problems = [
            f"{'.'.join(str(part) for part in each.get('loc', []))}: {each.get('msg')}"
            for each in detail
            if isinstance(each, Mapping)
        ]
        return f": {'; '.join(problems)[:DETAIL_LENGTH]}"
    return ""
