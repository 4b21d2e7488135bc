# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""psql (17 to 19) ends with 0 although statements of its file or its input failed.

With `-1 -f` it ends with 0 although the one transaction was rolled back: nothing is there.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

# A file or standard input: only `-c` has an exit status of its own.
READS = re.compile(
    r"""\bpsql\b"? [^\n|;]*?(?:(?<=\s)-\w*f\s*\S|--file[= ]|(?<=\s)<<?\s*['"$/\w])"""
    r"""|\|\s*(?:docker\s+exec\s(?:-\S+\s+)+\S+\s+)?"?(?:\S*/)?psql"?\s+-"""
)
STOPS = "ON_ERROR_STOP"
# Roles that are there are errors, and the others have to be made; the page says to read the output.
GOES_ON = "psql -X -U postgres -f globals.sql"


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
        if READS.search(line) and not any(each in line for each in (STOPS, GOES_ON, " -c "))
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("psql -X -f schema.sql", True),
        ("psql -Xqf schema.sql", True),
        ("psql --file=schema.sql -d x", True),
        ("psql -d x <<'SQL'", True),
        ("zstdcat globals.sql.zst | psql -d postgres", True),
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
