# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan says of the second person who has to approve it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: pms_consent_words
short_description: Say whether a second person has to approve a plan
description: Of the result of pms_restore or pms_swap in check mode.
author: Operations team (@ops)
options:
  _input:
    description: The result of the module.
    type: dict
    required: true
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ __restore_staged | pms_consent_words }}"
"""

RETURN = r"""
_value:
  description: One sentence.
  type: str
  sample: none is demanded
"""


def consent_words(result: Mapping[str, Any]) -> str:
    """Return what a second person types, or that none is demanded."""
    consent = result.get("consent")
    return f"{consent['command']} --key THEIR-KEY" if consent else "none is demanded"


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"pms_consent_words": consent_words}
