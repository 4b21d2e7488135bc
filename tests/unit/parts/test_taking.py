# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parts go into the set: encrypted as it is, no secret in plain text, and never at its cost."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.parts import packs, storage
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets
from ansible.module_utils.pmsops.services import docker_engine
from jsonschema import Draft202012Validator

from tests.conftest import PROJECT
from tests.support.backup_sets import make_set
from tests.support.parts import SECRET, backup, project
from tests.support.redis_server import Store, redis_server

pyrage = pytest.importorskip("pyrage")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A Compose project with secrets in its files, and an engine that knows it."""
    return project(tmp_path, monkeypatch)


def test_a_set_has_its_parts_and_is_checked_with_them(tmp_path, folder):
    there, parts = backup(tmp_path)
    checked = sets.check(sets.resolve(there), tmp_path / "keys")
    assert checked["files"] == 1 + len(parts["compose"]["files"]) + len(parts["grafana"]["files"])
    entries = json.loads((there / parts["grafana"]["files"][0]).read_text())["entries"]
    stored = {each["path"]: each["stored"] for each in entries if "stored" in each}
    risk = folder / "grafana" / "dashboards" / "risk.json"
    assert (there / stored[str(risk)]).read_bytes() == risk.read_bytes()
    assert parts["grafana"]["read_at"] == "2026-11-30T12:00:00Z"


@pytest.mark.parametrize("harm", ["missing", "changed", "surplus"])
def test_a_file_of_a_part_that_is_missing_changed_or_surplus_is_refused(tmp_path, folder, harm):
    there, parts = backup(tmp_path)
    path = there / parts["compose"]["files"][1]
    path.chmod(0o600)
    if harm == "missing":
        path.unlink()
    elif harm == "changed":
        path.write_bytes(path.read_bytes()[::-1])
    else:
        path.with_name("99999").write_text("more")
    with pytest.raises(OpsError) as caught:
        sets.check(sets.resolve(there), tmp_path / "keys")
    assert caught.value.code == "set.damaged"


def test_no_secret_is_in_a_set_that_is_not_encrypted_and_each_is_named(tmp_path, folder):
    there, parts = backup(tmp_path)
    assert all(SECRET.encode() not in each.read_bytes() for each in files_of(there))
    left_out = [each.split(":")[0] for each in parts["compose"]["left_out"]]
    assert left_out == [str(folder / ".env"), str(folder / "api.env")]
    assert parts["grafana"]["left_out"] == [
        f"{folder}/grafana/datasource.yml: line 1 looks like a secret, and the set is not encrypted"
    ]
    assert parts["compose"]["count"] == 2  # the Compose file, and what Redis mounts
    (line,) = [each for each in set_parts.texts({"parts": parts}) if each.startswith("grafana")]
    assert "copy on each site of offsite_repositories" in line
    assert "backup_recipients" in line


def test_an_encrypted_set_has_the_secrets_and_none_in_plain_text(tmp_path, folder):
    key = pyrage.x25519.Identity.generate()
    there, parts = backup(tmp_path, recipients=[str(key.to_public())])
    assert all(SECRET.encode() not in each.read_bytes() for each in files_of(there))
    assert parts["compose"]["left_out"] == parts["grafana"]["left_out"] == []
    (tmp_path / "identity").write_text(str(key))
    listing = storage.read(there, parts["compose"]["files"][0], tmp_path / "identity")
    stored = {each["path"]: each["stored"] for each in json.loads(listing)["entries"]}
    found = storage.read(there, stored[str(folder / ".env")], tmp_path / "identity")
    assert found == (folder / ".env").read_bytes()


def test_an_encrypted_file_that_is_as_before_is_shared_with_the_set_before(tmp_path, folder):
    recipients = [str(pyrage.x25519.Identity.generate().to_public())]
    first, _ = backup(tmp_path, "2026-11-30_1200", recipients)
    (folder / "api.env").write_text("X=another one\n")
    second, parts = backup(tmp_path, "2026-11-30_1300", recipients, [first])
    shared = [name for name in parts["compose"]["files"] if (second / name).stat().st_nlink > 1]
    own = set(parts["compose"]["files"]) - set(shared)
    assert len(own) == 2  # the file that changed, and the list with its size
    third, _ = backup(
        tmp_path,
        "2026-11-30_1400",
        [str(pyrage.x25519.Identity.generate().to_public())],
        [first, second],
    )
    assert all(each.stat().st_nlink == 1 for each in files_of(third) if "parts" in str(each))


def test_a_damaged_file_of_the_set_before_is_not_taken_over(tmp_path, folder):
    key = pyrage.x25519.Identity.generate()
    first, parts = backup(tmp_path, "2026-11-30_1200", [str(key.to_public())])
    damaged = first / parts["compose"]["files"][1]
    damaged.chmod(0o600)
    damaged.write_bytes(b"rotten")
    damaged.chmod(0o400)
    second, parts = backup(tmp_path, "2026-11-30_1300", [str(key.to_public())], [first])
    assert pyrage.decrypt((second / parts["compose"]["files"][1]).read_bytes(), [key])


def test_a_redis_that_is_down_costs_its_part_and_not_the_set(tmp_path):
    there, parts = backup(
        tmp_path, names=("redis",), redis={"host": "127.0.0.1", "port": 1, "password": SECRET}
    )
    assert "did not answer" in parts["redis"]["not_taken"]
    assert SECRET not in parts["redis"]["not_taken"]
    assert parts["redis"]["files"] == []
    assert sets.check(sets.resolve(there), tmp_path / "keys")
    assert set_parts.warnings({"parts": parts})[0].startswith(
        "Part redis is not in the set: Redis at"
    )


def test_the_packs_of_redis_are_in_the_set(tmp_path):
    store = Store()
    store.values = {"pms:morning_pack:2026-11-30": "{}"}
    with redis_server(store) as options:
        there, parts = backup(tmp_path, names=("redis",), redis=options)
    assert parts["redis"]["count"] == 1
    assert b"2026-11-30" in (there / "parts" / packs.NAME).read_bytes()


def test_a_docker_engine_that_is_down_costs_its_parts_and_not_the_set(tmp_path, monkeypatch):
    def fail():
        raise OpsError("The Docker Engine does not answer.", "Start it.", code="clients.engine")

    monkeypatch.setattr(docker_engine, "engine", fail)
    _, parts = backup(tmp_path)
    assert {each["not_taken"] for each in parts.values()} == {"The Docker Engine does not answer."}


def test_no_file_of_this_machine_is_taken_for_a_project_of_another_one(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setenv(docker_engine.ENGINE_OF, "ssh://ops@fund3")
    _, parts = backup(tmp_path)
    assert len(parts) == 2
    assert all("ssh://ops@fund3" in each["not_taken"] for each in parts.values())


def test_a_set_names_the_sets_of_other_databases_by_id_and_hash(tmp_path):
    others = tmp_path / "backups" / sets.OTHERS
    contents = {"public.runs": {"rows": 1}, "public.event_logs": {"rows": 2}}
    dagster = make_set(others / "dagster_storage", tmp_path / "keys", contents=None)
    document = manifest.read(dagster) | {"contents": contents}
    (dagster / manifest.NAME).chmod(0o600)
    manifest.write(dagster, document, tmp_path / "keys")
    _, parts = backup(
        tmp_path,
        names=("databases",),
        databases={"dagster_storage": dagster.name, "wiki": "", "metabase": "newest"},
    )
    assert set(parts) == {"dagster", "wiki"}  # of metabase there is no set yet
    assert parts["dagster"]["set"] == dagster.name
    assert parts["dagster"]["manifest_sha256"] == sets.resolve(dagster).manifest_sha256
    assert "its own backup failed" in parts["wiki"]["not_taken"]


def test_the_manifest_says_of_parts_what_its_published_schema_says(tmp_path, folder):
    dagster = make_set(tmp_path / "backups" / sets.OTHERS / "dagster_storage", tmp_path / "keys")
    _, parts = backup(
        tmp_path,
        names=set_parts.TAKEN,
        redis={"host": "127.0.0.1", "port": 1},
        databases={"dagster_storage": dagster.name, "wiki": ""},
    )
    assert set(parts) == {"dagster_storage", "wiki", "redis", "grafana", "compose"}
    published = json.loads((PROJECT / "docs" / "schemas" / "manifest.schema.json").read_text())
    validator = Draft202012Validator(published["properties"]["parts"])
    assert [each.message for each in validator.iter_errors(parts)] == []
    assert set_parts.FIELD not in published["required"]


def files_of(folder):
    return [path for path in folder.rglob("*") if path.is_file()]
