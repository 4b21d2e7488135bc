# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROJECT

RULES = PROJECT / "roles" / "backup" / "files" / "alerts.yml"
CACHE = PROJECT / ".cache" / "prometheus"


@pytest.fixture(scope="module")
def promtool():
    """Debian's promtool, unpacked into the project's cache and not installed."""
    found = shutil.which("promtool")
    if found:
        return found
    unpacked = CACHE / "usr" / "bin" / "promtool"
    if not unpacked.exists():
        if not shutil.which("apt-get"):
            pytest.skip("promtool is neither installed nor to be had from Debian here")
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "prometheus"], cwd=CACHE, check=True, timeout=300)
        (package,) = CACHE.glob("prometheus_*.deb")
        subprocess.run(["dpkg", "-x", package, CACHE], check=True, timeout=120)
        package.unlink()
    return str(unpacked)


def run(promtool, *arguments, cwd):
    return subprocess.run(
        [promtool, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_the_rules_are_valid(promtool):
    done = run(promtool, "check", "rules", RULES, cwd=RULES.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "17 rules found" in done.stdout


def test_the_rules_fire_when_they_should_and_only_then(promtool, tmp_path):
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    done = run(promtool, "test", "rules", "alerts_test.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
