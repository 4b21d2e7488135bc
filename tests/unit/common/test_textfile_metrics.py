# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metrics for node_exporter's textfile collector, as it reads the files of two systems.

Of two files with the same series, or of two HELP or TYPE of one metric, one goes in silence, and
node_textfile_scrape_error stays 0. So names, types and help are frozen here, and each series has a
label of its system.
"""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common import textfile_metrics
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.control import fleet_rows
from ansible.module_utils.pmsops.evidence import drill_metrics, run_record
from ansible.module_utils.pmsops.notify import state as notify_state
from ansible.module_utils.pmsops.repository import metrics as backup_metrics
from ansible.module_utils.pmsops.repository import protection, site_metrics
from ansible.module_utils.pmsops.schedule.state import Schedule

from tests.conftest import PROJECT

FROZEN = PROJECT / "tests" / "fixtures" / "prometheus.txt"
SOURCES = PROJECT / "module_utils" / "pmsops"


def declared() -> list[str]:
    """Return each gauge of the product: name, type and help."""
    found, computed = [], set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Gauge":
                words = [getattr(each, "value", None) for each in node.args[:2]]
                if all(isinstance(each, str) for each in words):
                    found.append(f"{words[0]} gauge {words[1]}")
                else:
                    computed.add(path.name)
    assert computed == {"drill_metrics.py", "fleet_rows.py"}
    known = {line.split()[0] for line in found}
    gauges = [*drill_metrics.gauges("m", []), *fleet_rows.gauges([])]
    found += [f"{each.name} gauge {each.help}" for each in gauges if each.name not in known]
    return sorted(found)


def test_name_type_and_help_of_each_series_are_frozen():
    """A change hides the files of a system that has another release, or the new one, in silence.

    A new metric is a line more in the fixture. A line that changes breaks whoever has two releases
    in one folder, and a name that goes breaks the alerts of users.
    """
    assert declared() == FROZEN.read_text(encoding="utf-8").splitlines()


def test_every_file_of_metrics_is_written_by_the_one_that_knows_the_system():
    written = [
        path.name
        for path in (PROJECT / "module_utils").rglob("*.py")
        if "# HELP" in path.read_text(encoding="utf-8")
    ]
    assert written == ["textfile_metrics.py"]


def series(folder: Path) -> dict[str, str]:
    """Return the series of a folder as node_exporter merges them; refuse what it would drop."""
    found: dict[str, str] = {}
    helps: dict[str, str] = {}
    for path in sorted(folder.glob("*.prom")):
        for line in path.read_text().splitlines():
            if not line:
                continue
            if line.startswith("#"):
                kind, name, text = line[2:].split(" ", 2)
                assert helps.setdefault(f"{kind} {name}", text) == text
                continue
            name, value = line.rsplit(" ", 1)
            assert name not in found, name
            found[name] = value
    return found


SEEN = {
    **dict.fromkeys(("earliest", "latest", "lag_seconds", "lag_bytes", "slot", "kept_bytes")),
    **dict.fromkeys(("canary", "newest_backup")),
    **{"at": "2026-11-22T06:00:00Z", "problems": [], "slot_lost": False, "backups": 1},
}


def publish(folder: Path, root: Path, system: str) -> None:
    """Write each kind of file that a system has."""
    sites = [{"site": "vault", "current": True, "errors": [], "signs": []}]
    sites[0] |= dict.fromkeys(("upload", "check", "proof", "immutable"))
    backup_metrics.publish(
        folder, root, "macro_trading", reason="ok", duration_seconds=1.0, system=system
    )
    site_metrics.publish(folder, "macro_trading", sites, system=system)
    site_metrics.publish(folder, "runs", sites, system=system, other_database="runs")
    protection.publish(folder, "macro_trading", SEEN, None, system)
    drill_metrics.publish(folder, "macro_trading", [], system)
    with notify_state.State(root / "notify", folder, system).changed() as document:
        document["channels"]["desk"] = {"delivered_at": None, "undelivered": 2}
    schedule = Schedule([], root / "schedule", folder)
    schedule.state.mkdir(parents=True, exist_ok=True)
    schedule.system = system
    schedule.write(schedule.planned(datetime.now(UTC)))


def test_two_systems_share_a_folder_of_the_collector(tmp_path):
    """Both are called macro_trading, and each wrote pms_backup.prom: the last one stayed."""
    folder = tmp_path / "collector"
    for system in ("fund-a", "fund b", "fund-a", "fund b"):
        publish(folder, tmp_path / system, system)
    found = series(folder)
    for name in ("pms_backup_sets", "pms_offsite_current", "pms_pitr_up", "pms_notify_undelivered"):
        of = [line for line in found if line.startswith(name + "{")]
        for system in ("fund-a", "fund b"):
            assert any(f'system="{system}"' in line for line in of), (name, system)
    assert all(re.match(r'[a-z_]+\{system="', line) for line in found)
    names = {path.name for path in folder.iterdir()}
    assert {"pms_backup.prom", "pms_backup.fund_b.prom", "pms_offsite_runs.prom"} <= names


def test_a_system_that_leaves_takes_its_own_file_alone(tmp_path):
    folder = tmp_path / "collector"
    for system in ("a", "b"):
        protection.publish(folder, "m", SEEN, None, system)
    protection.forget(tmp_path, folder, "a")
    assert [path.name for path in folder.iterdir()] == ["pms_pitr.b.prom"]
    # The one that stays goes on in its own file: in both it would be twice.
    protection.publish(folder, "m", SEEN, None, "b")
    assert [path.name for path in folder.iterdir()] == ["pms_pitr.b.prom"]


@pytest.mark.parametrize("system", ["a", 'quo"te', "back\\slash", "two\nlines", ""])
def test_a_system_finds_its_file_again(tmp_path, system):
    for _ in range(2):
        path = textfile_metrics.write(
            tmp_path, [Gauge("pms_x", "X.", [({}, 1.0)])], "pms_x.prom", system
        )
        assert path == tmp_path / "pms_x.prom"


def test_a_file_of_an_older_release_is_replaced(tmp_path):
    (tmp_path / "pms_x.prom").write_text('pms_x{database="m"} 1\n')
    gauges = [Gauge("pms_x", "X.", [({"database": "m"}, 1.0)])]
    path = textfile_metrics.write(tmp_path, gauges, "pms_x.prom", "a")
    assert path.name == "pms_x.prom"
    assert 'pms_x{system="a",database="m"} 1\n' in path.read_text()


def test_the_metrics_of_a_gate_name_the_system():
    record = {
        "started_at": "2026-11-22T06:00:00+00:00",
        "verdict": "go",
        "duration_seconds": 1.0,
        "counts": {"pass": 1},
        "results": [
            {"id": "i", "section": "s", "severity": "blocker", "status": "pass", "seconds": 1}
        ],
    }
    for system in ({"label": "fund-a", "name": "macro_trading"}, {"name": "fund-a"}):
        text = run_record.prometheus(record | {"system": system})
        assert 'pms_golive_verdict{system="fund-a"} 1\n' in text
        assert all('system="fund-a"' in line for line in text.splitlines() if line[0] != "#")
