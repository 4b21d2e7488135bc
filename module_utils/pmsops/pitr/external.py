# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Continuous protection by an engine that the fund has already: looked at, never operated.

A command of the inventory prints the JSON of pgBackRest, Barman or WAL-G. With what the server
says of its archiver, that is enough for the status, the metrics and the go-live checklist. What
neither says is unknown, with the reason.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.children import end_with_parent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.pitr import archiver, external_answers, external_chain, wal, window
from ansible.module_utils.pmsops.pitr.external_catalogue import BARMAN, PGBACKREST, WALG, Catalogue
from ansible.module_utils.pmsops.postgresql.connection import Database

SECONDS = 60
TITLES = {PGBACKREST: "pgBackRest", BARMAN: "Barman", WALG: "WAL-G", "": "the engine"}
EXAMPLES = (
    "[pgbackrest, --stanza=main, info, --output=json], [barman, -f, json, list-backups, main] or"
    " [wal-g, backup-list, --detail, --json]"
)
SHOWN = 300
DROPPED = "it dropped the rest (archive-push-queue-max), or "
LOST = "no moment after it can be restored, until a new backup is made"


@dataclass(frozen=True)
class Look:
    """What the engine and the server say together."""

    active: bool
    latest: datetime | None  # the newest moment that can be restored; None: nobody says
    lag_seconds: float | None
    lag_bytes: int | None
    problems: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)


class External:
    """The protection of one server by another engine."""

    def __init__(self, database: Database, command: Sequence[str], seconds: int = SECONDS) -> None:
        self.database = database
        self.command = [str(each) for each in command]
        self.seconds = seconds

    def status(self) -> dict[str, Any]:
        """Return window, stream and backups, as ``Protection.status`` does.

        :raises OpsError: pitr.external-*
        """
        # The server first: what it archives meanwhile, the engine may have, and never the reverse.
        try:
            server = archiver.look(self.database)
        except OpsError:
            server = None
        found = choose(self._catalogues(), server.system if server else None)
        usable = found.usable()
        title = TITLES[found.program]
        if not usable:
            said = "".join(f" {each}" for each in found.problems)
            raise OpsError(
                f"No usable backup of this server is known to {title}: no moment can be restored."
                f"{said}",
                "Make one with it (pgbackrest backup, barman backup, wal-g backup-push), and look"
                " at its log if it was to run by itself.",
                code="pitr.external-no-backup",
            )
        now = datetime.now(UTC)
        found = external_chain.with_gaps(found, server)
        seen = judge(found, server, now)
        size = server.segment_bytes if server else wal.DEFAULT_BYTES
        lost = external_chain.after_newest_backup(found, size)
        return {
            "engine": found.program,
            "unknown": seen.unknown | external_chain.not_looked_at(found),
            "unprovable": f"pitr_engine is external: {title} proves its own backups",
            "window": window.Window(
                earliest=utc_stamp(usable[0].ended_at),
                latest=utc_stamp(seen.latest) if seen.latest else None,
                received=utc_stamp(seen.latest) if seen.latest else None,
                gap=found.missing[0] if found.missing else None,
                missing=lost,
                backups=len(usable),
                newest_backup=utc_stamp(usable[-1].ended_at),
                problems=[
                    *seen.problems,
                    *([f"WAL segment {lost} is missing: {LOST}."] if lost else []),
                ],
            ).document(),
            "stream": {
                "active": seen.active,
                "slot": "lost" if server and server.lost_slots else None,
                "behind_bytes": seen.lag_bytes,
                "seconds": seen.lag_seconds,
                "kept_bytes": None,
            }
            if server
            else None,
            "canary": {"newest": None, "gaps": []},
            "backups": [
                asdict(each) | {"ended_at": each.ended_at.isoformat()} for each in found.backups
            ],
        }

    def _catalogues(self) -> list[Catalogue]:
        output = self._run()
        begins = _line(output)
        try:
            return external_answers.read(output)
        except external_answers.Unreadable as exc:
            program = self._program()
            if not exc.json:
                raise OpsError(
                    f"{program} printed what is not JSON ({exc}). It begins: {begins!r}",
                    f"Let pitr_external_command print JSON: {EXAMPLES}.",
                    code="pitr.external-no-json",
                ) from exc
            raise OpsError(
                f"{program} printed JSON of a shape that pms-ops does not know ({exc}).",
                "Known are pgbackrest info, repo-ls and verify; barman list-backups, show-backup,"
                " status and check, and a find of its WAL; wal-g backup-list and wal-show"
                f" --detailed-json: {EXAMPLES}.",
                code="pitr.external-shape",
            ) from exc

    def _run(self) -> str:
        """Run the command; return what it prints.

        :raises OpsError: pitr.external-unset, -missing, -timeout, -failed
        """
        if not self.command:
            raise OpsError(
                "pitr_engine is external, and pitr_external_command is empty.",
                f"Set it to a list of arguments, such as {EXAMPLES}.",
                code="pitr.external-unset",
            )
        program = self._program()
        try:
            done = subprocess.run(
                self.command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.seconds,
                preexec_fn=end_with_parent,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise OpsError(
                f"{program} gave no answer within {self.seconds} s.",
                "Run pitr_external_command by hand: it may ask for a password, or its repository"
                " does not answer. For a large one, set pitr_external_seconds.",
                code="pitr.external-timeout",
            ) from exc
        except OSError as exc:
            raise OpsError(
                f"{program} cannot be run on the database's host: {exc.strerror}.",
                "Correct pitr_external_command; it is a list of arguments, no line for a shell. An"
                " engine on another machine can be asked by ssh.",
                code="pitr.external-missing",
            ) from exc
        if done.returncode:
            said = _line(done.stderr or done.stdout)
            raise OpsError(
                f"{program} ended with status {done.returncode}: {said or 'it said nothing'}",
                "Its message names the cause. Run pitr_external_command by hand as the user that"
                " pms-ops has on the database's host.",
                code="pitr.external-failed",
            )
        return done.stdout

    def _program(self) -> str:
        # Not the arguments: one of them may be a secret.
        return f"Command {self.command[0]} of pitr_external_command"


def choose(found: Sequence[Catalogue], system: str | None) -> Catalogue:
    """Return the catalogue of the server with this system identifier.

    :raises OpsError: pitr.external-several, pitr.external-foreign
    """
    own = [each for each in found if system and each.system == system]
    silent = [each for each in found if each.system is None or system is None]
    candidates = own or silent
    if len(candidates) == 1:
        return candidates[0]
    names = ", ".join(each.name or TITLES[each.program] for each in found)
    if candidates:
        raise OpsError(
            f"The engine answers for several servers ({names}), and does not say which one is"
            " this.",
            "Name one in pitr_external_command: --stanza=NAME of pgbackrest, or barman's server.",
            code="pitr.external-several",
        )
    raise OpsError(
        f"The engine protects another server ({names}): no backup has the system identifier of this"
        f" one, {system}.",
        "Correct the stanza or the server in pitr_external_command. After initdb, or a restore by"
        " pg_restore into a new server, the engine needs its new server registered.",
        code="pitr.external-foreign",
    )


def judge(found: Catalogue, server: archiver.Archiver | None, now: datetime) -> Look:
    """Return how far the WAL has come, from both sides."""
    title = TITLES[found.program]
    problems = list(found.problems)
    if server is None:
        why = "the server does not answer, and the engine does not say when WAL arrived"
        return Look(False, None, None, None, problems, {"window": why, "stream": why})
    if (foreign := external_chain.foreign(found, server)) is not None:
        problems.append(foreign)
        found = replace(found, newest_wal=external_chain.newest_own(found, server))
    if server.lost_slots:
        problems.append(
            f"The slot {server.lost_slots} is lost: its receiver was away for longer than the"
            " server keeps WAL."
        )
    if server.streamed_bytes is not None and found.program == BARMAN:
        whole = server.streamed_bytes == 0
        lag = 0.0 if whole else None
        late = {} if whole else {"stream": "the stream is behind, and nobody says since when"}
        return Look(True, now, lag, server.streamed_bytes, problems, late)
    problems += _archiving(server)
    active = server.archives and not server.failing and server.archived_wal is not None
    newest = found.newest_wal or _by_its_command(found.program, server)
    if newest is None:
        why = (
            f"{title} does not say here up to which WAL its archive goes, and archive_command of"
            " the server does not name it"
        )
        return Look(active, None, None, None, problems, {"window": why, "stream": why})
    behind = server.behind(newest)
    if server.archived_wal and _later(server.archived_wal, newest):
        dropped = DROPPED if found.program == PGBACKREST else ""
        problems.append(
            f"The server has archived WAL up to {server.archived_wal}, and {title} has it only up"
            f" to {newest}: {dropped}its archive is not where archive_command of the server writes."
        )
        return Look(active, None, None, behind, problems, {})
    if behind == 0:
        return Look(active, now, 0.0, 0, problems)
    if newest == server.archived_wal and server.archived_at:
        lag = max((server.now - server.archived_at).total_seconds(), 0.0)
        return Look(active, server.archived_at, lag, behind, problems)
    why = f"nobody says when WAL segment {newest} arrived"
    return Look(active, None, None, behind, problems, {"window": why, "stream": why})


def _archiving(server: archiver.Archiver) -> list[str]:
    if not server.archives:
        return ["The server archives no WAL (archive_mode is off), and no receiver streams it."]
    if server.failing and server.failed_at:
        return [
            f"The archiver of the server fails with WAL segment {server.failed_wal}, newest at"
            f" {utc_stamp(server.failed_at)}: what is committed now is not protected."
        ]
    if server.archived_wal is None:
        return ["The server has not archived a WAL segment yet."]
    return []


def _by_its_command(program: str, server: archiver.Archiver) -> str | None:
    """Return what the server archived last, if its command names the program."""
    return server.archived_wal if program and program in server.command else None


def _later(one: str, other: str) -> bool:
    return one[:8] == other[:8] and one > other


def _line(text: str) -> str:
    return " ".join(text.split())[:SHOWN]
