# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Speak HTTP with the PMS, in the dialect that its /openapi.json says it speaks.

The PMS's documents and its code name different paths and fields for the same thing. Here each is
an operation with candidates, the code's first; the first that the service offers is the one used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError

TIMEOUTS_SECONDS = (5, 20)  # to connect, to read
DETAIL_LENGTH = 200


@dataclass(frozen=True)
class Operation:
    """What can be asked of a PMS: method, paths and field names, the code's own first."""

    method: str
    paths: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


OPERATIONS: Mapping[str, Operation] = {
    "positions": Operation("GET", ("/api/v1/pms/book/positions", "/api/v1/pms/positions")),
    "open_position": Operation(
        "POST",
        ("/api/v1/pms/book/positions/open", "/api/v1/pms/positions/open"),
        {
            "notional_brl": ("notional_brl", "size"),
            "execution_price": ("execution_price", "entry_price"),
            "manager_thesis": ("manager_thesis", "notes"),
        },
    ),
    "close_position": Operation(
        "POST",
        ("/api/v1/pms/book/positions/{id}/close", "/api/v1/pms/positions/{id}/close"),
        {
            "close_price": ("close_price", "exit_price"),
            "manager_notes": ("manager_notes", "notes"),
        },
    ),
    "mtm": Operation(
        "POST",
        ("/api/v1/pms/mtm", "/api/v1/pms/book/mtm"),
        {"price_overrides": ("price_overrides", "manual_prices")},
    ),
    "proposals": Operation("GET", ("/api/v1/pms/trades/proposals", "/api/v1/pms/proposals")),
    "generate_proposals": Operation(
        "POST", ("/api/v1/pms/trades/proposals/generate", "/api/v1/pms/proposals/generate")
    ),
    "approve": Operation(
        "POST",
        ("/api/v1/pms/trades/proposals/{id}/approve", "/api/v1/pms/proposals/{id}/approve"),
    ),
    "reject": Operation(
        "POST",
        ("/api/v1/pms/trades/proposals/{id}/reject", "/api/v1/pms/proposals/{id}/reject"),
    ),
    "journal": Operation("GET", ("/api/v1/pms/journal/", "/api/v1/pms/journal")),
    # Only where the release has it: the PMS's own code has no way to write an entry over HTTP.
    "create_journal_entry": Operation("POST", ("/api/v1/pms/journal",)),
    "generate_morning_pack": Operation("POST", ("/api/v1/pms/morning-pack/generate",)),
    "morning_pack": Operation("GET", ("/api/v1/pms/morning-pack/{date}",)),
    "latest_morning_pack": Operation("GET", ("/api/v1/pms/morning-pack/latest",)),
    "risk": Operation("GET", ("/api/v1/pms/risk/live", "/api/v1/pms/risk/monitor")),
    "risk_limits": Operation("GET", ("/api/v1/pms/risk/limits",)),
    "attribution": Operation(
        "GET", ("/api/v1/pms/attribution", "/api/v1/pms/performance/attribution")
    ),
    "pnl_summary": Operation("GET", ("/api/v1/pms/pnl/summary",)),
    "book": Operation("GET", ("/api/v1/pms/book",)),
    "pipeline_trigger": Operation("POST", ("/api/v1/pms/pipeline/trigger",)),
    "test_alert": Operation("POST", ("/api/v1/monitoring/test-alert",)),
    "token": Operation("POST", ("/api/v1/auth/token",)),
    "me": Operation("GET", ("/api/v1/auth/me",)),
    "data_status": Operation("GET", ("/health/data-status",)),
    "health": Operation("GET", ("/health",)),
}


@dataclass(frozen=True)
class Answer:
    """Status and parsed body of an answer; the body is None where it is not JSON."""

    status: int
    body: Any


@dataclass(frozen=True)
class Dialect:
    """The paths and field names that one PMS offers."""

    paths: Mapping[str, str]
    fields: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, openapi: Mapping[str, Any]) -> Dialect:
        """Return the dialect of the service that *openapi* describes.

        What the service does not offer is missing from ``paths``: an operation that is not there
        must not be called by a guess.
        """
        offered = {
            (method.upper(), _shape(path)): details
            for path, methods in (openapi.get("paths") or {}).items()
            if isinstance(methods, Mapping)
            for method, details in methods.items()
        }
        paths: dict[str, str] = {}
        fields: dict[str, dict[str, str]] = {}
        for name, operation in OPERATIONS.items():
            for path in operation.paths:
                details = offered.get((operation.method, _shape(path)))
                if details is None:
                    continue
                known = _properties(details, openapi)
                paths[name] = path
                fields[name] = {
                    ours: next((each for each in theirs if each in known), theirs[0])
                    for ours, theirs in operation.fields.items()
                }
                break
        return cls(paths, fields)

    def path(self, operation: str, **parameters: Any) -> str:
        """Return the path of *operation*, its parameters filled in.

        :raises OpsError: pms.no_operation where the service does not offer it.
        """
        if operation not in self.paths:
            wanted = OPERATIONS[operation]
            raise OpsError(
                f"The PMS offers none of {wanted.method} {', '.join(wanted.paths)}.",
                "Compare the release that runs with the one that was approved;"
                " /openapi.json lists what it offers.",
                code="pms.no_operation",
            )
        return self.paths[operation].format(**parameters)

    def body(self, operation: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return *values* under the field names that this PMS gives them."""
        names = self.fields.get(operation, {})
        return {names.get(name, name): value for name, value in values.items()}


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
        # Neither a proxy nor ~/.netrc of whoever runs this: netrc would replace the token.
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._dialect: Dialect | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> PmsApi:
        """Return a session with the PMS that a module's option ``api`` describes.

        :raises OpsError: pms.no_url.
        """
        options = options or {}
        if not options.get("url"):
            raise OpsError(
                "There is no PMS to talk to: pms_api_url is empty.",
                "Set pms_api_url to the base URL of the PMS.",
                code="pms.no_url",
            )
        return cls(options["url"], options.get("username"), options.get("password"))

    @property
    def dialect(self) -> Dialect:
        """The dialect, read from the service at first use.

        :raises OpsError: pms.unreachable or pms.answer.
        """
        if self._dialect is None:
            answer = self.request("GET", "/openapi.json")
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
        """Get a token where a user name is given; return whether there is one.

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
        """Ask for *operation* in the service's dialect, and return whatever it answers."""
        body = None if values is None else self.dialect.body(operation, values)
        path = self.dialect.path(operation, **parameters)
        return self.request(OPERATIONS[operation].method, path, body, query=query)

    def ask(
        self,
        operation: str,
        values: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> Any:
        """Return the body of a successful answer to *operation*.

        :raises OpsError: pms.answer where the status is not 2xx or the body is not JSON.
        """
        answer = self.call(operation, values, query=query, **parameters)
        if not 200 <= answer.status < 300 or answer.body is None:
            path = self.dialect.path(operation, **parameters)
            raise OpsError(
                f"{OPERATIONS[operation].method} {path} answered {answer.status}"
                f"{describe_error(answer.body)}.",
                "Read the log of the PMS at this moment; its answer is the whole of what it says.",
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
        """Send one request.

        :raises OpsError: pms.unreachable.
        """
        import requests

        try:
            answer = self._session.request(
                method, self.url + path, json=body, params=query, timeout=self._timeouts
            )
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
    """Return what an error body says, without the input that it may echo."""
    detail = body.get("detail") if isinstance(body, Mapping) else None
    if isinstance(detail, str):
        return f": {detail[:DETAIL_LENGTH]}"
    if isinstance(detail, list):
        said = [
            f"{'.'.join(str(part) for part in each.get('loc', []))}: {each.get('msg')}"
            for each in detail
            if isinstance(each, Mapping)
        ]
        return f": {'; '.join(said)[:DETAIL_LENGTH]}"
    return ""


def _shape(path: str) -> str:
    """Return *path* without the names of its parameters and without a closing slash."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/"


def _properties(details: Any, openapi: Mapping[str, Any]) -> set[str]:
    """Return the field names of an operation's JSON body; empty where it is not described."""
    try:
        schema = details["requestBody"]["content"]["application/json"]["schema"]
        if "$ref" in schema:
            schema = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        return set(schema.get("properties", {}))
    except (KeyError, TypeError):
        return set()
