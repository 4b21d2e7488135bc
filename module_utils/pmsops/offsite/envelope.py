# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page that lies in the envelope: all that a new machine needs and no site can give.

No secret is on it. Passwords are written by hand on its lines, or lie beside it: what a command
prints ends up in logs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger, ledger_keys
from ansible.module_utils.pmsops.offsite import copies, login_roles
from ansible.module_utils.pmsops.offsite.contents import Places
from ansible.module_utils.pmsops.offsite.restic import Restic, version
from ansible.module_utils.pmsops.offsite.run import Settings
from ansible.module_utils.pmsops.offsite.site import Site
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.repository import signing

BLANK = "_" * 44
OTHERS_SECRETS = ("HOME", "SSH_AUTH_SOCK", "XDG_CACHE_HOME")


def trusted(keys: Path) -> list[str]:
    """Return the ids of the trusted keys: the SHA-256 of each public key, in hex."""
    return sorted(path.stem for path in (keys / signing.TRUSTED).glob("*.pub"))


def page(settings: Settings, facts: Mapping[str, Any]) -> list[str]:
    """Return the lines of the page. *facts* are the toolkit's, and places.

    They are toolkit, commit, clone, inventory, target and vault_file (where both go on the new
    machine), command, database and recipients.
    """
    lines = [
        f"SYSTEM {settings.system}: how to make a new machine from nothing",
        "",
        f"Toolkit    pms-ops {facts['toolkit']}, commit {facts['commit'] or 'unknown'}",
        f"Clone      {facts['clone'] or '(no origin) ' + BLANK}",
        f"Inventory  a copy of {facts['inventory']} with its vault",
        f"           goes to {facts['target']} of the clone",
        f"Vault      its password goes to {facts['vault_file']}, mode 0600:",
        f"           {BLANK}",
        "",
    ]
    for site in settings.sites:
        lines += [
            f"Site {site.name}",
            f"  repository   {site.url}",
            *(f"  option       {each}" for each in site.options),
            f"  password     goes to {site.password_file}, mode 0600:",
            f"               {BLANK}",
        ]
        if site.environment_file:
            names = ", ".join(site.secrets()) or "none"
            lines.append(f"  variables    go to {site.environment_file}, mode 0600 ({names}):")
            lines.append(f"               {BLANK}")
        if site.ca_file:
            lines.append(f"  certificate  a copy of {site.ca_file}")
    folder = settings.places.keys / signing.TRUSTED
    lines += [
        "",
        f"Trusted keys: a copy of each file goes to {folder}/",
        "  (pms_keys_dir of the inventory, as the new machine's user has it)",
        *(f"  {each}.pub" for each in trusted(settings.places.keys)),
        "",
        *_ledger(settings.places),
        "",
        "The name of a key's file is the fingerprint of the key. This prints it again:",
        "  cut -d' ' -f1 FILE.pub | base64 --decode | sha256sum",
    ]
    lines += ["", *_passwords(settings.places.root, facts.get("known_roles", ()))]
    if facts.get("recipients"):
        lines += ["", "Sets are encrypted: a copy of the identity file of one of"]
        lines += [f"  {each}" for each in facts["recipients"]]
    return [
        *lines,
        "",
        *_first(settings.program),
        f"  git clone {facts['clone'] or 'CLONE'} pms-ops && cd pms-ops",
        f"  git checkout {facts['commit'] or 'COMMIT'}",
        "  LAB_IMAGES=upstream make setup",
        "  export PATH=$PWD/scripts:$PATH",
        "Then put all of the above where it goes, and in the folder pms-ops:",
        f"  {facts['command']} --check",
        f"  {facts['command']} --confirm {facts['database']}",
    ]


def _first(program: str) -> list[str]:
    """Return the lines about the packages, and about restic where *program* is not its package."""
    begin = "On an empty Debian or Ubuntu, as root"
    install = "  apt-get update && apt-get install --yes git"
    if program == "restic":
        return [f"{begin}. restic has to be 0.18 or newer (Debian 13):", f"{install} restic make"]
    return [
        "restic: not of a package. A copy of the program, 0.18 or newer, mode 0755, goes to",
        f"  {program} (offsite_restic of the inventory)",
        "",
        f"{begin}:",
        f"{install} make",
    ]


def _ledger(places: Places) -> list[str]:
    """Return the lines about the ledger's key, whose id is known to nobody but by this page."""
    key = ledger.inspect(places.evidence_root).key
    if key is None:
        return ["Ledger: no key signs it yet. Print this page anew once one does"]
    return [
        f"Ledger: signed by key {key}",
        f"  a copy of its file goes to {ledger_keys.trusted_folder(places.keys)}/",
        f"  {key}.pub",
        f"  verify with: scripts/verify_ledger.py EVIDENCE --key {key}",
    ]


def without_password(root: Path, known: Iterable[str]) -> list[str]:
    """Return the login roles of the newest sets whose passwords are not *known*."""
    return sorted(login_roles.of_newest(root) - {*known})


def password_warning(lacking: Sequence[str]) -> list[str]:
    """Return the line of the roles whose passwords the inventory lacks; none without any."""
    if not lacking:
        return []
    return [
        f"WARNING: restore_role_passwords of the inventory lacks {', '.join(lacking)}: the PMS of a"
        " new machine could not log in. Put the passwords of its Compose file or .env into the"
        " vault."
    ]


def _passwords(root: Path, known: Iterable[str]) -> list[str]:
    """Return the lines about the passwords of roles, which no set has."""
    names, lacking = sorted(login_roles.of_newest(root)), without_password(root, known)
    if not names:
        return [
            "Passwords of roles: no set says which roles log in. restore_role_passwords of the",
            "  inventory gives them to a new machine",
        ]
    return [
        "Passwords of roles: no set has them. restore_role_passwords of the inventory gives them:",
        *(f"  {name}{': MISSING THERE ' + BLANK if name in lacking else ''}" for name in names),
    ]


def test(settings: Settings) -> list[dict[str, Any]]:
    """Open each repository by what the page names alone, in an empty home; return what each gave.

    :raises OpsError: offsite.restic-missing, offsite.restic-old
    """
    version(settings.program)
    found = []
    with _empty_home() as home:
        for site in settings.sites:
            try:
                found.append(_tested(settings, site, home))
            except OpsError as exc:
                known = {"code": exc.code, "why": str(exc), "remedy": exc.remedy}
                found.append({"site": site.name, "ok": False} | known)
    return found


def _tested(settings: Settings, site: Site, home: Path) -> dict[str, Any]:
    restic = Restic(site, home / "cache", program=settings.program, hours=settings.hours)
    work = Work(restic, settings.system, replace(settings.places, inventory=None))
    there = work.copies(cached=False)
    newest = copies.choose(site.name, there, "proved")
    keys = trusted(settings.places.keys)
    if newest.key not in keys:
        raise OpsError(
            f"The newest proved set of site {site.name}, {newest.set}, is signed by key"
            f" {newest.key}, which is not on the page.",
            f"Put its public half, {newest.key}.pub, into"
            f" {settings.places.keys / signing.TRUSTED} if you know it; then print the page anew.",
            code="envelope.unknown-key",
        )
    return {"site": site.name, "ok": True, "set": newest.set, "taken_at": newest.taken_at}


@contextmanager
def _empty_home() -> Iterator[Path]:
    """Give an empty folder that is the home meanwhile: no cache or agent of this user helps."""
    before = {name: os.environ.pop(name) for name in OTHERS_SECRETS if name in os.environ}
    try:
        with tempfile.TemporaryDirectory(prefix="pms-ops-home-") as folder:
            os.environ["HOME"] = folder
            yield Path(folder)
    finally:
        os.environ.pop("HOME", None)
        os.environ.update(before)


def summary(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each site that was tested."""
    return [
        f"{each['site']}: opens; its newest proved set is {each['set']} of {each['taken_at']}"
        if each["ok"]
        else f"{each['site']}: FAILED ({each['code']}): {each['why']} {each['remedy']}"
        for each in found
    ]
