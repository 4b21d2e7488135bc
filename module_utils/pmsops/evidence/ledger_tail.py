# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of a ledger, to which lines are added under its lock."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp_microseconds
from ansible.module_utils.pmsops.evidence import chain, ledger_head, ledger_keys
from ansible.module_utils.pmsops.evidence.chain import GENESIS, SHORT
from ansible.module_utils.pmsops.evidence.signer import Signer

NAME = "ledger.jsonl"


class Tail:
    """The end of a locked ledger, to which lines are added."""

    def __init__(self, root: Path, stream: BinaryIO) -> None:
        """Read the lines; *stream* is the ledger under its lock."""
        whole, self._torn = split_torn(stream.read())
        self._root, self._stream, self._end = root, stream, len(whole)
        lines = whole.split(b"\n")[:-1]
        self.key = chain.current_key(lines)
        self.count, self._last = len(lines), chain.sha256(lines[-1]) if lines else GENESIS
        if not lines and ledger_head.read(root) is None:
            ledger_head.write(root, 0, GENESIS)  # a writer killed after its first line is no damage
        hashes = [chain.sha256(line) for line in lines]
        self._broken = ledger_head.compare(hashes, ledger_head.read(root))[0]

    def signer(self, keys: Path | None, now: datetime) -> Signer | None:
        """Return what signs the next line; begin to sign where *keys* is known first.

        None while nothing signs. Where a key is missing, what comes back says why.
        """
        places = ledger_keys.folders(self._root, keys)
        try:
            if self.key is not None:
                key, folder = ledger_keys.load(self.key, places)
                ledger_keys.note(self._root, folder)
                return Signer(key)
            if not places:
                return None
            signer = Signer(ledger_keys.newest_or_new(places[0]))
        except OpsError as exc:
            return Signer(code=exc.code, why=str(exc))
        self.begin(signer, chain.BEGAN, {}, now)
        ledger_keys.note(self._root, places[0])
        return signer

    def begin(
        self, signer: Signer, event: str, facts: dict[str, Any], now: datetime
    ) -> dict[str, Any]:
        """Add the line from which on *signer* signs, without the signature of a key before."""
        record = {"event": event, **ledger_keys.identity(signer.required()), **facts}
        return self.add(chain.SIGNING, record, now, signer)

    def add(
        self,
        kind: str,
        record: dict[str, Any],
        now: datetime,
        signer: Signer | None,
        successor: Signer | None = None,
    ) -> dict[str, Any]:
        """Add one line, signed by *signer*, and by the key that follows it."""
        entry: dict[str, Any] = {
            "seq": self.count + 1,
            "at": utc_stamp_microseconds(now),
            "kind": kind,
            "previous": self._last,
            "record": record,
        }
        if self._broken:
            entry["broken"] = self._broken
        if self._torn:
            entry["recovered"] = self._move_torn()
        unsigned = signer.excuse() if signer else None
        if unsigned:
            entry["unsigned"] = unsigned
        line = json.dumps(entry, sort_keys=True, separators=(",", ":"), default=str).encode()
        if signer and not unsigned:
            line = signer.signed(line, successor)
            self.key = chain.current_key([line])
        self._stream.seek(0, os.SEEK_END)
        self._stream.write(line + b"\n")
        self._stream.flush()
        files.flush(self._stream.fileno())
        digest = chain.sha256(line)
        ledger_head.write(self._root, entry["seq"], digest)
        self.count, self._last, self._broken, self._torn = entry["seq"], digest, "", b""
        return {
            "seq": entry["seq"],
            "at": entry["at"],
            "kind": kind,
            "sha256": digest,
            "unsigned": (unsigned or {}).get("why"),
        }

    def _move_torn(self) -> dict[str, Any]:
        """Move the bytes of a killed writer to a file of their own; return what names it."""
        digest = chain.sha256(self._torn)
        fragment = self._root / f"{NAME}.torn-{digest[:SHORT]}"
        files.replace(fragment, self._torn)
        self._stream.truncate(self._end)
        return {"bytes": len(self._torn), "sha256": digest, "file": fragment.name}


def split_torn(content: bytes) -> tuple[bytes, bytes]:
    """Return the whole lines, and the bytes of a killed writer after them."""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]
