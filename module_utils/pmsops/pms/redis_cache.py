# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Redis as the PMS uses it: the connection, its keys, and how they are deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any, NamedTuple

from ansible.module_utils.pmsops.common.errors import OpsError

KEYS = "pms:*"
PACKS = "pms:morning_pack:"
TIMEOUT_SECONDS = 5.0
MAX_KEYS = 10_000
CANNOT_SAVE = "MISCONF"
STOP_WRITES = "stop-writes-on-bgsave-error"
# The longest that a key of the PMS lives is 300 seconds: a morning pack, an attribution.
_SERVED = (
    "the PMS may show values of before for up to 300 seconds. Run playbooks/dr_redis.yml, and"
    " compare the book with the database before you trust it."
)


def connect(
    options: Mapping[str, Any], *, seconds: float = TIMEOUT_SECONDS, login: bool = True
) -> Any:
    """Return a Redis client for a module's option ``redis``; *login* says whether it sends AUTH."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    password = options.get("password") if login else None
    place: dict[str, Any] = {"unix_socket_path": options["socket"]} if options.get("socket") else {}
    if not place:
        place = {"host": options.get("host") or "127.0.0.1", "port": options.get("port") or 6379}
    if options.get("tls"):
        place |= {"ssl": True, "ssl_ca_certs": options.get("ca_file") or None}
    return redis.Redis(
        **place,
        # Another database number is another set of keys: nothing of the PMS would be found there.
        db=options.get("db") or 0,
        # With a user name: a server without a password refuses the short form of AUTH, so that a
        # check for a missing password could never connect.
        username=(options.get("username") or "default") if password else None,
        password=password,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        decode_responses=True,
        protocol=2,  # a refusal then answers the command itself, not the handshake
        retry=Retry(NoBackoff(), 0),
        single_connection_client=False,
    )


def configured(options: Mapping[str, Any] | None) -> bool:
    """Tell whether the option ``redis`` names a server."""
    return bool(options and (options.get("host") or options.get("socket")))


def address(options: Mapping[str, Any]) -> str:
    """Return where Redis is asked and as whom, as the inventory says it."""
    place = options.get("socket") or f"{options.get('host')}:{options.get('port') or 6379}"
    user = f" as user {options['username']}" if options.get("username") else ""
    return f"{place}{' with TLS' if options.get('tls') else ''}{user}"


@contextmanager
def session(options: Mapping[str, Any] | None) -> Iterator[Any]:
    """Yield a Redis client and close it at the end.

    :raises OpsError: redis.unreachable, with the kind of Redis's error.
    """
    import redis

    options = options or {}
    client = connect(options)
    try:
        yield client
    except redis.RedisError as exc:
        raise OpsError(
            f"Redis at {address(options)} refused a command or did not answer:"
            f" {type(exc).__name__}.",
            "Run playbooks/dr_redis.yml: it finds the cause and recovers Redis.",
            code="redis.unreachable",
        ) from exc
    finally:
        client.close()


def keys(client: Any, pattern: str = KEYS) -> list[str]:
    """Return the keys of a pattern, at most ``MAX_KEYS``."""
    found: list[str] = []
    for key in client.scan_iter(pattern, count=500):
        found.append(key)
        if len(found) >= MAX_KEYS:
            break
    return found


class Forgotten(NamedTuple):
    """How many keys Redis deleted, and why others may still be served; "" if there are none."""

    deleted: int = 0
    problem: str = ""


def forget(options: Mapping[str, Any] | None) -> Forgotten:
    """Delete all keys of the PMS; a Redis that refuses or is down is a problem, and no error."""
    return _forget(options, lambda _key: True)


def forget_after_run(options: Mapping[str, Any] | None, today: date) -> Forgotten:
    """Delete what a run of a pipeline wrote over.

    Dagster's assets know no position: they write an empty book and a pack of today without
    sections over the good ones, for 30 and 300 seconds. The PMS computes all of it again; packs of
    other days are not touched, since one may exist in Redis only.
    """
    packs = f"{PACKS}{today.isoformat()}"
    return _forget(options, lambda key: not key.startswith(PACKS) or key == packs)


def _forget(options: Mapping[str, Any] | None, stale: Callable[[str], bool]) -> Forgotten:
    if not options or not configured(options):
        return Forgotten()
    where = f"Redis at {address(options)}"
    try:
        with session(options) as client:
            found = [key for key in client.scan_iter(KEYS, count=500) if stale(key)]
            count, refusal = _delete(client, found) if found else (0, "")
    except OpsError as exc:
        # It comes back with the keys of its file, and one that hung with those of its memory.
        kind = type(exc.__cause__).__name__
        return Forgotten(0, f"{where} was not cleared ({kind}); once it answers, {_SERVED}")
    return Forgotten(count, f"{where} was not cleared ({refusal}); {_SERVED}" if refusal else "")


def _delete(client: Any, found: list[str]) -> tuple[int, str]:
    """Delete keys; return their number, and the refusal of a Redis that cannot save its data.

    Redis 8.0 refuses DEL, UNLINK, EXPIRE and FLUSHDB then (MISCONF) and goes on answering GET. It
    takes them while ``stop-writes-on-bgsave-error`` is off, unless its append-only file is what
    cannot be written.
    """
    import redis

    try:
        return int(client.delete(*found)), ""
    except redis.ResponseError as exc:
        if not str(exc).startswith(CANNOT_SAVE):
            raise
    try:
        if client.config_get(STOP_WRITES).get(STOP_WRITES) != "yes":
            return 0, f"{CANNOT_SAVE}: it cannot write its append-only file"
        client.config_set(STOP_WRITES, "no")
        try:
            return int(client.delete(*found)), ""
        finally:
            client.config_set(STOP_WRITES, "yes")
    except redis.ResponseError as exc:
        return 0, f"{CANNOT_SAVE}: it cannot save its data; {str(exc).split('.')[0]}"
