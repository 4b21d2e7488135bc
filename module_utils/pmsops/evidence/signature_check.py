# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The signatures of a ledger that was read: whether they fit, and whether their keys count."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.pmsops.evidence import ledger_keys, signatures
from ansible.module_utils.pmsops.evidence.chain import SHORT, Reading

NOT_CHECKED = "signatures not checked: this Python has no package cryptography"


def check(reading: Reading, places: list[Path]) -> None:
    """Add what is wrong with the signatures to *reading*; *places* are folders of keys."""
    if not reading.signed:
        return
    try:
        wrong = signatures.wrong(reading.signed, reading.publics)
    except ImportError:
        reading.fault(reading.signed[0].line, NOT_CHECKED)
        return
    if wrong:
        more = f", and those of {len(wrong) - 1} lines after it" if wrong[1:] else ""
        reading.fault(
            wrong[0],
            f"line {wrong[0]} was changed after it was signed, or somebody else signed it: its"
            f" signature does not fit{more}",
        )
    for key, line in reading.introduced.items():
        if not ledger_keys.is_trusted(key, places):
            where = " or ".join(str(ledger_keys.trusted_folder(each)) for each in places)
            reading.fault(
                line,
                f"line {line} begins with key {key[:SHORT]}, which is not pinned in"
                f" {where or 'a folder of keys'}",
            )
