# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PMS's cache in Redis: save what exists nowhere else, put it back, warm the rest.

Every key can be computed again except one kind: a morning pack that was generated while the PMS ran
and that no database holds (``pms:morning_pack:<date>``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.redis_cache import keys, session

PACKS = "pms:morning_pack:*"
SAVED = "morning_packs.json"
# Each of these operations, in this order, makes the PMS write a key.
WARMING = ("book", "risk", "attribution", "latest_morning_pack")
# Keys that a working PMS has written after that.
WARM_KEYS = ("pms:book", "pms:risk:live")


def save(options: dict[str, Any] | None, folder: Path) -> int:
    """Write the packs to ``morning_packs.json`` in *folder*; return their number.

    :raises OpsError: redis.unreachable.
    """
    with session(options) as redis:
        packs = {}
        for key in keys(redis, PACKS):
            value = redis.get(key)
            if value is not None:
                packs[key] = {"value": value, "lives_seconds": max(redis.ttl(key), -1)}
    if packs:
        files.replace(folder / SAVED, json.dumps(packs, indent=1, sort_keys=True).encode())
    return len(packs)


def put_back(options: dict[str, Any] | None, folder: Path) -> int:
    """Write the saved packs that Redis lacks; return their number.

    :raises OpsError: redis.unreachable.
    """
    try:
        packs = json.loads((folder / SAVED).read_text())
    except FileNotFoundError:
        return 0
    with session(options) as redis:
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
    """Let the PMS fill its cache; return the keys that Redis then holds.

    :raises OpsError: redis.unreachable, redis.cold, pms.*.
    """
    for operation in WARMING:
        if operation in api.dialect.paths:
            api.call(operation)
    with session(options) as redis:
        found = sorted(keys(redis))
    if missing := [key for key in WARM_KEYS if key not in found]:
        raise OpsError(
            f"The PMS answers, but Redis has no {', '.join(missing)} afterwards.",
            "Compare the PMS's REDIS_HOST, REDIS_PORT and REDIS_PASSWORD with the inventory's;"
            " restart the PMS if they changed.",
            code="redis.cold",
        )
    return found
