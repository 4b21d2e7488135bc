# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions of servers and client tools, to the minor."""

from __future__ import annotations

import re

# "17.12", "19rc1" and "18beta2" as --version and server_version begin.
NUMBER = re.compile(r"(\d+)(?:\.(\d+)|(?:devel|alpha|beta|rc)\d*)?")


def short(text: str) -> str:
    """Return ``17.12`` of ``17.12 (Debian 17.12-1.pgdg13+1)``, the text itself if it has none."""
    match = NUMBER.match(text.strip())
    return match[0] if match else text.strip()


def parts(text: str | int) -> tuple[int, int | None]:
    """Return major and minor; no minor for a release candidate, and for a manifest's bare major."""
    match = NUMBER.match(str(text).strip())
    if match is None:
        return 0, None
    return int(match[1]), int(match[2]) if match[2] else None


def older_minor(one: str | int, other: str | int) -> bool:
    """Tell whether *one* has the major version of *other* and a smaller minor version."""
    (major, minor), (wanted, least) = parts(one), parts(other)
    return major == wanted and minor is not None and least is not None and minor < least


def newer(one: str | int, other: str | int) -> bool:
    """Tell whether *one* is newer than *other*, as far as both say."""
    return parts(one)[0] > parts(other)[0] or older_minor(other, one)
