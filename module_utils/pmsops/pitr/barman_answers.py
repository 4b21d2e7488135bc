# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Barman's answers read: JSON on standard output, with its errors under ``_ERROR``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.pitr import engine
from ansible.module_utils.pmsops.pitr.engine_home import Answer

SERVER = "pms"


def read(answer: Answer) -> dict[str, Any]:
    """Return the JSON of an answer; a command may print none, which is an empty one."""
    text = answer.output.strip()
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        said = {"_ERROR": [text[:500]]}
    return said if isinstance(said, dict) else {"_ERROR": [text[:500]]}


def read_list(said: dict[str, Any]) -> list[engine.BaseBackup]:
    """Return the base backups of ``list-backup``, oldest first. A failed one has no end."""
    found = [
        engine.BaseBackup(
            id=each["backup_id"],
            kind=each.get("backup_type") or engine.FULL,
            status=each["status"],
            ended_at=datetime.fromtimestamp(int(each.get("end_time_timestamp") or 0), UTC),
            size_bytes=int(each.get("size_bytes") or 0),
            obsolete=each.get("retention_status") == "OBSOLETE",
            wal_bytes=int(each.get("wal_size_bytes") or 0),
        )
        for each in said.get(SERVER, [])
    ]
    return sorted(found, key=lambda each: each.id)


def read_detail(said: dict[str, Any]) -> engine.Detail:
    """Return the facts of ``show-backup``.

    :raises OpsError: pitr.engine if it has none, as of a backup that failed
    """
    shown = said.get(SERVER, {})
    base = shown.get("base_backup_information", {})
    try:
        return engine.Detail(
            id=shown["backup_id"],
            begin_wal=base["begin_wal"],
            begin_lsn=base["begin_lsn"],
            end_lsn=base["end_lsn"],
            timeline=int(base["timeline"]),
            system_identifier=str(shown["system_id"]),
            version=int(shown["postgresql_version"]),
            data_directory=str(shown.get("pgdata_directory") or ""),
            tablespaces=tuple(str(each) for each in shown.get("tablespaces") or ()),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise OpsError(
            f"Barman does not say where base backup {shown.get('backup_id')} lies: {exc}",
            "It is of no use; take an older moment, or delete it by barman delete.",
            code="pitr.engine",
        ) from exc


def reason(answer: Answer, said: dict[str, Any]) -> str:
    """Return what Barman said of a failure, in one line."""
    told = [*said.get("_ERROR", []), *said.get("_EXCEPTION", [])]
    lines = [str(each) for each in told] or answer.errors.splitlines()[-3:]
    return " ".join(" ".join(lines).split())[:800] or "it said nothing"
