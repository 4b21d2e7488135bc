# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes an inventory for the system that a Compose file describes."""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pmsops_cli import (
    compose,
    compose_roles,
    compose_running,
    compose_service,
    init_place,
    project,
    vault,
)
from pmsops_cli.compose_roles import Question
from pmsops_cli.exit_status import DONE, Stop
from pmsops_cli.init_place import Target
from pmsops_cli.inventory_writer import Description, describe
from pmsops_cli.project import PROJECT

# Whom to tell, and who runs what is scheduled: an example of it would fail, or tell nobody.
OPERATORS_OWN = ("notify_channels:", "schedule_")
# What few systems need, and the variable of the example that it stands below.
OPTIONAL = {
    "pms_redis_db": "pms_redis_port",
    "pms_redis_tls": "pms_redis_port",
    "pms_redis_username": "pms_redis_port",
    "pms_keys_dir": "evidence_root",
}
EXAMPLE = PROJECT / "inventory" / "example"
VARIABLES = "group_vars/pms/pms.yml"  # of the example
OF_OTHERS = (
    "# --- What group_vars/pms says of another system -----------------------------------",
    "# These are the defaults; give values of this system's own.",
)
REMOTE_PYTHON = "/opt/pms-ops/venv/bin/python"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}")
_HOST = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>[^@:\s]+)(?::(?P<port>\d+))?")


def command(given: Namespace, cwd: Path) -> int:
    """Write inventory/NAME, or show how it differs from what is there."""
    project.enter()
    if not _NAME.fullmatch(given.name) or given.name in ("lab", "example"):
        raise Stop(f"{given.name!r} is no name for an inventory.", "Use letters and digits: prod.")
    target = init_place.added(given, cwd, PROJECT) if given.add else _own(given.name)
    found = _collect(given, cwd)
    own = [cwd / Path(each).expanduser() for each in given.vault_password_file]
    box = vault.Vault(target.vault, own[-1] if own else None)
    root = cwd / Path(given.root).expanduser() if given.root else Path("/srv/pms-ops") / given.name
    before = box.read(target.folder / target.secrets)
    password = before.get("vault_pms_db_password")
    found.secrets["vault_pms_db_password"] = password or secrets.token_urlsafe(24)
    found.values |= {"backup_root": str(root / "backups"), "evidence_root": str(root / "evidence")}
    if given.add:
        target = _beside_others(given, target, found)
    plain = {
        target.hosts: _hosts(given),
        target.variables: _variables(found.values) + _of_others(target),
    }
    folder = target.folder
    differences = _differences(target, plain, before, found.secrets)
    written: list[str] = []
    edited = bool(differences) and (folder / target.hosts).exists() and not given.force
    if edited and given.create_role and not given.check:
        print(f"{folder} was edited since; it stays as it is.", file=sys.stderr)
        differences = []
    elif edited and not given.check:
        print("\n".join(differences), file=sys.stderr if given.json else sys.stdout)
        raise Stop(
            f"Nothing was written. {folder} is there already and differs, as shown.",
            "Add --force to write over it, or choose another --name.",
        )
    if differences and not given.check:
        written = _write(target, plain, found, box, plain_secrets=given.plain_secrets)
    document = {
        "command": "init",
        "inventory": str(folder),
        "system": given.name,
        "roles": found.roles,
        "owner": found.owner,
        "values": found.values,
        "notes": found.notes,
        "written": written,
        "differences": differences,
        "vault_password_file": None if given.plain_secrets else str(box.file),
    }
    if not given.json:
        _say(given, document, found, edited=edited)
    status = DONE
    if given.create_role and not given.check:
        status, document["create_role"] = _create_role(given, cwd, found, target)
    if given.json:
        print(json.dumps(document, indent=1, sort_keys=True))
    return status


def _own(name: str) -> Target:
    return Target(PROJECT / "inventory" / name, vault=name)


def _beside_others(given: Namespace, target: Target, found: Description) -> Target:
    """Return the place of an added system, with what it must not take over from the group.

    :raises Stop: where it shares a database or a folder with another one.
    """
    found.values["pms_keys_dir"] = f"~/.config/pms-ops/{given.name}/keys"
    host = yaml.safe_load(_hosts(given))["pms"]["hosts"][given.name]
    init_place.require_apart(target, given.name, given, found, host)
    known = {*yaml.safe_load(_variables(found.values)), *found.secrets}
    others = init_place.of_other_systems(target, given, known)
    found.secrets |= {name: "" for name in others if name.startswith(init_place.OF_VAULT)}
    plain = {name: each for name, each in others.items() if name not in found.secrets}
    return replace(target, others=plain)


def _of_others(target: Target) -> str:
    if not target.others:
        return ""
    text = yaml.safe_dump(target.others, sort_keys=True, allow_unicode=True, width=1000)
    return "\n" + "\n".join(OF_OTHERS) + "\n" + text


def _collect(given: Namespace, cwd: Path) -> Description:
    # The shell knows by which name it came here: that of a link, which names the project.
    cwd = _as_typed(cwd)
    files = tuple(cwd / Path(each).expanduser() for each in given.compose_file)
    for file in files:
        if not file.is_file() and (not file.is_dir() or len(files) > 1):
            raise Stop(f"There is no Compose file {file}.", "Give its path, or its folder.")
    env = cwd / Path(given.env).expanduser() if given.env else None
    if env and not env.is_file():
        raise Stop(f"There is no {env}.", "Give the path of the .env that Compose is run with.")
    sources = compose.Sources(
        tuple(Path(os.path.abspath(each)) for each in files),  # noqa: PTH100  (keeps links)
        env,
        given.project,
        tuple(given.profile),
    )
    found = compose_running.read(sources, local=not given.host)
    while True:
        services = compose_service.services(found, local=not given.host)
        wanted = dict(each.partition("=")[::2] for each in given.service)
        roles, questions = compose_roles.find(services, wanted)
        if not questions:
            description = describe(found, services, roles, _ports(given))
            questions = description.questions
        if not questions:
            return description
        _answer(given, questions)


def _as_typed(cwd: Path) -> Path:
    typed = os.environ.get("PWD", "")
    return Path(typed) if typed and os.path.realpath(typed) == os.path.realpath(cwd) else cwd


def _ports(given: Namespace) -> dict[str, int]:
    """Return the port inside of each role that --port names.

    :raises Stop: where it is no port of a role.
    """
    found = {}
    for each in given.port:
        role, _, number = each.partition("=")
        if role not in compose_roles.ROLES or not number.isdigit():
            raise Stop(f"--port {each} is no port of a role.", "For example --port api=8000")
        found[role] = int(number)
    return found


def _answer(given: Namespace, questions: list[Question]) -> None:
    """Add the answers to the arguments, from the terminal.

    :raises Stop: without a terminal; it names all questions, and what to type.
    """
    if given.json or not sys.stdin.isatty():
        raise Stop(
            " ".join(each.words for each in questions),
            "Say which: " + "; ".join(" or ".join(each.answers) for each in questions),
        )
    for each in questions:
        print(each.words)
        for number, answer in enumerate(each.answers, 1):
            print(f"  {number}: {answer if answer[-1] != '=' else 'none of them'}")
        typed = input("Number: ").strip()
        if not typed.isdigit() or not 1 <= int(typed) <= len(each.answers):
            raise Stop(f"{typed!r} is none of the numbers.", f"Or type {each.answers[0]}")
        option, value = shlex.split(each.answers[int(typed) - 1])
        (given.port if option == "--port" else given.service).append(value)


def _hosts(given: Namespace) -> str:
    """Return the hosts: this machine, or one that SSH reaches."""
    lines = [
        "---",
        "# Written by pms-ops init; inventory/example says what each line means.",
        "pms:",
        "  hosts:",
        f"    {given.name}:",
    ]
    if not given.host:
        if given.become:
            raise Stop("--become is about the user of a managed host.", "Name it by --host.")
        lines += [
            "      ansible_connection: local",
            '      ansible_python_interpreter: "{{ ansible_playbook_python }}"',
        ]
        return "\n".join(lines) + "\n"
    match = _HOST.fullmatch(given.host)
    if match is None:
        raise Stop(f"{given.host!r} is no USER@HOST.", "For example --host ops@pms.example.net")
    lines.append(f"      ansible_host: {match['host']}")
    lines += [f"      ansible_user: {match['user']}"] if match["user"] else []
    lines += [f"      ansible_port: {match['port']}"] if match["port"] else []
    lines += ["      ansible_become: true"] if given.become else []
    lines += [
        "      # Made by: pms-ops prepare",
        f"      ansible_python_interpreter: {REMOTE_PYTHON}",
    ]
    return "\n".join(lines) + "\n"


def _variables(values: dict[str, Any]) -> str:
    """Return the example with these values: its comments say what each is."""
    lines = (EXAMPLE / VARIABLES).read_text(encoding="utf-8").splitlines()
    missing = set(values)
    for at, line in enumerate(lines):
        name = line.partition(":")[0]
        if name in values:
            # JSON is YAML, on one line and quoted wherever it has to be.
            lines[at] = f"{name}: {_scalar(values[name])}"
            missing.discard(name)
    for name in sorted(missing & OPTIONAL.keys()):
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{OPTIONAL[name]}:"))
        lines.insert(at + 1, f"{name}: {_scalar(values[name])}")
    missing -= OPTIONAL.keys()
    if missing:
        raise LookupError(f"{EXAMPLE / VARIABLES} lacks {', '.join(sorted(missing))}")
    return "\n".join(_without_examples(lines)) + "\n"


def _without_examples(lines: list[str]) -> Iterator[str]:
    """Give the lines; what no Compose file can tell is left as a comment, to be filled in."""
    of_one = False
    for line in lines:
        if line[:1].strip() and not line.startswith("#"):
            of_one = line.startswith(OPERATORS_OWN)
        elif not line.strip() or line.startswith("#"):
            of_one = False
        yield f"# {line}" if of_one else line


def _scalar(value: Any) -> str:
    """Return a value as YAML on one line, quoted where it has to be."""
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_scalar(each)}" for name, each in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or re.fullmatch(r"[A-Za-z/][A-Za-z0-9_./-]*", str(value)):
        words = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
        return str(value) if str(value).lower() not in words else json.dumps(value)
    # Ansible would fill in what looks like a template.
    return ("!unsafe " if vault.TEMPLATE.search(str(value)) else "") + json.dumps(value)


def _differences(
    target: Target, plain: dict[str, str], before: dict[str, str], after: dict[str, str]
) -> list[str]:
    """Return the difference as lines; of secrets only their names."""
    lines: list[str] = []
    folder = target.folder
    for name, text in plain.items():
        path = folder / name
        old = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        lines += difflib.unified_diff(old, text.splitlines(), str(path), str(path), lineterm="")
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if changed:
        words = "other values for" if before else "values for"
        lines.append(f"{folder / target.secrets}: {words} {', '.join(changed)}")
    return lines


def _write(
    target: Target,
    plain: dict[str, str],
    found: Description,
    box: vault.Vault,
    *,
    plain_secrets: bool,
) -> list[str]:
    from ansible.module_utils.pmsops.common import files

    written = []
    if plain_secrets:
        secret = vault.plain_text(found.secrets).encode()
    else:
        if box.make_password():
            written.append(str(box.file))
        secret = box.content(found.secrets)
    folder = target.folder
    (folder / target.secrets).parent.mkdir(parents=True, exist_ok=True)
    (folder / target.variables).parent.mkdir(parents=True, exist_ok=True)
    for name, text in plain.items():
        files.replace(folder / name, text.encode(), mode=0o644)
    files.replace(folder / target.secrets, secret, mode=0o600)
    return [*written, *(str(folder / name) for name in (*plain, target.secrets))]


def _say(given: Namespace, document: dict[str, Any], found: Description, *, edited: bool) -> None:
    print(
        f"{' '.join(given.compose_file)}: "
        + ", ".join(f"{r} is {n}" for r, n in found.roles.items())
    )
    for note in found.notes:
        print(f"  note: {note}")
    if given.check:
        print("\n".join(document["differences"]) or "Nothing would change.")
        return
    if not document["written"] and not edited:  # of an edited one it was said
        print(f"{document['inventory']} says all of it already; nothing was written.")
    for path in document["written"]:
        print(f"  wrote {path}")
    if not given.create_role:
        when = "after prepare" if given.host else "on the database's host"
        print(
            f"The maintenance role has to be in the database. Once, {when}:\n"
            f"  {_again(given)} --create-role\n"
            "or by hand: docs/database-rights.sql,"
            f" with owner={found.owner} and vault_pms_db_password as its password"
            + "".join(f", then with owner={each}" for each in _other_owners(found))
        )
    named = f"-i {given.name}"
    variables = VARIABLES
    if given.add:
        named = " ".join([*_typed(given), "-l", given.name])
        variables = f"host_vars/{given.name}/pms.yml"
    # Without it, no role could have been made over SSH.
    prepare = f"  pms-ops {named} prepare\n" if given.host and not given.create_role else ""
    print(f"Next:\n{prepare}  pms-ops {named} doctor\n  pms-ops {named} golive")
    print(
        f"golive_smoke_test is false, which is a no-go: set it true in {variables} where a tagged,"
        " compensated test trade may be made."
    )
    sys.stdout.flush()


def _typed(given: Namespace) -> list[str]:
    """Return the option of the inventory that a system is added to, as it was typed."""
    return [word for each in given.inventory for word in ("-i", shlex.quote(each))]


def _again(given: Namespace) -> str:
    """Return this command as it was typed, for the shell."""
    words = ["pms-ops", "init", *given.compose_file, "--name", given.name]
    words += [word for each in given.inventory for word in ("-i", each)] if given.add else []
    words += ["--add"] if given.add else []
    words += ["--become"] if given.become else []
    for name in ("env", "host", "project", "root"):
        if getattr(given, name):
            words += [f"--{name}", getattr(given, name)]
    for name in ("service", "port", "profile"):
        words += [word for each in getattr(given, name) for word in (f"--{name}", each)]
    words += [
        word for each in given.vault_password_file for word in ("--vault-password-file", each)
    ]
    return shlex.join(words + (["--plain-secrets"] if given.plain_secrets else []))


def _create_role(
    given: Namespace, cwd: Path, found: Description, target: Target
) -> tuple[int, dict[str, Any]]:
    """Run docs/database-rights.sql in the database's container; return what came of it."""
    from pmsops_cli.commands import Session

    given.inventory, given.limit = [str(target.folder)], given.name if given.add else None
    session = Session(given, cwd)
    for owner in (found.owner, *_other_owners(found)):
        status, document, shown = session.quiet_run(
            "create-role",
            project.PROJECT / "playbooks" / "database_role.yml",
            {"database_owner": owner},
            check=False,
        )
        if not given.json:
            shown.end(document)
        if status:
            break
    return status, document


def _other_owners(found: Description) -> list[str]:
    return sorted(set(found.others.values()) - {found.owner})
