# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of single tables or chunks: loaded into a staging database, compared with the set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import fingerprint, timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.repository import manifest
from ansible.module_utils.pmsops.restore import table_definitions
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.table_definitions import TableName
from ansible.module_utils.pmsops.verify import causes
from ansible.module_utils.pmsops.verify.negative_control import Control
from ansible.module_utils.pmsops.verify.row_comparison import OfFingerprints

# The relations that hold the rows, as a cursor of the database that has them finds them.
Parts = Callable[[Any], set[TableName]]
# A table and all tables that hold its rows: partitions and chunks.
_WITH_PARTS = """
WITH RECURSIVE parts(oid) AS (
    SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))::oid
    UNION SELECT i.inhrelid FROM parts JOIN pg_inherits i ON i.inhparent = parts.oid
)
SELECT oid::int8 FROM parts WHERE oid IS NOT NULL
"""
_BY_OID = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY(%s::int8[]::oid[])
"""


def of_tables(cursor: Any, names: Iterable[TableName]) -> set[TableName]:
    """Return the tables and all relations with their rows, compressed ones too."""
    oids = [oid for name in names for (oid,) in fetch_all(cursor, _WITH_PARTS, name)]
    return _named(cursor, oids)


def of_chunks(cursor: Any, keys: Collection[str]) -> set[TableName]:
    """Return the relations with the rows of chunks, by their names in a manifest."""
    if not keys:
        return set()
    known = timescaledb_chunks.chunks(cursor)
    return _named(cursor, [oid for oid, chunk in known.items() if chunk.key in keys])


def load(phases: PhasedRestore, names: Collection[TableName], parts: Parts) -> None:
    """Restore all definitions, the rows of *parts*, and the sequences of the tables *names*."""
    phases.prepare()
    with phases.target.session(read_only=True) as cursor:
        wanted = parts(cursor)
    with phases.progress.phase("data"):
        entries = phases.contents.data_of(wanted)
        entries += table_definitions.sequence_entries(phases, names)
        phases.section("data", entries, jobs=phases.jobs)
    phases.end_restoring()


def prove(restore: StagedRestore, staging: Database, parts: Parts) -> Control | None:
    """Compare the rows of *parts* with the set, and see that this could fail.

    Return the negative control; None of a bare dump, with whose rows nothing is compared.

    :raises OpsError: restore.different, proof.broken
    """
    if restore.contents:
        return None
    control = Control()
    with staging.session(read_only=True) as cursor:
        wanted = parts(cursor)
        formula = manifest.formula(restore.document)
        relations = [
            each
            for each in fingerprint.relations(cursor, formula)
            if (each.schema, each.name) in wanted
        ]
        found = fingerprint.fingerprints([cursor], relations, formula=formula)
        recorded = restore.document["contents"]
        compared = OfFingerprints(
            {name: recorded[name] for name in found}, found, relations, formula, {}
        )
        problems = compared.differences()
        if not problems:
            control.run(cursor, compared, problems)
    if problems:
        raise OpsError(
            f"The restored tables differ from the set: {'; '.join(causes.lines(problems))}.",
            "The live database was not changed. Take another set.",
            code="restore.different",
        )
    control.require_found()
    return control


def _named(cursor: Any, oids: list[int]) -> set[TableName]:
    """Return the names of relations, and of those with their compressed rows.

    No inheritance leads to the relation with the compressed rows of a chunk: only TimescaleDB's
    catalogue does, which is restored before.
    """
    compressed = timescaledb_chunks.compressed(cursor)
    stored = [compressed[oid] for oid in oids if oid in compressed]
    return {(schema, name) for schema, name in fetch_all(cursor, _BY_OID, ([*oids, *stored],))}
