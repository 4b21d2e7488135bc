-- The rights of pms_ops, the maintenance role of pms-ops, and the reason for each of them.
--
-- Run this file once for each cluster, as a superuser; a second run changes nothing. It is one
-- transaction: if a statement fails, nothing was changed, and psql ends with 3. The password comes
-- from the environment, so that it appears in no argument list and no shell history:
--
--   PMS_OPS_PASSWORD=... psql -X -v owner=macro_user -f docs/database-rights.sql postgres
--
-- Run it again with the owner of each other database that is backed up (backup_other_databases).
--
-- On an empty server, whose volume is gone, the owner may be missing: -v empty_server=true.
--
-- owner is the role that owns the PMS database: the PMS's own role. It should not be a superuser.
-- The upstream image makes POSTGRES_USER a superuser; the check config.owner of the go-live
-- checklist reports that. pms_ops gains nothing by it: it can become a superuser anyway, by
-- SET ROLE pms_restore (below).
\set ON_ERROR_STOP on
\set ops_password ''
\getenv ops_password PMS_OPS_PASSWORD
\if :{?empty_server}
\else
    \set empty_server ''
\endif
\if :{?owner}
\else
    DO $$ BEGIN RAISE EXCEPTION 'Name the owner of the PMS database: psql -v owner=...'; END $$;
\endif
BEGIN;
SELECT $do$DO $$ BEGIN RAISE EXCEPTION
    'Role pms_ops does not exist: give it a password, PMS_OPS_PASSWORD=... psql ...'; END $$;$do$
WHERE :'ops_password' = '' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pms_ops') \gexec
SELECT format('DO %L', format('BEGIN RAISE EXCEPTION %L; END',
    'There is no role ' || :'owner' || ': owner= names the role that owns the PMS database'))
WHERE :'empty_server' = '' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec

-- pms_db_user names this role. BYPASSRLS: with row security, the dump would lack rows.
-- CREATEDB: a restore creates a staging database, and ALTER DATABASE ... RENAME needs this right.
SELECT format('CREATE ROLE pms_ops LOGIN NOSUPERUSER CREATEDB BYPASSRLS PASSWORD %L', :'ops_password')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pms_ops') \gexec

-- TimescaleDB can only be restored by a superuser: timescaledb.restoring is a superuser's setting,
-- and the catalogue tables belong to the superuser. Nobody can log in as pms_restore. pms_ops
-- becomes pms_restore by SET ROLE, and has none of its rights otherwise: for a restore; and, where
-- pms_ops itself lacks TEMPORARY or the database has event triggers, for the temporary views by
-- which definitions are compared, in a transaction that is always rolled back.
SELECT 'CREATE ROLE pms_restore NOLOGIN SUPERUSER'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pms_restore') \gexec

-- Memberships that pms_ops needs.
CREATE TEMPORARY VIEW wanted_membership AS
SELECT * FROM (VALUES
    ('pg_read_all_data', true),   -- read every table: dumps, fingerprints, checks
    ('pg_monitor', true),         -- sizes, sessions and statistics of others
    ('pg_signal_backend', true),  -- end the sessions that hold a database while it is renamed
    (:'owner', true),             -- own the PMS database, in order to rename it
    ('pms_restore', false)        -- SET ROLE only: nothing is inherited
) AS wanted (name, inherited)
-- On an empty server the owner is missing: the restore makes it, and grants it as the set says.
WHERE name <> :'owner' OR EXISTS (SELECT FROM pg_roles WHERE rolname = name);

SELECT current_setting('server_version_num')::int >= 160000 AS membership_has_options \gset
\if :membership_has_options
    -- A membership with another WITH clause is granted again.
    SELECT format('GRANT %I TO pms_ops WITH INHERIT %s, SET TRUE', name, inherited::text)
    FROM wanted_membership
    WHERE NOT EXISTS (
        SELECT FROM pg_auth_members
        WHERE member = 'pms_ops'::regrole AND roleid = name::regrole
            AND inherit_option = inherited AND set_option
    ) \gexec
\else
    -- Before PostgreSQL 16 a role inherits from all of its roles or from none. The attribute
    -- SUPERUSER is never inherited, so pms_ops needs SET ROLE here too.
    SELECT format('GRANT %I TO pms_ops', name)
    FROM wanted_membership
    WHERE NOT EXISTS (
        SELECT FROM pg_auth_members WHERE member = 'pms_ops'::regrole AND roleid = name::regrole
    ) \gexec
\endif
DROP VIEW wanted_membership;
COMMIT;
