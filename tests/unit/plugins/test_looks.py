# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How often Ansible looks for results: less often the more systems it works on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible import constants

from plugins.callback.pms_systems import CallbackModule


def play(count: int) -> SimpleNamespace:
    inventory = SimpleNamespace(groups={}, get_hosts=lambda _pattern: ["host"] * count)
    manager = SimpleNamespace(_inventory=inventory)
    return SimpleNamespace(hosts="pms", get_variable_manager=lambda: manager)


@pytest.mark.parametrize(
    ("count", "seconds"), [(0, 0.005), (1, 0.005), (3, 0.005), (12, 0.018), (100, 0.05)]
)
def test_ansible_looks_less_often_where_there_are_many_systems(monkeypatch, count, seconds):
    monkeypatch.setattr(constants, "DEFAULT_INTERNAL_POLL_INTERVAL", 0.005)
    callback = CallbackModule()
    callback.v2_playbook_on_play_start(play(50))
    callback.v2_playbook_on_play_start(play(count))
    assert pytest.approx(seconds) == constants.DEFAULT_INTERNAL_POLL_INTERVAL
