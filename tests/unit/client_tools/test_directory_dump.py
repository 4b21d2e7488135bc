# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bare dumps in the directory format: each file is read to its end, whatever pg_restore says."""

from __future__ import annotations

import base64
import gzip

import pytest
from ansible.module_utils.pmsops.client_tools import directory_dump
from ansible.module_utils.pmsops.common.errors import OpsError

ROWS = b"".join(b"%d\tUSDBRL\t%d\n" % (each, each * 7919) for each in range(40)) + b"\\.\n\n\n"
# Forty rows, as zstd and lz4 write them: without and with check sums and sizes.
ZSTD = base64.b64decode(
    "KLUv/QBY1QcAxtIoE7AlxQbQclBq40h2d++UMjIQjHQlACEAIQAVZcuto+cn4y8zRemUEOfmhlTUC2vqPu02Na9X"
    "ZQwFgAEhQGCILElMS8tYWt4kbylR5JZjZW1JZNGWJedoaY658qJlZVwvjLNDZ5t+1TZfe23K2YTNqaszaSLOrNdm"
    "Wi1V885ENcMBJAUDrJjFT/sifj7id4rF2DnUKp8kPvJZfsmnhXx8nsmIHykgACOZQHoKX8xtbr7whS984a2o8XWB"
    "wheucApXzG1u02pzlsJXVjPiBSqFpyz8pPDShY8oPLTwT4V3FMO5GA0rppVwxCQmMUlZTBAjR0wcUkzkJA=="
)
ZSTD_CHECKED = base64.b64decode(
    "KLUv/QRY1QcAxtIoE7AlxQbQclBq40h2d++UMjIQjHQlACEAIQAVZcuto+cn4y8zRemUEOfmhlTUC2vqPu02Na9X"
    "ZQwFgAEhQGCILElMS8tYWt4kbylR5JZjZW1JZNGWJedoaY658qJlZVwvjLNDZ5t+1TZfe23K2YTNqaszaSLOrNdm"
    "Wi1V885ENcMBJAUDrJjFT/sifj7id4rF2DnUKp8kPvJZfsmnhXx8nsmIHykgACOZQHoKX8xtbr7whS984a2o8XWB"
    "wheucApXzG1u02pzlsJXVjPiBSqFpyz8pPDShY8oPLTwT4V3FMO5GA0rppVwxCQmMUlZTBAjR0wcUkzkJN+x/VQ="
)
LZ4 = base64.b64decode(
    "BCJNGGRAp6YBAADEMAlVU0RCUkwJMAoxCwBkNzkxOQoyDgB0MTU4MzgKMw8AdDIzNzU3CjQPAHUzMTY3Ngo1DwBk"
    "OTU5NQo2DwB0NDc1MTQKNw8AdDU1NDMzCjgPAHQ2MzM1Mgo5DwB1NzEyNzEKMZIAAIcANTAKMZcAdTg3MTA5CjGZ"
    "AHU5NTAyOAoxmgCFMTAyOTQ3CjGcAIUxMTA4NjYKMZ4AhTExODc4NQoxoACFMTI2NzA0CjGiAIUxMzQ2MjMKMaQA"
    "hTE0MjU0MgoxpgCFMTUwNDYxCjKnAAEgATUwCjKoAIUxNjYyOTkKMqkAhjE3NDIxOAoyqgB2ODIxMzcKMqoAdjkw"
    "MDU2CjKqAHU5Nzk3NQoyqgCFMjA1ODk0CjKqAIUyMTM4MTMKMqoAhTIyMTczMgoyqgCFMjI5NjUxCjOqAAG7ATUw"
    "CjOqAIUyNDU0ODkKM6oAhTI1MzQwOAozqgCFMjYxMzI3CjOqAIUyNjkyNDYKM6oAhjI3NzE2NQozqgB2ODUwODQK"
    "M6oAdTkzMDAzCjOqAIUzMDA5MjIKM6oAwDMwODg0MQpcLgoKCgAAAAB87aBs"
)
LZ4_CHECKED = base64.b64decode(
    "BCJNGHRAvaYBAADEMAlVU0RCUkwJMAoxCwBkNzkxOQoyDgB0MTU4MzgKMw8AdDIzNzU3CjQPAHUzMTY3Ngo1DwBk"
    "OTU5NQo2DwB0NDc1MTQKNw8AdDU1NDMzCjgPAHQ2MzM1Mgo5DwB1NzEyNzEKMZIAAIcANTAKMZcAdTg3MTA5CjGZ"
    "AHU5NTAyOAoxmgCFMTAyOTQ3CjGcAIUxMTA4NjYKMZ4AhTExODc4NQoxoACFMTI2NzA0CjGiAIUxMzQ2MjMKMaQA"
    "hTE0MjU0MgoxpgCFMTUwNDYxCjKnAAEgATUwCjKoAIUxNjYyOTkKMqkAhjE3NDIxOAoyqgB2ODIxMzcKMqoAdjkw"
    "MDU2CjKqAHU5Nzk3NQoyqgCFMjA1ODk0CjKqAIUyMTM4MTMKMqoAhTIyMTczMgoyqgCFMjI5NjUxCjOqAAG7ATUw"
    "CjOqAIUyNDU0ODkKM6oAhTI1MzQwOAozqgCFMjYxMzI3CjOqAIUyNjkyNDYKM6oAhjI3NzE2NQozqgB2ODUwODQK"
    "M6oAdTkzMDAzCjOqAIUzMDA5MjIKM6oAwDMwODg0MQpcLgoKCna1phQAAAAAfO2gbA=="
)
WHOLE = [
    ("", ROWS),
    (".gz", gzip.compress(ROWS)),
    (".zst", ZSTD),
    (".zst", ZSTD_CHECKED),
    (".zst", ZSTD + ZSTD_CHECKED),
    (".lz4", LZ4),
    (".lz4", LZ4_CHECKED),
    (".lz4", LZ4_CHECKED + LZ4),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toc.dat").write_bytes(b"PGDMP")
    (tmp_path / "blobs.toc").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(("suffix", "content"), WHOLE)
def test_a_whole_file_passes_and_one_cut_at_any_byte_is_refused(folder, suffix, content):
    path = folder / f"3400.dat{suffix}"
    path.write_bytes(content)
    directory_dump.check(folder)
    # Between two frames the first one is whole; pg_dump writes one.
    between = {len(ZSTD), len(LZ4_CHECKED)} & ({0} | set(range(len(content))))
    whole = {size for size in between if content[:size] in (ZSTD, LZ4_CHECKED)}
    for size in set(range(len(content))) - whole:
        path.write_bytes(content[:size])
        with pytest.raises(OpsError) as caught:
            directory_dump.check(folder)
        assert caught.value.code == "set.damaged"
        assert "3400.dat" in str(caught.value) and "pg_dump -Fc" in caught.value.remedy


@pytest.mark.parametrize(("suffix", "content"), WHOLE[1:])
def test_a_file_that_goes_on_after_its_end_is_refused(folder, suffix, content):
    (folder / f"3400.dat{suffix}").write_bytes(content + b"more")
    with pytest.raises(OpsError):
        directory_dump.check(folder)


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".lz4"])
def test_a_file_that_is_there_twice_is_refused(folder, suffix):
    """pg_restore reads the plain one, with exit status 0, though it is of an earlier dump."""
    (folder / "3400.dat").write_bytes(ROWS)
    (folder / f"3400.dat{suffix}").write_bytes(dict(WHOLE)[suffix])
    with pytest.raises(OpsError, match=r"has both 3400\.dat and 3400\.dat"):
        directory_dump.check(folder)


@pytest.mark.parametrize("name", ["3400.dat.xz", "3400.dat.zst", "3400.dat.lz4", "3400.dat.gz"])
def test_what_cannot_be_judged_is_refused(folder, name):
    (folder / name).write_bytes(b"something else altogether, of more than a few bytes")
    with pytest.raises(OpsError, match=r"3400\.dat"):
        directory_dump.check(folder)
