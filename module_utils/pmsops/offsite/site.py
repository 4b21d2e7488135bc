# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A repository of restic on another site, and the files with its credentials.

No secret is in an option, an argument or a message: the password is in a file that restic reads by
its path, other secrets are in a file of environment variables, and both belong to their user alone.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.common.errors import OpsError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LINE = re.compile(r"(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)")
# What the toolkit sets itself: a second value would lead to another repository.
RESERVED = re.compile(
    r"RESTIC_(REPOSITORY|PASSWORD|FROM_|KEY_HINT|CACHE_DIR|PROGRESS_FPS)|LD_|PATH$|HOME$"
)
# What restic inherits: proxies, certificates and an agent of keys. No secret is among them.
INHERITED = (
    *("PATH", "HOME", "LANG", "TMPDIR", "SSH_AUTH_SOCK"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)


@dataclass(frozen=True)
class Site:
    """One repository. *deletes* says that this machine is meant to remove old copies there."""

    name: str
    url: str
    password_file: Path
    environment_file: Path | None = None
    options: tuple[str, ...] = ()  # restic's extended options, such as sftp.args=-p 2222
    ca_file: Path | None = None
    deletes: bool = False

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Site:
        """Return the site of a module's option.

        :raises OpsError: offsite.name, offsite.secret-in-url
        """
        if not NAME.fullmatch(given["name"]):
            raise OpsError(
                f"{given['name']!r} is no name of a site: letters, digits, _, . and - are allowed.",
                "Correct it in offsite_repositories.",
                code="offsite.name",
            )
        if _has_secret(given["url"]):
            raise OpsError(
                f"The url of site {given['name']} holds a password, which logs would show.",
                "Take it out of the url. For rest: write RESTIC_REST_USERNAME and"
                " RESTIC_REST_PASSWORD into the site's environment_file (mode 0600).",
                code="offsite.secret-in-url",
            )

        def path(name: str) -> Path | None:
            return Path(given[name]) if given.get(name) else None

        return cls(
            name=given["name"],
            url=given["url"],
            password_file=Path(given["password_file"]),
            environment_file=path("environment_file"),
            options=tuple(given.get("options") or ()),
            ca_file=path("ca_file"),
            deletes=bool(given.get("deletes")),
        )

    def secrets(self) -> dict[str, str]:
        """Return the variables of the environment file; none without one.

        :raises OpsError: offsite.credentials
        """
        if self.environment_file is None:
            return {}
        _require_private(self.name, self.environment_file)
        found = {}
        for number, line in enumerate(self.environment_file.read_text().splitlines(), 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            match = _LINE.fullmatch(text)
            if match is None or RESERVED.match(match[1]):
                raise OpsError(
                    f"Line {number} of {self.environment_file}, for site {self.name}, is not"
                    " NAME=value of a variable that a site may have.",
                    "Write one variable a line, such as AWS_ACCESS_KEY_ID=...; the repository and"
                    " its password have options of their own.",
                    code="offsite.credentials",
                )
            found[match[1]] = _unquoted(match[2])
        return found

    def environment(self) -> dict[str, str]:
        """Return the whole environment of restic for this site.

        :raises OpsError: offsite.credentials
        """
        _require_private(self.name, self.password_file)
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return (
            kept
            | self.secrets()
            | {"RESTIC_REPOSITORY": self.url, "RESTIC_PASSWORD_FILE": str(self.password_file)}
        )

    def hidden(self, text: str) -> str:
        """Return *text* without the values of secrets, whoever wrote them there."""
        values = list(self.secrets().values())
        with suppress(OSError, UnicodeDecodeError):
            values.append(self.password_file.read_text().strip())
        for value in sorted((each for each in values if len(each) > 3), key=len, reverse=True):
            text = text.replace(value, "***")
        return text


def _has_secret(url: str) -> bool:
    """Tell whether a repository's url has a password in it."""
    inner = url.partition(":")[2] if url.startswith(("rest:", "s3:", "swift:")) else url
    try:
        return bool(urlsplit(inner).password)
    except ValueError:
        return False


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _require_private(site: str, path: Path) -> None:
    """Check that a file with a secret is there, is not empty, and is its owner's alone.

    :raises OpsError: offsite.credentials
    """
    try:
        found = path.stat()
    except OSError as exc:
        raise OpsError(
            f"Site {site} has no file {path}: {exc.strerror or exc}.",
            f"Make it: (umask 077; openssl rand -base64 30 > {path}) for the password of a new"
            " repository. Keep a copy of the password away from this machine: without it nobody"
            " can read the repository.",
            code="offsite.credentials",
        ) from exc
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        raise OpsError(
            f"{path}, for site {site}, is empty or no file.",
            "Write the secret into it.",
            code="offsite.credentials",
        )
    if found.st_mode & 0o077 or found.st_uid not in (os.getuid(), 0):
        raise OpsError(
            f"{path}, for site {site}, can be read by others: mode {found.st_mode & 0o777:04o},"
            " expected 0600.",
            f"chmod 0600 {path}; if others may have read it, change the secret.",
            code="offsite.credentials",
        )
