# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be said of an engine's archive in plain text: no JSON of an engine says it.

``pgbackrest verify --output=text --verbose`` reads each segment and each file of each backup, ends
with 0 whatever it finds, and says nothing at all without ``--verbose`` where all is well:

    stanza: main
    status: error
      archiveId: 17-1, total WAL checked: 8, total valid WAL: 7
        missing: 0, checksum invalid: 0, size invalid: 0, other: 1
      backup: 20261130-135136F, status: valid, total files checked: 967, total valid files: 967

A line for each file of Barman's folder of WAL, with its bytes if they are known:

    16777216 /var/lib/barman/pms/wals/0000000100000000/000000010000000000000005
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.pmsops.pitr.external_catalogue import BARMAN, PGBACKREST, Catalogue

_STANZA = re.compile(r"stanza: (.+)\nstatus: (?:ok|error)\b")
_ARCHIVE = re.compile(r"^ +archiveId: ([^,\n]+), total WAL checked: (\d+), total valid WAL: (\d+)$")
_BACKUP = re.compile(
    r"^ +backup: ([^,\n]+), status: (\w+), total files checked: (\d+), total valid files: (\d+)$"
)
_WHOLE = "valid"
# Beside the segments there are files of a timeline's history and of where a backup began.
_FILE = re.compile(
    r"^(?:(\d+)[ \t]+)?\S*/[0-9A-F]{16}/([0-9A-F]{24})(?:\.[0-9A-F]{8}\.backup|\.partial)?$"
)
_OTHER = re.compile(r"^(?:\d+[ \t]+)?\S*(?:\.history|xlog\.db(?:\.\w+)?|/\.\S*)$")


def is_verified(document: Any) -> bool:
    """Tell whether a text is what pgBackRest's verify says."""
    return isinstance(document, str) and _STANZA.match(document) is not None


def verified(document: str) -> list[Catalogue]:
    """Return what was found to be damaged in each stanza; there is a block for each."""
    return [_stanza(each) for each in re.split(r"\n(?=stanza: )", document)]


def _stanza(block: str) -> Catalogue:
    lines = block.splitlines()
    return Catalogue(
        PGBACKREST,
        lines[0].removeprefix("stanza: "),
        read=any(_ARCHIVE.match(each) for each in lines),
        problems=tuple(_wrong(lines)),
        damaged=tuple(
            found[1] for found in map(_BACKUP.match, lines) if found and found[2] != _WHOLE
        ),
    )


def _wrong(lines: list[str]) -> Iterator[str]:
    """Yield what is damaged, with pgBackRest's own count of the reasons."""
    for number, line in enumerate(lines):
        why = lines[number + 1].strip() if number + 1 < len(lines) else ""
        if (found := _ARCHIVE.match(line)) and found[2] != found[3]:
            yield (
                f"pgBackRest's verify: {int(found[2]) - int(found[3])} of {found[2]} WAL segments"
                f" of {found[1]} are damaged ({why}). A restore stops at the first of them."
            )
        if (found := _BACKUP.match(line)) and found[2] != _WHOLE:
            yield (
                f"pgBackRest's verify: backup {found[1]} is {found[2]}, {found[4]} of {found[3]}"
                f" files are whole ({why}). No restore begins with it."
            )


def is_listing(document: Any) -> bool:
    """Tell whether a text lists files of Barman's folder of WAL, and nothing else."""
    if not isinstance(document, str):
        return False
    lines = document.splitlines()
    return any(map(_FILE.match, lines)) and all(
        _FILE.match(each) or _OTHER.match(each) for each in lines
    )


def listed(document: str) -> list[Catalogue]:
    """Return the segments of a listing, which does not say of which server they are.

    A file of no bytes is none.
    """
    found = (_FILE.match(each) for each in document.splitlines())
    held = tuple(
        sorted(
            {
                each[2]
                for each in found
                if each and each[1] != "0" and not each[0].endswith((".backup", ".partial"))
            }
        )
    )
    return [Catalogue(BARMAN, held=held, newest_wal=max(held, default=None), listed=True)]
