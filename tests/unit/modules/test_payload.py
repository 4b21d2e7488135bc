# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module ships to a host: every file that an import statement names, whether it runs or not.

AnsiballZ packs these files for each task, and the host unpacks and compiles them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PREFIX = "ansible.module_utils.pmsops"
# Bytes of module_utils/pmsops that the module shipped before the packages were made, plus 5 %.
PACKAGES = {"pms_gate": 277_546 * 105 // 100, "pms_restore": 218_679 * 105 // 100}
# What came since, by subject, in bytes.
SINCE = {
    # A rehearsal of the schema, trials in the registry, versions to the minor, parameters.
    "trial": {"pms_restore": 20_000},
    # Time-outs, event triggers, logical slots, prepared transactions, list settings.
    "around the rename": {"pms_gate": 8_000, "pms_restore": 30_000},
    # Definitions compared by meaning, and facts of other versions of the server.
    "meaning": {"pms_gate": 37_000, "pms_restore": 37_000},
    # Rows as queries read them: chunks by range, TimescaleDB's objects, materialized views, large
    # objects, values that a dump loses.
    "contents": {"pms_restore": 49_000},
    # What gave no answer is asked again alone; Redis with users, TLS and sockets; whole answers.
    "busy host": {"pms_gate": 8_000},
    # Parts on the host: their systemd units, ports and processes; parts it lacks (3 500).
    "host installation": {"pms_gate": 14_000},
    # The failed step of a run, and its error.
    "failed runs": {"pms_gate": 1_300},
    # The statements that read every kind of object, and what no dump carries.
    "facts of every kind": {"pms_restore": 46_000},
    # A journal whose room is taken beforehand, and refusals of a disk as errors.
    "failing disks": {"pms_restore": 8_500},
    # Sets that are being read stay.
    "held sets": {"pms_restore": 4_000},
    # Who shares a damaged file of a set, and which set is whole.
    "shared files": {"pms_restore": 8_500, "pms_gate": 8_500},
    # What file systems cannot do, and refusals as errors.
    "file systems": {"pms_restore": 6_000, "pms_gate": 6_000},
    # The header Retry-After of a service that is busy: 2 900 bytes, and its readers'.
    "patience": {"pms_gate": 3_500, "pms_restore": 3_500},
    # Messages of the server with a known cause (1 900), swings of a market, a table that is short.
    "known causes": {"pms_gate": 4_000, "pms_restore": 4_000},
    # Tables locked before a snapshot, and lost races for locks.
    "lock races": {"pms_gate": 8_000, "pms_restore": 7_000},
    # Roles as data, made and compared.
    "roles": {"pms_restore": 11_000},
    # Losses of a set against the one before, sets that are gone, and the ledger that knows them.
    "lost sets": {"pms_gate": 12_000, "pms_restore": 24_000},
    # The ledger (11 100 bytes) and its lines: a restore that fails adds its own.
    "refused restores": {"pms_restore": 20_000},
    # Parts that a system may lack, what there is in place of a container; passwords of new roles.
    "parts by name": {"pms_gate": 3_000, "pms_restore": 2_000},
    # Tables in the place of an extension's (3 300), sets of other databases and their records
    # (2 200), schemas of former tables (1 000).
    "other databases": {"pms_restore": 6_500},
    # Lines about differences by their cause (3 700), keys that were accepted for one run (900).
    "causes": {"pms_restore": 5_000},
    # The rows of many tables in one pass (1 200), a manifest with a line for each object (600),
    # the moments of the sets (1 900).
    "many tables": {"pms_gate": 4_000, "pms_restore": 4_000},
    # A role that may not come in is no server that is down (1 000).
    "refused logins": {"pms_gate": 1_200, "pms_restore": 1_200},
    # Passwords of roles that a run before made without one (2 400).
    "role passwords": {"pms_restore": 2_500},
    # Continuous protection as a gate sees it: its probe (1 700), the ledger's proofs (1 000).
    "any moment": {"pms_gate": 3_500},
    # What an engine of others does not say is unknown (700).
    "external engine": {"pms_gate": 700},
    # A gate that waits for its checks (1 500), in place of a module each second.
    "waiting": {"pms_gate": 1_600},
    # What the Docker Engine refuses, named for every module that asks it (1 500).
    "refused by the engine": {"pms_gate": 1_600, "pms_restore": 1_600},
    # pg_amcheck of what a dump reads (600).
    "pages of a dump": {"pms_gate": 600},
    # The signer of a manifest (200), a kind of the ledger's lines; other sites as a gate sees them:
    # its probe (3 900), the notes of the sites (3 900), the ledger's proofs (1 000).
    "off-site": {"pms_gate": 9_500, "pms_restore": 300},
    # Retention keeps the sets to which sets refer (1 700); which parts a set has (5 600).
    "parts": {"pms_restore": 1_800, "pms_gate": 7_400},
    # Two kinds of the ledger's lines (130).
    "new machine": {"pms_restore": 150},
    # Rows in the root table of a hypertable.
    "root rows": {"pms_gate": 1_500},
    # Why a Redis still has the former book, and processes that go on.
    "a cache that stays": {"pms_gate": 2_000, "pms_restore": 2_500},
    # Lines of the ledger that are signed: who signed (6 500), keys (6 600), signatures (5 100).
    "signed ledger": {"pms_gate": 24_500, "pms_restore": 25_500},
    # What is noted of anchors, and compared with the ledger (4 300), its probe (1 000).
    "anchors": {"pms_gate": 6_000},
    # Drills on other hosts: which they are (1 100), and what the probe of sites says of the newest.
    "drills elsewhere": {"pms_gate": 2_900, "pms_restore": 100},
    # Changes a row of the copy and compares again (29,600), and the error of a broken proof. A gate
    # judges one check by a wrong expectation (6,900).
    "negative control": {"pms_restore": 31_000, "pms_gate": 7_300},
    # The fields of a line that auditors ask for (6 400), its verdict (1 900), what it does not
    # cover (2 700), the clock (1 900); a gate also looks for overdue deficiencies (10 300, and 800
    # of its probe).
    "audit": {"pms_restore": 13_500, "pms_gate": 25_700},
    # How long a plan waited for its approval (1 300), a kind of the ledger's lines.
    "time to decide": {"pms_restore": 1_550, "pms_gate": 200},
    # Which runs of Dagster failed, for whoever looks for their processes.
    "lost runs": {"pms_gate": 700},
    # The copy that a drill keeps (12 400), what one run does with it (5 700), its note (3 600) and
    # metrics (1 500), and the result and the room of a restore in files of their own (1 500).
    "warm copy": {"pms_restore": 30_000, "pms_gate": 6_500},
    # A failed restore after which a new machine took over (800), the id of a machine's own key
    # (350), where files with secrets are kept beside a set (500).
    "envelope": {"pms_gate": 900, "pms_restore": 1_700},
    # The former database as a source (2 600), its settings as they were (600), its use (1 500).
    "former copy": {"pms_restore": 6_000},
    # The end of a run as an error of its own (500), and signals that wait (1 500).
    "signals": {"pms_gate": 2_100, "pms_restore": 2_500},
    # A newer Python beside one that is too old is named (400).
    "an old Python": {"pms_gate": 400, "pms_restore": 400},
    # Files of a bare folder read to their end (4 400); a cut told from the end of a line (1 900).
    "bare folders": {"pms_restore": 6_500},
    # Plans, approvals and whose keys they are (18 500 bytes), the plan of a swap, its result.
    "second person": {"pms_restore": 31_000, "pms_gate": 1_400},
    # The note of the sets' facts (gate), batches of small tables, large documents in pieces.
    "large catalogues": {"pms_gate": 9_500, "pms_restore": 10_000},
    # A comparison lets others look into its snapshot, and compares objects alone.
    "only what differs": {"pms_restore": 1_500},
    # The end of its caller (4 200), programs that end with it (700), and signals as errors (1 300),
    # which a gate did without.
    "callers": {"pms_restore": 5_000, "pms_gate": 6_600},
    # Checkpoints and their notes (5 000), which warm copy makes room (2 500), rows that were lost
    # since (7 000); tables that a kill left in transit (11 400, with the definitions of tables).
    "checkpoint": {"pms_restore": 26_500},
    # The planner's statistics that came with a set, and what lacks some (10 200).
    "planner's statistics": {"pms_restore": 12_000},
    # An engine of another machine (2 800), and the sentence about a Python that is too old (600).
    "other machines": {"pms_restore": 3_600, "pms_gate": 3_900},
    # A secret that masks other parts of a result: the look (1 600), names of secrets (900).
    "masked results": {"pms_restore": 2_700, "pms_gate": 2_700},
    # What Python 3.9 lacks, from one place: pairs (1 100), times in ISO 8601 (1 900), and a line in
    # each file that has UTC or such a time.
    "names of newer Pythons": {"pms_restore": 6_000, "pms_gate": 6_500},
    # A result without the checklist, or the gate, that the module was given: 90 to 120 KB less.
    "short results": {"pms_gate": 400, "pms_restore": 400},
    # The reasons of a no-go, in place of a template (1 100); libraries without a use (1 300).
    "a fleet's processors": {"pms_gate": 2_400},
}
LIMITS = {
    module: limit + sum(more.get(module, 0) for more in SINCE.values())
    for module, limit in PACKAGES.items()
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def files_of(name: str) -> Iterator[Path]:
    """Yield the file that a dotted name leads to, and those of the packages on the way."""
    path = PROJECT / "module_utils"
    for part in name.removeprefix("ansible.module_utils.").split("."):
        path /= part
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.exists():
            yield file


def shipped(module: str) -> set[Path]:
    found: set[Path] = set()
    waiting = [PROJECT / "library" / f"{module}.py"]
    while waiting:
        for name in imported(waiting.pop()):
            if name.startswith(PREFIX):
                new = set(files_of(name)) - found
                found |= new
                waiting += new
    return found


@pytest.mark.parametrize("module", LIMITS)
def test_a_module_ships_at_most_five_percent_more_than_before_the_packages(module):
    files = shipped(module)
    sizes = {file.relative_to(PROJECT / "module_utils"): file.stat().st_size for file in files}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    assert sum(sizes.values()) <= LIMITS[module], f"the largest: {largest}"


def test_what_a_module_imports_late_is_shipped_too():
    names = {file.stem for file in shipped("pms_gate")}
    assert {"gate", "runner", "worker", "sql", "grafana", "exchange_calendar"} <= names
