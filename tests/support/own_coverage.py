# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much of a package its own tests reach: ``pytest --own-coverage``.

The tests in tests/unit/checks measure module_utils/pmsops/checks, and so on for each package that
pyproject.toml names as a source. What other tests reach of a package does not count.

A tracer doubles the time of everything that Python does, also of what is not measured. So it runs
only in the functions of those tests and of their fixtures, which takes 30 microseconds each, and
while the packages are imported: a process imports a file once, so one worker does it for all. Each
worker leaves a file of data; ``coverage combine`` joins them.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from coverage import Coverage

PROJECT = Path(__file__).resolve().parents[2]
MODULE_UTILS = PROJECT / "module_utils"
FIRST_WORKER = "gw0"


class OwnCoverage:
    """The measurement of one process."""

    def __init__(self, worker: str) -> None:
        self.coverage = Coverage(
            config_file=str(PROJECT / "pyproject.toml"), data_suffix=worker or "main"
        )
        packages = [Path(each) for each in self.coverage.get_option("run:source")]
        self.packages = [PROJECT / each for each in packages]
        self.tests = tuple(f"tests/unit/{each.name}/" for each in packages)
        self.imports = worker in ("", FIRST_WORKER)
        self.running = False

    def measure(self, wanted: bool) -> None:
        """Start or stop the tracer, unless it is as wanted."""
        if wanted != self.running:
            self.running = wanted
            (self.coverage.start if wanted else self.coverage.stop)()

    def pytest_sessionstart(self) -> None:
        """Import the packages: most lines outside functions run here."""
        if not self.imports:
            return
        self.measure(True)
        for package in self.packages:
            for path in sorted(package.rglob("*.py")):
                name = path.relative_to(MODULE_UTILS).with_suffix("").parts
                importlib.import_module(".".join(("ansible.module_utils", *name)))
        self.measure(False)

    @contextmanager
    def measured(self, where: str) -> Iterator[None]:
        """Measure a function of a test file or of a folder's fixtures."""
        before = self.running
        self.measure(f"{where}/".startswith(self.tests))
        try:
            yield
        finally:
            self.measure(before)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Measure a test."""
        with self.measured(pyfuncitem.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        """Measure a fixture until it gives its value; a fixture of all tests belongs to none."""
        with self.measured(fixturedef.baseid):
            return (yield)

    def pytest_sessionfinish(self) -> None:
        """Write the data."""
        self.measure(False)
        self.coverage.save()
