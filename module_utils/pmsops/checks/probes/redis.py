# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Query Redis, with commands that only read."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.pms import redis_cache

READING = frozenset(
    {"PING", "INFO", "DBSIZE", "GET", "EXISTS", "TTL", "TYPE", "STRLEN", "LASTSAVE", "TIME", "ROLE"}
)
READING_PAIRS = frozenset({("CONFIG", "GET"), ("ACL", "WHOAMI"), ("MEMORY", "USAGE")})


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return ``{reply, error, accepted}``; a refusal by the server is an answer too.

    ``accepted`` says whether the user may use the server; one that cannot save its data refuses
    PING to everybody (MISCONF).
    """
    import redis

    command = [str(word) for word in params["command"]]
    head = tuple(word.upper() for word in command[:2])
    if head[0] not in READING and head not in READING_PAIRS:
        raise Unanswerable(f"{' '.join(head)} is not among the commands that only read")
    client = context.redis(auth=params.get("auth", True), deadline=deadline)
    settings = context.settings.redis
    where = redis_cache.address(settings)
    try:
        reply = client.execute_command(*command)
    except redis.TimeoutError as exc:
        raise Overdue(f"Redis at {where} does not answer in time") from exc
    except redis.AuthenticationError as exc:
        # The library removes the code. Only the message of WRONGPASS has the word password.
        code = "WRONGPASS" if "password" in str(exc) else "NOAUTH"
        return {"reply": None, "error": f"{code} {one_line(exc)}", "accepted": False}
    except redis.exceptions.NoPermissionError as exc:
        if head[0] == "PING":  # every user may: without it, the PMS has no connection either
            return {"reply": None, "error": one_line(exc), "accepted": False}
        # A user with few rights is no fault of the server, and nothing of it needs a restart.
        user = settings.get("username") or "default"
        raise Unanswerable(
            f"user {user} may not run {' '.join(command)}: ACL SETUSER {user} +{_right(head)}"
        ) from exc
    except redis.ResponseError as exc:
        return {"reply": None, "error": one_line(exc), "accepted": True}
    except redis.ConnectionError as exc:
        cause = "Connection refused" if "refused" in str(exc) else one_line(exc)
        if "closed" in cause.lower() or "ssl" in cause.lower():
            said = "with" if settings.get("tls") else "without"
            cause += f" (asked {said} TLS: pms_redis_tls)"
        raise Failed(f"nobody answers at {where}: {cause}") from exc
    return {"reply": _plain(reply, head), "error": None, "accepted": True}


def _right(head: tuple[str, ...]) -> str:
    """Return the name of a command, with its first word, as ACL rules write it."""
    return "|".join(head if head in READING_PAIRS else head[:1]).lower()


def _plain(reply: Any, head: tuple[str, ...]) -> Any:
    """Return INFO and CONFIG GET as mappings, and numbers as numbers."""
    if head[0] == "PING":
        return "PONG" if reply is True else reply
    if head == ("CONFIG", "GET") and isinstance(reply, list):
        reply = dict(together(reply[::2], reply[1::2]))
    if isinstance(reply, dict):
        return {name: _number(value) for name, value in reply.items()}
    return reply


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value
