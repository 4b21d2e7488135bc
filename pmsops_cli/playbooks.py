# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbooks that are there, and what their opening comments say of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pmsops_cli.exit_status import Stop
from pmsops_cli.project import PROJECT

FOLDER = PROJECT / "playbooks"
# Has a command of its own, and is no scenario.
RESTORE = "restore"
# Those that are listed before the others: what to type first, and a day in its order.
FIRST = ("triage", "premarket", "open", "intraday", "close", "weekly", "monthly")
_EXAMPLE = re.compile(r"^ *ansible-playbook \S+ (-\S.*)$", re.M)
_FIELD = re.compile(r"^# ?([A-Z][a-z]+): +(\S.*)$")


@dataclass(frozen=True)
class Playbook:
    """A playbook: its short name, its file, and its opening comment by field."""

    name: str
    path: Path
    fields: dict[str, str]
    comment: str

    @property
    def confirms(self) -> bool:
        """Tell whether it wants the database's name before it destroys anything."""
        return bool(re.search(r"\bconfirm=", self.comment))

    @property
    def when(self) -> str:
        """Return when to run it, in one line."""
        return self.fields.get("When") or self.comment.strip().split("\n")[0] or self.name

    @property
    def examples(self) -> list[str]:
        """Return the arguments that its examples have."""
        whole = re.sub(r" *\\\n *", " ", self.comment)
        return [match.strip() for match in _EXAMPLE.findall(whole)]


def listed(kind: str, folder: Path = FOLDER) -> list[Playbook]:
    """Return the playbooks `<kind>_*.yml`: FIRST, then in the order of their names."""
    found = [read(path, kind) for path in sorted(folder.glob(f"{kind}_*.yml"))]
    found.sort(key=lambda each: FIRST.index(each.name) if each.name in FIRST else len(FIRST))
    return [each for each in found if not (kind == "dr" and each.name == RESTORE)]


def read(path: Path, kind: str) -> Playbook:
    """Return what one playbook's opening comment says.

    Its fields are lines `# When:  ...`; a line that is indented further goes on with the last one.
    """
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            lines.append(line)
        elif line.strip() not in ("", "---"):
            break
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if match := _FIELD.match(line):
            name = match[1]
            fields[name] = match[2]
        elif name and line.startswith("#   "):
            fields[name] += " " + line[1:].strip()
        else:
            name = ""
    comment = "\n".join(line[1:].removeprefix(" ") for line in lines)
    return Playbook(path.stem.removeprefix(f"{kind}_"), path, fields, comment)


def chosen(kind: str, name: str, folder: Path = FOLDER) -> Playbook:
    """Return the playbook of that name.

    :raises Stop: where there is none.
    """
    found = listed(kind, folder)
    wanted = name.removeprefix(f"{kind}_").removesuffix(".yml").replace("-", "_")
    for playbook in found:
        if playbook.name == wanted:
            return playbook
    names = ", ".join(each.name for each in found) or "none yet"
    noun = {"dr": "scenario", "ops": "time block"}[kind]
    raise Stop(f"There is no {noun} {name}.", f"Known: {names}.")
