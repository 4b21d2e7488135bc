# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""TimescaleDB's objects as facts: hypertables, chunks, continuous aggregates, jobs.

Its configuration tables are not compared row by row: their columns change with its versions, and
they hold OIDs, counters and the storage of compressed chunks. Read is what they mean, from the
views that all versions have, where there is one. Columns that only some versions have are read by
``to_jsonb(row) ->> 'column'``.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.postgresql import timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value

Kind = dict[str, dict[str, Any]]

FIRST_JOB_OF_USERS = 1000  # ids below are the extension's own
KINDS = ("hypertables", "continuous_aggregates", "chunks", "jobs", "extension_jobs")


def facts(cursor: Any, schema: int) -> dict[str, Kind]:
    """Return the kinds of TimescaleDB, all of them empty in a database without it.

    Sets before schema 3 have hypertables and jobs only.
    """
    found: dict[str, Kind] = {kind: {} for kind in KINDS}
    if timescaledb_chunks.exists(cursor):
        jobs = _jobs(cursor)
        found["jobs"] = {job: has for job, has in jobs.items() if int(job) >= FIRST_JOB_OF_USERS}
        # Theirs is who creates the extension: in a restore the toolkit's superuser.
        found["extension_jobs"] = {
            job: {name: value for name, value in has.items() if name != "owner"}
            for job, has in jobs.items()
            if job not in found["jobs"]
        }
        found["hypertables"] = dict(fetch_all(cursor, _HYPERTABLES))
        if schema >= 3:
            found["chunks"] = _chunks(cursor)
            found["continuous_aggregates"] = _continuous_aggregates(cursor)
    if schema < 3:
        return {kind: found[kind] for kind in ("hypertables", "jobs")}
    return found


def _jobs(cursor: Any) -> Kind:
    """Return the background jobs by id; when one starts next is a state and not a fact."""
    table = fetch_value(cursor, _JOB_TABLE)
    zone = "to_jsonb(b) ->> 'timezone'" if table else "NULL"
    join = f"LEFT JOIN {table} b ON b.id = j.job_id" if table else ""
    return dict(fetch_all(cursor, _JOBS.format(zone=zone, join=join)))


def _chunks(cursor: Any) -> Kind:
    """Return the facts of the chunks by hypertable and range.

    Space partitions share a range: an attribute in which they differ is a list of all its values.
    One without a value is left out, and equal values are one in memory: there may be 20,000 chunks.
    """
    known = timescaledb_chunks.chunks(cursor)
    oids = [*known]
    of_key: dict[str, list[dict[str, Any]]] = {}
    same: dict[str, Any] = {}
    for first in range(0, len(oids), _CHUNKS_AT_ONCE):
        cursor.execute(_CHUNKS, (oids[first : first + _CHUNKS_AT_ONCE],))
        for oid, attributes in cursor.fetchall():
            values = {name: same.setdefault(repr(has), has) for name, has in attributes.items()}
            of_key.setdefault(known[oid].key, []).append(values)
    return {key: _together(parts) for key, parts in sorted(of_key.items())}


def _together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    if len(parts) == 1:
        return parts[0] | {"parts": 1}
    result: dict[str, Any] = {}
    for name in sorted(set().union(*parts)):
        values = sorted((each.get(name) for each in parts), key=repr)
        result[name] = values[0] if values[0] == values[-1] else values
    return result | {"parts": len(parts)}


def _continuous_aggregates(cursor: Any) -> Kind:
    """Return the continuous aggregates by the name of their view."""
    # Each table came with a version of its own, and some are gone again.
    tables = dict(fetch_all(cursor, _AGGREGATE_TABLES))
    aggregates: Kind = dict(fetch_all(cursor, _AGGREGATES))
    for attribute, (table, sql) in _OF_AGGREGATES.items():
        values = dict(fetch_all(cursor, sql)) if table in tables else {}
        for has in aggregates.values():
            has[attribute] = values.get(has["id"])
    return aggregates


def _compressed_by(hypertable: str) -> str:
    """Return the expression for the compression settings of a row of the catalogue's hypertable."""
    return f"""(SELECT jsonb_build_object(
                       'segmentby', s.segmentby, 'orderby', s.orderby,
                       'descending', s.orderby_desc, 'nulls_first', s.orderby_nullsfirst)
              FROM _timescaledb_catalog.compression_settings s
             WHERE s.relid
                 = format('%I.%I', {hypertable}.schema_name, {hypertable}.table_name)::regclass)"""


_HYPERTABLES = f"""
SELECT h.hypertable_schema || '.' || h.hypertable_name, jsonb_build_object(
           'owner', h.owner, 'chunks', h.num_chunks, 'compression', h.compression_enabled,
           'dimensions',
           (SELECT jsonb_agg(jsonb_build_object(
                       'column', d.column_name, 'type', d.column_type::text,
                       'interval', d.time_interval::text, 'integer_interval', d.integer_interval,
                       'partitions', d.num_partitions)
                   ORDER BY d.dimension_number)
              FROM timescaledb_information.dimensions d
             WHERE d.hypertable_schema = h.hypertable_schema
               AND d.hypertable_name = h.hypertable_name),
           'dimension_functions',
           (SELECT jsonb_agg(jsonb_build_object(
                       'partitioning', d.partitioning_func_schema || '.' || d.partitioning_func,
                       'integer_now', d.integer_now_func_schema || '.' || d.integer_now_func,
                       'aligned', d.aligned,
                       'compress_interval', to_jsonb(d) ->> 'compress_interval_length')
                   ORDER BY d.id)
              FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = k.id),
           'compressed_by',
           {_compressed_by("k")},
           'skipping', (SELECT array_agg(DISTINCT s.column_name::text COLLATE "C")
                          FROM _timescaledb_catalog.chunk_column_stats s
                         WHERE s.hypertable_id = k.id),
           'tablespaces', (SELECT array_agg(t.tablespace_name::text ORDER BY t.id)
                             FROM _timescaledb_catalog.tablespace t WHERE t.hypertable_id = k.id),
           'chunk_schema', k.associated_schema_name, 'chunk_prefix', k.associated_table_prefix,
           'chunk_target_size', k.chunk_target_size,
           'chunk_sizing', k.chunk_sizing_func_schema || '.' || k.chunk_sizing_func_name)
  FROM timescaledb_information.hypertables h
  JOIN _timescaledb_catalog.hypertable k
    ON k.schema_name = h.hypertable_schema AND k.table_name = h.hypertable_name
 ORDER BY 1"""

# The table moved with TimescaleDB 2.25; the view lacks the time zone of its schedule.
_JOB_TABLE = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = 'bgw_job' AND c.relkind = 'r'
   AND n.nspname IN ('_timescaledb_config', '_timescaledb_catalog')"""
_JOBS = """
SELECT j.job_id::text, jsonb_build_object(
           'application', j.application_name, 'owner', j.owner::text,
           'procedure', j.proc_schema || '.' || j.proc_name, 'scheduled', j.scheduled,
           'every', j.schedule_interval::text, 'config', j.config,
           'max_runtime', j.max_runtime::text, 'max_retries', j.max_retries,
           'retry_period', j.retry_period::text,
           'hypertable', j.hypertable_schema || '.' || j.hypertable_name,
           'fixed_schedule', j.fixed_schedule,
           'initial_start', (j.initial_start AT TIME ZONE 'UTC')::text,
           'time_zone', {zone}, 'check', j.check_schema || '.' || j.check_name)
  FROM timescaledb_information.jobs j {join}
 ORDER BY 1"""

_CHUNKS_AT_ONCE = 500  # an answer is in memory twice: as the server sent it, and as facts
# Names of constraints and indexes are those of the chunk, which has its own. What a chunk inherits
# is compared with the hypertable, so printed expressions appear here in checks of ranges only.
_CHUNKS = """
SELECT c.oid::int8, jsonb_strip_nulls(jsonb_build_object(
           'owner', c.relowner::regrole::text, 'persistence', c.relpersistence,
           -- MAINTAIN came with PostgreSQL 17; a chunk has it where its hypertable has.
           'grants', (SELECT array_agg(g.text ORDER BY g.text COLLATE "C")
                        FROM (SELECT concat(a.grantee::regrole, '=', string_agg(
                                         concat(a.privilege_type,
                                                CASE WHEN a.is_grantable THEN '*' END), ','
                                         ORDER BY a.privilege_type COLLATE "C"))
                                FROM aclexplode(coalesce(c.relacl,
                                                         acldefault('r', c.relowner))) a
                               WHERE a.privilege_type <> 'MAINTAIN'
                               GROUP BY a.grantee) g(text)),
           'options', c.reloptions, 'toast_options',
               (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid),
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
           'access_method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam),
           'replica_identity', c.relreplident,
           'row_security', c.relrowsecurity OR c.relforcerowsecurity,
           'comment', obj_description(c.oid, 'pg_class'),
           'columns', (SELECT md5(string_agg(concat_ws('|',
                           a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                           a.atthasdef, a.attidentity, a.attgenerated, a.attstorage,
                           to_jsonb(a) ->> 'attcompression',
                           nullif(to_jsonb(a) ->> 'attstattarget', '-1'),
                           -- PostgreSQL 17.12 notes a version of its own among the options.
                           (SELECT string_agg(o, ',' ORDER BY o COLLATE "C")
                              FROM unnest(a.attoptions) o WHERE NOT starts_with(o, 'pg_attver=')),
                           a.attacl::text, l.collname), ',' ORDER BY a.attnum))
                         FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
           'constraints', (SELECT md5(coalesce(string_agg(t.text, ',' ORDER BY t.text), ''))
                             FROM (SELECT k.contype::text || pg_get_constraintdef(k.oid) COLLATE "C"
                                     FROM pg_constraint k
                                    WHERE k.conrelid = c.oid AND k.contype <> 'n'
                                      AND (k.coninhcount = 0 OR k.contype <> 'c')) t(text)),
           'not_validated', (SELECT array_agg(k.conname::text ORDER BY k.conname)
                               FROM pg_constraint k
                              WHERE k.conrelid = c.oid AND NOT k.convalidated),
           'indexes', (SELECT md5(coalesce(string_agg(t.text, ',' ORDER BY t.text), ''))
                         FROM (SELECT concat_ws('|', m.amname, i.indisunique, i.indisprimary,
                                   i.indisclustered, i.indisvalid AND i.indisready,
                                   (SELECT string_agg(concat_ws(' ', a.attname, o.opcname,
                                               i.indoption[k.number - 1]), ',' ORDER BY k.number)
                                      FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(at, number)
                                      LEFT JOIN pg_attribute a
                                        ON a.attrelid = c.oid AND a.attnum = k.at AND k.at > 0
                                      LEFT JOIN pg_opclass o
                                        ON o.oid = i.indclass[k.number - 1]),
                                   i.indexprs IS NOT NULL, i.indpred IS NOT NULL,
                                   x.reloptions::text, s.spcname) COLLATE "C"
                                 FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                                 JOIN pg_am m ON m.oid = x.relam
                                 LEFT JOIN pg_tablespace s ON s.oid = x.reltablespace
                                WHERE i.indrelid = c.oid) t(text)),
           'triggers', (SELECT array_agg(concat_ws(' ', t.tgname, t.tgfoid::regprocedure::text,
                                   nullif(t.tgenabled, 'O')) ORDER BY t.tgname)
                          FROM pg_trigger t WHERE t.tgrelid = c.oid
                           AND (NOT t.tgisinternal OR t.tgenabled <> 'O'))))
  FROM pg_class c WHERE c.oid = ANY(%s::int8[]::oid[])"""

_AGGREGATE_TABLES = """
SELECT c.relname, true FROM pg_class c
 WHERE c.relnamespace = to_regnamespace('_timescaledb_catalog') AND c.relkind = 'r'"""
_AGGREGATES = f"""
SELECT k.user_view_schema || '.' || k.user_view_name, jsonb_build_object(
           'id', k.mat_hypertable_id,
           'hypertable', r.schema_name || '.' || r.table_name,
           'materialization', m.schema_name || '.' || m.table_name,
           'materialized_only', k.materialized_only,
           'finalized', coalesce((to_jsonb(k) ->> 'finalized')::bool, true),
           'parent', k.parent_mat_hypertable_id,
           -- Its definition is that of a view, among the views.
           'view', k.direct_view_schema || '.' || k.direct_view_name,
           'granular_refresh', to_jsonb(k) ->> 'granular_refresh_enabled',
           'dimensions',
           (SELECT jsonb_agg(jsonb_build_object('column', d.column_name,
                       'type', d.column_type::text, 'interval', d.interval_length,
                       'partitions', d.num_slices) ORDER BY d.id)
              FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = m.id),
           'compressed_by',
           {_compressed_by("m")})
  FROM _timescaledb_catalog.continuous_agg k
  JOIN _timescaledb_catalog.hypertable r ON r.id = k.raw_hypertable_id
  JOIN _timescaledb_catalog.hypertable m ON m.id = k.mat_hypertable_id
 ORDER BY 1"""
# attribute: the table it is read from, and statements that give (id of the aggregate, value).
# An invalidation says which part the next refresh makes anew; how ranges are cut does not matter.
_OF_AGGREGATES: dict[str, tuple[str, str]] = {
    "watermark": (
        "continuous_aggs_watermark",
        "SELECT mat_hypertable_id, watermark FROM _timescaledb_catalog.continuous_aggs_watermark",
    ),
    "invalidations": (
        "continuous_aggs_materialization_invalidation_log",
        """SELECT materialization_id, range_agg(numrange(lowest_modified_value,
                                                         greatest_modified_value, '[]'))::text
             FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
            GROUP BY 1""",
    ),
    "hypertable_invalidations": (
        "continuous_aggs_hypertable_invalidation_log",
        """SELECT k.mat_hypertable_id, range_agg(numrange(l.lowest_modified_value,
                                                          l.greatest_modified_value, '[]'))::text
             FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log l
             JOIN _timescaledb_catalog.continuous_agg k ON k.raw_hypertable_id = l.hypertable_id
            GROUP BY 1""",
    ),
    "threshold": (
        "continuous_aggs_invalidation_threshold",
        """SELECT k.mat_hypertable_id, t.watermark
             FROM _timescaledb_catalog.continuous_aggs_invalidation_threshold t
             JOIN _timescaledb_catalog.continuous_agg k ON k.raw_hypertable_id = t.hypertable_id""",
    ),
    "bucket": (
        "continuous_aggs_bucket_function",
        """SELECT b.mat_hypertable_id, to_jsonb(b) - 'mat_hypertable_id'
             FROM _timescaledb_catalog.continuous_aggs_bucket_function b""",
    ),
}
