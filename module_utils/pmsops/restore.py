# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore into a database aside: the live one is never where it happens."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops import catalog, compare, dump, fingerprint, globals_sql, sets
from ansible.module_utils.pmsops.clients import Client, ClientTools
from ansible.module_utils.pmsops.database import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
    superuser_role,
)
from ansible.module_utils.pmsops.errors import OpsError
from ansible.module_utils.pmsops.progress import Progress

# For the sessions of a restore alone; the server's configuration is not touched.
SESSION = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "256MB",
    "jit": "off",
}
NAME_BYTES = 63
READERS = 2
# An entry of `pg_restore --list`: "4292; 0 17103 TABLE DATA _timescaledb_catalog chunk postgres".
DATA_ENTRY = re.compile(r"^\d+; \d+ \d+ TABLE DATA (\S+) (\S+) ")
COMMENT_ENTRY = re.compile(r"^\d+; \d+ \d+ COMMENT - EXTENSION ")


def beside(name: str, what: str, run: str) -> str:
    """Return the name of a database beside *name*: ``<name>__<what>_<run>``, within 63 bytes."""
    tail = f"__{what}_{run}"
    head = name.encode()[: NAME_BYTES - len(tail)].decode(errors="ignore")
    return head + tail


class Aside:
    """Restores one set into a new database of the live server, and proves the copy."""

    def __init__(
        self,
        database: Database,
        backup_set: sets.BackupSet,
        side: str,
        *,
        tools: ClientTools,
        progress: Progress,
        scratch: Path,
        jobs: int = 2,
    ) -> None:
        self.live = database
        self.set = backup_set
        self.side = database.named(side)
        self.tools = tools
        self.progress = progress
        self.scratch = scratch
        self.jobs = jobs
        self.plain: Path | None = None
        self.warnings: list[str] = []
        with database.named(database.maintenance_name).session(read_only=True) as cursor:
            self.superuser = superuser_role(cursor)

    def create(self, comment: str) -> None:
        """Create the side database as the manifest describes it; a naive dump's like the live."""
        described = (self.set.manifest or {}).get("database") or self._live_description()
        options = [
            "TEMPLATE template0",
            f"ENCODING {quote_literal(described['encoding'])}",
            f"OWNER {quote_ident(described['owner'])}",
            *locale_options(described),
        ]
        name = quote_ident(self.side.name)
        with self._maintenance() as run:
            run(f"CREATE DATABASE {name} {' '.join(options)}")
            run(f"COMMENT ON DATABASE {name} IS {quote_literal(comment)}")

    def create_roles(self, names: list[str]) -> None:
        """Create missing roles as globals.sql describes them; it knows no passwords.

        :raises OpsError: restore.roles where globals.sql does not have one of them.
        """
        path = self.set.dump.parent / globals_sql.NAME
        found = globals_sql.roles(path.read_text()) if path.exists() else {}
        for name in names:
            if name not in found:
                raise OpsError(
                    f"{path} does not say how to create role {name}.",
                    f"Create role {name} by hand, then run again.",
                    code="restore.roles",
                )
            with self._maintenance() as run:
                for statement in found[name]:
                    run(statement)

    def restore(self) -> None:
        """Bring everything in: pre-data, the extension's catalogue, the data, post-data.

        :raises OpsError: restore.failed with every line that pg_restore said.
        """
        version = self._timescaledb_version()
        if version:
            with self.progress.phase("extension"):
                self._extension(version)
        with self.progress.phase("pre-data"):
            self._section("pre-data", keep=lambda line: not COMMENT_ENTRY.match(line))
        catalogue = self._extension_tables()
        if catalogue:
            with self.progress.phase("catalogue"):
                self._section("data", keep=lambda line: self._of(line, catalogue))
        with self.progress.phase("data", total=self._expected_bytes()):
            self._section(
                "data",
                keep=lambda line: not self._of(line, catalogue),
                jobs=self.jobs,
                watch=self._size,
            )
        with self.progress.phase("post-data"):
            self._section(
                "post-data", keep=lambda line: not COMMENT_ENTRY.match(line), jobs=self.jobs
            )
        if version:
            with self.progress.phase("post-restore"):
                self._post_restore()
        with self.progress.phase("settings"):
            self._settings()
        with self.progress.phase("analyze"):
            status, errors = self.tools.run(
                "vacuumdb", ["--analyze-only", f"--jobs={self.jobs}", "--no-password", "--quiet"],
                database=self.side.name,
            )  # fmt: skip
            if status:
                self.warnings.append(f"ANALYZE did not finish: {errors.strip()[-300:]}")

    def prove(self) -> list[compare.Difference]:
        """Return what differs from the manifest: nothing, for a copy that may go live."""
        manifest = self.set.manifest
        if manifest is None:
            return []
        with self.progress.phase("prove", total=len(manifest["contents"]), unit="tables"):
            return differences(self.side, manifest, progress=self.progress)

    def drop(self) -> None:
        """Drop the side database, whoever is connected."""
        drop(self.live, self.side.name)

    # --- parts ---------------------------------------------------------------------------------

    def _live_description(self) -> dict[str, Any]:
        with self.live.session(read_only=True) as cursor:
            catalog.prepare(cursor)
            return catalog.database(cursor)

    def _timescaledb_version(self) -> str | None:
        """Return the version of TimescaleDB that the copy needs, None where it needs none."""
        if self.set.manifest:
            found = self.set.manifest["facts"]["extensions"].get("timescaledb")
            return found["version"] if found else None
        if not any(" EXTENSION - timescaledb" in line for line in self._toc()):
            return None
        # A naive dump does not carry the version; the catalogue's own record comes with its data
        # and timescaledb_post_restore() refuses another one.
        with self.live.session(read_only=True) as cursor:
            return fetch_value(
                cursor,
                """SELECT coalesce(
                       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
                       (SELECT default_version FROM pg_available_extensions
                         WHERE name = 'timescaledb'))""",
            )

    def _extension(self, version: str) -> None:
        with self._inside() as run:
            run(f"CREATE EXTENSION timescaledb VERSION {quote_literal(version)}")
        with self._inside() as run:
            run("SELECT timescaledb_pre_restore()")

    def _post_restore(self) -> None:
        """End restoring mode in a transaction of its own, and see from a new session that it is."""
        with self._inside() as run:
            run("SELECT timescaledb_post_restore()")
        with self.side.session(read_only=True) as cursor:
            if fetch_value(cursor, "SELECT current_setting('timescaledb.restoring')") != "off":
                raise OpsError(
                    f"{self.side.name} is still in TimescaleDB's restoring mode.",
                    "Restore again; if it stays, see timescaledb_post_restore() in the log.",
                    code="restore.restoring",
                )

    def _settings(self) -> None:
        """Bring back what a dump leaves out: settings and grants of the database."""
        described = (self.set.manifest or {}).get("database") or self._live_description()
        name = quote_ident(self.side.name)
        with self._maintenance() as run:
            for role, settings in described["settings"].items():
                target = (
                    f"ROLE {quote_ident(role)} IN DATABASE {name}" if role else f"DATABASE {name}"
                )
                for setting in settings:
                    key, _, value = setting.partition("=")
                    if key.startswith("timescaledb.restoring"):
                        continue
                    run(f"ALTER {target} SET {quote_ident(key)} TO {quote_literal(value)}")
            run(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
            for grant in self._grants(described["grants"]):
                run(grant)

    def _grants(self, recorded: list[str]) -> list[str]:
        with self.side.session(read_only=True) as cursor:
            rows = fetch_all(
                cursor,
                """SELECT format('GRANT %%s ON DATABASE %%I TO %%s%%s', a.privilege_type,
                                 current_database(),
                                 CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                                      ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                                 CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
                     FROM aclexplode(%s::aclitem[]) a""",
                (recorded,),
            )
        return [row[0] for row in rows]

    def _toc(self) -> list[str]:
        if not hasattr(self, "_entries"):
            status, output, errors = self.tools.capture(
                "pg_restore", ["--list", str(self.dump)], folders={self.dump.parent: "ro"}
            )
            if status:
                raise dump.explained("pg_restore", status, errors)
            self._entries = [
                line for line in output.decode().splitlines() if line and not line.startswith(";")
            ]
        return self._entries

    @property
    def dump(self) -> Path:
        """The dump that pg_restore reads: the set's own, or its decrypted copy."""
        return self.plain or self.set.dump

    def _of(self, line: str, tables: set[tuple[str, str]]) -> bool:
        match = DATA_ENTRY.match(line)
        return match is not None and (match[1], match[2]) in tables

    def _extension_tables(self) -> set[tuple[str, str]]:
        """Return the tables whose rows an extension has dumped: they must be there first."""
        with self.side.session(read_only=True) as cursor:
            return {
                (schema, name)
                for schema, name in fetch_all(
                    cursor,
                    """SELECT n.nspname, c.relname
                         FROM pg_extension e, unnest(e.extconfig) AS config(oid)
                         JOIN pg_class c ON c.oid = config.oid
                         JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE c.relkind = 'r'""",
                )
            }

    def _section(
        self,
        section: str,
        *,
        keep: Callable[[str], bool],
        jobs: int = 1,
        watch: Callable[[], int] | None = None,
    ) -> None:
        lines = [line for line in self._toc() if keep(line)]
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            Path(folder).chmod(0o700)
            listing = Path(folder) / "entries"
            listing.write_text("\n".join(lines) + "\n")
            client = self.tools.start(
                "pg_restore",
                [
                    f"--dbname={self.side.name}",
                    f"--section={section}",
                    f"--use-list={listing}",
                    f"--jobs={jobs}",
                    "--exit-on-error",
                    "--no-password",
                    *([f"--role={self.superuser}"] if self.superuser else []),
                    str(self.dump),
                ],
                database=self.side.name,
                folders={Path(folder): "ro", self.dump.parent: "ro"},
                settings=SESSION,
            )
            try:
                self._wait(client, watch)
                status, errors = client.wait(), client.errors()
            finally:
                client.stop()
        said = [line for line in errors.splitlines() if line.strip()]
        if status:
            raise OpsError(
                f"pg_restore failed in {section}: " + " / ".join(said[-12:]),
                "The live database was not touched and the copy is dropped. The first line names"
                " the object; docs/ERRORS.md has the causes that are known.",
                code="restore.failed",
            )
        self.warnings += said

    def _wait(self, client: Client, watch: Callable[[], int] | None) -> None:
        for count, _ in enumerate(client.watch()):
            if watch and count % 10 == 0:
                self.progress.update(watch())

    def _size(self) -> int:
        try:
            with self.live.named(self.live.maintenance_name).session(read_only=True) as cursor:
                return fetch_value(cursor, "SELECT pg_database_size(%s)", (self.side.name,))
        except OpsError:
            return 0

    def _expected_bytes(self) -> int:
        return (self.set.manifest or {}).get("server", {}).get("size_bytes", 0)

    @contextmanager
    def _maintenance(self) -> Iterator[Callable[[str], None]]:
        with as_superuser(self.live.named(self.live.maintenance_name), self.superuser) as run:
            yield run

    @contextmanager
    def _inside(self) -> Iterator[Callable[[str], None]]:
        with as_superuser(self.side, self.superuser) as run:
            yield run


@contextmanager
def as_superuser(database: Database, role: str | None) -> Iterator[Callable[[str], None]]:
    """Give a function that runs a statement, each in a transaction of its own, as *role*."""
    connection = database.connect(autocommit=True)
    try:
        with connection.cursor() as cursor:
            if role:
                cursor.execute(f"SET ROLE {quote_ident(role)}")
            yield cursor.execute
    finally:
        connection.close()


def drop(live: Database, name: str) -> None:
    """Drop a database beside the live one, whoever is connected; nothing where there is none."""
    maintenance = live.named(live.maintenance_name)
    with maintenance.session(read_only=True) as cursor:
        role = superuser_role(cursor)
    with as_superuser(maintenance, role) as run:
        run(f"DROP DATABASE IF EXISTS {quote_ident(name)} WITH (FORCE)")


def locale_options(described: dict[str, Any]) -> list[str]:
    """Return CREATE DATABASE's options for a recorded locale."""
    provider = {"c": "libc", "i": "icu", "b": "builtin"}[described["provider"]]
    options = [
        f"LOCALE_PROVIDER {provider}",
        f"LC_COLLATE {quote_literal(described['collate'])}",
        f"LC_CTYPE {quote_literal(described['ctype'])}",
    ]
    if provider == "icu":
        options.append(f"ICU_LOCALE {quote_literal(described['locale'])}")
        if described.get("icu_rules"):
            options.append(f"ICU_RULES {quote_literal(described['icu_rules'])}")
    if provider == "builtin":
        options.append(f"BUILTIN_LOCALE {quote_literal(described['locale'])}")
    return options


def differences(
    database: Database, manifest: dict[str, Any], *, progress: Progress | None = None
) -> list[compare.Difference]:
    """Return what differs between a database and a manifest, objects first, then rows."""
    from ansible.module_utils.pmsops.snapshot import Snapshot

    with Snapshot(database, connections=READERS) as snapshot:
        found = catalog.facts(snapshot.cursors[0])
        described = catalog.database(snapshot.cursors[0])
        done: list[str] = []

        def count(relation: fingerprint.Relation) -> None:
            done.append(relation.key)
            if progress:
                progress.update(len(done))

        contents = fingerprint.fingerprints(
            snapshot.cursors, fingerprint.relations(snapshot.cursors[0]), count
        )
    # The comment of a copy aside says what it is; the swap brings the recorded one back.
    wanted = {name: value for name, value in manifest["database"].items() if name != "comment"}
    described.pop("comment")
    return [
        *compare.facts({"database": {"all": wanted}}, {"database": {"all": described}}),
        *compare.facts(manifest["facts"], found),
        *compare.contents(manifest["contents"], contents),
    ]
