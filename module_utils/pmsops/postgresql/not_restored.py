# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database holds and a dump does not carry, so that no restore brings it back."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.postgresql import materialized_views

Facts = dict[str, dict[str, dict[str, Any]]]


def not_restored(facts: Facts) -> list[str]:
    """Return a line for each thing among the facts of a database that a restore leaves out."""
    return [
        *(
            f"subscriptions: {name} is left out by pg_dump"
            for name in facts.get("subscriptions", {})
        ),
        *materialized_views.not_restored(facts.get("materialized_views", {})),
    ]
