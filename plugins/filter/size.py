# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A number of bytes for people, the way the modules say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_size
short_description: Say a number of bytes for people
description:
  - In decimal units, as the modules do. P(ansible.builtin.human_readable#filter) counts in powers
    of 1024 and calls them MB too, and one set would have two sizes.
author: Operations team (@ops)
options:
  _input:
    description: The number of bytes.
    type: int
    required: true
"""

EXAMPLES = r"""
text: "{{ result.size_bytes | pms_size }}"
"""

RETURN = r"""
_value:
  description: The number with its unit, for example C(28.1 MB).
  type: str
"""


def size(count: float) -> str:
    """Return the bytes for people."""
    from ansible.module_utils.pmsops.common import progress

    return progress.size(float(count))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_size": size}
