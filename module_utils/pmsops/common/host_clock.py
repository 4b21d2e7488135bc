# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far the clock of this host is from its time servers, where chrony keeps it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

COMMAND = ("chronyc", "-n", "tracking")
SECONDS = 3
# Lines of ``chronyc tracking``; the plain form says in words whether the clock is slow or fast.
_FACT = re.compile(r"^(?P<name>[A-Z][^:]*?)\s*:\s*(?P<value>.*?)\s*$", re.MULTILINE)
_OFFSET = re.compile(r"(?P<seconds>\d+(?:\.\d+)?) seconds (?P<way>slow|fast) of NTP time")
_SERVER = re.compile(r"\((?P<server>[^)]+)\)")
_UNSYNCHRONISED = "Not synchronised"


def _run() -> str:
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=SECONDS, check=True, errors="replace"
    )
    return done.stdout


def measure(run: Callable[[], str] = _run) -> dict[str, Any] | None:
    """Return ``{source, server, stratum, offset_seconds}``; None where chrony does not say it.

    The offset is how far this clock is ahead of the time servers; that of a slow one is negative.
    """
    try:
        text = run()
    except (OSError, subprocess.SubprocessError):
        return None
    said = {each["name"]: each["value"] for each in _FACT.finditer(text)}
    offset = _OFFSET.fullmatch(said.get("System time", ""))
    if offset is None or said.get("Leap status") in (None, _UNSYNCHRONISED):
        return None
    server = _SERVER.search(said.get("Reference ID", ""))
    stratum = said.get("Stratum", "")
    seconds = float(offset["seconds"])
    return {
        "source": "chrony",
        "server": server["server"] if server else None,
        "stratum": int(stratum) if stratum.isdigit() else None,
        "offset_seconds": -seconds if offset["way"] == "slow" else seconds,
    }
