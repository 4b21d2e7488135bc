# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for restic that needs no time: a repository is a folder, a snapshot a copy in it.

What it does wrong is in ``faults.json`` of the repository: for each command a list of answers, used
up one by one, ``{"status": 11, "said": "...", "sleep": 0, "keep": true}``. Each call leaves a line
with its arguments and environment in ``calls.jsonl``. tests/integration/test_offsite.py runs the
same acts by the real program.

tests/unit/offsite/conftest.py makes the program of it, which says the version. Tests call it two
hundred times, so each import counts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

FLAGS = ("--json", "--no-cache", "--no-scan")


def main() -> int:
    """Answer one call."""
    arguments = [each for each in sys.argv[1:] if each not in FLAGS]
    while arguments and arguments[0] in ("-o", "--cacert"):
        del arguments[:2]
    command, *rest = arguments
    repository = Path(os.environ["RESTIC_REPOSITORY"])
    folder = repository if repository.is_dir() else repository.parent
    with (folder / "calls.jsonl").open("a") as stream:
        stream.write(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)}) + "\n")
    fault = _fault(folder, command)
    print(fault.get("before", ""), end="", file=sys.stderr, flush=True)
    time.sleep(fault.get("sleep", 0))
    if fault.get("status") and not fault.get("keep"):
        return _fail(fault["status"], fault.get("said", ""))
    if command == "init":
        repository.mkdir()
        (repository / "password").write_bytes(Path(os.environ["RESTIC_PASSWORD_FILE"]).read_bytes())
        print(json.dumps({"message_type": "initialized"}))
        return 0
    if not (repository / "password").is_file():
        return _fail(10, "Fatal: repository does not exist")
    given = Path(os.environ["RESTIC_PASSWORD_FILE"]).read_bytes()
    if (repository / "password").read_bytes() != given:
        return _fail(12, "Fatal: wrong password or no key found")
    answer = _COMMANDS[command](repository, rest)
    return _fail(fault["status"], fault.get("said", "")) if fault.get("status") else answer


def _fault(folder: Path, command: str) -> dict:
    path = folder / "faults.json"
    if not path.is_file():
        return {}
    faults = json.loads(path.read_text())
    found = faults[command].pop(0) if faults.get(command) else {}
    path.write_text(json.dumps(faults))
    return found


def _fail(status: int, said: str) -> int:
    document = {"message_type": "exit_error", "code": status, "message": said}
    print(json.dumps(document), file=sys.stderr)
    return status


def _snapshots(repository: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(repository.glob("*.snapshot"))]


def _list(repository: Path, _rest: list[str]) -> int:
    print(json.dumps(_snapshots(repository)))
    return 0


def _backup(repository: Path, rest: list[str]) -> int:
    import shutil

    options, paths = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    found = {"--tag": [], "--host": [""], "--exclude": [], "--parent": []}
    for name, value in zip(options[::2], options[1::2], strict=True):
        found.setdefault(name, []).append(value)
    known = [each["id"] for each in _snapshots(repository)]
    if any(parent not in known for parent in found["--parent"]):
        return _fail(1, "failed to load snapshot: no such file or directory")
    name = os.urandom(32).hex()
    size = 0
    for path in map(Path, paths):
        target = repository / name / str(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, ignore=lambda d, names: [
                each for each in names if f"{d}/{each}" in found["--exclude"]
            ])  # fmt: skip
        else:
            shutil.copy2(path, target)
        size += sum(each.stat().st_size for each in [target, *target.rglob("*")] if each.is_file())
    now = datetime.now(UTC)
    summary = {"total_bytes_processed": size, "data_added_packed": size}
    document = {
        "id": name,
        "time": now.isoformat().replace("+00:00", "123Z"),
        "hostname": found["--host"][-1],
        "tags": found["--tag"],
        "paths": paths,
        "summary": summary,
    }
    (repository / f"{now.timestamp():.6f}.snapshot").write_text(json.dumps(document))
    print(json.dumps({"message_type": "summary", "snapshot_id": name} | summary))
    return 0


def _dump(repository: Path, rest: list[str]) -> int:
    sys.stdout.buffer.write((repository / rest[0] / rest[1].lstrip("/")).read_bytes())
    return 0


def _restore(repository: Path, rest: list[str]) -> int:
    import shutil

    snapshot, _, path = rest[0].partition(":")
    shutil.copytree(repository / snapshot / path.lstrip("/"), rest[2], dirs_exist_ok=True)
    return 0


def _ls(repository: Path, rest: list[str]) -> int:
    for path in sorted((repository / rest[0]).rglob("*")):
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
        node = {"message_type": "node", "name": path.name, "mtime": at.replace("+00:00", "123Z")}
        node["path"] = f"/{path.relative_to(repository / rest[0])}"
        node |= {"type": "dir"} if path.is_dir() else {"type": "file", "size": path.stat().st_size}
        print(json.dumps(node))
    return 0


def _forget(repository: Path, rest: list[str]) -> int:
    if (repository / "append-only").exists():  # restic 0.18 ends with status 0 all the same
        print("unable to remove snapshot from the repository", file=sys.stderr)
        return 0
    for path in repository.glob("*.snapshot"):
        if json.loads(path.read_text())["id"] in rest:
            path.unlink()
    return 0


def _nothing(_repository: Path, _rest: list[str]) -> int:
    return 0


_COMMANDS = {
    "snapshots": _list,
    "backup": _backup,
    "dump": _dump,
    "ls": _ls,
    "restore": _restore,
    "forget": _forget,
    "prune": _nothing,
    "check": _nothing,
    "unlock": _nothing,
}

if __name__ == "__main__":
    sys.exit(main())
