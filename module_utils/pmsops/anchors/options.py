# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The entries of ``evidence_anchors``, made into ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.anchors.git import InGit
from ansible.module_utils.pmsops.anchors.simple import ByCommand, ByMail, InFile
from ansible.module_utils.pmsops.anchors.time_stamp import TimeStamp
from ansible.module_utils.pmsops.anchors.way import Way
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence.anchor_notes import FOLDER
from ansible.module_utils.pmsops.offsite.site import NAME, Site

NEEDED = {
    "rfc3161": ("url", "ca_file"),
    "file": ("path",),
    "offsite": ("site",),
    "mail": ("channel",),
    "git": ("url",),
    "command": ("command",),
}
TYPES = tuple(NEEDED)
MAIL = "mail"


def spec() -> dict[str, Any]:
    """Return the argument spec of one entry."""
    return {
        "name": {"type": "str", "required": True},
        "type": {"type": "str", "required": True, "choices": list(TYPES)},
        "url": {"type": "str"},
        "ca_file": {"type": "path"},
        "path": {"type": "path"},
        "site": {"type": "str"},
        "channel": {"type": "str"},
        "branch": {"type": "str", "default": "anchors"},
        "key_file": {"type": "path", "no_log": False},
        "command": {"type": "list", "elements": "str"},
        "read_command": {"type": "list", "elements": "str", "default": []},
    }


def ways(
    evidence_root: Path,
    entries: Sequence[Mapping[str, Any]],
    on_site: Callable[[str, str], Way],
) -> dict[str, Way]:
    """Return the ways by name; *on_site* makes the one of a site, from its name and the site's.

    :raises OpsError: anchor.options, anchor.secret-in-url, offsite.*
    """
    found: dict[str, Way] = {}
    for entry in entries:
        name = entry["name"]
        if not NAME.fullmatch(name) or name in found:
            raise _wrong(f"{name!r} is no name of an anchor, or two have it")
        missing = [each for each in NEEDED[entry["type"]] if not entry.get(each)]
        if missing:
            raise _wrong(f"anchor {name} of type {entry['type']} lacks {', '.join(missing)}")
        found[name] = _way(evidence_root / FOLDER / name, entry, on_site)
    return found


def _way(folder: Path, entry: Mapping[str, Any], on_site: Callable[[str, str], Way]) -> Way:
    name, kind = entry["name"], entry["type"]
    if kind == "offsite":
        return on_site(name, entry["site"])
    if kind == "file":
        return InFile(name, Path(entry["path"]))
    if kind == MAIL:
        return ByMail(name)
    if kind == "command":
        return ByCommand(name, tuple(entry["command"]), tuple(entry.get("read_command") or ()))
    _refuse_secret(name, entry["url"])
    if kind == "rfc3161":
        return TimeStamp(name, entry["url"], Path(entry["ca_file"]), folder)
    key = Path(entry["key_file"]) if entry.get("key_file") else None
    return InGit(name, entry["url"], folder, entry.get("branch") or "anchors", key)


def site_of(repositories: Sequence[Mapping[str, Any]], name: str) -> Site:
    """Return the site of that name.

    :raises OpsError: anchor.options, offsite.name, offsite.secret-in-url
    """
    for each in repositories:
        if each["name"] == name:
            return Site.from_options(each)
    raise _wrong(f"there is no site {name} in offsite_repositories")


def _refuse_secret(name: str, url: str) -> None:
    if urlsplit(url).password:
        raise OpsError(
            f"The url of anchor {name} holds a password, which logs would show.",
            "Take it out of the url: use a key (key_file) or git's credential helper.",
            code="anchor.secret-in-url",
        )


def _wrong(what: str) -> OpsError:
    return OpsError(
        f"evidence_anchors cannot be used: {what}.",
        "Correct it; docs/EVIDENCE.md has an example of each type.",
        code="anchor.options",
    )
