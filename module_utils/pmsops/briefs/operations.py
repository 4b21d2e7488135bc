# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readings of the automatic parts: pipeline, morning pack, market, backups, ledger, access."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.pmsops.briefs.reading import Reading, Source, percent, price, short
from ansible.module_utils.pmsops.common import exchange_calendar, files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import drills, ledger
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.pmsops.repository import manifest, sets

RUNS = """
SELECT run_date, status, duration_seconds, created_at
  FROM public.pipeline_runs ORDER BY created_at DESC LIMIT 5
"""
SNAPSHOT = """
SELECT i.ticker, d.day, d.close, 100 * (d.close / nullif(d.before, 0) - 1)
  FROM public.instruments i, LATERAL (
       SELECT (m."timestamp" AT TIME ZONE 'UTC')::date AS day, m.close,
              lead(m.close) OVER (ORDER BY m."timestamp" DESC) AS before
         FROM public.market_data m
        WHERE m.instrument_id = i.id AND m.frequency = 'daily'
          AND m."timestamp" > now() - interval '20 days'
        ORDER BY m."timestamp" DESC LIMIT 1) d
 ORDER BY i.ticker
"""
CURVE = """
SELECT DISTINCT ON (tenor_days) tenor_days, curve_date, 100 * rate,
       10000 * (rate - lead(rate) OVER (PARTITION BY tenor_days ORDER BY curve_date DESC))
  FROM public.curves
 WHERE curve_id = 'DI_PRE' AND tenor_days IN (30, 252, 1260) AND curve_date > current_date - 20
 ORDER BY tenor_days, curve_date DESC
"""
# A superuser that cannot log in counts: its members become it by SET ROLE.
ROLES = """
SELECT rolname, rolsuper, rolcanlogin, rolcreaterole OR rolcreatedb, rolvaliduntil::text,
       (SELECT string_agg(b.rolname, ', ' ORDER BY b.rolname) FROM pg_auth_members m
          JOIN pg_roles b ON b.oid = m.roleid WHERE m.member = r.oid)
  FROM pg_roles r WHERE rolcanlogin OR rolsuper ORDER BY NOT rolsuper, rolname
"""
PACK_LINE = 200
LEAST_FREE_PERCENT = 15
WATCHED = ("USDBRL", "IBOV", "DXY", "VIX", "UST_10Y", "ES_FUT", "BRENT", "GOLD")
LARGEST_MOVES = 3


def pipeline(source: Source) -> Reading:
    """Return the newest pipeline runs in the database."""
    found = source.rows(RUNS)
    reading = Reading(
        "Pipeline",
        [],
        ("day", "status", "seconds", "recorded at"),
        [(day, status, f"{spent or 0:.1f}", at) for day, status, spent, at in found],
    )
    expected = exchange_calendar.previous_business_day(source.today)
    if not found:
        reading.attention.append("pipeline_runs has no run")
    elif found[0][1] != "SUCCESS":
        reading.attention.append(f"the last run, of {found[0][0]}, ended {found[0][1]}")
    elif found[0][0] < expected:
        reading.attention.append(f"the last run is of {found[0][0]}, before {expected}")
    return reading


def pack(source: Source) -> Reading:
    """Return the morning pack in short, and whether it is of today."""
    reading = Reading("Morning pack")
    answer = source.api.call("latest_morning_pack") if source.api else None
    if answer is None or answer.status != 200 or not isinstance(answer.body, dict):
        reading.attention.append("there is no morning pack; dr_pipeline.yml generates one")
        return reading
    found = answer.body
    reading.lines.append(f"Of {found.get('briefing_date')}, made {found.get('created_at')}.")
    reading.lines.append(short(found.get("macro_narrative"), PACK_LINE))
    reading.head = ("priority", "category", "what")
    reading.rows = [
        (each.get("priority"), each.get("category"), short(each.get("description"), 80))
        for each in found.get("action_items") or []
    ]
    today = source.today
    if exchange_calendar.is_business_day(today) and str(found.get("briefing_date")) != str(today):
        reading.attention.append(
            f"the newest morning pack is of {found.get('briefing_date')}, today is {today}"
        )
    return reading


def snapshot(source: Source) -> Reading:
    """Return the last daily move of the watched markets, and the largest other moves."""
    found = source.rows(SNAPSHOT)
    reading = Reading("Overnight macro snapshot", [], ("ticker", "day", "close", "change"))
    others = sorted(
        (row for row in found if row[0] not in WATCHED), key=lambda row: -abs(row[3] or 0.0)
    )
    shown = [row for row in found if row[0] in WATCHED] + others[:LARGEST_MOVES]
    reading.rows = [
        (ticker, day, price(close), percent(change)) for ticker, day, close, change in shown
    ]
    for tenor, day, rate, change in source.rows(CURVE):
        moved = "-" if change is None else f"{change:+.1f} bp"
        reading.rows.append((f"DI {tenor} d", day, f"{rate:.2f} %", moved))
    if not found:
        reading.attention.append("the database holds no market data of the last 20 days")
    else:
        reading.lines.append(
            f"{len(found)} markets; shown: the watched ones and the {LARGEST_MOVES} largest other"
            " moves."
        )
    return reading


def backups(source: Source) -> Reading:
    """Return the newest backup sets, and whether a drill proved them."""
    root = Path(source.backup_root)
    reading = Reading("Backups", [], ("set", "snapshot", "size MB", "verified"))
    found = sets.listed(root)[-7:]
    for folder in reversed(found):
        try:
            document = manifest.read(folder)
        except OpsError as exc:
            reading.attention.append(str(exc))
            continue
        proof = sets.verification(folder)
        size = document.get("totals", {}).get("bytes") or 0
        verified = (proof or {}).get("verified_at") or "no"
        reading.rows.append((folder.name, document["snapshot_at"], f"{size / 1e6:.0f}", verified))
    if not found:
        reading.attention.append(f"{root} holds no backup set")
    elif not any(row[3] != "no" for row in reading.rows):
        reading.attention.append("no drill has proved any of the newest sets")
    found_drills = drills.here(ledger.inspect(Path(source.evidence_root)).entries)
    if found_drills:
        last = found_drills[-1]
        proved = last["record"].get("proved")
        seconds = last["record"].get("rto_seconds")
        took = f", RTO {seconds} s" if seconds is not None else ""
        reading.lines.append(f"Last drill {last['at']}: {'proved' if proved else 'FAILED'}{took}.")
        if not proved:
            reading.attention.append("the last drill failed")
    else:
        reading.attention.append("there was no drill yet: run playbooks/drill.yml")
    return reading


def disk(source: Source) -> Reading:
    """Return the free space for backups and evidence, and the size of the database."""
    reading = Reading("Disk", [], ("folder", "free GB", "free"))
    for name in (source.backup_root, source.evidence_root):
        path = Path(name)
        if not path.exists():
            continue
        # As the probe of the checklist computes it: without what is reserved for root, as df does.
        room = os.statvfs(path)
        free_bytes = room.f_bavail * room.f_frsize
        free = 100 * free_bytes / files.usable_bytes(room)
        reading.rows.append((name, f"{free_bytes / 1e9:.1f}", f"{free:.0f} %"))
        if free < LEAST_FREE_PERCENT:
            reading.attention.append(
                f"{name} has {free:.0f} % free; dr_disk.yml shows what fills it"
            )
    size = source.rows("SELECT pg_database_size(current_database())")[0][0]
    reading.lines.append(f"The database takes {size / 1e6:,.0f} MB.")
    return reading


def chain(source: Source) -> Reading:
    """Return whether the evidence ledger is intact, and the open incidents."""
    root = Path(source.evidence_root)
    found = ledger.inspect(root)
    reading = Reading("Evidence", [f"{found.lines} lines, the last {found.sha256[:12]}."])
    reading.attention += [f"the ledger is damaged: {problem}" for problem in found.problems]
    for incident in record.read_all(root):
        if incident.is_open:
            reading.attention.append(
                f"incident {incident.id} is open since {incident.document['began_at']}"
            )
    return reading


def access(source: Source) -> Reading:
    """Return the roles that can log in to the database or are superusers, with their rights."""
    found = source.rows(ROLES)
    reading = Reading(
        "Access to the database",
        [],
        ("role", "superuser", "logs in", "creates", "valid until", "member of"),
        [
            (
                *(name, *("yes" if each else "" for each in (superuser, login, creates))),
                *(until or "", of or ""),
            )
            for name, superuser, login, creates, until, of in found
        ],
    )
    powerful = {row[0]: row[2] for row in found if row[1]}
    login = [name for name, can in powerful.items() if can]
    reading.lines.append(f"Superusers that can log in: {', '.join(login) or 'none'}.")
    for name, can in powerful.items():
        members = [row[0] for row in found if name in (row[5] or "").split(", ")]
        if members:
            also = "" if can else ", which cannot log in"
            reading.lines.append(f"{', '.join(members)} can become {name}{also}.")
    return reading
