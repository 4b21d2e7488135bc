# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import importlib.util

from tests.conftest import PROJECT


def reach(**host):
    """Return how the watch reaches a host of these variables."""
    path = PROJECT / "plugins" / "filter" / "watch_reach.py"
    spec = importlib.util.spec_from_file_location("watch_reach", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.watch_reach({"inventory_hostname": "prod"} | host)


def test_the_watch_reaches_this_machine_without_a_program():
    assert reach(ansible_connection="local") == {"connection": [], "become": []}


def test_the_watch_reaches_a_host_as_ansible_does():
    found = reach(
        ansible_host="10.0.0.7",
        ansible_port=2222,
        ansible_user="ops",
        ansible_ssh_private_key_file="~/.ssh/ops key",
        ansible_ssh_common_args="-o ProxyJump=bastion",
        ansible_become=True,
    )
    assert found["become"] == ["sudo", "-n"]
    ssh, *words = found["connection"]
    assert ssh == "ssh" and "BatchMode=yes" in words and words[-1] == "10.0.0.7"
    assert words[words.index("-p") :] == [
        *("-p", "2222", "-l", "ops", "-i", "~/.ssh/ops key", "-o", "ProxyJump=bastion"),
        "10.0.0.7",
    ]
    assert reach()["connection"][-1] == "prod"


def test_a_connection_that_the_watch_cannot_use_is_said():
    assert reach(ansible_connection="community.docker.docker") is None
