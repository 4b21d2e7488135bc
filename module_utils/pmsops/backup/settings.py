# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of a backup."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import utc_stamp_microseconds
from ansible.module_utils.pmsops.parts import taking
from ansible.module_utils.pmsops.repository import retention, sets

AUTO, ALWAYS, NEVER = "auto", "always", "never"


@dataclass(frozen=True)
class Moment:
    """A moment that the server was recovered to: the set is of it, and not of now."""

    at: datetime
    facts: dict[str, Any]  # for the manifest: from which base backup, up to which position

    @property
    def document(self) -> dict[str, Any]:
        """What the manifest says otherwise than that of a live database."""
        return {"snapshot_at": utc_stamp_microseconds(self.at), "moment": self.facts}


@dataclass(frozen=True)
class Settings:
    """What an operator can set for a backup."""

    root: Path
    keys: Path
    format: str = "directory"
    jobs: int = 2
    compression: str | None = None
    tables: tuple[str, ...] = ()
    api_url: str | None = None
    canary: bool = True
    # "schema": after the dump its schema is restored into a scratch database; "none": it is not.
    trial: str = "schema"
    # Of the planner, into the dump: "auto" where server and pg_dump can, "always", or "never".
    statistics: str = AUTO
    policy: retention.Policy = field(default_factory=retention.Policy)
    # Public keys of age. With any, the dump is one stream, and every file but the manifest is
    # encrypted.
    recipients: tuple[str, ...] = ()
    # How many sets share one file at most; 0 does not limit it.
    max_shared: int = 7
    # With it, the database is a throw-away copy: no job runs in it, nothing else is cleaned up or
    # deleted, and the set is called after the moment.
    moment: Moment | None = None
    # What surrounds the database and goes into the set, too; a set of a moment has none of it.
    parts: taking.Wanted = field(default_factory=taking.Wanted)

    @property
    def progress_file(self) -> Path:
        """The file in which a running backup writes its progress."""
        return self.root / sets.STATE / "backup.progress"

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Settings:
        """Return the settings that the options of pms_backup describe."""
        return cls(
            root=Path(options["root"]),
            keys=Path(options["keys"]),
            format=options["format"],
            jobs=options["jobs"],
            compression=options["compression"],
            tables=tuple(options["tables"]),
            api_url=options["api_url"] or None,
            canary=options["canary"],
            trial=options["trial"],
            statistics=options["statistics"],
            recipients=tuple(options["recipients"]),
            max_shared=options["max_shared"],
            parts=taking.Wanted(
                names=tuple(options["parts"]),
                redis=options["redis"],
                compose_project=options["compose_project"] or "",
                grafana_service=options["grafana_service"],
                databases=options["other_sets"],
            ),
            policy=retention.Policy(
                last=options["keep_last"],
                daily=options["keep_daily"],
                weekly=options["keep_weekly"],
                monthly=options["keep_monthly"],
            ),
        )
