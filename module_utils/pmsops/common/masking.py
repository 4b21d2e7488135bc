# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of a result beside a plain secret: Ansible makes stars of equal parts of it.

``pms-ops doctor`` refuses such secrets. Who does not heed it is told by each task that it concerns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from ansible.module_utils.pmsops.common.secret_names import is_plain, leaves

WARNING = (
    "A secret that this task was given is so short or so plain that Ansible makes stars of equal"
    " parts of its result: ids of sets, counts, moments and paths may be wrong in it, and in what"
    " is made of it. pms-ops doctor names the variable."
)


class Module(Protocol):
    """What is needed of AnsibleModule."""

    params: dict[str, Any]
    no_log_values: Collection[str]

    def warn(self, warning: str) -> None:
        """Show a text with the result."""


def warn(module: Module) -> None:
    """Warn if a secret of a module would mask other parts of its result."""
    if masks(module.no_log_values, module.params):
        module.warn(WARNING)


def masks(secrets: Collection[str], params: Mapping[str, Any]) -> bool:
    """Tell whether a secret is plain, or a part of the value of another option."""
    if any(map(is_plain, filter(None, secrets))):
        return True
    texts = (str(each) for each in leaves(params) if each is not None and type(each) is not bool)
    others = [each for each in texts if each not in secrets]
    return any(secret in other for secret in secrets if secret for other in others)
