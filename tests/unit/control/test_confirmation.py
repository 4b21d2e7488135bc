# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What destroys takes one system at a time, unless each is named."""

from __future__ import annotations

import io

import pytest
from ansible.module_utils.pmsops.control.confirmation import expected, given_for, same

from plugins.filter.confirmation import confirms
from pmsops_cli import confirm
from pmsops_cli.exit_status import Stop
from tests.conftest import PROJECT

BOTH = ["alpha", "beta"]


@pytest.mark.parametrize(
    ("typed", "systems", "confirmed"),
    [
        ("macro", ["alpha"], True),
        ("alpha:macro", ["alpha"], True),
        ("beta:macro", ["alpha"], False),
        ("", ["alpha"], False),
        ("macro,other", ["alpha"], False),
        # Both systems have a database of that name.
        ("macro", BOTH, False),
        ("alpha:macro", BOTH, False),
        ("alpha:macro,beta:macro", BOTH, True),
        ("beta:macro, alpha:macro", BOTH, True),
        ("alpha:macro,beta:macro", [*BOTH, "gamma"], False),
        ("alpha:other,beta:macro", BOTH, False),
    ],
)
def test_a_name_that_two_systems_share_confirms_neither(typed, systems, confirmed):
    assert given_for(typed, "alpha", "macro", systems) is confirmed
    assert confirms(typed, "macro", "alpha", systems) is confirmed  # as the roles call it


def test_what_is_expected_is_what_confirms():
    databases = {"beta": "macro", "alpha": "macro"}
    wanted = expected(databases)
    assert wanted == "alpha:macro,beta:macro"
    assert all(given_for(wanted, each, "macro", BOTH) for each in BOTH)
    assert same("beta:macro, alpha:macro", wanted) and not same("macro", wanted)
    assert expected({"alpha": "macro"}) == "macro"


def test_the_front_door_takes_no_shared_name_for_two_systems():
    with pytest.raises(Stop) as stop:
        confirm.ask("alpha:macro,beta:macro", "macro", what="x", stream=io.StringIO())
    assert "The systems and their databases are alpha:macro,beta:macro" in str(stop.value)
    assert "--limit" in stop.value.remedy
    given = "beta:macro,alpha:macro"
    assert confirm.ask("alpha:macro,beta:macro", given, what="x") == given


def test_no_role_compares_a_confirmation_by_itself():
    # It would take the name that two systems share for both of them.
    for path in sorted((PROJECT / "roles").rglob("tasks/**/*.yml")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            compares = "confirm" in line and ("== pms_db" in line or "== pms_database" in line)
            assert not compares, f"{path}:{number}"
