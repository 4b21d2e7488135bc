# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the PMS keeps in Redis, for seconds: pms:book, pms:risk:live, pms:morning_pack:*, ...

The cache is never needed: without Redis, everything is made anew.
"""

from __future__ import annotations

import json
from typing import Any

import redis
from fastapi.encoders import jsonable_encoder
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.5
BOOK, RISK, PACK, ATTRIBUTION = "pms:book", "pms:risk:live", "pms:morning_pack:", "pms:attribution:"
LIFE_SECONDS = {BOOK: 30, RISK: 60, PACK: 300, ATTRIBUTION: 300}


class Cache:
    """JSON values in Redis. A Redis that hangs costs half a second, or blocks if *patient*."""

    def __init__(self, host: str, port: int, password: str, *, patient: bool = False) -> None:
        timeout = None if patient else TIMEOUT_SECONDS
        self._redis = redis.Redis(
            host=host,
            port=port,
            password=password or None,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )

    def ping(self) -> None:
        """Ask Redis whether it is there.

        :raises redis.RedisError: when it is not.
        """
        self._redis.ping()

    def get(self, kind: str, name: str = "") -> Any:
        """Return a value, or None."""
        try:
            text = self._redis.get(kind + name)
        except redis.RedisError:
            return None
        return json.loads(text) if text else None

    def put(self, kind: str, value: Any, name: str = "") -> None:
        """Keep a value for as long as its kind lives."""
        try:
            self._redis.set(kind + name, json.dumps(jsonable_encoder(value)), ex=LIFE_SECONDS[kind])
        except redis.RedisError:
            return

    def forget(self) -> None:
        """Drop what a change of the book makes wrong."""
        try:
            stale = list(self._redis.scan_iter(f"{ATTRIBUTION}*"))
            self._redis.delete(BOOK, RISK, *stale)
        except redis.RedisError:
            return
