# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory without secrets, and what each site gave as lines."""

from __future__ import annotations

from ansible.module_utils.pmsops.repository import site_notes

from plugins.filter.offsite_lines import lines
from plugins.filter.without_secrets import without_secrets

GOOD = {"site": "vault", "ok": True, "changed": True}
BAD = {
    "site": "b",
    "ok": False,
    "changed": False,
    "code": "offsite.full",
    "why": "W.",
    "remedy": "R.",
}


def test_no_secret_of_the_inventory_goes_along():
    variables = {
        "ansible_password": "x",
        "pms_db_password": "of-the-database",
        "pms_db_name": "app",
        "pms_api_url": "http://u:of-the-database@host",
        "pms_keys_dir": "/keys",
        "notify_channels": [{"token": "t"}],
        "ops_webhook": "https://chat.example.net/T0/B1/x",
        "golive_services": {"database": "db", "token": "hidden-here", "ports": [1, None, True]},
        "backup_note": "hidden-here",
        "offsite_repositories": [{"name": "vault", "url": "x", "password_file": "/etc/vault"}],
    }
    assert without_secrets(variables) == {
        "pms_db_name": "app",
        "pms_api_url": "http://u:(secret)@host",
        "pms_keys_dir": "/keys",
        "golive_services": {"database": "db", "ports": [1, None, True]},
        "backup_note": "(secret)",
        "offsite_repositories": [{"name": "vault", "url": "x", "password_file": "/etc/vault"}],
    }


def test_each_site_has_a_line_and_a_failure_has_its_remedy():
    made = GOOD | {"set": "s", "new_bytes": 2_000_000, "seconds": 3.1, "signs": ["it shrank"]}
    found = lines({"sites": [made, BAD]}, "upload")
    assert found[0].startswith("vault: set s, 2") and "equal" in found[0]
    assert found[1:] == ["vault: SIGN OF RANSOMWARE: it shrank", "b: FAILED (offsite.full): W. R."]
    assert lines({"sites": [made]}, "upload", True)[0].startswith("vault: would be: ")
    assert lines({"msg": "No restic.", "remedy": "Install it."}, "upload") == [
        "No copy: No restic. Install it."
    ]


def test_a_site_that_deletes_is_named():
    assert "CAN DELETE" in lines({"sites": [GOOD | {"refused": False}]}, "try")[0]
    assert "as it should" in lines({"sites": [GOOD | {"refused": True}]}, "try")[0]
    held = GOOD | {"refused": True, "held": True}
    assert "object lock" in lines({"sites": [held]}, "try")[0]


def test_each_act_has_its_words():
    pruned = GOOD | {"removed": ["a", "b"], "snapshots": 3}
    checked = GOOD | {"changed": False, "part": 2, "parts": 7, "seconds": 1.0}
    assert lines({"sites": [pruned]}, "prune") == ["vault: removed a, b (3 snapshots)"]
    assert "part 2 of 7" in lines({"sites": [checked]}, "check")[0]
    assert lines({"sites": [GOOD]}, "init") == ["vault: repository made"]
    fetched = GOOD | {"set": "s", "folder": "/x/s"}
    assert lines({"sites": [fetched]}, "fetch") == ["vault: set s is in /x/s"]
    assert lines({"sites": [GOOD]}, "accept") == ["vault: its signs are accepted"]


def test_the_copies_of_each_site_are_listed():
    copy = {
        "kind": "set",
        "set": "s",
        "database": "dagster",
        "set_bytes": 5,
        "new_bytes": 1,
        "proved": True,
        "at": "T",
    }
    copies = [{"site": "vault", "ok": True, "copies": [copy | {"snapshot": "0123456789"}]}, BAD]
    found = lines({"sites": [{"site": "vault", "behind": None, "signs": []}], "copies": copies})
    there = "vault: 1 copies of sets, the newest s of database dagster"
    assert found[0] == f"{there}; it has the newest set"
    assert "set s of database dagster, 5 B" in found[1]
    assert "proved" in found[1] and "01234567" in found[1]
    assert found[2].startswith("b: FAILED")
    # "4 copies of sets; nothing was uploaded yet" contradicted itself on a new machine.
    known = {"site": "vault", "behind": site_notes.NOTHING, "signs": []}
    found = lines({"sites": [known], "copies": copies})
    assert found[0] == f"{there}; this machine uploaded no set of the database yet"
    empty = [{"site": "vault", "ok": True, "copies": []}]
    (said,) = lines({"sites": [known], "copies": empty})
    assert said == "vault: 0 copies of sets; this machine uploaded no set of the database yet"
