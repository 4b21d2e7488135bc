# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every client tool has in common, wherever it runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.client_tools.base import ClientTools

TEXT = b"first\nsecond\n\nlast, without an end"


class Tools(ClientTools):
    """Tools whose output comes in blocks of a size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.stopped = False

    def start(self, _tool, _args, **options):
        assert options == {"stream": True, "folders": {}}
        return SimpleNamespace(
            output=lambda: (TEXT[at : at + self.size] for at in range(0, len(TEXT), self.size)),
            wait=lambda: 3,
            errors=lambda: "said",
            stop=lambda: setattr(self, "stopped", True),
        )

    def version(self, _tool):
        return "17"


@pytest.mark.parametrize("size", [1, 5, 6, 7, 100])
def test_lines_are_whole_whatever_the_blocks_are(size):
    tools = Tools(size)
    assert tools.capture_lines("echo", [], list, folders={}) == (
        3,
        TEXT.splitlines(keepends=True),
        "said",
    )
    assert tools.stopped


def test_the_tool_is_stopped_where_its_lines_are_refused():
    tools = Tools(5)
    with pytest.raises(ValueError, match="invalid literal"):
        tools.capture_lines("echo", [], lambda lines: [int(each) for each in lines], folders={})
    assert tools.stopped
