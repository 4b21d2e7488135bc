#!/usr/bin/env bash
# Runs:    psycopg 3.3.9 and psycopg2 2.9.13 against PostgreSQL 18 (PGlite 0.5.14) on 127.0.0.1.
#          Needs Node.js 20.
# Seen:    the same INSERT of the same Python float into a numeric column stores 12345678901234.56
#          by psycopg2 and 12345678901234.60 by psycopg 3; 1234567.123456789 becomes
#          1234567.12345679 and 0.1 + 0.2 becomes 0.3. In a float8 column both store the same. A
#          float parameter times a numeric gives a Decimal by psycopg2 and a float by psycopg 3.
# Guess:   a float is sent with all its 17 digits by both, as both do for float8.
# Why:     psycopg2 writes the digits into the statement, where they are a numeric; psycopg 3 sends
#          a parameter of type float8, and the server's cast to numeric keeps 15 digits.
# Matters: a port from psycopg2 to psycopg 3 changes what a fund's tables hold, by cents in large
#          amounts and in the last digits of every price made by division. Old and new rows of one
#          calculation differ, hashes over rows differ, and tests with round numbers pass. Give
#          Decimal(repr(x)), not x.
# Output:  psycopg2: 12345678901234.56, 1234567.123456789, 0.30000000000000004; product Decimal
#          psycopg:  12345678901234.6, 1234567.12345679, 0.3; product float
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
python3 -m venv venv
timeout 180 venv/bin/pip install --quiet --no-compile \
    'psycopg[binary]==3.3.9' psycopg2-binary==2.9.13
echo '{"private": true, "type": "module"}' >package.json
timeout 180 npm install --silent --no-audit --no-fund --legacy-peer-deps --cache "$WORK/cache" \
    @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17

# It ends with its standard input.
cat >serve.js <<'JAVASCRIPT'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

const db = await PGlite.create()
const host = '127.0.0.1'
await new PGLiteSocketServer({ db, host, port: Number(process.argv[2]), maxConnections: 2 }).start()
process.stdin.on('end', () => process.exit(0)).resume()
console.log('ready')
JAVASCRIPT

timeout 90 venv/bin/python - <<'PYTHON'
import socket
import subprocess

import psycopg
import psycopg2

AMOUNTS = [12345678901234.56, 1234567.123456789, 0.1 + 0.2]

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    ["node", "serve.js", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)


def stored(driver):
    """What the numeric column and the float8 column hold, and the type of a product."""
    connection = driver.connect(
        host="127.0.0.1", port=port, user="postgres", dbname="postgres", sslmode="disable"
    )
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS book")
    cursor.execute("CREATE TABLE book (id int, exact numeric, approximate float8)")
    for number, amount in enumerate(AMOUNTS):
        cursor.execute("INSERT INTO book VALUES (%s, %s, %s)", (number, amount, amount))
    cursor.execute("SELECT exact, approximate FROM book ORDER BY id")
    rows = cursor.fetchall()
    cursor.execute("SELECT %s * 1.0::numeric", (AMOUNTS[1],))
    product = type(cursor.fetchone()[0]).__name__
    connection.close()
    assert [row[1] for row in rows] == AMOUNTS, rows
    return [str(row[0]) for row in rows], product


try:
    assert server.stdout.readline().strip() == "ready"
    seen = {driver.__name__: stored(driver) for driver in (psycopg2, psycopg)}
finally:
    server.stdin.close()
    server.wait(20)
for name, what in seen.items():
    print(name, *what)
assert seen == {
    "psycopg2": (["12345678901234.56", "1234567.123456789", "0.30000000000000004"], "Decimal"),
    "psycopg": (["12345678901234.6", "1234567.12345679", "0.3"], "float"),
}, seen
PYTHON
