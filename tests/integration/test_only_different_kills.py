# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore of what differs, and its way back, that end by SIGKILL: all of it is there, or nothing.

At every fifth point, each night.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.restore import former_tables, registry

from tests.integration.test_restore_kills import scene_of
from tests.support.server import execute

DAMAGE = "UPDATE md SET value = 9 WHERE id < 4; DROP TABLE credit; INSERT INTO debit VALUES (-1)"
STATE = """
SELECT (SELECT count(*) FILTER (WHERE value = 9) FROM md),
       to_regclass('credit') IS NULL, (SELECT count(*) FROM debit)"""
DAMAGED, WHOLE = (3, True, 1), (0, False, 0)


@pytest.fixture(scope="module")
def scene(server, host_tools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("only")
    with scene_of(server, folder, access="host", bin_dir=str(host_tools)) as made:
        yield made


def state(scene):
    with scene.database.session(read_only=True) as cursor:
        cursor.execute(STATE)
        return cursor.fetchone()


def forget_former(scene):
    former_tables.drop(scene.database, ["all"])


def recorded(scene):
    """Tell whether each schema of former tables has its line in the ledger."""
    with scene.database.session(read_only=True) as cursor:
        found = {each.schema for each in former_tables.find(cursor)}
    entries = ledger.records(Path(scene.root).parent / "evidence")
    return found <= {each["record"].get("former_schema") for each in entries}


def killed_everywhere(scene, *, beside):
    """Kill exchanges and ways back at the points that they pass; look at what is there then."""
    execute(scene.database, DAMAGE)
    said = scene.run("only")
    assert said["done"] and state(scene) == WHOLE, said["points"][-1]
    back = scene.run("tables back")
    assert back["done"] and state(scene) == DAMAGED, back["points"][-1]
    forget_former(scene)
    seen = set()
    # A point that comes again has a number, which differs by what a killed run has left to do.
    points, ways = ([each for each in run["points"] if "#" not in each] for run in (said, back))
    for number, point in enumerate(points[::5]):
        died = scene.run("only", die_at=point)
        assert died["killed"], died
        seen.add(state(scene))
        assert state(scene) in (DAMAGED, WHOLE)
        scene.recover()
        assert scene.beside() == beside
        found = registry.read_from(scene.database)
        warm = registry.select(found, scene.database.name, registry.WARM)
        assert not any(each.open for each in warm)
        again = scene.run("only")
        assert again["done"] and state(scene) == WHOLE and recorded(scene), again["points"][-1]
        died = scene.run("tables back", die_at=ways[number % len(ways)])
        assert died["killed"], died
        assert state(scene) in (DAMAGED, WHOLE)
        scene.recover()
        scene.run("tables back")
        assert state(scene) == DAMAGED and recorded(scene)
        forget_former(scene)
    assert seen == {DAMAGED, WHOLE}


@pytest.mark.nightly  # what fails before the commit: test_only_different.py
def test_killed_anywhere_all_tables_are_exchanged_or_none(scene):
    killed_everywhere(scene, beside=[])


@pytest.mark.nightly  # the points are those of the test before, but for the warm copy's
def test_killed_with_a_warm_copy_it_stays_or_is_left_alone(scene):
    assert scene.run("only")["done"] and state(scene) == WHOLE  # the test before leaves damage
    forget_former(scene)
    assert scene.run("drill")["done"]
    killed_everywhere(scene, beside=scene.beside())
