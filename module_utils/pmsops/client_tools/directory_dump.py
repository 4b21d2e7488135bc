# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether each file of a bare dump in the directory format is whole.

pg_restore does not say it: of a file that was cut, 17.12 restores the rows before the cut and ends
with 0 if it is compressed by zstd or lz4, 18.6 by gzip too. Of a file that is there twice,
``1.dat`` beside ``1.dat.zst``, it reads the plain one, which may be of an earlier dump.

Source: RFC 8878 (zstd) and the description of the LZ4 frame format; both name their last block.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ansible.module_utils.pmsops.common.errors import OpsError

# What COPY's rows end with; INSERTs end with the empty lines alone.
_END_OF_ROWS = b"\n\n\n"
_BLOCK_BYTES = 1 << 20
_ZSTD, _LZ4 = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"


class _CutOffError(Exception):
    """The file ends too early, or goes on after its end."""


def check(folder: Path) -> None:
    """Refuse a dump of which a file was cut, or is there twice.

    :raises OpsError: set.damaged
    """
    seen: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        stem, dot, suffix = path.name.partition(".dat")
        if not dot or path.name == "toc.dat":
            continue
        if stem in seen:
            raise _refused(
                folder,
                f"has both {seen[stem]} and {path.name}: one of them is of another dump, and"
                " pg_restore would read the plain one",
            )
        seen[stem] = path.name
        try:
            with path.open("rb") as stream:
                _READERS.get(suffix, _unknown)(stream)
        except (_CutOffError, EOFError, gzip.BadGzipFile, zlib.error) as exc:
            what = str(exc) if isinstance(exc, _CutOffError) else "is cut"
            raise _refused(path, what) from exc


def _refused(path: Path, what: str) -> OpsError:
    return OpsError(
        f"{path} {what}.",
        "Take another dump, in the custom format (pg_dump -Fc), which is judged as a whole.",
        code="set.damaged",
    )


def _plain(stream: BinaryIO) -> None:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - len(_END_OF_ROWS), 0))
    if stream.read() != _END_OF_ROWS:
        raise _CutOffError(
            "is not compressed and does not end as rows do: it was cut, or cannot be judged"
        )


def _gzip(stream: BinaryIO) -> None:
    _exactly(stream, 1)  # an empty file unpacks to nothing, without an error
    stream.seek(0)
    with gzip.GzipFile(fileobj=stream) as unpacked:
        while unpacked.read(_BLOCK_BYTES):
            pass


def _zstd(stream: BinaryIO) -> None:
    """Follow the sizes of the blocks to the last one of each frame."""
    magic = _exactly(stream, 4)
    while magic:
        if magic != _ZSTD:
            raise _CutOffError("is no zstd, or goes on after its end")
        about = _exactly(stream, 1)[0]
        single, kind = about & 0x20, about >> 6
        size_bytes = (1 if single else 0, 2, 4, 8)[kind]
        _exactly(stream, (0 if single else 1) + (0, 1, 2, 4)[about & 3] + size_bytes)
        last = 0
        while not last:
            head = int.from_bytes(_exactly(stream, 3), "little")
            last, block = head & 1, head >> 1 & 3
            _skip(stream, 1 if block == 1 else head >> 3)
        _exactly(stream, 4 if about & 4 else 0)
        magic = stream.read(4)


def _lz4(stream: BinaryIO) -> None:
    """Follow the sizes of the blocks to the mark of the end of each frame."""
    magic = _exactly(stream, 4)
    while magic:
        if magic != _LZ4:
            raise _CutOffError("is no lz4, or goes on after its end")
        about = _exactly(stream, 2)[0]
        _exactly(stream, (8 if about & 8 else 0) + (4 if about & 1 else 0) + 1)
        while size := int.from_bytes(_exactly(stream, 4), "little"):
            _skip(stream, (size & 0x7FFFFFFF) + (4 if about & 16 else 0))
        _exactly(stream, 4 if about & 4 else 0)
        magic = stream.read(4)


def _unknown(_stream: BinaryIO) -> None:
    raise _CutOffError("has a compression that is not known here, so the dump cannot be judged")


def _exactly(stream: BinaryIO, count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise _CutOffError("is cut")
    return found


def _skip(stream: BinaryIO, count: int) -> None:
    """Pass over *count* bytes, of which the last one has to be there."""
    if count:
        stream.seek(count - 1, os.SEEK_CUR)
        _exactly(stream, 1)


_READERS: dict[str, Callable[[BinaryIO], None]] = {
    "": _plain,
    ".gz": _gzip,
    ".zst": _zstd,
    ".lz4": _lz4,
}
