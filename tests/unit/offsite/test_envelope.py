# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page for the envelope: no secret on it, and its test uses nothing but what it names."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime

import pms_envelope
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import sets

from tests.unit.offsite.conftest import SECRET

GIVEN = {
    "database": "macro_trading",
    "inventory": "inventory/prod",
    "command": "pms-ops dr host",
    "clone": "https://me:token@git.example.com/pms-ops",
}


def test_the_page_names_all_and_no_secret(fund):
    fund.call("present")
    fund.make_set("2026-11-28_0115")
    result = fund.call("", pms_envelope, **GIVEN)
    text = "\n".join(result["page"])
    assert str(fund.repository) in text
    assert SECRET not in text
    assert "token" not in text
    (key,) = (fund.folder / "keys" / "trusted").glob("*.pub")
    assert key.name in text
    assert "Ledger: no key signs it yet" in text


def test_the_page_names_the_key_of_the_ledger_as_the_ledger_does(fund):
    """Who opened the envelope could not tell whose ledger the copy had."""
    keys = fund.folder / "keys"
    now = datetime.now(UTC)
    ledger.append(fund.folder / "evidence", "backup", {"set": "y"}, now=now, keys=keys)
    key = ledger.inspect(fund.folder / "evidence").key
    text = "\n".join(fund.call("", pms_envelope, **GIVEN)["page"])
    assert f"Ledger: signed by key {key}" in text
    assert f"goes to {keys}/trusted/ledger/" in text
    assert f"  {key}.pub" in text
    assert f"--key {key}" in text


def test_the_page_says_where_each_item_goes_on_the_new_machine(fund):
    """It gave the places of the lost machine, and its commands were not on the path."""
    fund.call("present")
    fund.make_set("2026-11-28_0115")
    places = {"target": "inventory/prod", "vault_file": "~/.config/pms-ops/vault/prod.pass"}
    page = fund.call("", pms_envelope, **GIVEN, **places)["page"]
    text = "\n".join(page)
    assert "goes to inventory/prod of the clone" in text
    assert "goes to ~/.config/pms-ops/vault/prod.pass, mode 0600:" in text
    assert f"a copy of each file goes to {fund.folder}/keys/trusted/" in text
    assert page.index("  export PATH=$PWD/scripts:$PATH") < page.index("  pms-ops dr host --check")


def test_the_page_says_where_a_program_of_ones_own_goes(fund):
    """It had the package installed, which is too old where a program of one's own is named."""
    page = fund.call("", pms_envelope, **GIVEN | {"restic": "/opt/restic/restic"})["page"]
    place = page.index("  /opt/restic/restic (offsite_restic of the inventory)")
    install = page.index("  apt-get update && apt-get install --yes git make")
    assert place < install
    page = fund.call("", pms_envelope, **GIVEN | {"restic": "restic"})["page"]
    assert "  apt-get update && apt-get install --yes git restic make" in page
    assert "offsite_restic" not in "\n".join(page)


def test_the_command_of_the_page_prints_the_fingerprint_of_a_key(fund):
    fund.make_set("2026-11-28_0115")
    page = fund.call("", pms_envelope, **GIVEN)["page"]
    (command,) = [line.strip() for line in page if "sha256sum" in line]
    (key,) = (fund.folder / "keys" / "trusted").glob("*.pub")
    command = command.replace("FILE.pub", str(key))
    found = subprocess.run(  # noqa: S602  (the page's own command)
        command, shell=True, check=True, capture_output=True, text=True
    )
    assert found.stdout.split()[0] == key.stem


def test_the_test_opens_each_repository_in_an_empty_home(fund):
    fund.call("present")
    sets.mark_verified(fund.make_set("2026-11-28_0115"), {})
    fund.call("uploaded")
    home = os.environ["HOME"]
    result = fund.call("", pms_envelope, test=True, **GIVEN)
    assert os.environ["HOME"] == home
    assert fund.calls()[-1]["env"]["HOME"] != home
    assert [each["ok"] for each in result["tests"]] == [True], result["lines"]
    (fund.folder / "password").write_text("another one")
    (fund.folder / "password").chmod(0o600)
    (failed,) = fund.call("", pms_envelope, test=True, **GIVEN)["tests"]
    assert failed["code"] == "offsite.wrong-password"


def test_the_page_and_the_test_name_the_roles_whose_passwords_the_inventory_lacks(fund):
    role = {"login": True, "superuser": False}
    fund.call("present")
    roles = {"macro_user": role, "dagster_user": role, "pms_ops": role}
    sets.mark_verified(fund.make_set("2026-11-28_0115", roles=roles), {})
    fund.call("uploaded")
    given = GIVEN | {"known_roles": ["pms_ops", "dagster_user"]}
    result = fund.call("", pms_envelope, test=True, **given)
    assert any(line.startswith("  macro_user: MISSING THERE ___") for line in result["page"])
    assert "  dagster_user" in result["page"]
    assert "restore_role_passwords of the inventory lacks macro_user:" in result["lines"][-1]
    given["known_roles"].append("macro_user")
    result = fund.call("", pms_envelope, test=True, **given)
    assert "MISSING" not in "\n".join(result["page"])
    assert "WARNING" not in "\n".join(result["lines"])
