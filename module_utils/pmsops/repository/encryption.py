# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encryption at rest with age, to public keys, as a stream: no plain file is ever written.

The backed-up machine holds public keys only. ``age-keygen`` (or ``rage-keygen``) makes a pair; the
identity file stays with those who restore.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ansible.module_utils.pmsops.common.errors import OpsError

SUFFIX = ".age"


def parse_recipients(texts: Sequence[str]) -> list[Any]:
    """Return age's public keys, X25519 (``age1...``) or SSH.

    :raises OpsError: encryption.recipient, encryption.missing.
    """
    pyrage = _pyrage()
    found = []
    for text in texts:
        kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
        try:
            found.append(kind.from_str(text))
        except pyrage.RecipientError as exc:
            raise OpsError(
                f"{text[:80]!r} is not a public key of age: {exc}",
                "Give backup_recipients keys that begin with age1, as age-keygen prints them.",
                code="encryption.recipient",
            ) from exc
    return found


def load_identities(path: Path) -> list[Any]:
    """Return the private keys of an identity file.

    :raises OpsError: encryption.identity, encryption.missing.
    """
    pyrage = _pyrage()
    try:
        content = path.read_text()
        if "BEGIN OPENSSH PRIVATE KEY" in content:
            return [pyrage.ssh.Identity.from_buffer(content.encode())]
        lines = [line.strip() for line in content.splitlines()]
        found = [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line and not line.startswith("#")
        ]
    except (OSError, ValueError, pyrage.IdentityError) as exc:
        raise OpsError(
            f"{path} holds no usable identity: {exc}",
            "Give the file that age-keygen wrote (a line AGE-SECRET-KEY-1...).",
            code="encryption.identity",
        ) from exc
    if not found:
        raise OpsError(
            f"{path} does not hold an identity.",
            "Give the file that age-keygen wrote (a line AGE-SECRET-KEY-1...).",
            code="encryption.identity",
        )
    return found


@contextmanager
def encrypted(path: Path, recipients: Sequence[Any]) -> Iterator[BinaryIO]:
    """Give a stream that writes encrypted to *path*; the file is complete once it is closed."""
    pyrage = _pyrage()
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with os.fdopen(reading, "rb") as source, path.open("xb") as target:
                pyrage.encrypt_io(source, target, list(recipients))
        except BaseException as exc:  # noqa: BLE001  # raised again by whoever waits
            failures.append(exc)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with os.fdopen(writing, "wb") as stream:
            yield stream
    except BrokenPipeError as exc:
        thread.join()
        raise _write_failure(failures, path) from exc
    finally:
        thread.join()
    if failures:
        raise _write_failure(failures, path)


@contextmanager
def decrypted(path: Path, identity_file: Path) -> Iterator[BinaryIO]:
    """Give a stream of *path*'s plain content; only reading to its end shows that it is complete.

    :raises OpsError: encryption.refused if the identity does not fit or the file was changed.
    """
    pyrage = _pyrage()
    identities = load_identities(identity_file)
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with path.open("rb") as source, os.fdopen(writing, "wb") as target:
                pyrage.decrypt_io(source, target, identities)
        except BrokenPipeError:
            pass  # the reader stopped early
        except BaseException as exc:  # noqa: BLE001  # raised again by whoever reads
            failures.append(exc)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            yield stream
    finally:
        thread.join()
        if failures:
            raise _refusal(path, identity_file, identities, failures[0]) from failures[0]


def _refusal(
    path: Path, identity_file: Path, identities: Sequence[Any], error: BaseException
) -> OpsError:
    """Return the error about a file or its identity, with the operator's next step."""
    if not isinstance(error, OSError):
        return OpsError(
            f"{path} cannot be decrypted with {identity_file}: {error}",
            "Give the identity of one of the recipients the set was made for; if it is that,"
            " the file was changed: take another set.",
            code="encryption.refused",
        )
    if count := _line_end(path, identities):
        return OpsError(
            f"{path} cannot be decrypted with {identity_file}: it is whole, with the end of a line"
            " after it, as an editor or a copy as text adds it",
            f"Take a copy as it was made, or remove that end (truncate -s -{count} {path}).",
            code="encryption.refused",
        )
    return OpsError(
        f"{path} cannot be decrypted with {identity_file}: it was cut or changed ({error})",
        "Take another copy of this file, or another set.",
        code="encryption.refused",
    )


def _line_end(path: Path, identities: Sequence[Any]) -> int:
    """Return the bytes of a line's end after a file that is whole without it, 0 without one."""
    pyrage = _pyrage()
    with path.open("rb") as source:
        size = source.seek(0, os.SEEK_END)
        source.seek(max(size - 2, 0))
        end = source.read()
        # The last byte of a whole file may be a carriage return, too.
        for extra in (each for each in (1, 2) if end.endswith(b"\r\n"[-each:])):
            source.seek(0)
            with suppress(Exception), Path(os.devnull).open("wb") as nowhere:
                # Its errors are pyrage's own, and those of a file.
                pyrage.decrypt_io(_Part(source, size - extra), nowhere, identities)
                return extra
    return 0


class _Part:
    """The first bytes of a file, as a file."""

    def __init__(self, source: BinaryIO, left: int) -> None:
        self._source, self._left = source, left

    def read(self, count: int = -1) -> bytes:
        found = self._source.read(self._left if count < 0 else min(count, self._left))
        self._left -= len(found)
        return found


def _write_failure(failures: list[BaseException], path: Path) -> BaseException:
    cause = failures[0] if failures else OSError(f"encryption of {path.name} ended early")
    # The library reports a full disk as an error of its own; restore the errno.
    if not isinstance(cause, OSError) and "No space left" in str(cause):
        return OSError(28, "No space left on device", str(path))
    return cause


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError as exc:
        raise OpsError(
            "The Python package pyrage is missing on the managed host; encryption needs it.",
            "Install it for the Python that Ansible uses there (requirements/control.txt).",
            code="encryption.missing",
        ) from exc
    return pyrage
