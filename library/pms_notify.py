#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_notify
short_description: Report a failure, a recovery or a digest to people
description:
  - Sends one message through all channels at the same time, with bounded attempts and time.
  - A failed delivery is recorded and is no error, unless O(required=true).
  - The same failure of the same source is sent once in O(repeat_minutes). The next message says how
    many were suppressed. A recovery is sent only if a failure of its source was open.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.notify]
attributes:
  check_mode:
    description: Says whether a message would be sent, and sends none.
    support: full
  diff_mode:
    description: A message has no state before.
    support: none
  idempotent:
    description: A repeated failure is suppressed; V(digest) and V(test) are always sent.
    support: partial
options:
  kind:
    description: What the message is about.
    type: str
    choices: [failure, recovery, digest, test]
    required: true
  source:
    description: What failed or recovered, for example the name of a job.
    type: str
    required: true
  summary:
    description: One sentence. It is sent as it is, so it must contain no secret and no price.
    type: str
    required: true
  code:
    description: Stable name of the error. Another code of the same source is another failure.
    type: str
    default: ""
  facts:
    description: Names and values for the message, as safe as O(summary).
    type: dict
    default: {}
  text:
    description: Lines that are sent only with O(details=true), for example the text of an error.
    type: list
    elements: str
    default: []
  required:
    description: Fail if a channel could not be reached.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Report that the reconciliation failed
  pms_notify:
    channels: "{{ notify_channels }}"
    kind: failure
    source: reconciliation
    code: reconciliation.difference
    summary: The custodian's positions differ from the book.

- name: Test every channel
  pms_notify:
    channels: "{{ notify_channels }}"
    kind: test
    source: set-up
    summary: Test message, no action needed.
    required: true
"""

RETURN = r"""
told: {description: Whether a message was sent., returned: success, type: bool, sample: true}
suppressed:
  description: Number of suppressed messages of its kind, before this one or with it.
  returned: success
  type: int
  sample: 0
undelivered:
  description: Channels that the message did not reach, each with the reason.
  returned: always
  type: dict
  sample: {mail: the server refused the login}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Correct it.}
code: {description: Stable name of the error., returned: failure, type: str, sample: notify.failed}
"""


from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.notify.message import KINDS, Event
from ansible.module_utils.pmsops.notify.notifier import Notifier

SPEC = {
    **argument_specs.notify(),
    "kind": {"type": "str", "choices": list(KINDS), "required": True},
    "source": {"type": "str", "required": True},
    "summary": {"type": "str", "required": True},
    "code": {"type": "str", "default": ""},
    "facts": {"type": "dict", "default": {}},
    "text": {"type": "list", "elements": "str", "default": []},
    "required": {"type": "bool", "default": False},
}


def run(module: AnsibleModule) -> dict:
    """Send the message and return the result of the delivery."""
    params = module.params
    notifier = Notifier.from_options(params, secrets=module.no_log_values)
    event = Event(
        kind=params["kind"],
        source=params["source"],
        summary=params["summary"],
        at=timestamps.now(),
        code=params["code"],
        facts={name: str(value) for name, value in params["facts"].items()},
        details=tuple(params["text"]),
    )
    if module.check_mode:
        sent = notifier.would_send(event)
        return {"changed": sent, "told": sent, "suppressed": 0, "undelivered": {}}
    delivery = notifier.send(event)
    undelivered = {name: problem for name, problem in delivery.problems.items() if problem}
    if params["required"]:
        delivery.require()
    return {
        "changed": delivery.sent,
        "told": delivery.sent,
        "suppressed": delivery.suppressed,
        "undelivered": undelivered,
    }


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, undelivered={})
    module.exit_json(**result)


if __name__ == "__main__":
    main()
