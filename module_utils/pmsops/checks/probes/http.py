# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a service over HTTP; expectations judge the body, not only the status."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.checks.probes import (
    Deadline,
    Failed,
    NotGiven,
    Overdue,
    Unanswerable,
)
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.common import retry_after

MAX_BYTES = 8 << 20
TEXT_CHARACTERS = 4000
TOKEN_PATH = "/api/v1/auth/token"  # noqa: S105 -- a path
ROUTES_PATH = "/openapi.json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return ``{status, json, text, headers, seconds, url}`` of one request."""
    url = _url(params, context)
    method = str(params.get("method", "GET")).upper()
    if method not in METHODS:
        raise Unanswerable(f"{method} is no HTTP method")
    headers = dict(params.get("headers") or {})
    basic = None
    auth = params.get("auth", "none")
    if auth == "token":
        headers["Authorization"] = f"Bearer {context.shared['token']}"
    elif auth == "forged":
        headers["Authorization"] = f"Bearer {forge(params)}"
    elif auth == "basic":
        grafana = context.settings.grafana
        basic = (grafana.get("username") or "", grafana.get("password") or "")
    elif auth != "none":
        raise Unanswerable(f"auth: {auth} is not one of none, token, basic, forged")
    return request(
        context,
        deadline,
        method,
        url,
        headers=headers,
        basic=basic,
        body=params.get("json"),
        follow=bool(params.get("follow", False)),
    )


def request(
    context: Context,
    deadline: Deadline,
    method: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    basic: tuple[str, str] | None = None,
    body: Any = None,
    follow: bool = False,
) -> dict[str, Any]:
    """Send one request and return its answer as plain data.

    A service that asks for patience is asked again, as long as the deadline allows.

    :raises Failed: when nobody answers.
    :raises Overdue: when no answer comes in time.
    """
    while True:
        answer = _sent(context, deadline, method, url, headers, basic, body, follow)
        named = {"Retry-After": answer["headers"].get("retry-after", "")}
        wait = retry_after.pause(answer["status"], named)
        if wait is None or wait >= deadline.left():
            return answer
        time.sleep(wait)


def _sent(
    context: Context,
    deadline: Deadline,
    method: str,
    url: str,
    headers: dict[str, str] | None,
    basic: tuple[str, str] | None,
    body: Any,
    follow: bool,
) -> dict[str, Any]:
    """Send one request and return its answer.

    :raises Failed: when nobody answers.
    :raises Overdue: when no answer comes in time.
    """
    import requests

    left = deadline.left()
    try:
        with context.http().request(
            method,
            url,
            headers=headers,
            auth=basic,
            json=body,
            timeout=(left, left),
            allow_redirects=follow,
            stream=True,
        ) as response:
            content = _read(response, deadline)
            answer: dict[str, Any] = {
                "status": response.status_code,
                "headers": {name.lower(): value for name, value in response.headers.items()},
                "seconds": round(response.elapsed.total_seconds(), 3),
                "url": url,
            }
    except requests.Timeout as exc:
        raise Overdue(f"{_where(url)} does not answer in time") from exc
    except requests.ConnectionError as exc:
        raise Failed(f"nobody answers at {_where(url)}: {_cause(exc)}") from exc
    except requests.RequestException as exc:
        raise Failed(f"{_where(url)}: {type(exc).__name__}: {one_line(exc)}") from exc
    text = content.decode("utf-8", errors="replace")
    answer["text"] = text[:TEXT_CHARACTERS]
    with suppress(ValueError):  # an expectation on `json` then says that the answer has none
        answer["json"] = json.loads(text)
    return answer


def token(context: Context, deadline: Deadline) -> str:
    """Return a bearer token of the PMS for the given user.

    :raises Failed: when the PMS refuses the user.
    :raises Unanswerable: when no user was given.
    """
    api = context.settings.api
    if not api.get("username"):
        raise NotGiven("no user of the API was given (pms_api_username)")
    answer = request(
        context,
        deadline,
        "POST",
        context.base_url("api") + TOKEN_PATH,
        body={"username": api["username"], "password": api.get("password") or ""},
    )
    found = answer.get("json")
    if answer["status"] != 200 or not isinstance(found, dict) or not found.get("access_token"):
        raise Failed(f"the API gives user {api['username']} no token: HTTP {answer['status']}")
    return str(found["access_token"])


def routes(context: Context, deadline: Deadline) -> list[str]:
    """Return the paths that the PMS lists in its own description.

    :raises Failed: when the description cannot be read.
    """
    answer = request(context, deadline, "GET", context.base_url("api") + ROUTES_PATH)
    found = answer.get("json")
    if answer["status"] != 200 or not isinstance(found, dict) or not found.get("paths"):
        raise Failed(f"{ROUTES_PATH} names no route: HTTP {answer['status']}")
    return sorted(found["paths"])


def forge(params: dict[str, Any]) -> str:
    """Return a token as somebody who knows (or guesses) the signing key could make it."""
    now = int(time.time())
    claims = {
        "sub": params.get("subject", "admin"),
        "role": params.get("role", "ADMIN"),
        "iat": now,
        "exp": now + 300,
    }
    parts = [_segment({"alg": "HS256", "typ": "JWT"}), _segment(claims)]
    key = str(params.get("secret") or "").encode()
    digest = hmac.new(key, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()


def _segment(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def _url(params: dict[str, Any], context: Context) -> str:
    """Return the whole URL; of several paths the first one that the PMS serves."""
    path = params["url"]
    if isinstance(path, list):
        known = [re.compile(_pattern(route)) for route in context.shared["routes"]]
        chosen = next(
            (each for each in path if any(p.fullmatch(urlsplit(each).path) for p in known)), None
        )
        if chosen is None:
            raise Failed(f"the API has none of the routes {', '.join(map(str, path))}")
        path = chosen
    if re.match(r"https?://", str(path)):
        return str(path)
    return context.base_url(params.get("base", "api")) + "/" + str(path).lstrip("/")


def _pattern(path: str) -> str:
    return re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))


def _read(response: Any, deadline: Deadline) -> bytes:
    content = b""
    for block in response.iter_content(65536):
        content += block
        if len(content) > MAX_BYTES:
            raise Failed(f"the answer is longer than {MAX_BYTES >> 20} MB")
        if time.monotonic() > deadline.at:
            raise Overdue("the answer does not end in time")
    return content


def _where(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}{parts.path}"


def _cause(exc: BaseException) -> str:
    text = one_line(exc)
    if "NameResolutionError" in text or "Name or service not known" in text:
        return "the name cannot be resolved"
    for known in ("Connection refused", "No route to host", "Connection reset"):
        if known in text:
            return known
    if "closed connection without response" in text or "RemoteDisconnected" in text:
        return "it closed the connection without an answer"
    return type(exc).__name__
