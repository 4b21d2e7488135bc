# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""No module of ours, and no task with a command, can put a secret into its message.

Up to ansible-core 2.21 ``no_log`` on a task does not hide the module's own msg in the error line
above the result. What hides a value there is ``no_log`` of the module's option: it is masked in all
that the module returns.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from typing import Any

import ansible.module_utils.basic
import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from tests.conftest import PROJECT
from tests.unit.test_task_arguments import FILES, Loader

MODULES = sorted(path.stem for path in (PROJECT / "library").glob("pms_*.py"))
SECRET = re.compile(r"pass(word|phrase|wd)s?$|token$|secrets?$|environment$|headers$|identity$")
# Names that look like one: a file that holds it, and a path of the PMS.
FILES_OF_SECRETS = re.compile(r"_file$|_path$|^path$")


class SpecSeenError(Exception):
    """The options that a module gave to AnsibleModule."""


def spec_of(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    # By its path: the lab's PMS has a package that is called pms_service, too.
    of = importlib.util.spec_from_file_location(f"of_{name}", PROJECT / "library" / f"{name}.py")
    assert of is not None and of.loader is not None
    module = importlib.util.module_from_spec(of)
    of.loader.exec_module(module)

    def seen(_self: Any, argument_spec: dict[str, Any], **_: Any) -> None:
        raise SpecSeenError(argument_spec)

    monkeypatch.setattr(ansible.module_utils.basic.AnsibleModule, "__init__", seen)
    with pytest.raises(SpecSeenError) as caught:
        module.main()
    found: dict[str, Any] = caught.value.args[0]
    return found


def secrets(spec: dict[str, Any], above: str = "", *, masked: bool = False) -> Iterator[str]:
    """Give the options that hold a secret and are masked neither by themselves nor from above."""
    for name, option in spec.items():
        hidden = masked or option.get("no_log") is True
        holds = SECRET.search(name) and not FILES_OF_SECRETS.search(name)
        if holds and option.get("type", "str") not in ("path", "bool") and not hidden:
            yield f"{above}{name}"
        yield from secrets(option.get("options") or {}, f"{above}{name}.", masked=hidden)


@pytest.mark.parametrize("name", MODULES)
def test_every_option_with_a_secret_is_masked_in_all_that_a_module_says(name, monkeypatch):
    assert list(secrets(spec_of(name, monkeypatch))) == []


def test_an_option_that_is_not_masked_is_found():
    spec = {"api": {"options": {"password": {"type": "str"}, "url": {"type": "str"}}}}
    assert list(secrets(spec)) == ["api.password"]
    assert list(secrets({"api": spec["api"] | {"no_log": True}})) == []


def test_a_secret_in_the_message_of_a_failure_is_masked(capsys):
    """With whatever a server answers: an option is masked in msg too, and in each part of it."""
    spec = {"api": {"type": "dict", "options": {"password": {"type": "str", "no_log": True}}}}
    with patch_module_args({"api": {"password": "T0PSECRET-1"}}):
        module = ansible.module_utils.basic.AnsibleModule(spec)
        with pytest.raises(SystemExit):
            module.fail_json(msg="refused: password T0PSECRET-1 of role x", remedy="T0PSECRET-1?")
    said = capsys.readouterr().out
    assert "T0PSECRET" not in said
    assert json.loads(said)["msg"] == "refused: password ******** of role x"


COMMANDS = {"command", "shell", "raw", "script", "uri", "expect"}


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if any(str(key).rpartition(".")[2] in COMMANDS for key in node) and "name" in node:
            yield node
        for value in node.values():
            yield from tasks(value)
    elif isinstance(node, list):
        for each in node:
            yield from tasks(each)


def test_no_task_with_a_command_has_a_secret_in_its_words():
    """A command is in the result, and uri's url in its msg. Standard input and environment are not.

    A body with a secret is in neither, but in the invocation: such a task has no_log.
    """
    found, seen = [], 0
    for path in FILES:
        for task in tasks(yaml.load(path.read_text(encoding="utf-8"), Loader)):  # noqa: S506
            for key, given in task.items():
                if str(key).rpartition(".")[2] not in COMMANDS:
                    continue
                seen += 1
                words = given if isinstance(given, dict) else {"cmd": given}
                for name, value in words.items():
                    text = yaml.safe_dump(value)
                    used = re.findall(r"\{\{[^}]*(?:password|secret|token|vault_)[^}]*\}\}", text)
                    hidden = name in ("stdin", "body", "headers") and task.get("no_log")
                    if used and not hidden:
                        found.append(f"{path.relative_to(PROJECT)}: {task['name']}: {name}")
    assert seen > 20
    assert found == []
