# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the PMS keeps in Redis: save what is nowhere else, put it back, warm the rest.

Every key can be made anew but one kind: a morning pack that was generated while the PMS ran and
that no database holds (``pms:morning_pack:<date>``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.client import PmsApi

TIMEOUT_SECONDS = 5
PACKS = "pms:morning_pack:*"
ANY = "pms:*"
SAVED = "morning_packs.json"
# Asked in this order, each of these makes the PMS write a key of its own.
WARMING = ("book", "risk", "attribution", "latest_morning_pack")
# What a PMS that works has written after that.
WARM_KEYS = ("pms:book", "pms:risk:live")
MOST_KEYS = 10_000


@contextmanager
def client(options: dict[str, Any] | None) -> Iterator[Any]:
    """Give a connection to Redis.

    :raises OpsError: redis.unreachable, with what Redis said.
    """
    import redis

    options = options or {}
    where = f"{options.get('host')}:{options.get('port')}"
    connection = redis.Redis(
        host=options.get("host") or "127.0.0.1",
        port=options.get("port") or 6379,
        password=options.get("password"),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        decode_responses=True,
        retry=None,
    )
    try:
        yield connection
    except redis.RedisError as exc:
        raise OpsError(
            f"Redis at {where} does not do what it is asked: {type(exc).__name__}.",
            "playbooks/dr_redis.yml finds out why and brings it back.",
            code="redis.unreachable",
        ) from exc
    finally:
        connection.close()


def save(options: dict[str, Any] | None, folder: Path) -> int:
    """Write the packs into ``morning_packs.json`` of *folder*; return how many there are.

    :raises OpsError: redis.unreachable.
    """
    with client(options) as redis:
        packs = {}
        for key in _keys(redis, PACKS):
            value = redis.get(key)
            if value is not None:
                packs[key] = {"value": value, "lives_seconds": max(redis.ttl(key), -1)}
    if packs:
        files.replace(folder / SAVED, json.dumps(packs, indent=1, sort_keys=True).encode())
    return len(packs)


def put_back(options: dict[str, Any] | None, folder: Path) -> int:
    """Give Redis the saved packs that it does not have; return how many that were.

    :raises OpsError: redis.unreachable.
    """
    try:
        packs = json.loads((folder / SAVED).read_text())
    except FileNotFoundError:
        return 0
    with client(options) as redis:
        return sum(
            bool(
                redis.set(
                    key,
                    pack["value"],
                    nx=True,
                    ex=pack["lives_seconds"] if pack["lives_seconds"] > 0 else None,
                )
            )
            for key, pack in packs.items()
        )


def warm(options: dict[str, Any] | None, api: PmsApi) -> list[str]:
    """Have the PMS answer what it caches, and return the keys that Redis then holds.

    :raises OpsError: redis.unreachable, redis.cold, pms.*.
    """
    for operation in WARMING:
        if operation in api.dialect.paths:
            api.call(operation)
    with client(options) as redis:
        keys = sorted(_keys(redis, ANY))
    if missing := [key for key in WARM_KEYS if key not in keys]:
        raise OpsError(
            f"The PMS answers, and Redis holds no {', '.join(missing)} afterwards.",
            "Compare the PMS's REDIS_HOST, REDIS_PORT and REDIS_PASSWORD with the inventory's;"
            " restart the PMS if they changed.",
            code="redis.cold",
        )
    return keys


def _keys(redis: Any, pattern: str) -> list[str]:
    found = []
    for key in redis.scan_iter(pattern, count=500):
        found.append(key)
        if len(found) >= MOST_KEYS:
            break
    return found
