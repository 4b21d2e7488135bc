# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that pms_offsite and pms_offsite_info share; the fragment offsite documents them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite import contents
from ansible.module_utils.pmsops.offsite.run import Settings, Sites
from ansible.module_utils.pmsops.offsite.site import Site


def spec() -> dict[str, Any]:
    """Return their argument spec."""
    repository = {
        "name": {"type": "str", "required": True},
        "url": {"type": "str", "required": True},
        "password_file": {"type": "path", "required": True, "no_log": False},
        "environment_file": {"type": "path"},
        "options": {"type": "list", "elements": "str", "default": []},
        "ca_file": {"type": "path"},
        "deletes": {"type": "bool", "default": False},
    }
    return {
        "system": {"type": "str", "required": True},
        "root": {"type": "path", "required": True},
        "evidence_root": {"type": "path", "required": True},
        "keys": {"type": "path", "required": True, "no_log": False},
        "repositories": {
            "type": "list",
            "elements": "dict",
            "options": repository,
            "required": True,
        },
        "other_database": {"type": "str", "default": ""},
        "restic": {"type": "str", "default": "restic"},
        "timeout_hours": {"type": "float", "default": 12},
    }


def sites(params: Mapping[str, Any], *, check: bool) -> Sites:
    """Return the acts on the sites that a module's options name.

    :raises OpsError: offsite.name, offsite.secret-in-url
    """
    volume, archive, error = params.get("pitr_volume"), None, None
    try:
        archive = contents.archive_path(volume) if volume else None
    except OpsError as exc:  # the sets go all the same
        error = exc
    places = contents.Places(
        root=Path(params["root"]),
        evidence_root=Path(params["evidence_root"]),
        keys=Path(params["keys"]),
        pitr=archive,
        inventory=params.get("inventory"),
    )
    settings = Settings(
        system=params["system"],
        sites=tuple(Site.from_options(each) for each in params["repositories"]),
        places=places,
        database=params["other_database"],
        program=params["restic"],
        hours=params["timeout_hours"],
        archive_error=error,
        consent=Consent.from_options(params.get("consent"), params["evidence_root"]),
    )
    return Sites(settings, check=check)
