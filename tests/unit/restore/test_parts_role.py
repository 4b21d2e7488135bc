# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order of a restore with parts: what the PMS's own database registers is written last."""

from __future__ import annotations

import yaml

from tests.conftest import PROJECT

TASKS = PROJECT / "roles" / "restore" / "tasks"


def tasks(name):
    return yaml.safe_load((TASKS / name).read_text())


def files_of(name):
    return [
        value.removesuffix(".yml")
        for task in tasks(name)
        for key, value in task.items()
        if key.split(".")[-1] in ("include_tasks", "import_tasks")
    ]


def test_a_database_among_the_parts_leaves_what_is_known_of_the_own_one():
    """Its recovery, even a skipped one, was taken for that of the PMS's database: no restore."""
    order = files_of("main.yml")
    assert order.index("preflight") < order.index("parts_plan") < order.index("parts_database")
    assert order.index("parts_database") < order.index("recover")
    assert order[-1] == "parts"  # after the swap, which deletes the keys in Redis
    kinds = {key for task in tasks("parts_database.yml") for key in task if "tasks" in key}
    assert kinds == {"ansible.builtin.include_tasks"}  # an import would register while skipped
