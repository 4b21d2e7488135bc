# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Large documents: the bytes are those of json.dumps, and no second copy of them is made."""

from __future__ import annotations

import hashlib
import json
import tracemalloc

import pytest
from ansible.module_utils.pmsops.common import in_parallel, json_pieces
from ansible.module_utils.pmsops.repository import manifest, sets, signing
from hypothesis import given
from hypothesis import strategies as st

from tests.support.backup_sets import make_set

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(values, st.integers(0, 4), st.sampled_from([(", ", ": "), (",", ":")]), st.booleans())
def test_the_pieces_are_the_text_of_json(value, depth, separators, ascii_only):
    options = {"ensure_ascii": ascii_only, "separators": separators}
    pieces = json_pieces.pieces(value, depth, **options)
    assert "".join(pieces) == json.dumps(value, sort_keys=True, **options)


def test_what_json_does_not_know_is_refused_or_has_a_stand_in():
    with pytest.raises(TypeError):
        "".join(json_pieces.pieces({"a": {"b": {1, 2}}}))
    assert "".join(json_pieces.pieces({"a": {2: b"x"}}, default=str)) == '{"a": {"2": "b\'x\'"}}'


def test_work_in_parallel_keeps_the_order_and_the_first_error():
    numbers = list(range(1000))
    assert [*in_parallel.each(lambda n: n * 2, numbers, 3)] == [n * 2 for n in numbers]
    assert [*in_parallel.each(lambda n: n, [], 3)] == []
    with pytest.raises(ZeroDivisionError):
        [*in_parallel.each(lambda n: 1 // (n - 500), numbers, 3)]


CHUNKS = 4000
# As the facts of a chunk are, with all that chunks share.
CHUNK = {
    "owner": "macro_user", "persistence": "p", "grants": ["macro_user=DELETE,INSERT"],
    "access_method": "heap", "replica_identity": "d", "row_security": False, "parts": 1,
    "columns": hashlib.md5(b"columns", usedforsecurity=False).hexdigest(),
    "indexes": hashlib.md5(b"indexes", usedforsecurity=False).hexdigest(),
}  # fmt: skip


def peak(work):
    """Return the most bytes that *work* had in use at once, and what it returned."""
    tracemalloc.start()
    try:
        result = work()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def many_chunks(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    names = [f"public.md [{n} .. {n + 1})" for n in range(CHUNKS)]
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    facts = {
        name: CHUNK | {"constraints": digest[:32]}
        for name, digest in zip(names, digests, strict=True)
    }
    contents = {
        name: {"rows": 4, "fingerprint": digest[:16], "of": "public.md"}
        for name, digest in zip(names, digests, strict=True)
    }
    files = {f"app.pgdump/{n}.dat": "x" for n in range(CHUNKS)}
    folder = make_set(root / "b", root / "keys", contents=files, facts={"chunks": facts})
    document = manifest.read(folder) | {"contents": contents}
    document.pop("signature")
    (folder / manifest.NAME).unlink()
    return folder, root / "keys", document


def test_a_manifest_is_written_and_signed_without_copies_of_its_text(many_chunks):
    folder, keys, document = many_chunks
    used, signed = peak(lambda: manifest.write(folder, document, keys))
    size = (folder / manifest.NAME).stat().st_size
    assert used < 2.3 * size  # once as text, and once more for what is signed
    assert signing.valid_signer(signed) is not None


def test_a_manifest_in_memory_takes_few_kilobytes_for_a_chunk(many_chunks):
    folder, keys, document = many_chunks
    manifest.write(folder, document, keys)
    size = (folder / manifest.NAME).stat().st_size
    used, read = peak(lambda: manifest.read(folder))
    assert read["facts"]["chunks"] == document["facts"]["chunks"]
    assert used - size < CHUNKS * 1550


def test_the_files_of_a_set_are_checked_without_a_future_for_each(many_chunks):
    folder, keys, document = many_chunks
    manifest.write(folder, document, keys)
    backup_set = sets.resolve(folder)
    used, (unknown, faulty) = peak(lambda: sets.inspect(folder, backup_set.manifest["files"]))
    assert unknown == [] and faulty == {}
    assert used < CHUNKS * 700
