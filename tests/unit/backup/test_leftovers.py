# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What killed runs left behind goes with the next run, of a moment too."""

from __future__ import annotations

from ansible.module_utils.pmsops.backup import leftovers
from ansible.module_utils.pmsops.postgresql.connection import Database


def test_the_next_set_of_a_moment_removes_the_parts_of_killed_ones(tmp_path):
    """They stayed until the next backup; nothing answers at this address, and nobody asks it."""
    (tmp_path / ".partial-2026-11-29_2237").mkdir()
    (tmp_path / ".partial-2026-11-29_2237" / "toc.dat").write_bytes(b"x")
    whole = tmp_path / "2026-11-29_2236"
    whole.mkdir()
    nowhere = Database(host="127.0.0.1", port=1, name="pms", user="u")
    assert leftovers.clean(tmp_path, nowhere, copy=True) == [".partial-2026-11-29_2237"]
    assert list(tmp_path.iterdir()) == [whole]
