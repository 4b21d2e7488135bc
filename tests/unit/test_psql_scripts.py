# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""psql (17 to 19) ends with 0 although statements of its file or its input failed.

With `-1 -f` it ends with 0 although the one transaction was rolled back: nothing is there.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT

# A file or standard input: only `-c` has an exit status of its own.
READS = re.compile(
    r"""\bpsql\b"? [^\n|;]*?(?:(?<=\s)-\w*f\s*\S|--file[= ]|(?<=\s)<<?\s*['"$/\w])"""
    r"""|\|\s*(?:docker\s+exec\s(?:-\S+\s+)+\S+\s+)?"?(?:\S*/)?psql"?\s+-"""
)
STOPS = "ON_ERROR_STOP"
# Roles that are there are errors, and the others have to be made; the page says to read the output.
GOES_ON = "psql -X -U postgres -f globals.sql"
# They run docs/database-rights.sql alone, as it says itself, and it sets the variable itself.
AS_DOCUMENTED = ("test_host_installation.py", "test_lab.py")


def files() -> Iterator[Path]:
    """Yield the tracked files that can start a psql; a page is read by people and typed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        path = PROJECT / name
        if path.suffix in (".py", ".yml", ".sh", ".j2", ".md") and path.is_file():
            yield path


def careless(text: str) -> list[str]:
    """Return the commands that run on after an error."""
    joined = text.replace("\\\n", " ")
    return [
        line.strip()
        for line in joined.splitlines()
        if (found := READS.search(line))
        # What comes before is of another program, or of the environment: PGOPTIONS has a -c, too.
        and not any(each in line[found.start() :] for each in (STOPS, GOES_ON, " -c "))
    ]


def lists_of_yaml(value: Any) -> Iterator[list[str]]:
    """Yield the lists of words in a YAML document."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from lists_of_yaml(each)


def lists_of_python(text: str) -> Iterator[list[str]]:
    """Yield the lists in a Python file with the words that they spell out."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.List, ast.Tuple)):
            yield [each.value for each in node.elts
                   if isinstance(each, ast.Constant) and isinstance(each.value, str)]  # fmt: skip


def careless_lists(lists: Iterable[list[str]]) -> list[list[str]]:
    """Return the lists that start a psql which reads a file or its input and ignores errors.

    A list with an option alone is a command: others are names of programs.
    """
    found = []
    for words in lists:
        after = words[words.index("psql") + 1 :] if "psql" in words else []
        if not any(word.startswith("-") for word in after):
            continue
        if not any(STOPS in word or re.match(r"-\w*c|--command", word) for word in after):
            found.append(words)
    return found


def listed(path: Path) -> Iterable[list[str]]:
    text = path.read_text(encoding="utf-8")
    if "psql" not in text:
        return []
    if path.suffix == ".py":
        return lists_of_python(text)
    # Tags such as !vault stand for no list.
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda *_: None)
    return (each for page in yaml.load_all(text, loader) for each in lists_of_yaml(page))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("psql -X -f schema.sql", True),
        ("psql -Xqf schema.sql", True),
        ("psql --file=schema.sql -d x", True),
        ("psql -d x <<'SQL'", True),
        ("zstdcat globals.sql.zst | psql -d postgres", True),
        ("PGOPTIONS='-c a=b -c c=d' psql -d x <<'SQL'", True),
        ("psql -X -v ON_ERROR_STOP=1 -f schema.sql", False),
        ("psql -Xc 'SELECT 1'", False),
        ('psql -d x -F " " -c "SELECT 1"', False),
    ],
)
def test_the_rule_sees_files_and_standard_input_alone(line, found):
    assert bool(careless(line)) is found


def test_every_script_for_psql_stops_at_its_first_error():
    # The page about the behaviour itself, and the data that it is rendered from.
    skipped = Path(__file__).name, "CHANGELOG.md", "COMPATIBILITY.md", "compatibility.yml"
    found = {
        str(path.relative_to(PROJECT)): lines
        for path in files()
        if path.name not in skipped and not path.is_relative_to(PROJECT / "findings")
        if (lines := careless(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("argv: [docker, exec, x, psql, -X, -f, a.sql]", True),
        ("argv: [psql, --no-psqlrc, --dbname=x]\nstdin: SELECT 1", True),
        ("argv: [psql, --set=ON_ERROR_STOP=1, --dbname=x]", False),
        ("argv: [psql, -XAtc, SELECT 1]", False),
        ("argv: [psql, -X, '--command=SELECT 1']", False),
        ("tools: [pg_dump, psql]", False),
    ],
)
def test_the_rule_sees_commands_that_are_lists(text, found):
    assert bool(careless_lists(lists_of_yaml(yaml.safe_load(text)))) is found
    argv = yaml.safe_load(text).popitem()[1] if "stdin" not in text else ["psql", "--dbname=x"]
    assert bool(careless_lists(lists_of_python(f"run({argv!r})"))) is found


def test_every_command_for_psql_that_is_a_list_stops_at_its_first_error():
    found = {
        str(path.relative_to(PROJECT)): lists
        for path in files()
        if path.suffix in (".py", ".yml") and path.name not in (Path(__file__).name, *AS_DOCUMENTED)
        if (lists := careless_lists(listed(path)))
    }
    assert found == {}
