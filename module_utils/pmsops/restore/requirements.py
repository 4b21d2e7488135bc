# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore requires of a server, read from a manifest or from a bare dump."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.client_tools import archive_contents, archive_toc
from ansible.module_utils.pmsops.postgresql import catalog
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import tablespaces

TIMESCALEDB = "timescaledb"


@dataclass
class Requirements:
    """What the server must have, and how the staging database must be created."""

    database_name: str | None
    server_major: int | None
    # name -> {"version": str | None, "schema": str}
    extensions: dict[str, dict[str, Any]]
    # Encoding, locale, owner, settings: as the manifest's "database" has them.
    described: dict[str, Any]
    roles: set[str] = field(default_factory=set)
    # As roles.describe gives them; empty for a set that has them in globals.sql only.
    role_facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    size_bytes: int | None = None
    # The cluster that the set was made from, as pg_control_system() names it.
    system_identifier: str | None = None
    # Of "server" and "pg_dump"; a set of schema 2 or older names the major version of pg_dump only.
    made_by: dict[str, str | int] = field(default_factory=dict)
    tablespaces: set[str] = field(default_factory=set)
    # What the trial of its backup found, a line each.
    refused: list[str] = field(default_factory=list)


def of_set(backup_set: sets.BackupSet) -> Requirements:
    """Return what a set with a manifest requires."""
    if backup_set.manifest is None:
        raise ValueError(f"{backup_set.dump} has no manifest")
    return of_manifest(backup_set.manifest)


def of_manifest(manifest: dict[str, Any]) -> Requirements:
    """Return what the set of a *manifest* requires."""
    schemas = manifest["facts"]["schemas"]
    return Requirements(
        database_name=manifest["database_name"],
        server_major=manifest["server"]["version_num"] // 10000,
        extensions={
            name: facts | {"owner": schemas.get(facts["schema"], {}).get("owner")}
            for name, facts in manifest["facts"]["extensions"].items()
        },
        described=manifest["database"],
        roles=catalog.roles_of(manifest["required_roles"], manifest["database"], manifest["facts"]),
        role_facts=manifest.get("roles", {}),
        size_bytes=manifest["server"]["size_bytes"],
        system_identifier=manifest["server"].get("system_identifier"),
        made_by=_made_by(manifest),
        tablespaces=tablespaces.of_facts(manifest["facts"]),
        refused=[
            f"{each['object']}: {each['what']}"
            for each in manifest.get("trial", {}).get("findings", [])
        ],
    )


def of_archive(toc: archive_toc.Contents, contents: archive_contents.Contents) -> Requirements:
    """Return what a bare dump requires, as far as it says."""
    return Requirements(
        database_name=toc.database,
        server_major=toc.server_major,
        made_by=dict(toc.versions),
        extensions={
            name: {
                "schema": schema,
                "version": contents.timescaledb_version if name == TIMESCALEDB else None,
            }
            for name, schema in contents.extensions.items()
        },
        described=contents.described(),
        roles=contents.roles | ({contents.owner} if contents.owner else set()),
    )


def _made_by(manifest: dict[str, Any]) -> dict[str, str | int]:
    server = manifest["server"].get("version")
    made_by: dict[str, str | int] = {"server": server} if server else {}
    made_by.update(manifest.get("tools", {}))
    return made_by
