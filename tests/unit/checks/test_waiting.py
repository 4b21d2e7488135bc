# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gate that waits for its checks, on a clock that only its own pauses and questions move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks import waiting
from ansible.module_utils.pmsops.common import host_load
from ansible.module_utils.pmsops.common.host_load import Load

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml


class Recovery:
    """Checks of a service that is recovering: each question takes two seconds."""

    def __init__(self, *answers: dict[str, str], absent: tuple[str, ...] = ()) -> None:
        self.answers = list(answers)
        self.absent = absent
        self.now = 0.0
        self.asked = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ask(self) -> dict[str, Any]:
        self.now += 2.0
        statuses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return {
            "asked": self.asked,
            "results": [
                {"id": name, "status": status, "absent": name in self.absent}
                for name, status in statuses.items()
            ],
        }


def waited(
    monkeypatch: pytest.MonkeyPatch,
    recovery: Recovery,
    seconds: float,
    not_demanded: tuple[str, ...] = (),
) -> tuple[int, float]:
    """Return how often was asked, and the clock at the end."""
    monkeypatch.setattr(waiting, "time", recovery)
    return waiting.until_passed(recovery.ask, seconds, not_demanded)["asked"], recovery.now


DOWN, UNKNOWN, UP = {"api": "fail"}, {"api": "unknown"}, {"api": "pass"}


def test_all_checks_are_asked_again_until_they_pass(monkeypatch):
    assert waited(monkeypatch, Recovery(DOWN, UNKNOWN, UP), 60) == (3, 8.0)


def test_a_check_that_never_passes_is_given_up_when_the_time_is_over(monkeypatch):
    assert waited(monkeypatch, Recovery(DOWN), 9) == (4, 11.0)


def test_without_time_to_wait_all_are_asked_once(monkeypatch):
    assert waited(monkeypatch, Recovery(DOWN, UP), 0) == (1, 2.0)


def test_a_busy_host_has_more_time(monkeypatch):
    monkeypatch.setattr(host_load, "now", lambda: Load(6, 2))
    assert waited(monkeypatch, Recovery(DOWN), 9) == (10, 29.0)


def test_nobody_waits_for_what_need_not_pass(monkeypatch):
    found = {"api": "attested", "grafana": "fail", "pipeline": "unknown"}
    recovery = Recovery(found, absent=("grafana",))
    assert waited(monkeypatch, recovery, 60, ("pipeline",)) == (1, 2.0)


def tasks(part: Any) -> Iterator[dict[str, Any]]:
    """Return each mapping of a file of tasks, those in blocks, too."""
    for each in part if isinstance(part, list) else part.values() if isinstance(part, dict) else ():
        yield from tasks(each)
    if isinstance(part, dict):
        yield part


def test_no_task_starts_a_module_of_ours_again_and_again():
    """Each second a new process, which took a second of a processor: issue 16, 6.

    One that failed may be started anew.
    """
    files = [*PROJECT.glob("roles/**/tasks/**/*.yml"), *PROJECT.glob("playbooks/*.yml")]
    loops = [
        (path.name, each["name"])
        for path in files
        for each in tasks(read_yaml(path))
        if "until" in each
        and not str(each["until"]).endswith(" is succeeded")
        and any(str(word).startswith("pms_") for word in each)
    ]
    assert files and not loops
