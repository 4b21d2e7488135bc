# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The arguments of dr_host.yml: none of them reaches a role that it calls."""

from __future__ import annotations

from tests.conftest import PROJECT


def test_the_set_is_not_named_by_an_argument_that_the_restore_reads_too():
    """-e beats what a task passes: -e file=newest made the restore look for a set of that name."""
    texts = [path.read_text() for path in (PROJECT / "roles" / "host").rglob("*.yml")]
    texts.append((PROJECT / "playbooks" / "dr_host.yml").read_text())
    assert not [text for text in texts if "-e file=" in text or "{{ file |" in text]
