# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets whose text other values have, too: Ansible would make stars of those."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.parameters import remove_values

from plugins.filter.weak_secrets import weak_secrets
from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml
from tests.unit.modules.test_secrets_in_messages import MODULES, spec_of

GOOD = "kW7-tavola-91x"
KNOWN = {
    "the database": "macro_trading",
    "the host": "pms-prod-1.example.net",
    "the folder of the sets": "/srv/backups/macro_trading",
}


def weak(text: Any, name: str = "pms_db_password") -> list[str]:
    found = weak_secrets({name: text}, KNOWN)
    return [*found["short"], *found["part"]]


@pytest.mark.parametrize(
    "text",
    [
        *("x", "1234567", "2026112922", 20261129, 1.5),
        *("2026-11-29", "2026-11-29_0600", "2026-11-29T06:00:00Z"),
        *("macro_trading", "pms-prod-1", "backups/macro", "postgres", "Password"),
    ],
)
def test_a_secret_that_other_texts_have_is_refused(text):
    assert weak(text)
    # What the check is for: the value would be masked in a result.
    result = {
        "id": "2026-11-29_0600",
        "rows": 1234567,
        "seconds": 1.5,
        "max": "x",
        "at": "2026-11-29T06:00:00Z",
        "day": "2026112922 20261129",
        "host": KNOWN["the host"],
        "path": "/srv/backups/macro_trading/2026-11-29_0600",
        "container": "postgres Password",
    }
    assert json.dumps(remove_values(result, {str(text)})) != json.dumps(result)


@pytest.mark.parametrize("text", [GOOD, "", None, True, "correct horse battery", "12345678a"])
def test_a_good_one_none_and_an_empty_one_are_not(text):
    assert weak(text) == []


def role_options(options: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and name of each option of a role that takes a secret."""
    for name, option in options.items():
        said = option.get("no_log") or re.search(r"(pass(word|phrase)|token|secret)s?$", name)
        if said and option.get("type", "str") in ("str", "dict", "list"):
            yield above + name, name
        yield from role_options(option.get("options") or {}, f"{above}{name}.")


ROLE_SECRETS = {
    path
    for file in (PROJECT / "roles").glob("*/meta/argument_specs.yml")
    for entry in read_yaml(file)["argument_specs"].values()
    for path, _ in role_options(entry.get("options") or {})
} | {"restore_drill_server.password"}  # of an option whose keys its description names


def put(path: str, value: Any) -> dict[str, Any]:
    """Return variables with a value at the place of an option; channels are a list."""
    first, _, rest = path.partition(".")
    if not rest:
        return {first: {"macro_user": value} if first.endswith("passwords") else value}
    inner = put(rest, value)
    return {first: [{"name": "chat"} | inner] if first == "notify_channels" else inner}


@pytest.mark.parametrize("path", sorted(ROLE_SECRETS))
def test_every_secret_that_a_role_takes_is_looked_at(path):
    found = weak_secrets(put(path, "2026"), KNOWN)
    assert len(found["short"]) == 1 and found["short"][0].startswith(path.partition(".")[0])
    assert "2026" not in str(found)
    assert weak_secrets(put(path, GOOD), KNOWN) == {"short": [], "part": []}


def test_roles_take_the_secrets_that_are_known_here():
    assert {
        "pms_db_password",
        "pms_redis_password",
        "pms_api_password",
        "pms_grafana_password",
        "restore_role_passwords",
        "notify_channels.url",
        "notify_channels.token",
        "notify_channels.password",
    } <= ROLE_SECRETS


# Where each secret of a module comes from: variables that are looked at, or texts of at least
# eight characters alone (secret_texts.py).
COME_FROM = {
    "api.password": "pms_api_password",
    "channels.password": "notify_channels.password",
    "channels.token": "notify_channels.token",
    "channels.url": "notify_channels.url",
    "database.password": "pms_db_password",
    "grafana.password": "pms_grafana_password",
    "redis.password": "pms_redis_password",
    "server.password": "restore_drill_server.password",
    "role_passwords": "restore_role_passwords",
    "secrets": None,
}


def masked(spec: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, option in spec.items():
        if option.get("no_log"):
            yield above + name
        yield from masked(option.get("options") or {}, f"{above}{name}.")


@pytest.mark.parametrize("name", MODULES)
def test_every_secret_that_a_module_masks_is_one_that_is_looked_at(name, monkeypatch):
    for path in masked(spec_of(name, monkeypatch)):
        place = ".".join(path.split(".")[-2:])
        known = COME_FROM.get(place, COME_FROM.get(path, ""))
        assert known != "", f"{name}: say where {path} comes from"
        assert known is None or known in ROLE_SECRETS


def test_variables_of_others_are_none_of_the_product():
    assert weak_secrets({"ansible_become_password": "1", "proxy_password": "2"}, KNOWN) == {
        "short": [],
        "part": [],
    }
