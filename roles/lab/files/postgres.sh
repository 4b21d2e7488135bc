#!/bin/sh
# Start PostgreSQL; make the cluster first where there is none. Debian's image has no such script.
# The superuser has no password: it is reached over the local socket, inside the container, alone.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/data/pgdata
if [ ! -s "$data/PG_VERSION" ]; then
    rm -rf "$data" # what an interrupted initdb left
    "$bin/initdb" --pgdata "$data" --username postgres --data-checksums \
        --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8
    cat >"$data/pg_hba.conf" <<'HBA'
local all all          trust
host  all postgres all reject
host  all all      all scram-sha-256
HBA
fi
exec "$bin/postgres" -D "$data" "$@"
