# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One shifted wall clock for the processes of a test and for the services of a lab.

Durations stay real: what takes a second takes a second. Programs of Go (docker, restic) do not ask
libc for the time and keep the machine's.
"""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

SOURCE = Path(__file__).with_name("clock") / "clock.c"
# A process reads the offset anew after a quarter of a second.
SETTLED_SECONDS = 0.6


class ShiftedClock:
    """The clock; ``folder`` is what the lab's option lab_clock_dir takes."""

    def __init__(self, folder: Path, moment: datetime | None) -> None:
        """Set the clock to *moment*; None: it goes on as it was."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the services have other users
        self.folder = folder
        library = folder / "clock.so"
        if not library.exists():
            subprocess.run(
                ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"],
                check=True,
                timeout=60,
            )
        self.environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "PMS_TEST_CLOCK": str(folder / "offset"),
        }
        if moment is not None:
            self.set(moment)

    def set(self, moment: datetime) -> None:
        """Set the clock; it runs on from there."""
        path = self.folder / "offset"
        # Written in place: a container has this very file.
        path.write_text(f"{round(moment.timestamp() - time.time())}\n")
        path.chmod(0o644)
        time.sleep(SETTLED_SECONDS)

    def now(self) -> datetime:
        """Return what the clock says."""
        return datetime.fromtimestamp(time.time() + int((self.folder / "offset").read_text()), UTC)
