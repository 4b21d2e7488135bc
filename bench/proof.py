# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the proof costs: rows as queries see them (formula 3) against rows as stored (formula 2).

Measured is the processor time of the database's container, so that other work on the machine counts
little. Decompression is measured where the full edition of TimescaleDB is: the lab has the Apache
edition, so the figures of compressed chunks come from PGlite, which is WebAssembly and slower than
a server; only their ratio is of use. A half compressed database beside pg_dump cannot be measured
here: pg_dump does not work with PGlite.
"""

from __future__ import annotations

import importlib
import statistics
import time
from typing import Any

from bench.common import DATABASE, Figure, start_lab, stop_lab

ROUNDS = 5
SCALE = 10
PGLITE_ROWS = 200_000
PGLITE = f"""
CREATE TABLE md (at timestamptz NOT NULL, symbol text, open float8, close float8, volume numeric);
SELECT create_hypertable('md', 'at', chunk_time_interval => interval '30 days');
INSERT INTO md SELECT timestamptz '2026-01-01' + n * interval '1 minute', 's' || n % 20,
                      100 + sin(n), 100 + cos(n), n / 7.0
  FROM generate_series(1, {PGLITE_ROWS}) n;
ALTER TABLE md SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol',
                    timescaledb.compress_orderby = 'at DESC');
"""


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure on the lab at one scale, side by side."""
    from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot

    database = start_lab(scale, alone=True)
    cpu: dict[int, list[float]] = {2: [], 3: []}
    with Snapshot(database, connections=1) as snapshot:
        (cursor,) = snapshot.cursors
        for number in range(ROUNDS + 1):
            for formula, spent in cpu.items():
                began = cpu_seconds(DATABASE)
                read(cursor, formula)
                if number:  # the first round fills the caches
                    spent.append(cpu_seconds(DATABASE) - began)
    stop_lab()
    medians = {formula: statistics.median(spent) for formula, spent in cpu.items()}
    print(f"scale {scale}: formula 2 {medians[2]:.2f} s, formula 3 {medians[3]:.2f} s of processor")
    return [
        Figure(f"proof: formula 3 against 2 at scale {scale}, processor",
               medians[3] / medians[2], 1.10, "x"),
        *compressed(),
    ]  # fmt: skip


def read(cursor: Any, formula: int) -> None:
    """Read facts and fingerprints as a backup does; the schemas have the formulas' numbers."""
    from ansible.module_utils.pmsops.postgresql import catalog, fingerprint, lost_values
    from ansible.module_utils.pmsops.postgresql import materialized_views as views

    facts = catalog.facts(cursor, formula)
    if formula == 3:
        views.examine(cursor, facts["materialized_views"])
        lost_values.losses(cursor)
    relations = fingerprint.relations(cursor, formula)
    fingerprint.fingerprints([cursor], relations, formula=formula)


def cpu_seconds(container: str) -> float:
    """Return the processor time that a container has used."""
    import docker

    said = docker.from_env().api.stats(container, stream=False, one_shot=True)
    return float(said["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


def compressed() -> list[Figure]:
    """Measure on the full edition what it costs to read compressed chunks."""
    from ansible.module_utils.pmsops.postgresql import catalog, fingerprint

    pglite = importlib.import_module("tests.support.pglite")
    if not (pglite.FOLDER / "node_modules").is_dir():
        print("no figure of compressed chunks: scripts/setup.sh --dev installs PGlite")
        return []
    with pglite.running_pglite() as port:
        connection = pglite.connect(port)
        seconds = {}
        with connection, connection.cursor() as cursor:
            cursor.execute(PGLITE)
            for form in ("plain", "half", "all"):
                cursor.execute("SET search_path = public")
                if form != "plain":
                    cursor.execute(
                        "SELECT compress_chunk(c, true) FROM (SELECT c, row_number() OVER () AS n"
                        " FROM show_chunks('md') c) each WHERE n %% 2 = 0 OR %s",
                        (form == "all",),
                    )
                catalog.prepare(cursor)
                spent = []
                for _ in range(ROUNDS):
                    began = time.monotonic()
                    fingerprint.fingerprints([cursor], fingerprint.relations(cursor))
                    spent.append(time.monotonic() - began)
                seconds[form] = min(spent)
        connection.close()
    print(", ".join(f"{form}: {spent:.2f} s" for form, spent in seconds.items()))
    return [
        Figure(f"proof: {form} chunks compressed against none (PGlite)",
               seconds[form] / seconds["plain"], 1.6, "x")
        for form in ("half", "all")
    ]  # fmt: skip
