-- The lab's own roles and databases; docs/database-rights.sql runs after it for the roles of pms-ops.
-- Run by the superuser over the local socket; the passwords are in the container's environment.
-- Prints the tag of each statement that it ran, and nothing if there was nothing to do.
\getenv macro_password MACRO_USER_PASSWORD
\getenv dagster_password DAGSTER_USER_PASSWORD
\getenv ops_password PMS_OPS_PASSWORD

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER PASSWORD %L', name, password)
FROM (VALUES ('macro_user', :'macro_password'), ('dagster_user', :'dagster_password')) AS wanted (name, password)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

-- If the state file was lost, existing roles get new passwords.
SELECT format('ALTER ROLE %I PASSWORD %L', name, password)
FROM (VALUES
    ('macro_user', :'macro_password'), ('dagster_user', :'dagster_password'), ('pms_ops', :'ops_password')
) AS wanted (name, password)
WHERE :'new_passwords' <> '' AND EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0', name, owner)
FROM (VALUES (:'database', 'macro_user'), ('dagster_storage', 'dagster_user')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec

-- Other roles have no access to either database.
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', name)
FROM (VALUES (:'database'), ('dagster_storage')) AS wanted (name)
WHERE EXISTS (
    SELECT FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
    WHERE datname = name AND grantee = 0
) \gexec
