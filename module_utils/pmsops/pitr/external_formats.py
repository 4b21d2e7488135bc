# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The JSON of pgBackRest, Barman and WAL-G: each shape, and how it reads as a catalogue.

Sources: ``pgbackrest info --output=json`` and ``barman -f json list-backups``, ``show-backup``,
``status`` and ``check``, as they print it; for WAL-G the structures of its sources
(``internal.BackupTime``, ``ExtendedMetadataDto`` and ``TimelineInfo``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.pitr import engine, external_listings, external_texts, wal
from ansible.module_utils.pmsops.pitr.external_catalogue import (
    BARMAN,
    PGBACKREST,
    WALG,
    Catalogue,
    by_age,
)

_SEGMENT = re.compile(r"\b[0-9A-F]{24}\b")


# --- pgBackRest ----------------------------------------------------------------------------------


def _is_pgbackrest(document: Any) -> bool:
    return _all(document, "name", "status", "backup", "archive")


def _pgbackrest(document: list[dict[str, Any]]) -> list[Catalogue]:
    return [_stanza(each) for each in document]


def _stanza(stanza: dict[str, Any]) -> Catalogue:
    # A stanza that was upgraded has the databases of before, too; the newest is the last.
    current = max((each["id"] for each in stanza.get("db") or []), default=None)
    systems = {each["id"]: str(each["system-id"]) for each in stanza.get("db") or []}
    archives = [
        each["max"]
        for each in stanza["archive"]
        if each.get("max") and (each.get("database") or {}).get("id") == current
    ]
    whole = [
        each
        for each in stanza["backup"]
        if (each.get("database") or {}).get("id") == current
        and (each.get("archive") or {}).get("start")
    ]
    backups = [
        engine.BaseBackup(
            id=each["label"],
            kind=engine.FULL if each["type"] == "full" else engine.INCREMENTAL,
            status="ERROR" if each.get("error") else engine.DONE,
            ended_at=datetime.fromtimestamp(each["timestamp"]["stop"], UTC),
            size_bytes=int((each.get("info") or {}).get("size") or 0),
        )
        for each in whole
    ]
    status = stanza["status"]
    wrong = status["code"] != 0 and bool(backups)  # without one, that is said anyway
    return Catalogue(
        program=PGBACKREST,
        name=str(stanza["name"]),
        system=systems.get(current),
        backups=by_age(backups),
        newest_wal=max(archives, default=None),
        begin_wal=max((each["archive"]["start"] for each in whole), default=None),
        first_wal=min((each["archive"]["start"] for each in whole), default=None),
        problems=(f"pgBackRest says: {status['message']}.",) if wrong else (),
    )


# --- Barman --------------------------------------------------------------------------------------


def _is_barman_list(document: Any) -> bool:
    # A server that has no backup is an empty list, and then nothing else is a list either.
    return (
        isinstance(document, dict)
        and bool(document)
        and all(isinstance(value, list) for value in document.values())
        and all(_is_barman_backup(each) for value in document.values() for each in value)
    )


def _is_barman_backup(value: Any) -> bool:
    return isinstance(value, dict) and {"backup_id", "status"} <= set(value)


def _barman_list(document: dict[str, list[dict[str, Any]]]) -> list[Catalogue]:
    return [
        Catalogue(BARMAN, name, backups=by_age(_barman_backup(each) for each in backups))
        for name, backups in document.items()
    ]


def _barman_backup(each: dict[str, Any]) -> engine.BaseBackup:
    """Return a backup of ``list-backups``; one that failed, or still runs, has no end."""
    ended = each.get("end_time_timestamp")
    return engine.BaseBackup(
        id=str(each["backup_id"]),
        kind=engine.INCREMENTAL if each.get("backup_type") == "incremental" else engine.FULL,
        status=str(each["status"]),
        ended_at=datetime.fromtimestamp(int(ended or 0), UTC),
        size_bytes=int(each.get("size_bytes") or 0),
        obsolete=each.get("retention_status") == "OBSOLETE",
    )


def _is_barman_status(document: Any) -> bool:
    return _values(document, "active", "backups_number")


def _barman_status(document: dict[str, dict[str, Any]]) -> list[Catalogue]:
    return [
        Catalogue(
            BARMAN,
            name,
            newest_wal=_segment(_said(server, "last_archived_wal")),
            problems=tuple(_barman_problems(server)),
        )
        for name, server in document.items()
    ]


def _barman_problems(server: dict[str, Any]) -> Iterator[str]:
    if _said(server, "active").lower() not in ("true", ""):
        yield "Barman says: the server is not active."
    if _said(server, "disabled").lower() == "true":
        yield "Barman says: the server is disabled."


def _said(server: dict[str, Any], name: str) -> str:
    """Return a line of ``status``: a text, or an object with its message."""
    value = server.get(name) or ""
    return str(value.get("message") or "") if isinstance(value, dict) else str(value)


def _segment(text: str) -> str | None:
    found = _SEGMENT.search(text)
    return found[0] if found else None


def _is_barman_shown(document: Any) -> bool:
    return _values(document, "backup_id", "base_backup_information")


def _barman_shown(document: dict[str, dict[str, Any]]) -> list[Catalogue]:
    """Return the one backup of ``show-backup``, which knows the server's identity."""
    return [
        Catalogue(
            BARMAN,
            name,
            system=str(shown["system_id"]) if shown.get("system_id") else None,
            newest_wal=_segment(str((shown.get("wal_information") or {}).get("last_available"))),
            begin_wal=shown["base_backup_information"].get("begin_wal"),
        )
        for name, shown in document.items()
    ]


def _is_barman_check(document: Any) -> bool:
    return _values(document, "wal_level", "retention_policy_settings") and all(
        isinstance(each, dict) and "status" in each
        for server in document.values()
        for each in server.values()
    )


def _barman_check(document: dict[str, dict[str, dict[str, str]]]) -> list[Catalogue]:
    """Return what ``check`` finds to be wrong."""
    return [
        Catalogue(
            BARMAN,
            name,
            problems=tuple(
                f"Barman's check {check.replace('_', ' ')} fails: {found.get('hint') or 'no hint'}."
                for check, found in server.items()
                if found["status"] != "OK"
            ),
        )
        for name, server in document.items()
    ]


# --- WAL-G ---------------------------------------------------------------------------------------


def _is_walg_list(document: Any) -> bool:
    return _all(document, "backup_name", "wal_file_name")


def _walg_list(backups: list[dict[str, Any]]) -> list[Catalogue]:
    systems = {str(each["system_identifier"]) for each in backups if each.get("system_identifier")}
    return [
        Catalogue(
            WALG,
            system=systems.pop() if len(systems) == 1 else None,
            backups=by_age(_walg_backup(each) for each in backups),
            begin_wal=max((each["wal_file_name"] for each in backups), default=None),
        )
    ]


def _walg_backup(each: dict[str, Any]) -> engine.BaseBackup:
    # Without --detail there is only the time at which the backup was stored, at its end.
    names = ("finish_time", "time", "modification_time")
    ended = next(each[name] for name in names if each.get(name))
    return engine.BaseBackup(
        id=str(each["backup_name"]),
        kind=engine.INCREMENTAL if "_D_" in each["backup_name"] else engine.FULL,
        status=engine.DONE,
        ended_at=_moment(ended),
        size_bytes=int(each.get("compressed_size") or each.get("uncompressed_size") or 0),
    )


def _moment(text: str) -> datetime:
    """Return a time stamp of Go, which may have nanoseconds."""
    found = from_iso(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_walg_wal(document: Any) -> bool:
    return _all(document, "end_segment", "missing_segments")


def _walg_wal(document: list[dict[str, Any]]) -> list[Catalogue]:
    """Return what ``wal-show --detailed-json`` says of the newest timeline."""
    newest = max(document, key=lambda each: int(each["id"]))
    missing = sorted(each for each in newest["missing_segments"] or [] if wal.SEGMENT.match(each))
    return [Catalogue(WALG, newest_wal=newest["end_segment"], missing=tuple(missing), listed=True)]


def _is_empty(document: Any) -> bool:
    return document is None or document == [] or document == {}


def _empty(_document: Any) -> list[Catalogue]:
    """Return nothing: no stanza, no server, no backup, whatever the program is."""
    return []


def _all(document: Any, *names: str) -> bool:
    return (
        isinstance(document, list)
        and bool(document)
        and all(isinstance(each, dict) and set(names) <= set(each) for each in document)
    )


def _values(document: Any, *names: str) -> bool:
    return (
        isinstance(document, dict)
        and bool(document)
        and all(isinstance(each, dict) and set(names) <= set(each) for each in document.values())
    )


SHAPES: tuple[tuple[Callable[[Any], bool], Callable[[Any], list[Catalogue]]], ...] = (
    (_is_empty, _empty),
    (_is_pgbackrest, _pgbackrest),
    (external_listings.is_listing, external_listings.catalogues),
    (external_texts.is_verified, external_texts.verified),
    (external_texts.is_listing, external_texts.listed),
    (_is_barman_list, _barman_list),
    (_is_barman_status, _barman_status),
    (_is_barman_shown, _barman_shown),
    (_is_barman_check, _barman_check),
    (_is_walg_list, _walg_list),
    (_is_walg_wal, _walg_wal),
)
