# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page for the envelope: no secret on it, and its test uses nothing but what it names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pms_envelope
from ansible.module_utils.pmsops.evidence import key_changes, ledger
from ansible.module_utils.pmsops.offsite import envelope
from ansible.module_utils.pmsops.repository import sets

from tests.conftest import PROJECT
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
    assert "none signs it yet" in text and "verify_ledger" not in text


def test_the_page_names_the_key_of_the_ledger_as_the_ledger_does(fund):
    """Who opened the envelope could not tell whose ledger the copy had."""
    keys = fund.folder / "keys"
    key = signed_ledger(fund)
    page = fund.call("", pms_envelope, **GIVEN)["page"]
    at = page.index("  trusted/ledger/   the public key that signs the ledger:")
    assert page[at + 1] == f"    {key}.pub"
    assert f"  install -m 0644 $FILES/trusted/ledger/*.pub {keys}/trusted/ledger" in page


def signed_ledger(fund, *, keys=None):
    """Let a machine write to the ledger; return the id of its key."""
    now = datetime.now(UTC)
    keys = keys or fund.folder / "keys"
    ledger.append(fund.folder / "evidence", "backup", {"set": "y"}, now=now, keys=keys)
    return ledger.inspect(fund.folder / "evidence").key


def test_both_commands_of_the_page_check_the_ledger_before_and_after_the_take_over(fund, tmp_path):
    """The one command of the page read as if the ledger were forged once a machine took over."""
    old = signed_ledger(fund)
    page = fund.call("", pms_envelope, **GIVEN)["page"]
    before, after = [line.strip() for line in page if "verify_ledger.py" in line]
    copy = tmp_path / "fetched" / "evidence"
    shutil.copytree(fund.folder / "evidence", copy)
    assert f" {envelope.FETCHED}/evidence --key {old}" in before
    done = typed(before.replace(f"{envelope.FETCHED}/evidence", str(copy)))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "whole: 3 lines"), done.stdout
    # The new machine has the public half alone, and begins a key of its own.
    next((fund.folder / "keys").glob("ledger-*.key")).unlink()
    why = "the key was on a machine that is lost"
    key_changes.replace_if_lost(
        fund.folder / "evidence", fund.folder / "keys", why, now=datetime.now(UTC)
    )
    (look,) = [line.strip() for line in page if line.startswith("  ls ")]
    names = typed(look).stdout.split()
    (new,) = {name.removesuffix(".pub") for name in names} - {old}
    assert typed(after.replace("NEW", new)).returncode == 0
    alone = typed(after.replace(" --key NEW", ""))
    assert alone.returncode == 1
    assert f"UNKNOWN KEY: line 4 begins with key {new}" in alone.stdout


def typed(command):
    """Run a command of the page as it is typed in the clone, by the Python of the tests."""
    command = command.replace(".venv/bin/python", sys.executable)
    return subprocess.run(  # noqa: S602  (the page's own command)
        command, shell=True, check=False, capture_output=True, text=True, cwd=PROJECT
    )


def test_the_steps_of_the_page_put_each_file_where_it_goes(fund, tmp_path, monkeypatch):
    """It named the lost machine's places, and neither folders, nor modes, nor an order."""
    fund.call("present")
    fund.make_set("2026-11-28_0115")
    key = signed_ledger(fund)
    program = tmp_path / "opt" / "restic"
    places = {"target": "inventory/prod", "vault_file": "~/.config/pms-ops/vault/prod.pass"}
    given = GIVEN | places | {"restic": str(program)}
    page = fund.call("", pms_envelope, **given)["page"]
    stick, home, clone = (tmp_path / name for name in ("stick", "home", "clone"))
    shutil.copytree(fund.folder / "keys" / "trusted", stick / "trusted")
    set_keys = sorted(each.name for each in (stick / "trusted").glob("*.pub"))
    (stick / "inventory").mkdir()
    (stick / "inventory" / "hosts.yml").write_text("pms: {}\n")
    (stick / "restic").write_text("the program")
    for folder in (fund.folder / "keys", fund.folder / "password"):
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    home.mkdir()
    clone.mkdir()
    begin = next(number for number, line in enumerate(page) if line.startswith("  FILES="))
    steps = page[begin : page.index("", begin)]
    steps[0] = f"FILES={stick}"
    script = "\n".join(["set -e", *steps])
    subprocess.run(
        ["sh", "-c", script],
        input="typed",
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=clone,
        text=True,
        check=True,
    )
    assert (clone / "inventory" / "prod" / "hosts.yml").is_file()
    for secret in (home / ".config/pms-ops/vault/prod.pass", fund.folder / "password"):
        assert secret.stat().st_mode & 0o777 == 0o600
    keys = fund.folder / "keys"
    assert keys.stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in (keys / "trusted").glob("*.pub")) == set_keys
    assert (keys / "trusted" / "ledger" / f"{key}.pub").is_file()
    assert program.stat().st_mode & 0o777 == 0o755


def test_the_first_step_is_the_checkout_and_then_its_own_documents(fund):
    page = fund.call("", pms_envelope, **GIVEN | {"commit": "5f3c"})["page"]
    order = ["  git checkout 5f3c", "2. Read docs/OFFSITE.md (A new machine) and"]
    order += ["  FILES=/media/envelope", "  pms-ops dr host --check"]
    at = [next(n for n, line in enumerate(page) if line.startswith(each)) for each in order]
    assert at == sorted(at)
    assert page.index("  export PATH=$PWD/scripts:$PATH") < at[1]


def test_a_program_of_ones_own_is_no_package(fund):
    """It had the package installed, which is too old where a program of one's own is named."""
    page = fund.call("", pms_envelope, **GIVEN | {"restic": "/opt/restic/restic"})["page"]
    assert "  apt-get update && apt-get install --yes git make" in page
    assert "  install -D -m 0755 $FILES/restic /opt/restic/restic" in page
    page = fund.call("", pms_envelope, **GIVEN | {"restic": "restic"})["page"]
    assert "  apt-get update && apt-get install --yes git restic make" in page
    assert "$FILES/restic" not in "\n".join(page)


def test_the_page_of_the_documents_has_the_same_first_commands():
    """The envelope's and OFFSITE.md's packages differed."""
    text = (PROJECT / "docs" / "OFFSITE.md").read_text("utf-8")
    block = re.search(r"^## A new machine\n.*?^```console\n(.*?)^```", text, re.M | re.S)[1]
    found = [line.partition(" # ")[0].removeprefix("# ").strip() for line in block.splitlines()]
    assert found == [line.strip() for line in envelope.first("restic", "CLONE", "COMMIT")[1:]]


def test_the_page_of_the_documents_checks_the_ledger_as_the_envelope_does():
    text = (PROJECT / "docs" / "OFFSITE.md").read_text("utf-8")
    section = text.partition("\n## Whose ledger it is\n")[2].partition("\n## ")[0]
    commands = "".join(re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)).splitlines()
    assert commands == [
        f"pms-ops -i prod offsite fetch proved --into {envelope.FETCHED}",
        f"{envelope.VERIFY} {envelope.FETCHED}/evidence --key OLD",
        f"{envelope.VERIFY} /srv/pms-ops/prod/evidence --key OLD --key NEW",
    ]


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
    given = GIVEN | {"known_roles": ["pms_ops", "dagster_user"], "maintenance_role": "pms_ops"}
    result = fund.call("", pms_envelope, test=True, **given)
    lacks = "  macro_user        restore_role_passwords.macro_user: MISSING THERE ___"
    assert any(line.startswith(lacks) for line in result["page"])
    assert "  dagster_user      restore_role_passwords.dagster_user" in result["page"]
    assert "  pms_ops           pms_db_password" in result["page"]
    assert "restore_role_passwords of the inventory lacks macro_user:" in result["lines"][-1]
    given["known_roles"].append("macro_user")
    result = fund.call("", pms_envelope, test=True, **given)
    assert "MISSING" not in "\n".join(result["page"])
    assert "WARNING" not in "\n".join(result["lines"])
