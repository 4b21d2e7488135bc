# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two systems of one inventory: what they may have in common, and what not."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.module_utils.pmsops.control.neighbours import machine_of, place, shared, shared_by_any

from plugins.filter.neighbours import neighbours


def values(root: str, **more: object) -> dict[str, object]:
    return {
        "ansible_connection": "local",
        "pms_db_access": "container",
        "pms_db_container": "timescaledb",
        "pms_db_host": "127.0.0.1",
        "pms_db_port": 5432,
        "pms_db_name": "macro_trading",
        "backup_root": f"{root}/backups",
        "evidence_root": f"{root}/evidence",
        **more,
    }


AWAY = {"ansible_connection": "ssh", "ansible_host": "pms2.example.net"}


@pytest.mark.parametrize(
    ("more", "root", "said"),
    [
        ({}, "/b", "Database macro_trading (127.0.0.1:5432 on this machine)"),
        ({"pms_db_port": 5433}, "/b", "Database macro_trading (container timescaledb"),
        ({"pms_db_name": "other"}, "/a", "backup_root of b, /a/backups, and backup_root of a"),
        ({"pms_db_name": "other"}, "/a/backups", "are not apart"),
        ({**AWAY, "pms_db_host": "127.0.0.1"}, "/a", ""),
        ({"pms_db_name": "other"}, "/b", ""),
        ({"pms_db_port": "5433", "pms_db_container": "pg2"}, "/b", ""),
        ({"pms_db_name": "other"}, "/a/backups2", ""),
    ],
)
def test_a_database_or_a_folder_of_two_systems_is_named(more, root, said):
    found = shared(place("b", values(root, **more)), place("a", values("/a")))
    assert said in " ".join(found) if said else found == []


def test_a_server_with_a_name_is_the_same_from_two_machines():
    named = {"pms_db_host": "db.example.net", "pms_db_access": "host"}
    one, other = place("a", values("/a", **named)), place("b", values("/b", **named, **AWAY))
    assert shared_by_any([one, other]) == [
        "Database macro_trading (db.example.net:5432) of a is the one of b."
    ]


@pytest.mark.parametrize(
    ("connection", "machine"),
    [
        ({"ansible_connection": "local"}, "this machine"),
        ({"ansible_host": "127.0.0.1"}, "this machine"),
        ({"ansible_host": "127.0.0.1", "ansible_port": 2222}, "127.0.0.1:2222"),
        ({}, "a:22"),
    ],
)
def test_a_forwarded_port_leads_to_another_machine(connection, machine):
    assert machine_of("a", connection) == machine


class Hostvars(dict):
    def __getitem__(self, host: str) -> dict:
        if host == "broken":
            raise AnsibleError("Decryption failed")
        return super().__getitem__(host)


def test_a_playbook_names_the_neighbour_and_passes_over_one_that_cannot_be_read():
    known = Hostvars(a=values("/a"), b=values("/b"), c=values("/c", pms_db_name="other"))
    hosts = ["a", "b", "c", "broken"]
    assert "is the one of b" in neighbours(known, "a", hosts)[0]
    assert neighbours(known, "c", hosts) == []


def test_hosts_that_give_no_folders_have_the_same_ones():
    known = {"a": {"ansible_connection": "local"}, "b": {"ansible_connection": "local"}}
    said = " ".join(neighbours(known, "a", ["a", "b"]))
    assert "Database macro_trading" in said and "evidence_root of a" in said


def test_the_variables_of_each_host_are_gathered_once():
    class Counted(dict):
        looks = 0

        def __getitem__(self, host: str) -> dict:
            self.looks += 1
            return super().__getitem__(host)

    known = Counted({host: values(f"/{host}") for host in "abc"})
    neighbours(known, "a", ["a", "b", "c"])
    assert known.looks == 3
