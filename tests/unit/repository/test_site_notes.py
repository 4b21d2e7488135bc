# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The note of the copies on other sites: which site lacks what, and why."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import sets, site_notes

from tests.support.backup_sets import make_set

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
OLDER, NEWEST = "2026-11-21_0600", "2026-11-22_0600"
REFUSED = OpsError("The site refuses.", "Ask its owner.", code="offsite.refused")


@pytest.fixture
def root(tmp_path):
    for name in (OLDER, NEWEST):
        make_set(tmp_path / "backups", tmp_path / "keys", name)
    return tmp_path / "backups"


def assessed(root, name="vault"):
    (found,) = site_notes.assess(root, [name])
    return found


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"sites": [], "accepted": 1}'])
def test_without_a_note_and_with_a_damaged_one_nothing_is_known(root, content):
    if content is not None:
        (sets.state_folder(root) / site_notes.NAME).write_bytes(content)
    assert site_notes.read(root) == {"sites": {}, "accepted": {}}
    assert assessed(root)["behind"] == "this machine uploaded no set of the database yet"


def test_a_site_has_the_newest_set_or_is_behind(root):
    site_notes.done(root, "vault", "upload", {"set": OLDER}, NOW)
    found = assessed(root)
    assert (found["current"], found["upload"]["at"]) == (False, "2026-11-22T07:00:00Z")
    assert found["behind"] == f"it has set {OLDER}, the newest is {NEWEST}"
    site_notes.done(root, "vault", "upload", {"set": NEWEST, "signs": ["older"]}, NOW)
    found = assessed(root)
    assert (found["current"], found["behind"], found["signs"]) == (True, None, ["older"])
    assert not assessed(root, "another")["current"]
    note = root / ".pms-ops" / "offsite.json"
    assert stat.S_IMODE(note.stat().st_mode) == 0o600


def test_a_set_that_was_proved_since_is_behind_without_its_proof(root):
    site_notes.done(root, "vault", "upload", {"set": NEWEST}, NOW)
    sets.mark_verified(root / NEWEST, {})
    assert assessed(root)["behind"] == f"it has set {NEWEST} without its proof"
    site_notes.done(root, "vault", "upload", {"set": NEWEST, "proved": True}, NOW)
    assert assessed(root)["current"]


def test_an_error_stays_until_its_act_succeeds_and_says_why_the_site_is_behind(root):
    site_notes.done(root, "vault", "upload", {"set": OLDER}, NOW)
    for act in ("upload", "check"):
        site_notes.failed(root, "vault", act, REFUSED, NOW)
    found = assessed(root)
    assert found["behind"].endswith("(offsite.refused: The site refuses.)")
    assert found["errors"]["check"] == {
        "at": "2026-11-22T07:00:00Z",
        "code": "offsite.refused",
        "why": "The site refuses.",
        "remedy": "Ask its owner.",
    }
    assert found["upload"]["set"] == OLDER  # what it did before stays
    site_notes.done(root, "vault", "upload", {"set": NEWEST}, NOW)
    found = assessed(root)
    assert (found["current"], list(found["errors"])) == (True, ["check"])
