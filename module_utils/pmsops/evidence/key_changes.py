# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes of the ledger's key, each a line of the ledger; and lines that a person accepts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import chain, ledger, ledger_keys
from ansible.module_utils.pmsops.evidence.ledger_tail import Tail
from ansible.module_utils.pmsops.evidence.signer import Signer


def rotate(evidence_root: Path, keys: Path, *, now: datetime) -> dict[str, Any]:
    """Let a new key sign from now on, by a line that both keys sign; return that line.

    The old private key stays: another ledger of this machine may use it.

    :raises OpsError: ledger.not-signed, ledger.unwritable, or those of ledger_keys.load.
    """
    with ledger.writing(evidence_root) as tail:
        old = _signer(tail, evidence_root, keys)
        new = ledger_keys.create(keys)
        record = {
            "event": chain.ROTATED,
            **ledger_keys.identity(new),
            "previous_key": tail.key,
        }
        line = tail.add(chain.SIGNING, record, now, old, successor=Signer(new))
    ledger_keys.note(evidence_root, keys)
    return line | {"key": record["key"]}


def replace(evidence_root: Path, keys: Path, why: str, *, now: datetime) -> dict[str, Any]:
    """Begin a new key that the old one cannot sign, since it is lost; return the line.

    Whoever reads the ledger sees that, and has to get the new key's id by another way.

    :raises OpsError: ledger.not-signed, ledger.key-present, ledger.unwritable.
    """
    with ledger.writing(evidence_root) as tail:
        if tail.key is None:
            raise _not_signed(evidence_root)
        places = ledger_keys.folders(evidence_root, keys)
        if is_present(tail.key, places):
            raise OpsError(
                f"The ledger's key {tail.key[: chain.SHORT]} is not lost: its file is there.",
                "Use pms-ops ledger rotate-key; both keys sign that change.",
                code="ledger.key-present",
            )
        new = ledger_keys.create(keys)
        facts = {"previous_key": tail.key, "why": why}
        line = tail.begin(Signer(new), chain.REPLACED, facts, now)
    ledger_keys.note(evidence_root, keys)
    return line | {"key": ledger_keys.identity(new)["key"]}


def replace_if_lost(evidence_root: Path, keys: Path, why: str, *, now: datetime) -> bool:
    """Replace the key of a ledger that came from a lost machine; tell whether that was needed."""
    with ledger.writing(evidence_root) as tail:
        key = tail.key
    if key is None or is_present(key, ledger_keys.folders(evidence_root, keys)):
        return False
    replace(evidence_root, keys, why, now=now)
    return True


def accept(
    evidence_root: Path, keys: Path, lines: list[int], who: str, why: str, *, now: datetime
) -> dict[str, Any]:
    """Accept lines that are not signed, or dated back, by a signed line; return that line.

    :raises OpsError: ledger.not-signed, ledger.not-acceptable, ledger.unwritable, or those of
        ledger_keys.load.
    """
    content = (evidence_root / ledger.NAME).read_bytes().split(b"\n")[:-1]
    found = chain.read(content).problems
    acceptable = {each.line for each in found if each.acceptable}
    if wrong := sorted(set(lines) - acceptable):
        raise OpsError(
            f"Line {wrong[0]} is none that can be accepted.",
            "Only a line that says why it is not signed, or one that is dated back, can be:"
            f" {', '.join(map(str, sorted(acceptable))) or 'there is none'}.",
            code="ledger.not-acceptable",
        )
    with ledger.writing(evidence_root) as tail:
        signer = _signer(tail, evidence_root, keys)
        record = {"event": chain.ACCEPTED, "lines": sorted(lines), "who": who, "why": why}
        return tail.add(chain.SIGNING, record, now, signer)


def is_present(key: str, places: list[Path]) -> bool:
    """Tell whether the file of a private key is there, readable or not."""
    try:
        ledger_keys.load(key, places)
    except OpsError as exc:
        return exc.code != "ledger.key-missing"
    return True


def _signer(tail: Tail, evidence_root: Path, keys: Path) -> Signer:
    if tail.key is None:
        raise _not_signed(evidence_root)
    return Signer(ledger_keys.load(tail.key, ledger_keys.folders(evidence_root, keys))[0])


def _not_signed(evidence_root: Path) -> OpsError:
    return OpsError(
        f"The lines of the ledger in {evidence_root} are not signed yet.",
        "The next line begins that: run pms-ops backup.",
        code="ledger.not-signed",
    )
