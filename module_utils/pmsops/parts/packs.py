# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The morning packs of Redis, taken into a set and put back.

The PMS keeps a pack for 300 seconds and computes it anew after that: a pack whose time is over is
not put back, since it would be served as if it were fresh. Times are by Redis's own clock. What a
set has of an old pack to read is in its application.json and in the table daily_briefings.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso, utc_stamp_milliseconds
from ansible.module_utils.pmsops.pms import redis_cache

NAME = "redis/packs.json"
SCHEMA_VERSION = 1
KEY = re.compile(re.escape(redis_cache.PACKS) + r"\d{4}-\d{2}-\d{2}")
SECONDS = 20.0  # for all of them; each command has five
NO_EXPIRY, GONE = -1, -2
# What comes of a pack
EXPIRED, THERE, WRITTEN = "its time was over", "Redis has one, which stays", "put back"


def take(options: Mapping[str, Any] | None) -> tuple[bytes, int, list[str]]:
    """Return the packs as a document, their number, and what was left out.

    :raises OpsError: redis.unreachable, redis.slow
    """
    import redis

    began, packs, left_out = time.monotonic(), {}, []
    with redis_cache.session(options) as client:
        found = sorted(redis_cache.keys(client, redis_cache.PACKS + "*"))
        for key in found:
            if time.monotonic() - began > SECONDS:
                raise OpsError(
                    f"Redis did not give its {len(found)} packs within {SECONDS:.0f} s.",
                    "Run playbooks/dr_redis.yml if it stays so slow.",
                    code="redis.slow",
                )
            if not KEY.fullmatch(key):
                left_out.append(f"{key}: it has not the name of a pack")
                continue
            try:
                lives, value = client.pttl(key), client.get(key)
            except (redis.ResponseError, UnicodeDecodeError) as exc:
                left_out.append(f"{key}: {type(exc).__name__}")
                continue
            if value is None or lives == GONE:
                continue  # its time was over a moment ago
            expires = None if lives == NO_EXPIRY else stamp(now(client) + lives / 1000)
            packs[key] = {"value": value, "expires_at": expires}
    document = {"schema_version": SCHEMA_VERSION, "packs": packs}
    return json.dumps(document, indent=1, sort_keys=True).encode(), len(packs), left_out


def planned(options: Mapping[str, Any] | None, content: bytes) -> dict[str, str]:
    """Return what would come of each pack, by key; nothing is written.

    :raises OpsError: redis.unreachable, parts.not-a-pack
    """
    return _each(options, content, write=False)


def put_back(options: Mapping[str, Any] | None, content: bytes) -> dict[str, str]:
    """Write each pack whose time is not over, and that Redis lacks; return what came of each.

    :raises OpsError: redis.unreachable, parts.not-a-pack
    """
    return _each(options, content, write=True)


def _each(options: Mapping[str, Any] | None, content: bytes, *, write: bool) -> dict[str, str]:
    packs = json.loads(content)["packs"]
    if wrong := [key for key in packs if not KEY.fullmatch(key)]:
        raise OpsError(
            f"The set's packs name {wrong[0]!r}, which is no morning pack. Nothing was changed.",
            "The set is signed, so ask who made it; take another one.",
            code="parts.not-a-pack",
        )
    outcome = {}
    with redis_cache.session(options) as client:
        for key, pack in sorted(packs.items()):
            lives = _lives(client, pack["expires_at"])
            if lives is not None and lives <= 0:
                outcome[key] = EXPIRED
            elif write:
                done = client.set(key, pack["value"], nx=True, px=lives)
                outcome[key] = WRITTEN if done else THERE
            else:
                outcome[key] = THERE if client.exists(key) else WRITTEN
    return outcome


def _lives(client: Any, expires_at: str | None) -> int | None:
    """Return the milliseconds that a pack still has, by Redis's clock; None is without end."""
    if expires_at is None:
        return None
    return int((from_iso(expires_at).timestamp() - now(client)) * 1000)


def now(client: Any) -> float:
    """Return the moment by Redis's clock; by ours where its user may not ask for it."""
    import redis

    try:
        seconds, microseconds = client.time()
    except redis.ResponseError:
        return time.time()
    return float(seconds + microseconds / 1_000_000)


def stamp(moment: float) -> str:
    """Return a moment as ISO 8601, in UTC."""
    return utc_stamp_milliseconds(datetime.fromtimestamp(moment, UTC))
