# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof of the whole live database after the tables that differed were exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.postgresql import timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import fetch_all
from ansible.module_utils.pmsops.restore import compared_rows, different_tables, row_versions
from ansible.module_utils.pmsops.restore.different_transfer import DifferentTransfer
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.table_definitions import full_name
from ansible.module_utils.pmsops.verify import database as comparison
from ansible.module_utils.pmsops.verify import differences, same_meaning
from ansible.module_utils.pmsops.verify.differences import Difference


@dataclass(frozen=True)
class Whole:
    """What the proof found: what is wrong with the exchanged tables, and what clients wrote."""

    wrong: list[Difference]
    written_since: list[str]
    # Of the differences that were there before and are no tables': those that are there still.
    left: list[str]
    text: str


def whole(restore: StagedRestore, transfer: DifferentTransfer) -> Whole:
    """Compare all objects, and read again each table that may have been written to."""
    database, document = restore.database, restore.document
    compared = transfer.live.compared
    with database.session(superuser=True, read_only=True) as cursor:
        listed, wanted, found = comparison.objects(cursor, document, restore.server.other_versions)
        names = [full_name(each) for each in transfer.wanted.tables]
        new = {oid for (oid,) in fetch_all(cursor, row_versions.WITH_PARTS, (names,))}
        known = timescaledb_chunks.chunks(cursor)
        compressed = timescaledb_chunks.compressed(cursor)
        new |= {oid for oid, chunk in known.items() if chunk.key in transfer.keys}
        new |= {compressed[oid] for oid in new if oid in compressed}
        late = transfer.live.versions.written(cursor, but=transfer.replaced | new)
        rows = _differences(cursor, document, late)
    listed = same_meaning.remaining(database, listed, wanted, found)
    wrong, others = different_tables.remaining(
        [*listed, *rows], compared, transfer.tables, wanted, found
    )
    tables = {each.name for each in compared.tables} - {each.name for each in transfer.tables}
    since = [each.text() for each in others]
    still = {(each.kind, each.name, each.what) for each in listed}
    left = [each.text() for each in compared.others if (each.kind, each.name, each.what) in still]
    total = len(document["contents"])
    text = f"{total} tables and chunks, and every object, equal the set"
    if left or tables:
        text += f", but for {len(left) + len(tables)} differences that were left"
    if since:
        text += f"; {len(since)} differences came since the comparison"
    return Whole(wrong, since, left, text)


def _differences(cursor: Any, document: dict[str, Any], oids: list[int]) -> list[Difference]:
    """Return how the tables of these relations differ from the set."""
    if not oids:
        return []
    keys = compared_rows.keys_of(cursor, oids)
    recorded = document["contents"]
    wanted = {key: recorded[key] for key in keys if key in recorded}
    return differences.of_contents(wanted, compared_rows.read(cursor, keys))
