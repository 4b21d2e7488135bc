# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for restic that needs no time: a repository is a folder, a snapshot a copy in it.

What it does wrong is in ``faults.json`` of the repository: for each command a list of answers, used
up one by one, ``{"status": 11, "said": "...", "sleep": 0, "keep": true}``. Each call leaves a line
with its arguments and environment in ``calls.jsonl``. tests/integration/test_offsite.py runs the
same acts by the real program.

tests/unit/offsite/conftest.py makes the program of it, which says the version. Tests call it many
hundred times, and each is a process: to import json and pathlib would take longer than the rest.
"""

from __future__ import annotations

import os
import sys
from _json import encode_basestring_ascii

FLAGS = ("--json", "--no-cache", "--no-lock", "--no-scan")


def main() -> int:
    """Answer one call."""
    arguments = [each for each in sys.argv[1:] if each not in FLAGS]
    while arguments and arguments[0] in ("-o", "--cacert"):
        del arguments[:2]
    command, *rest = arguments
    repository = os.environ["RESTIC_REPOSITORY"]
    folder = repository if os.path.isdir(repository) else os.path.dirname(repository)
    with open(f"{folder}/calls.jsonl", "a", encoding="utf-8") as stream:
        stream.write(_json({"argv": sys.argv[1:], "env": dict(os.environ)}) + "\n")
    fault = _fault(folder, command)
    print(fault.get("before", ""), end="", file=sys.stderr, flush=True)
    if fault.get("sleep"):
        import time

        time.sleep(fault["sleep"])
    if fault.get("status") and not fault.get("keep"):
        return _fail(fault["status"], fault.get("said", ""))
    given = _read(os.environ["RESTIC_PASSWORD_FILE"])
    if command == "init":
        os.mkdir(repository)
        with open(f"{repository}/password", "w", encoding="utf-8") as stream:
            stream.write(given)
        print(_json({"message_type": "initialized"}))
        return 0
    if not os.path.isfile(f"{repository}/password"):
        return _fail(10, "Fatal: repository does not exist")
    if _read(f"{repository}/password") != given:
        return _fail(12, "Fatal: wrong password or no key found")
    answer = _COMMANDS[command](repository, rest)
    return _fail(fault["status"], fault.get("said", "")) if fault.get("status") else answer


def _json(value: object) -> str:
    """Return a text, a number, or a list or dictionary of such, as JSON."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(key)}: {_json(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return encode_basestring_ascii(value) if isinstance(value, str) else str(value)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def _fault(folder: str, command: str) -> dict:
    path = f"{folder}/faults.json"
    if not os.path.isfile(path):
        return {}
    import json

    faults = json.loads(_read(path))
    found = faults[command].pop(0) if faults.get(command) else {}
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(faults, stream)
    return found


def _fail(status: int, said: str) -> int:
    document = {"message_type": "exit_error", "code": status, "message": said}
    print(_json(document), file=sys.stderr)
    return status


def _snapshots(repository: str) -> list[str]:
    """Return the snapshots' files, from the oldest."""
    names = sorted(name for name in os.listdir(repository) if name.endswith(".snapshot"))
    return [f"{repository}/{name}" for name in names]


def _list(repository: str, _rest: list[str]) -> int:
    print("[" + ", ".join(map(_read, _snapshots(repository))) + "]")
    return 0


def _known(repository: str) -> dict[str, str]:
    """Return the file of each snapshot by its id."""
    import json

    return {json.loads(_read(path))["id"]: path for path in _snapshots(repository)}


def _backup(repository: str, rest: list[str]) -> int:
    import shutil
    from datetime import UTC, datetime

    options, paths = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    found = {"--tag": [], "--host": [""], "--exclude": [], "--parent": []}
    for name, value in zip(options[::2], options[1::2], strict=True):
        found.setdefault(name, []).append(value)
    if found["--parent"] and not set(found["--parent"]) <= set(_known(repository)):
        return _fail(1, "failed to load snapshot: no such file or directory")
    name = os.urandom(32).hex()
    size = 0
    for path in paths:
        target = f"{repository}/{name}/{path.lstrip('/')}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(path):
            shutil.copytree(path, target, ignore=lambda d, names: [
                each for each in names if f"{d}/{each}" in found["--exclude"]
            ])  # fmt: skip
        else:
            shutil.copy2(path, target)
            size += os.path.getsize(target)
        for inner, _folders, names in os.walk(target):
            size += sum(os.path.getsize(f"{inner}/{each}") for each in names)
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
    with open(f"{repository}/{now.timestamp():.6f}.snapshot", "w", encoding="utf-8") as stream:
        stream.write(_json(document))
    print(_json({"message_type": "summary", "snapshot_id": name} | summary))
    return 0


def _dump(repository: str, rest: list[str]) -> int:
    with open(f"{repository}/{rest[0]}/{rest[1].lstrip('/')}", "rb") as stream:
        sys.stdout.buffer.write(stream.read())
    return 0


def _restore(repository: str, rest: list[str]) -> int:
    import shutil

    snapshot, _, path = rest[0].partition(":")
    shutil.copytree(f"{repository}/{snapshot}/{path.lstrip('/')}", rest[2], dirs_exist_ok=True)
    return 0


def _ls(repository: str, rest: list[str]) -> int:
    from datetime import UTC, datetime

    root = f"{repository}/{rest[0]}"
    found = [
        f"{inner}/{name}" for inner, folders, names in os.walk(root) for name in (*folders, *names)
    ]
    for path in sorted(found, key=lambda each: each.split("/")):
        about = os.stat(path)
        at = datetime.fromtimestamp(about.st_mtime, UTC).isoformat()
        node = {"message_type": "node", "name": os.path.basename(path)}
        node |= {"mtime": at.replace("+00:00", "123Z"), "path": path.removeprefix(root)}
        kind = {"type": "dir"} if os.path.isdir(path) else {"type": "file", "size": about.st_size}
        print(_json(node | kind))
    return 0


def _forget(repository: str, rest: list[str]) -> int:
    if os.path.exists(f"{repository}/append-only"):  # restic 0.18 ends with status 0 all the same
        print("unable to remove snapshot from the repository", file=sys.stderr)
        return 0
    for name, path in _known(repository).items():
        if name in rest:
            os.unlink(path)
    return 0


def _nothing(_repository: str, _rest: list[str]) -> int:
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
