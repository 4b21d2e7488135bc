# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page over all runs: ``evidence_root/site/index.html``, one file without any other.

It holds what the ledger holds, which is private: so are the folder and the page.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import site_facts
from ansible.module_utils.pmsops.reports import site

PAGE = "index.html"


def write(sources: site_facts.Sources, *, now: datetime, check: bool = False) -> dict[str, Any]:
    """Write the page unless it is there already; with *check*, only tell whether it would change.

    :raises OpsError: site.unwritable
    """
    facts = site_facts.collect(sources, now=now)
    content = site.page(vars(facts)).encode(errors="replace")
    path = sources.evidence_root / site_facts.FOLDER / PAGE
    try:
        changed = _content(path) != content
        if changed and not check:
            files.make_private_folder(sources.evidence_root)
            files.make_private_folder(path.parent)
            files.replace(path, content)
    except OSError as exc:
        raise OpsError(
            f"{path} cannot be written: {exc.strerror or exc}.",
            "Give the user of the playbook write access and free space there, then run it again.",
            code="site.unwritable",
        ) from exc
    return {
        "changed": changed,
        "path": str(path),
        "runs": len(facts.runs),
        "sets": len(facts.sets),
        "drills": sum(each["kind"] == "drill" for each in facts.entries),
        "incidents": len(facts.incidents),
        "lines": facts.ledger["lines"],
        "problems": facts.problems,
    }


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
