-- The rights of the toolkit's own database role, and why it needs each of them.
--
-- Run it once for a cluster as a superuser; running it again changes nothing. The password comes
-- from the environment, so that no argument list and no shell history shows it:
--
--   PMS_OPS_PASSWORD=... psql -X -v owner=macro_user -f docs/database-rights.sql postgres
--
-- owner is the role that owns the PMS database: the PMS's own. It should be no superuser; the
-- upstream image makes POSTGRES_USER one, which the go-live checklist says (config.owner). It gives
-- pms_ops no more than it has: it can become pms_restore, below, where it asks to.
\getenv ops_password PMS_OPS_PASSWORD

-- pms_ops is what pms_db_user names. BYPASSRLS: a dump that row security thins out is no backup.
-- CREATEDB: restores happen in a database aside, and ALTER DATABASE ... RENAME asks for it.
SELECT format('CREATE ROLE pms_ops LOGIN NOSUPERUSER CREATEDB BYPASSRLS PASSWORD %L', :'ops_password')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pms_ops') \gexec

-- TimescaleDB cannot be restored without a superuser: timescaledb.restoring is a superuser's
-- setting and its catalogue tables belong to the superuser. Nobody can log in as pms_restore;
-- pms_ops becomes it by SET ROLE for the restore alone, and holds none of its rights otherwise.
SELECT 'CREATE ROLE pms_restore NOLOGIN SUPERUSER'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pms_restore') \gexec

-- What a role already is a member of; another WITH clause counts as not yet.
CREATE TEMPORARY VIEW wanted_membership AS
SELECT * FROM (VALUES
    ('pg_read_all_data', true),   -- read every table: dumps, fingerprints, checks
    ('pg_monitor', true),         -- sizes, sessions and statistics of others
    ('pg_signal_backend', true),  -- end the sessions that hold a database while it is renamed
    (:'owner', true),             -- own, and so rename, the PMS database
    ('pms_restore', false)        -- SET ROLE only: nothing is inherited
) AS wanted (name, inherited);

SELECT format('GRANT %I TO pms_ops WITH INHERIT %s, SET TRUE', name, inherited::text)
FROM wanted_membership
WHERE NOT EXISTS (
    SELECT FROM pg_auth_members
    WHERE member = 'pms_ops'::regrole AND roleid = name::regrole
        AND inherit_option = inherited AND set_option
) \gexec
DROP VIEW wanted_membership;
