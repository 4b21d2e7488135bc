#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check an export of evidence, offline: this file needs nothing but Python.

    python3 -I verify.py --key KEY            the folder in which this file is; KEY is the id of
                                              the key, as got by another way than the export
    python3 -I verify.py --key KEY x.zip      a zip that nobody unpacked
    python3 -I verify.py --tsa-ca root.pem    time stamps by this root, known otherwise
    python3 -I verify.py --approver KEY       approvals by this person's key, known otherwise

With -I, Python imports nothing from the folder, so no file that was added to it runs. Without -I
this file sees to that itself, before it imports anything. With -I, Python does not see packages
that one user installed for themselves (pip install --user); the python3 of a venv sees its own.

Exit status:
  0  whole, and signed by the key that was given with --key
  1  broken: each fault is named
  2  it cannot be checked: no such file, or no export, or one of another format
  3  chain and hashes agree; signatures were not checked: the package `cryptography` is missing
  4  whole in itself; the key was not compared, for want of --key: anybody could have made it

Files of an export, and what they are compared with. No other file is in it:
  manifest.json         has the SHA-256 and the size of each other file
  signature.json        signs the manifest: Ed25519 over `pms-ops evidence export 1`, a line feed,
                        and the SHA-256 of manifest.json in hex
  ledger/lines.jsonl    whole lines of the ledger, the first with the number that the manifest calls
                        `start`, up to its end; ledger/earlier.jsonl: older ones still in force.
                        Each is a JSON object with `seq`, `at`, `kind`, `previous` (the SHA-256 of
                        the line before) and `record`. A signed one ends with
                        `,"signature":{"key":...,"value":...}}`: Ed25519 over `pms-ops ledger line
                        1`, a line feed, and the SHA-256 in hex of the line without that field
                        A line of kind `approval` has in `document` what a second person signed
                        before a plan was done: Ed25519, by a key of their own, over the document
                        without `signature` as JSON (Python: sort_keys=True, separators=(",", ":")).
                        Compared: that signature; `plan_sha256`, the SHA-256 of the plan as the same
                        JSON; the line; its hour; that no line used it before; that the signer is
                        not who ordered the plan, by name and by what else that key signed
  ledger/ledger.head    number and hash of the last line, as they were beside the ledger
  keys/ID.pub           public keys; ID is the SHA-256 of the raw key, which a line of kind
                        `signing` brings. keys/signer.pem: the key that signed this export, once
                        more, for other tools
  records/RUN/          record.json of each go-live run: its SHA-256 is in the run's line, which
                        says the same of run, verdict and time. Its checklist.md, junit.xml and
                        report.html: with the manifest only
  incidents/ID/         incident.json: once it is closed, its SHA-256 is in a line of that time.
                        incident.md: with the manifest only
  attestations/*.json   each run as an in-toto statement in a DSSE envelope: its signature, and that
                        it is about the record of that run
  checklists/NAME.json  the checks of each version of the checklist that ran whole. NAME is the
                        SHA-256 of the file, and its checks are those of a record.
                        `checklist_sha256` in it, in records and in lines is the SHA-256 of the
                        checklist's YAML, read and written as JSON (json.dumps of Python with
                        sort_keys=True, default=str, ensure_ascii=False). The YAML is not here
  anchors/              notes of what left the machine: with the lines. *.tsr: time stamps, by the
                        program openssl, and the root ca.pem or the one of --tsa-ca
  sets.json, schedule.json, plan.json, report.html, report.pdf, README.txt, verify.py
                        with the manifest only

`whole` means: nothing was altered, added or removed since the owner of the key signed. It does not
mean that what the owner wrote is true. Figures of the report, of plan.json and of sets.json are
what the exporter made of the records and of the disk on that day; they are not computed again here.
An end of the ledger that was cut off with its head, before the export, shows only at an anchor.
That ledger/earlier.jsonl has each older line in force is the word of the owner, too.
Whose key signed an approval is the word of the owner: compare each with the person, or give those
that you know with --approver; then one without a signature is broken, too. With --tsa-ca, an export
without a time stamp by that root is broken: somebody may have left them out.

This file shares no code with what makes the export. Who does not trust the one in the zip takes it
from the source of pms-ops: module_utils/pmsops/export/verify_script.py, the same to the byte.
"""

# No `from __future__ import annotations` here: that too would import a file of the folder.
import sys

if __name__ == "__main__" and not sys.flags.isolated:
    # Python looks for modules in the folder of the script first. It goes from the path by its text
    # before `os` is imported, and then in every other form.
    if not getattr(sys.flags, "safe_path", False):
        sys.path[:] = [each for each in sys.path[1:] if each not in ("", ".", sys.path[0])]
    import os

    _here = os.path.realpath(os.path.dirname(__file__))
    sys.path[:] = [
        each
        for each in sys.path
        if not (os.path.realpath(each) + os.sep).startswith(_here + os.sep)
    ]

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

WHOLE, BROKEN, CANNOT, NO_SIGNATURES, NOT_COMPARED = 0, 1, 2, 3, 4
FORMAT = "pms-ops evidence export 1"
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
LINES, EARLIER, HEAD = "ledger/lines.jsonl", "ledger/earlier.jsonl", "ledger/ledger.head"
STATE, PEM = "anchors/state.json", "keys/signer.pem"
SIGNED = re.compile(rb',"signature":(\{[^{}]*(?:\{[^{}]*\}[^{}]*)?\})\}$')
# What is left of a damaged export is still none that "cannot be checked".
OF_EXPORT = ("ledger/", "keys/", "verify.py")
RECORD = re.compile(r"records/([^/]+)/record\.json")
STATEMENT = re.compile(r"attestations/([^/]+)\.dsse\.json")
OF_A_CHECK = ("id", "title", "section", "severity")
OF_BOTH = ("verdict", "partial")
# What comes before the 32 bytes of a public key of Ed25519 in DER. Source: RFC 8410, section 4.
DER = bytes.fromhex("302a300506032b6570032100")
TOKEN = re.compile(r"anchors/([^/]+)/(\d+)-[0-9a-f]{12}\.tsr")
STAMP_TIME = re.compile(r"^Time stamp: (.+) GMT$", re.M)
CLOCK = timedelta(minutes=5)
# So long an approval holds; the line that uses it is written then.
HOLDS = timedelta(hours=1)
# The language in which openssl writes a date.
ENVIRONMENT = dict(os.environ, LC_ALL="C")
# 128 bits: nobody makes another key whose id begins with them.
SHORTEST_KEY = 32
SHOWN_DIGITS = 12
# Behind a key that nobody vouched for, which begins where one that is known was lost
TAKEN_OVER = (
    ": a new machine took over there with a key of its own, or a lost key was replaced. Get the id"
    " of that key by another way than the export, too, and give both: --key KEY --key KEY"
)
# What a file of another form than expected makes of the code that reads it.
UNEXPECTED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Unreadable(Exception):
    """An export that is damaged so far that nothing in it can be compared."""


class NoExport(Exception):
    """What was given is no export, or one of another format."""


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def moment(text: Any) -> "datetime | None":
    """Return a moment, None where there is none."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else None


def openssl() -> "str | None":
    """Return the program openssl; none that lies in the export or in the current folder."""
    found = shutil.which("openssl")
    near = (Path.cwd(), Path(__file__).resolve().parent)
    return found if found and Path(found).absolute().parent not in near else None


def begins_as_zip(place: Path) -> bool:
    """Return whether a file begins as a zip does; one that was cut off has no more than that."""
    with place.open("rb") as stream:
        return stream.read(2) == b"PK"


def read(place: Path) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of an export by name, and what is wrong with how they are kept.

    :raises NoExport: where it is neither a folder nor a zip, or may not be read
    :raises Unreadable: where it is a zip that is damaged
    """
    files: dict[str, bytes] = {}
    kept: list[str] = []
    folders: list[str] = []
    try:
        if place.is_dir():
            for path in sorted(place.rglob("*")):
                name = path.relative_to(place).as_posix()
                if path.is_symlink() or not (path.is_dir() or path.is_file()):
                    kept.append(f"{name} is no plain file: an export has nothing else")
                elif path.is_dir():
                    folders.append(f"{name}/")
                else:
                    files[name] = path.read_bytes()
        elif not (zipfile.is_zipfile(place) or begins_as_zip(place)):
            raise NoExport(f"{place} is neither a folder nor a zip: this is no export")
        else:
            with zipfile.ZipFile(place) as archive:
                listed = archive.namelist()
                if not listed:
                    raise ValueError("it lists no file")
                twice = sorted({name for name in listed if listed.count(name) > 1})
                kept += [f"{name} is in the zip twice" for name in twice]
                folders = [name for name in listed if name.endswith("/")]
                files = {name: archive.read(name) for name in listed if name not in folders}
    except NoExport:
        raise
    except Exception as exc:
        # A damaged zip gives OSError too, where it points to before its own beginning.
        if isinstance(exc, PermissionError):
            raise NoExport(f"{place} cannot be read: {exc}") from exc
        raise Unreadable(f"{place} is damaged: {type(exc).__name__}: {exc}") from exc
    empty = [each for each in folders if not any(name.startswith(each) for name in files)]
    return files, kept + [f"{each} was added: an export has no empty folder" for each in empty]


def document(files: dict[str, bytes], name: str) -> dict[str, Any]:
    """Return a file that was written as sorted JSON.

    :raises Unreadable: where it is missing or was altered
    """
    if name not in files:
        raise Unreadable(f"{name} is missing: it was removed")
    try:
        found = json.loads(files[name])
    except (ValueError, RecursionError) as exc:
        raise Unreadable(f"{name} was altered: it is no JSON ({exc})") from exc
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if not isinstance(found, dict) or text.encode(errors="surrogatepass") != files[name]:
        raise Unreadable(f"{name} was altered: it is not written as the export writes it")
    return found


def parsed(content: bytes) -> dict[str, Any]:
    """Return a JSON object, an empty one where it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def checks_of(record: dict[str, Any]) -> list[dict[str, str]]:
    """Return the checks of a run, without what came of them."""
    results = record.get("results")
    return [
        {name: str(each.get(name)) for name in OF_A_CHECK}
        for each in (results if isinstance(results, list) else [])
        if isinstance(each, dict)
    ]


def canonical(value: Any) -> bytes:
    """Return a plan or an approval as the JSON that is hashed and signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def one_name(value: Any) -> str:
    """Return a name by which a person is recognised, however it was typed."""
    return " ".join(str(value or "").split()).casefold()


class Approval:
    """One use of a second person's approval: what its line says, and what is wrong with that."""

    def __init__(self, number: int, entry: dict[str, Any]) -> None:
        """Take the line."""
        self.number = number
        self.at = moment(entry["at"])
        self.record: dict[str, Any] = entry["record"]
        self.recorded = "document" in self.record
        found = self.record.get("document")
        self.document: dict[str, Any] = found if isinstance(found, dict) else {}
        self.key = ""
        self.faults: list[str] = []

    @property
    def plan(self) -> dict[str, Any]:
        """Return the plan that was signed, or where nothing was, the one that the line names."""
        found = self.document.get("plan", self.record.get("plan"))
        return found if isinstance(found, dict) else {}

    def signed(self) -> "tuple[bytes, str, str]":
        """Return what was signed, the public key and the signature, both in Base64."""
        signature = self.document["signature"]
        body = {name: value for name, value in self.document.items() if name != "signature"}
        return canonical(body), str(signature["public_key"]), str(signature["value"])

    def compare(self) -> None:
        """Compare the document with its line, its plan and its hour."""
        document, record, plan = self.document, self.record, self.document["plan"]
        _body, public, _value = self.signed()
        raw = base64.b64decode(public, validate=True)
        self.key = sha256(raw)
        if document["signature"].get("algorithm") != "ed25519" or len(raw) != 32:
            self.faults.append("it is not signed by Ed25519")
        if self.key != record.get("approval_key"):
            self.faults.append(
                f"it is signed by key {self.key}; the line names {record.get('approval_key')}"
            )
        if sha256(canonical(plan)) != document["plan_sha256"]:
            self.faults.append("its plan is another than the one of its plan_sha256")
        for of_line, signed in (
            *(("plan", plan), ("plan_sha256", document["plan_sha256"])),
            *(("approved_at", document["signed_at"]), ("approval", document["id"])),
            *(("ordered_by", plan["ordered_by"]), ("login", plan["login"])),
        ):
            if record.get(of_line) != signed:
                self.faults.append(f"`{of_line}` of the line is not what was signed")
        signed_at = moment(document["signed_at"])
        if signed_at is None or self.at is None:
            self.faults.append("nobody can tell when it was signed or used")
        elif signed_at > self.at + CLOCK:
            self.faults.append(f"it was signed at {document['signed_at']}, after the line")
        elif self.at - signed_at > HOLDS + CLOCK:
            self.faults.append(
                f"it was signed at {document['signed_at']}, more than an hour before the line"
            )

    def text(self) -> str:
        """Return the approval as a line for people, without what was found."""
        plan, record = self.plan, self.record
        about = plan.get("set") or plan.get("site") or plan.get("database")
        what = f"{plan.get('operation')} of {about}, ordered by {record.get('ordered_by')}"
        told = f"approval in line {self.number}: {what}, approved by {record.get('approved_by')}"
        if not self.recorded:
            return told
        digest = str(self.document.get("plan_sha256"))[:SHOWN_DIGITS]
        return (
            f"{told} with key {self.key or 'unknown'} at {self.document.get('signed_at')}, plan"
            f" {digest}"
        )

    def outcome(self, *, checked: bool) -> str:
        """Return what was found; *checked*: signatures were."""
        if self.faults:
            return f"BROKEN: {'; '.join(self.faults)}"
        if not self.recorded:
            return "NOT IN THIS EXPORT: an older release kept no signature, so nobody can check it"
        return "the signature fits this plan" if checked else "signature not checked"


class Check:
    """One export, and what is wrong with it."""

    def __init__(
        self, files: dict[str, bytes], keys: list[str], approvers: "list[str] | None" = None
    ) -> None:
        """Take the files, and the ids of keys that are known otherwise.

        :raises NoExport: where they are no export, or one of another format
        :raises Unreadable: where the manifest is damaged
        """
        if not any(name in (MANIFEST, SIGNATURE) or name.startswith(OF_EXPORT) for name in files):
            raise NoExport(f"there is no {MANIFEST}: this is no export")
        self.files = files
        self.known = keys
        self.approvers = approvers or []
        self.approvals: list[Approval] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.manifest = document(files, MANIFEST)
        self.signature: dict[str, Any] = {}
        try:
            self.signature = document(files, SIGNATURE)
        except Unreadable as exc:
            self.problems.append(str(exc))
        if self.manifest.get("format") != FORMAT:
            other = f"{MANIFEST} is of another format: {self.manifest.get('format')!r}"
            if self.signature.get("manifest_sha256") == sha256(files[MANIFEST]):
                raise NoExport(f"{other}; take the verifier of the release that made it")
            raise Unreadable(f"{other}, and is not the one that {SIGNATURE} is about")
        # (what, bytes that were signed, id of the key, signature in Base64)
        self.to_check: list[tuple[str, bytes, str, str]] = []
        self.publics: dict[str, str] = {}
        self.key = ""
        self.chains: list[tuple[str, set[str]]] = []
        # Number of the line at which each earlier key gave way to the next
        self.replaced: dict[str, int] = {}
        self.excused: dict[int, str] = {}
        self.accepted: set[int] = set()
        self.hashes: dict[int, str] = {}
        self.entries: dict[int, dict[str, Any]] = {}
        self.newest: datetime | None = None

    def run(self, root: "Path | None") -> bool:
        """Look at everything; return False where signatures could not be checked."""
        for step in (
            *(self.files_fit, self.lines_fit, self.end_fits, self.period_fits, self.records_fit),
            *(self.checklists_fit, self.incidents_fit, self.anchors_fit, self.keys_fit),
            *(self.statements_fit, self.approvals_fit, self.dates_fit, self.deficiencies_fit),
            lambda: self.stamps_fit(root),
        ):
            try:
                step()
            except UNEXPECTED as exc:
                self.problems.append(
                    f"a file is not as an export writes it: {type(exc).__name__}: {exc}"
                )
        return self.signatures_fit()

    def files_fit(self) -> None:
        """Compare each file with the manifest."""
        listed = self.manifest.get("files", {})
        for name, entry in sorted(listed.items()):
            if name not in self.files:
                self.problems.append(f"{name} is missing")
            elif sha256(self.files[name]) != entry.get("sha256"):
                self.problems.append(f"{name} was altered: its SHA-256 is not the manifest's")
            elif len(self.files[name]) != entry.get("size_bytes"):
                self.problems.append(f"{name} has another size than the manifest says")
        for name in sorted(set(self.files) - set(listed) - {MANIFEST, SIGNATURE}):
            self.problems.append(f"{name} was added: the manifest has no such file")
        if self.signature.get("manifest_sha256") != sha256(self.files[MANIFEST]):
            self.problems.append(f"{MANIFEST} is not the one that {SIGNATURE} is about")
        if set(self.signature) != {"key", "manifest_sha256", "public_key", "value"}:
            self.problems.append(f"{SIGNATURE} has other fields than an export writes")
        self.problems += [f"the export says: {each}" for each in self.manifest.get("problems", [])]

    def lines_fit(self) -> None:
        """Compare each line of the ledger with the one before."""
        about = self.manifest["ledger"]
        earlier = self.files.get(EARLIER, b"").split(b"\n")[:-1]
        for line in earlier:
            number = json.loads(line).get("seq")
            if type(number) is not int or number in self.hashes or number >= about["start"]:
                self.problems.append(f"{EARLIER} has a line of number {number}, which is not so")
            else:
                self.take(number, line)
        lines = self.files.get(LINES, b"").split(b"\n")
        if lines.pop():
            self.problems.append(f"{LINES} has an end without a line feed")
        for number, line in enumerate(lines, about["start"]):
            self.take(number, line)
        last = about["start"] + len(lines) - 1
        if about["lines"] > last:
            self.problems.append(
                f"lines are missing after line {last}: the manifest counts {about['lines']}"
            )
        elif about["lines"] < last:
            self.problems.append(
                f"line {about['lines'] + 1} was added: the manifest counts {about['lines']} lines"
            )
        elif about["sha256"] != self.hashes.get(last, "0" * 64):
            self.problems.append(f"line {last} was changed: the manifest has another hash")

    def take(self, number: int, line: bytes) -> None:
        """Take one line down."""
        before = self.hashes.get(number - 1, "0" * 64 if number == 1 else None)
        self.hashes[number] = sha256(line)
        try:
            entry = json.loads(line)
            kind, previous, at = entry["kind"], entry["previous"], entry["at"]
            if not isinstance(entry["record"], dict):
                raise ValueError("its record is no object")
        except (ValueError, KeyError, TypeError, RecursionError):
            self.problems.append(f"line {number} is no entry of a ledger")
            return
        self.entries[number] = entry
        if entry.get("seq") != number:
            self.problems.append(
                f"line {number} carries the number {entry.get('seq')}: one was removed, added or"
                " moved"
            )
        elif before is not None and previous != before:
            self.problems.append(
                f"line {max(number - 1, 1)} was changed: line {number} refers to another content"
            )
        if "broken" in entry:
            self.problems.append(f"line {number} found the ledger damaged: {entry['broken']}")
        found = SIGNED.search(line)
        self.date(number, at, signed=bool(self.key or found))
        if found is None:
            if "unsigned" in entry:
                self.excused[number] = "is not signed, and says why"
            elif self.key:
                self.problems.append(f"line {number} is not signed, and those before it are")
            return
        try:
            self.signed(number, line[: found.start()] + b"}", json.loads(found[1]), kind, entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problems.append(f"line {number} has a signature or a key in no known form")

    def date(self, number: int, text: Any, *, signed: bool) -> None:
        """Compare a date with the newest one before it."""
        at = moment(text)
        if at is None:
            if signed:
                self.problems.append(f"line {number} has no date")
            return
        if signed and self.newest and self.newest - at > CLOCK:
            self.excused[number] = f"is dated {text}, before the lines that it follows"
        self.newest = max(self.newest or at, at)

    def signed(
        self, number: int, body: bytes, signature: dict[str, Any], kind: str, entry: dict[str, Any]
    ) -> None:
        """Take down who signed a line, and which keys it brings."""
        about = entry["record"] if kind == "signing" else {}
        event = about.get("event")
        successor = signature.get("successor") or {}
        if event in ("began", "replaced"):
            if event == "began" and self.key:
                self.problems.append(f"line {number} begins to sign, and others did before")
            if event == "replaced":
                self.notes.append(f"line {number} replaced a key that was lost: {about.get('why')}")
            self.key = about["key"]
            self.chains.append((f"line {number}", {self.key}))
            self.bring(number, about)
        if signature["key"] != self.key:
            self.problems.append(
                f"line {number} is signed by key {signature['key']}; in use is"
                f" {self.key or 'none that the export has'}"
            )
        message = b"pms-ops ledger line 1\n" + sha256(body).encode()
        self.to_check.append((f"line {number}", message, signature["key"], signature["value"]))
        if event == "rotated":
            self.bring(number, about)
            if successor.get("key") != about["key"] or not self.chains:
                self.problems.append(f"line {number} changes the key, and no new key signed it")
            else:
                self.chains[-1][1].add(about["key"])
            self.to_check.append(
                (f"line {number}", message, str(successor.get("key")), str(successor.get("value")))
            )
            self.replaced[self.key] = number
            self.key = about["key"]
        if event == "accepted":
            self.accepted |= {each for each in about["lines"] if each < number}

    def bring(self, number: int, about: dict[str, Any]) -> None:
        """Take a public key down, whose hash has to be its id."""
        raw = base64.b64decode(about["public_key"], validate=True)
        if sha256(raw) != about["key"]:
            self.problems.append(f"line {number} brings a public key that is not the one it names")
        self.publics[about["key"]] = about["public_key"]
        name = f"keys/{about['key']}.pub"
        if self.files.get(name, b"").split(b" ")[0] != about["public_key"].encode():
            self.problems.append(f"{name} is not the key that line {number} brings, or is missing")

    def end_fits(self) -> None:
        """Compare the last line with the head that was beside the ledger."""
        for number, why in sorted(self.excused.items()):
            text = f"line {number} {why}"
            if number in self.accepted:
                self.notes.append(f"accepted by a person: {text}")
            else:
                self.problems.append(text)
        try:
            head = json.loads(self.files[HEAD])
            count, digest = int(head["lines"]), str(head["sha256"])
        except (ValueError, KeyError, TypeError):
            self.problems.append(f"{HEAD} is missing or damaged: an end cut off would not show")
            return
        last = max(self.hashes, default=0)
        if count > last:
            self.problems.append(
                f"lines are missing after line {last}: the head counts {count} lines"
            )
        elif self.hashes.get(count) != digest:
            self.problems.append(f"line {count} was changed: the head has another hash")
        elif last > count + 1:
            self.problems.append(f"line {count + 2} is not pinned: the head counts {count} lines")

    def inside(self) -> list[int]:
        """Return the numbers of the lines of the period."""
        period = self.manifest["period"]
        start, end = moment(period["from"]), moment(period["before"])
        if start is None or end is None:
            raise KeyError("period")
        first = self.manifest["ledger"]["start"]
        dates = {n: moment(e["at"]) for n, e in self.entries.items() if n >= first}
        return sorted(n for n, at in dates.items() if at is not None and start <= at < end)

    def period_fits(self) -> None:
        """Compare the lines of the period with what the manifest says."""
        inside, about = self.inside(), self.manifest["ledger"]
        if len(inside) != about["in_period"]:
            self.problems.append(
                f"the manifest counts {about['in_period']} lines of the period, here are"
                f" {len(inside)}"
            )
        start = moment(self.manifest["period"]["from"])
        first = self.entries.get(about["start"])
        at = moment(first["at"]) if first else None
        if about["start"] > 1 and (at is None or start is None or at >= start):
            self.problems.append(
                f"line {about['start']} is not older than the period: lines may be left out"
            )
        if not inside:
            self.notes.append("the period is empty: the ledger has no line of it")

    def records_fit(self) -> None:
        """Compare the record of each run with its line."""
        told: dict[str, int] = {}
        for number in self.inside():
            record = self.entries[number]["record"]
            if self.entries[number]["kind"] == "gate" and "record_sha256" in record:
                name = f"records/{record.get('run')}/record.json"
                told[name] = number
                if name not in self.files:
                    self.problems.append(f"{name} is missing, and line {number} is about it")
                elif sha256(self.files[name]) != record["record_sha256"]:
                    self.problems.append(f"{name} was altered: line {number} has another SHA-256")
                else:
                    self.record_says_the_same(name, parsed(self.files[name]), number)
        for name in sorted(self.files):
            if RECORD.fullmatch(name) and name not in told:
                self.problems.append(f"{name} is in no line of the ledger of this period")

    def record_says_the_same(self, name: str, found: dict[str, Any], number: int) -> None:
        """Compare what a record says of itself with its line."""
        line = self.entries[number]["record"]
        if found.get("run", line.get("run")) != line.get("run"):
            self.problems.append(f"{name} is of the run {found['run']}, line {number} of another")
        for each in OF_BOTH:
            if each in line and each in found and line[each] != found[each]:
                self.problems.append(
                    f"{name} says {each} {found[each]}, and line {number} says {line[each]}"
                )
        self.same_time(found.get("written_at"), number, f"{name} says that it was written")

    def same_time(self, text: Any, number: int, what: str) -> None:
        """Compare a moment that a record names with the date of the line that followed at once."""
        at, dated = moment(text), moment(self.entries[number]["at"])
        if at and dated and abs(dated - at) > CLOCK:
            self.problems.append(
                f"{what} at {text}, and line {number} is dated {self.entries[number]['at']}"
            )

    def checklists_fit(self) -> None:
        """Compare each version of the checklist with records, and these with their lines."""
        ran: dict[str, list[Any]] = {}
        named: dict[str, str] = {}
        for name in sorted(self.files):
            record = parsed(self.files[name]) if RECORD.fullmatch(name) else {}
            digest = record.get("checklist_sha256")
            if isinstance(digest, str):
                named[name] = digest
                if record.get("partial") is False:
                    ran.setdefault(digest, []).append(checks_of(record))
        for name in sorted(self.files):
            if not name.startswith("checklists/"):
                continue
            about = parsed(self.files[name])
            if name != f"checklists/{sha256(self.files[name])}.json":
                self.problems.append(f"{name} is not named by its own SHA-256")
            if about.get("checks") not in ran.pop(str(about.get("checklist_sha256")), []):
                self.problems.append(f"{name} has other checks than each record of its checklist")
        for digest in sorted(ran):
            self.problems.append(f"checklists/ has no file of the checklist {digest}, which ran")
        for number in self.inside():
            record = self.entries[number]["record"]
            name = f"records/{record.get('run')}/record.json"
            said = record.get("checklist_sha256", named.get(name))
            if self.entries[number]["kind"] == "gate" and said != named.get(name, said):
                self.problems.append(f"line {number} names another checklist than {name}")

    def incidents_fit(self) -> None:
        """Compare each incident that is closed with the last line about it."""
        last = {
            entry["record"].get("incident"): (number, entry["record"]["incident_sha256"])
            for number, entry in sorted(self.entries.items())
            if entry["kind"] == "incident" and "incident_sha256" in entry["record"]
        }
        for number in self.inside():
            record = self.entries[number]["record"]
            name = f"incidents/{record.get('incident')}/incident.json"
            ended = self.entries[number]["kind"] == "incident" and "incident_sha256" in record
            if ended and name not in self.files:
                self.problems.append(f"{name} is missing, and line {number} is about it")
        for name, content in sorted(self.files.items()):
            match = re.fullmatch(r"incidents/([^/]+)/incident\.json", name)
            closed = match and json.loads(content).get("closed_at")
            if match and closed and match[1] not in last:
                self.problems.append(f"{name} is closed, and no line of the ledger is about it")
            elif match and closed and sha256(content) != last[match[1]][1]:
                number = last[match[1]][0]
                self.problems.append(f"{name} was altered: line {number} has another SHA-256")
            elif match and closed:
                self.same_time(closed, last[match[1]][0], f"{name} says that it was closed")

    def dates_fit(self) -> None:
        """Compare the dates of lines with those of their own blocks, and with the export's."""
        made = moment(self.manifest["made_at"])
        for number, entry in sorted(self.entries.items()):
            at, block = moment(entry["at"]), entry["record"].get("audit")
            if made and at and at > made + CLOCK:
                self.problems.append(
                    f"line {number} is dated {entry['at']}, after the export was made"
                )
            written = moment(block.get("written_at")) if isinstance(block, dict) else None
            if at and written and abs(at - written) > CLOCK:
                self.problems.append(
                    f"line {number} is dated {entry['at']}, and its record was written at"
                    f" {block['written_at']}"
                )

    def deficiencies_fit(self) -> None:
        """Compare the line that a closed deficiency names with that line."""
        for number, entry in sorted(self.entries.items()):
            record = entry["record"]
            if entry["kind"] != "deficiency" or record.get("act") != "closed":
                continue
            shown = record["record"]
            digest = self.hashes.get(shown["line"])
            if shown["line"] >= number or digest not in (None, shown["sha256"]):
                self.problems.append(
                    f"line {number} closes {record.get('id')} by line {shown['line']}, of which it"
                    " has another SHA-256"
                )

    def anchors_fit(self) -> None:
        """Compare heads that left the machine with the lines."""
        notes = json.loads(self.files.get(STATE, b"{}"))
        if not notes and not any(TOKEN.fullmatch(name) for name in self.files):
            self.notes.append(
                "nothing of this export left the machine: no anchor, no time stamp. Who has the key"
                " could have written all of it anew"
            )
        for name, note in sorted(notes.items()):
            done = note.get("done")
            if not done:
                self.problems.append(f"anchor {name} took no head")
                continue
            found = self.hashes.get(done["lines"])
            if found is not None and found != done["sha256"]:
                self.problems.append(f"line {done['lines']} was changed after anchor {name}")
            elif done["lines"] > self.manifest["ledger"]["lines"]:
                self.problems.append(f"line {done['lines']} is missing: anchor {name} has it")
            else:
                at = moment(done["at"])
                if at is not None and found is not None:
                    self.dated_back(done["lines"], at, f"anchor {name}")
                token = f"anchors/{name}/{done['lines']}-{done['sha256'][:12]}.tsr"
                if token in self.files:
                    continue  # the time stamp is here, and says more than the note
                self.notes.append(
                    f"anchor {name}: line {done['lines']} at {done['at']} by this machine's note;"
                    f" ask the place itself for {done['sha256']}"
                )

    def keys_fit(self) -> None:
        """Compare the key of the manifest with that of the ledger, and both with known ones."""
        signer = str(self.signature.get("key"))
        if signer != self.key:
            self.problems.append(
                f"{MANIFEST} is signed by key {signer}; the ledger ends with {self.key or 'none'}"
            )
        if self.publics.get(signer) != self.signature.get("public_key"):
            self.problems.append(f"{SIGNATURE} brings another public key than the ledger")
        for name in sorted(self.files):
            match = re.fullmatch(r"keys/([^/]+)\.pub", name)
            if match and match[1] not in self.publics:
                self.problems.append(f"{name} is a key that no line of the ledger brings")
        raw = base64.b64decode(self.publics.get(signer, ""))
        pem = (
            f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(DER + raw).decode()}\n"
            "-----END PUBLIC KEY-----\n"
        )
        if self.files.get(PEM, pem.encode()) != pem.encode():
            self.problems.append(f"{PEM} is not the same key as keys/{signer}.pub")
        message = f"{FORMAT}\n{sha256(self.files[MANIFEST])}".encode()
        value = str(self.signature.get("value"))
        self.to_check.append((MANIFEST, message, signer, value))
        vouched = [
            any(key.startswith(known) for key in keys for known in self.known)
            for _where, keys in self.chains
        ]
        for number, (where, keys) in enumerate(self.chains if self.known else ()):
            if not vouched[number]:
                names = ", ".join(sorted(keys))
                why = f"{where} begins with key {names}, none of those given"
                self.problems.append(why + (TAKEN_OVER if vouched[0] else ""))
        if self.known and not self.chains:
            self.problems.append("the export has no key that could be compared")
        for known in self.known:
            if not any(key.startswith(known) for _where, keys in self.chains for key in keys):
                self.problems.append(f"the key that was given, {known}, is none of this export")

    def statements_fit(self) -> None:
        """Compare each statement with its record, and take its signatures down."""
        for name, content in sorted(self.files.items()):
            match = STATEMENT.fullmatch(name)
            if not match:
                continue
            try:
                self.statement_fits(name, f"records/{match[1]}/record.json", json.loads(content))
            except UNEXPECTED:
                self.problems.append(f"{name} is no signed statement in a DSSE envelope")

    def statement_fits(self, name: str, record: str, envelope: dict[str, Any]) -> None:
        """Compare one statement with its record, and take its signatures down."""
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = envelope["payloadType"].encode()
        # Source: DSSE protocol, version 1: the pre-authentication encoding.
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        if not envelope["signatures"]:
            self.problems.append(f"{name} has no signature")
        for each in envelope["signatures"]:
            if each["keyid"] != self.key:
                self.problems.append(f"{name} is signed by key {each['keyid']}, not by {self.key}")
            self.to_check.append((name, message, each["keyid"], each["sig"]))
        digest = sha256(self.files.get(record, b""))
        if json.loads(payload)["subject"] != [{"name": record, "digest": {"sha256": digest}}]:
            self.problems.append(f"{name} is about something else than {record}")

    def approvals_fit(self) -> None:
        """Compare each use of a second person's approval with what they signed."""
        used: dict[str, int] = {}
        persons: dict[str, dict[str, int]] = {}
        since = 0
        for number, entry in sorted(self.entries.items()):
            if entry["kind"] != "approval":
                continue
            each = Approval(number, entry)
            self.approvals.append(each)
            if not each.recorded:
                if since:
                    each.faults.append(f"it has no signature, and the one of line {since} has")
                elif self.approvers:
                    each.faults.append(
                        "it has no signature, so none of those given with --approver"
                    )
                continue
            since = since or number
            try:
                each.compare()
                before = used.setdefault(str(each.document["id"]), number)
            except UNEXPECTED:
                each.faults.append("it is in no known form")
                continue
            if before != number:
                each.faults.append(f"line {before} used it already")
            if self.approvers and not any(each.key.startswith(one) for one in self.approvers):
                each.faults.append(f"key {each.key} is none of those given with --approver")
            named = persons.setdefault(each.key, {})
            named.setdefault(one_name(each.record.get("approved_by")), number)
        for each in self.approvals:
            ordered = {one_name(each.plan.get(name)) for name in ("ordered_by", "login")} - {""}
            if one_name(each.record.get("approved_by")) in ordered:
                each.faults.append("who ordered the plan approved it")
                continue
            each.faults += [
                f"its key is that of who ordered the plan: so line {number} says"
                for name, number in persons.get(each.key, {}).items()
                if name in ordered
            ]

    def persons_fit(self, fits: "Callable[[str, str, bytes], bool]") -> None:
        """Check the signature of each approval, and take the faults of all of them down."""
        for each in self.approvals:
            try:
                body, public, value = each.signed() if each.recorded else (b"", "", "")
                if each.recorded and not fits(public, value, body):
                    each.faults.append("it was changed after it was signed, or is forged")
            except UNEXPECTED:
                each.faults = each.faults or ["it is in no known form"]

    def signatures_fit(self) -> bool:
        """Check each signature; return False where the package is missing."""
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            return False

        def fits(public: str, value: str, message: bytes) -> bool:
            try:
                raw = base64.b64decode(public, validate=True)
                given = base64.b64decode(value, validate=True)
                if base64.b64encode(given).decode() != value:
                    raise ValueError("not the canonical form")
                Ed25519PublicKey.from_public_bytes(raw).verify(given, message)
            except (InvalidSignature, *UNEXPECTED):
                return False
            return True

        for what, message, key, value in self.to_check:
            if not fits(self.publics.get(key, ""), value, message):
                both = f"{MANIFEST} or {SIGNATURE}" if what == MANIFEST else what
                self.problems.append(f"{both} was changed after it was signed, or others signed it")
        self.persons_fit(fits)
        return True

    def stamps_fit(self, root: "Path | None") -> None:
        """Check each RFC 3161 token: its hash here, its signature by openssl where that is."""
        tool = openssl()
        stamped: set[int] = set()
        for name in sorted(self.files):
            match = TOKEN.fullmatch(name)
            if not match:
                continue
            digest = self.hashes.get(int(match[2]))
            if digest is None or bytes.fromhex(digest) not in self.files[name]:
                self.problems.append(f"{name} is a time stamp of something else than the line")
                continue
            issuer = f"anchors/{match[1]}/ca.pem"
            authority = root.read_bytes() if root else self.files.get(issuer)
            if not tool or authority is None:
                why = f"no {issuer}" if tool else "no program openssl"
                self.notes.append(f"{name}: the authority's signature was not checked, {why}")
                continue
            at = self.stamped(tool, name, digest, authority)
            if at is None:
                self.problems.append(f"{name} is not signed by the authority")
                continue
            stamped.add(int(match[2]))
            self.dated_back(int(match[2]), at, name)
            by = "the root that was given" if root else f"{issuer}, which was not compared"
            self.notes.append(f"{name}: line {match[2]} was there at {at.isoformat()}, by {by}")
        if stamped and max(stamped) < self.manifest["ledger"]["lines"]:
            self.notes.append(f"no time stamp has the lines after {max(stamped)}")
        if root and not stamped:
            why = "" if tool else ": there is no program openssl"
            self.problems.append(f"no time stamp is by the root that was given{why}")

    def stamped(self, tool: str, name: str, digest: str, authority: bytes) -> "datetime | None":
        """Return the time of a token that the authority signed, None if it did not.

        The authority's certificate has to have been valid then, and may have ended since.
        """
        with tempfile.TemporaryDirectory() as folder:
            token, trusted = Path(folder, "token"), Path(folder, "root")
            token.write_bytes(self.files[name])
            trusted.write_bytes(authority)

            def ask(*options: str) -> subprocess.CompletedProcess[str]:
                command = [tool, "ts", *options, "-in", str(token)]
                return subprocess.run(
                    command, capture_output=True, text=True, check=False, env=ENVIRONMENT
                )

            told = STAMP_TIME.search(ask("-reply", "-text").stdout)
            if told is None:
                return None
            text = re.sub(r"\.\d+", "", told[1])
            naive = datetime.strptime(text, "%b %d %H:%M:%S %Y")
            at = moment(f"{naive.isoformat()}+00:00")
            if at is None:
                return None
            moment_of = ("-attime", str(int(at.timestamp())))
            done = ask("-verify", "-digest", digest, "-CAfile", str(trusted), *moment_of)
        return None if done.returncode else at

    def dated_back(self, number: int, at: datetime, anchor: str) -> None:
        """Name the first line after an anchored one that claims to be older than the anchor."""
        for later in range(number + 1, self.manifest["ledger"]["lines"] + 1):
            said = moment(self.entries[later]["at"]) if later in self.entries else None
            if said is not None and said < at - CLOCK:
                self.problems.append(
                    f"line {later} is dated {self.entries[later]['at']}, and was not there when"
                    f" {anchor} had the head"
                )
                return


def say(text: str) -> None:
    """Print a text, of which a part may be of the export: no part of it ends the line."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = "".join(each if each.isprintable() else "?" for each in text)
    print(shown.encode(encoding, "backslashreplace").decode(encoding))


def check(
    files: dict[str, bytes],
    kept: list[str],
    keys: list[str],
    root: "Path | None" = None,
    approvers: "list[str] | None" = None,
) -> int:
    """Check one export, print what was found, and return the exit status.

    *kept* is what is wrong with how its files are kept, *root* the certificates to trust.
    """
    found = Check(files, keys, approvers)
    found.problems += kept
    checked = found.run(root)
    for note in dict.fromkeys(found.notes):
        say(f"note: {note}")
    for each in found.approvals:
        say(f"{each.text()}: {each.outcome(checked=checked)}")
        found.problems += [f"line {each.number}, the approval: {fault}" for fault in each.faults]
    signer = found.signature.get("key")
    if not checked:
        say("signatures not checked: this Python has no package cryptography")
    if found.problems:
        say(f"this export claims that it is signed by key {signer}")
        say("BROKEN:")
        for problem in dict.fromkeys(found.problems):
            say(f"  {problem}")
        return BROKEN
    about, period = found.manifest["ledger"], found.manifest["period"]
    extent = (
        f"{len(files)} files; lines {about['start']} to {about['lines']} of the ledger,"
        f" {about['in_period']} of them from {period['since']} to {period['until']}"
    )
    if not checked:
        say(f"this export claims that it is signed by key {signer}")
        say(extent)
        say("The hashes agree. NOT AUTHENTICATED: signatures were not checked")
        return NO_SIGNATURES
    say(f"signed by key {signer}")
    if not keys:
        say(f"whole in itself: {extent}")
        say(
            "THE KEY WAS NOT COMPARED: anybody can make such an export with a key of their own."
            " Get the id of the key by another way, and give it with --key"
        )
        return NOT_COMPARED
    for known in keys:
        lines = [number for key, number in found.replaced.items() if key.startswith(known)]
        if lines and not str(signer).startswith(known):
            say(
                f"the key that was given, {known}, is an earlier one: line {lines[0]}, which it"
                " signed, replaced it. If it was replaced because others may have had it, ask for"
                " the id of the present key, and check again with that"
            )
        else:
            say(f"the key that was given, {known}, matches")
    if any(each.recorded for each in found.approvals) and not approvers:
        say(
            "whose the keys of the approvals are is the word of the owner: compare each with the"
            " person, or give those that you know with --approver"
        )
    say(f"whole: {extent}")
    return WHOLE


def key_id(text: str) -> str:
    """Return the id of a key, or its beginning.

    :raises argparse.ArgumentTypeError: where it is too short to tell keys apart.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_KEY},64}}", text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is not {SHORTEST_KEY} to 64 digits in hex")
    return text.lower()


def main(argv: "list[str] | None" = None) -> int:
    """Return the exit status of one check."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).resolve().parent
    parser.add_argument("export", nargs="?", type=Path, default=here, help="folder or zip")
    parser.add_argument(
        "--key", action="append", type=key_id, default=[], help="id of a key known otherwise"
    )
    parser.add_argument("--tsa-ca", type=Path, help="root of the time stamping authority, in PEM")
    about = "id of the key of a person who may approve, known otherwise; once for each person"
    parser.add_argument("--approver", action="append", type=key_id, default=[], help=about)
    given = parser.parse_args(argv)
    for path, there in ((given.export, Path.exists), (given.tsa_ca, Path.is_file)):
        if path and not there(path):
            say(f"CANNOT BE CHECKED: there is no file {path}")
            return CANNOT
    try:
        return check(*read(given.export), given.key, given.tsa_ca, given.approver)
    except NoExport as exc:
        say(f"CANNOT BE CHECKED: {exc}")
        return CANNOT
    except Unreadable as exc:
        say("BROKEN:")
        say(f"  {exc}")
        return BROKEN


if __name__ == "__main__":
    raise SystemExit(main())
