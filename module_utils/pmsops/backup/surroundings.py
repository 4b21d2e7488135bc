# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes into a set beside the database: what the PMS says over HTTP, and the parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.backup.dump import set_file
from ansible.module_utils.pmsops.backup.settings import Settings
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.parts.taking import Taker
from ansible.module_utils.pmsops.pms import export
from ansible.module_utils.pmsops.repository import set_parts


@dataclass
class Surroundings:
    """What surrounds the database whose set is being made in *partial*."""

    settings: Settings
    partial: Path
    recipients: list[Any]
    now: Callable[[], datetime]

    def application(self, progress: Progress) -> list[str]:
        """Write what the PMS says over HTTP; return warnings."""
        if not self.settings.api_url:
            return []
        with progress.phase("application"):
            content, missing = export.content(self.settings.api_url)
            with set_file(self.partial, export.NAME, self.recipients) as stream:
                stream.write(content)
        return ["The PMS did not give: " + ", ".join(missing)] if missing else []

    def parts(
        self, progress: Progress, earlier: Sequence[Path], warnings: list[str]
    ) -> dict[str, Any]:
        """Take the parts; return what the manifest says of them, and add to the *warnings*."""
        wanted, root = self.settings.parts, self.settings.root
        if not wanted.names or self.settings.moment:
            return {}
        taker = Taker(
            wanted, root, self.partial, self.settings.recipients, self.recipients, self.now
        )
        with progress.phase("parts"):
            found = {set_parts.FIELD: taker.take(earlier)}
        warnings += set_parts.warnings(found)
        return found


def texts(document: dict[str, Any]) -> list[str]:
    """Return a line for each part of a manifest, for people."""
    return set_parts.texts(document)
