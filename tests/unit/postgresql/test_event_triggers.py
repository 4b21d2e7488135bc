# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.postgresql import event_triggers


@pytest.mark.parametrize(
    ("settings", "properties", "own"),
    [
        ({}, (), None),
        ({"": ["work_mem=8MB", "event_triggers=on"], "r": ["event_triggers=off"]}, (), "on"),
        ({}, (("ALTER DATABASE ", " SET event_triggers TO 'off';"),), "off"),
        ({}, (("ALTER ROLE r IN DATABASE ", " SET event_triggers TO 'off';"),), None),
        ({}, (("ALTER DATABASE ", " SET work_mem TO '8MB';"),), None),
    ],
)
def test_a_databases_own_setting_is_found(settings, properties, own):
    assert event_triggers.own(settings, properties) == own


@pytest.mark.parametrize(
    ("mark", "statements"),
    [
        ({}, []),  # marked by a release that left the setting alone
        ({"event_triggers": None}, ['ALTER DATABASE "x" RESET event_triggers']),
        ({"event_triggers": "on"}, ['ALTER DATABASE "x" SET event_triggers TO on']),
        ({"event_triggers": "on; DROP"}, ['ALTER DATABASE "x" RESET event_triggers']),
    ],
)
def test_the_setting_is_given_back(mark, statements):
    assert event_triggers.given_back('"x"', mark) == statements


def test_a_staging_database_is_compared_as_it_will_be_when_it_is_live():
    settings = {"": ["event_triggers=off", "work_mem=8MB"], "r": ["a=b"]}
    assert event_triggers.as_live(settings, {}) == settings
    assert event_triggers.as_live(settings, {"event_triggers": None}) == {
        "": ["work_mem=8MB"],
        "r": ["a=b"],
    }
    assert event_triggers.as_live(settings, {"event_triggers": "on"})[""] == [
        "event_triggers=on",
        "work_mem=8MB",
    ]
    assert event_triggers.as_live({"": ["event_triggers=off"]}, {"event_triggers": None}) == {}
