# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a manifest: whole and of a known version, or refused with the reason."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest

from tests.support.backup_sets import make_set


@pytest.fixture
def folder(tmp_path):
    return make_set(tmp_path / "backups", tmp_path / "keys")


def rewrite(folder, change):
    path = folder / manifest.NAME
    document = json.loads(path.read_text())
    changed = change(document)
    path.chmod(0o600)
    path.write_text(json.dumps(document if changed is None else changed))


def refusal(folder):
    with pytest.raises(OpsError) as caught:
        manifest.read(folder)
    return caught.value


def test_a_folder_without_a_manifest_is_no_set(tmp_path):
    assert refusal(tmp_path).code == "manifest.missing"


def test_what_is_no_json_is_unreadable(folder):
    (folder / manifest.NAME).chmod(0o600)
    (folder / manifest.NAME).write_text("{")
    assert refusal(folder).code == "manifest.unreadable"


@pytest.mark.parametrize("name", manifest.REQUIRED)
def test_a_manifest_that_lacks_a_field_is_refused_by_its_name(folder, name):
    rewrite(folder, lambda document: document.pop(name) and None)
    error = refusal(folder)
    assert error.code == "manifest.unreadable"
    assert name in str(error)


def test_json_that_is_no_object_is_refused(folder):
    rewrite(folder, lambda document: ["a", "list"])
    assert refusal(folder).code == "manifest.unreadable"


@pytest.mark.parametrize(
    ("field", "value"),
    [("schema_version", 4), ("schema_version", None), ("fingerprint_formula", 4)],
)
def test_a_version_of_the_future_is_refused_and_names_what_is_read(folder, field, value):
    rewrite(folder, lambda document: document.update({field: value}))
    error = refusal(folder)
    assert error.code == "manifest.version"
    assert "versions 1 to 3, formulas 1 to 3" in str(error)


def test_sets_of_the_first_schema_have_the_first_formula(folder):
    document = manifest.read(folder)
    assert document["schema_version"] == 1
    assert manifest.formula(document) == 1


def test_the_rows_of_a_set_are_those_of_its_tables():
    contents = {"public.a": {"rows": 3}, "public.b": {"rows": 4}}
    assert manifest.rows({"contents": contents}) == 7
