# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What only the memory of the PMS holds, as the incident says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DOCUMENTATION = r"""
name: pms_in_memory
short_description: Say what a restart of the PMS would lose
description: Turns C(only_in_memory) of a module's result into a sentence, empty where it is empty.
author: Operations team (@ops)
options:
  _input:
    description: The result.
    type: dict
    required: true
"""

EXAMPLES = r"""
text: "{{ result | pms_in_memory }}"
"""

RETURN = r"""
_value:
  description: The sentence, or an empty text.
  type: str
"""


def in_memory(result: dict[str, Any]) -> str:
    """Return the sentence, an empty text where everything is in the database."""
    held = list(result.get("only_in_memory") or [])
    if not held:
        return ""
    return (
        f"None yet, but only the memory of the PMS holds {', '.join(held)}: a restart of it loses"
        " that. Enter it again after one"
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_in_memory": in_memory}
