#!/usr/bin/env bash
# Runs:    PGlite 0.5.8 with pglite-tools 0.4.8 (PostgreSQL 18.3). 0.4.6 with 0.3.6 (17.5) does the
#          same, 0.3.16 with 0.2.21 all but the error of the second dump. Needs Node.js 20.
# Seen:    pgDump() reads over the caller's only session, and ends without ending its transaction.
#          After a dump that succeeded the session is REPEATABLE READ and READ ONLY and holds a lock
#          on each table; the next write is refused. ROLLBACK ends that, but then search_path is
#          empty, row_security off and the caller's statement_timeout and lock_timeout are 0. Now a
#          role under row security gets an error for a plain SELECT, and a second pgDump() one for
#          SQL that it makes itself ("SET SEARCH_PATH = ").
# Guess:   a dump changes nothing; the page of the package names prepared statements as all that is
#          lost.
# Matters: PGlite is the database of tests and small tools around a PMS. A test that takes a dump
#          midway goes on without time-outs and with other rights than the system has, or fails at
#          the next INSERT far from the cause. Dump a clone (pg.clone()), or ROLLBACK and set all
#          anew.
# Output:  after the dump: read only on, repeatable read, locks 1
#          insert: cannot execute INSERT in a read-only transaction
#          after rollback: search_path "", row_security off, statement_timeout 0, lock_timeout 0
#          select as a role: query would be affected by row-level security policy for table "book"
#          second dump: syntax error at end of input
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
echo '{"private": true, "type": "module"}' >package.json
timeout 180 npm install --silent --no-audit --no-fund --cache "$WORK/cache" \
    @electric-sql/pglite@0.5.8 @electric-sql/pglite-tools@0.4.8

cat >record.js <<'JAVASCRIPT'
import assert from 'node:assert/strict'
import { PGlite } from '@electric-sql/pglite'
import { pgDump } from '@electric-sql/pglite-tools/pg_dump'

const pg = await PGlite.create()
// The first value of the first row, or the message of the error.
const ask = async (sql) => {
  try {
    const { rows } = await pg.query(sql)
    return rows.length ? Object.values(rows[0])[0] : 'done'
  } catch (error) {
    return error.message
  }
}
const dump = () => pgDump({ pg }).then((file) => file.text(), (error) => error.message)

await pg.exec(`
  CREATE TABLE book (id int PRIMARY KEY); INSERT INTO book VALUES (1), (2);
  CREATE ROLE trader; GRANT SELECT ON book TO trader;
  ALTER TABLE book ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON book TO trader USING (id = 1);
  SET statement_timeout = '30s'; SET lock_timeout = '5s'`)
const seen = {}
seen.dumped = (await dump()).includes('INSERT INTO public.book VALUES (2)')
seen.readOnly = await ask('SHOW transaction_read_only')
seen.isolation = await ask('SHOW transaction_isolation')
seen.locks = await ask("SELECT count(*) FROM pg_locks WHERE relation = 'public.book'::regclass")
seen.insert = await ask('INSERT INTO public.book VALUES (3)')
await pg.exec('ROLLBACK')
seen.path = await ask('SHOW search_path')
seen.rowSecurity = await ask('SHOW row_security')
seen.statementTimeout = await ask('SHOW statement_timeout')
seen.lockTimeout = await ask('SHOW lock_timeout')
await pg.exec('SET ROLE trader')
seen.select = await ask('SELECT count(*) FROM public.book')
await pg.exec('RESET ROLE')
seen.secondDump = await dump()
console.log(seen)
assert.deepEqual(seen, {
  dumped: true,
  readOnly: 'on',
  isolation: 'repeatable read',
  locks: 1,
  insert: 'cannot execute INSERT in a read-only transaction',
  path: '',
  rowSecurity: 'off',
  statementTimeout: '0',
  lockTimeout: '0',
  select: 'query would be affected by row-level security policy for table "book"',
  secondDump: 'syntax error at end of input',
})
JAVASCRIPT
timeout 60 node record.js
