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
FETCHED = "/srv/fetched"
# The venv's Python: that of the distribution may lack what checks signatures.
VERIFY = ".venv/bin/python scripts/verify_ledger.py"
OTHERS_SECRETS = ("HOME", "SSH_AUTH_SOCK", "XDG_CACHE_HOME")


def trusted(keys: Path) -> list[str]:
    """Return the ids of the trusted keys: the SHA-256 of each public key, in hex."""
    return sorted(path.stem for path in (keys / signing.TRUSTED).glob("*.pub"))


def page(settings: Settings, facts: Mapping[str, Any]) -> list[str]:
    """Return the lines of the page. *facts* are the toolkit's, and places.

    They are toolkit, commit, clone, inventory, target and vault_file (where both go on the new
    machine), name (of the inventory), command, database, maintenance_role and recipients.
    """
    lines = [
        f"SYSTEM {settings.system}: how to make a new machine from nothing",
        "",
        f"Toolkit    pms-ops {facts['toolkit']}, commit {facts['commit'] or 'unknown'}",
        f"Clone      {facts['clone'] or '(no origin) ' + BLANK}",
        f"Vault      its password: {BLANK}",
    ]
    for site in settings.sites:
        lines += [
            "",
            f"Site {site.name}",
            f"  repository   {site.url}",
            *(f"  option       {each}" for each in site.options),
            f"  password     {BLANK}",
        ]
        if site.environment_file:
            names = ", ".join(site.secrets()) or "none"
            lines += [f"  variables    of {site.environment_file} ({names}):"]
            lines += [f"               {BLANK}"]
    lines += ["", *_passwords(settings.places.root, facts), ""]
    return [*lines, *_files(settings, facts), "", *_steps(settings, facts)]


def _files(settings: Settings, facts: Mapping[str, Any]) -> list[str]:
    """Return which files lie in the envelope, by the names that the steps take them by."""
    key = _ledger_key(settings.places)
    lines = [
        "FILES of the envelope, on a disk of its own. The steps below take them by these names:",
        f"  inventory/        a copy of the lost machine's {facts['inventory']}, with its vault",
        "  trusted/          public keys of sets:",
        *(f"    {each}.pub" for each in trusted(settings.places.keys)),
        "  trusted/ledger/   the public key that signs the ledger:",
        f"    {key}.pub" if key else "    none signs it yet. Print this page anew once one does",
    ]
    if settings.program != "restic":
        lines.append("  restic            the program, 0.18 or newer")
    lines += [
        f"  {site.name}.ca{' ' * (15 - len(site.name))}a copy of {site.ca_file}"
        for site in settings.sites
        if site.ca_file
    ]
    if facts.get("recipients"):
        lines.append("  identity          of age, as sets are encrypted, for one of")
        lines += [f"    {each}" for each in facts["recipients"]]
    return [
        *lines,
        "The name of a key's file is the fingerprint of the key. This prints it again:",
        "  cut -d' ' -f1 FILE.pub | base64 --decode | sha256sum",
    ]


def _steps(settings: Settings, facts: Mapping[str, Any]) -> list[str]:
    """Return the commands, in the order in which they are typed."""
    keys = settings.places.keys / signing.TRUSTED
    ledger_keys_folder = ledger_keys.trusted_folder(settings.places.keys)
    lines = [
        *first(settings.program, facts["clone"] or "CLONE", facts["commit"] or "COMMIT"),
        "",
        "2. Read docs/OFFSITE.md (A new machine) and docs/DR_PLAYBOOK.md (scenario 9) now, not",
        "   before: another commit may describe another program.",
        "",
        "3. Put the files where they go, still in the folder pms-ops. All belong to the user that",
        "   runs pms-ops. Enter each line by itself: cat waits for what was written by hand above,",
        "   then Enter and Ctrl-D; it would take the next line of a block for that.",
        "  FILES=/media/envelope                      # where the files of the envelope are",
        f"  mkdir -p {facts['target']} && cp -r $FILES/inventory/. {facts['target']}",
        *put_secret(facts["vault_file"]),
    ]
    for site in settings.sites:
        lines += put_secret(str(site.password_file))
        if site.environment_file:
            lines += put_secret(str(site.environment_file))
        if site.ca_file:
            lines.append(f"  install -D -m 0644 $FILES/{site.name}.ca {site.ca_file}")
    lines += [
        f"  install -d -m 0700 {settings.places.keys} {keys} {ledger_keys_folder}",
        f"  install -m 0644 $FILES/trusted/*.pub {keys}",
    ]
    key = _ledger_key(settings.places)
    if key:
        lines.append(f"  install -m 0644 $FILES/trusted/ledger/*.pub {ledger_keys_folder}")
    if settings.program != "restic":
        lines.append(f"  install -D -m 0755 $FILES/restic {settings.program}")
    return [
        *lines,
        "",
        *([*_ledger(settings.places, facts, key), ""] if key else []),
        f"{5 if key else 4}. See the plan, and make the machine:",
        f"  {facts['command']} --check",
        f"  {facts['command']} --confirm {facts['database']}",
        *(["", *_afterwards(settings.places, key)] if key else []),
    ]


def first(program: str, clone: str, commit: str) -> list[str]:
    """Return the lines on an empty machine; its own restic only where *program* is the package."""
    packages = "git restic make" if program == "restic" else "git make"
    older = "; restic has to be 0.18 or newer: Debian 13" if program == "restic" else ""
    return [
        f"1. On an empty Debian or Ubuntu, as root{older}:",
        f"  apt-get update && apt-get install --yes {packages}",
        f"  git clone {clone} pms-ops && cd pms-ops",
        f"  git checkout {commit}",
        "  LAB_IMAGES=upstream make setup",
        "  export PATH=$PWD/scripts:$PATH",
    ]


def put_secret(place: str) -> list[str]:
    """Return the line that puts what was written on the page into a file of mode 0600."""
    return [f"  mkdir -p {place.rpartition('/')[0]} && (umask 077; cat > {place})"]


def _ledger_key(places: Places) -> str | None:
    key: str | None = ledger.inspect(places.evidence_root).key
    return key


def _ledger(places: Places, facts: Mapping[str, Any], key: str) -> list[str]:
    """Return how to check the copy's ledger, whose key is known to nobody but by this page."""
    fetch = f"pms-ops -i {facts['name']} offsite fetch proved --into {FETCHED}"
    return [
        "4. If you doubt the copy: is its ledger the one that this key signed? (whole: N lines)",
        f"  {fetch}",
        f"  {VERIFY} {FETCHED}/evidence --key {key}",
    ]


def _afterwards(places: Places, key: str) -> list[str]:
    """Return how to check the ledger that goes on here, by the keys of both machines."""
    folder = ledger_keys.trusted_folder(places.keys)
    return [
        "6. Afterwards the new machine signs with a key of its own. NEW is its id: the name,",
        f"   without .pub, of the other file in {folder}",
        f"  ls {folder}",
        f"  {VERIFY} {places.evidence_root} --key {key} --key NEW",
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


def _passwords(root: Path, facts: Mapping[str, Any]) -> list[str]:
    """Return which variable of the inventory has the password of each role: no set has one."""
    known = facts.get("known_roles", ())
    names, lacking = sorted(login_roles.of_newest(root)), without_password(root, known)
    if not names:
        return [
            "Passwords of roles: no set says which roles log in. restore_role_passwords of the",
            "  inventory gives them to a new machine",
        ]
    variables = {facts.get("maintenance_role"): "pms_db_password"}
    return [
        "Passwords of roles: no set has them. They are in these variables of the inventory:",
        *(
            f"  {name:<16}  {variables.get(name, f'restore_role_passwords.{name}')}"
            + (f": MISSING THERE {BLANK}" if name in lacking else "")
            for name in names
        ),
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
