# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds the database goes along: found by its containers, encrypted as sets are."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.offsite import surroundings
from ansible.module_utils.pmsops.repository import signing
from ansible.module_utils.pmsops.services import project_files

pyrage = pytest.importorskip("pyrage")


@pytest.fixture
def project(tmp_path):
    """A Compose project: its folder, and an engine that knows its container."""
    folder = tmp_path / "pms"
    (folder / "grafana").mkdir(parents=True)
    (folder / "grafana" / "risk.json").write_text("{}")
    (folder / "docker-compose.yml").write_text(
        "services: {api: {image: pms:1, env_file: [api.env]}}\nsecrets: {jwt: {file: jwt.key}}\n"
    )
    for name in (".env", "api.env", "jwt.key"):
        (folder / name).write_text(f"SECRET_OF={name}\n")
    container = SimpleNamespace(
        name="macro_api",
        labels={
            "com.docker.compose.service": "api",
            "com.docker.compose.project.working_dir": str(folder),
            "com.docker.compose.project.config_files": str(folder / "docker-compose.yml"),
        },
        attrs={
            "Config": {"Image": "pms:1"},
            "Image": "sha256:1",
            "Mounts": [
                {"Type": "bind", "Source": str(folder / "grafana"), "Destination": "/g"},
                {"Type": "bind", "Source": "/proc/self", "Destination": "/host/proc"},
                {"Type": "volume", "Name": "pms_data", "Destination": "/data"},
            ],
        },
    )
    engine = SimpleNamespace(
        containers=SimpleNamespace(list=lambda **_: [container]),
        images=SimpleNamespace(get=lambda _: SimpleNamespace(attrs={"RepoDigests": []})),
    )
    return folder, engine


def gathered(tmp_path, engine, recipients=(), check=False):
    found = project_files.of_project(engine, "pms")
    root = tmp_path / "backups"
    changed, document = surroundings.gather(
        root, found, {}, list(recipients), keys_folder=tmp_path / "keys", check=check
    )
    return changed, document, root / ".pms-ops" / "offsite" / "system"


def test_compose_files_with_all_that_they_name_and_mounts_are_found(tmp_path, project):
    folder, engine = project
    _, document, copy = gathered(tmp_path, engine)
    paths = {each["path"] for each in document["files"] if "bytes" in each}
    names = ("docker-compose.yml", ".env", "api.env", "jwt.key", "grafana/risk.json")
    assert paths == {str(folder / name) for name in names}
    assert document["images"]["pms:1"]["digests"] == []
    assert document["volumes"]["pms_data"]["services"] == ["api"]
    stored = {each["path"]: each["stored"] for each in document["files"] if "bytes" in each}
    assert (copy / stored[str(folder / ".env")]).read_text() == "SECRET_OF=.env\n"
    note = json.loads((copy / "system.json").read_text())
    assert document.items() <= note.items()
    assert signing.check(note, tmp_path / "keys")


def test_nothing_secret_is_plain_where_sets_are_encrypted_and_nothing_is_written_twice(
    tmp_path, project
):
    folder, engine = project
    key = pyrage.x25519.Identity.generate()
    recipients = [str(key.to_public())]
    changed, _, copy = gathered(tmp_path, engine, recipients)
    assert changed
    before = {path.name: path.read_bytes() for path in (copy / "files").iterdir()}
    assert all(b"SECRET_OF" not in each for each in before.values())
    assert b"SECRET_OF" not in (copy / "system.json").read_bytes()
    assert not gathered(tmp_path, engine, recipients)[0]
    (folder / "api.env").write_text("SECRET_OF=another\n")
    assert gathered(tmp_path, engine, recipients)[0]
    after = {path.name: path.read_bytes() for path in (copy / "files").iterdir()}
    (other,) = (name for name in before if before[name] != after[name])
    assert pyrage.decrypt(after[other], [key]) == b"SECRET_OF=another\n"


def test_a_folder_of_data_is_named_and_not_copied(tmp_path, project, monkeypatch):
    folder, engine = project
    monkeypatch.setattr(project_files, "MOST_FILES", 0)
    _, document, _ = gathered(tmp_path, engine)
    assert any(str(folder / "grafana") in each for each in document["left_out"])


def test_check_mode_writes_nothing(tmp_path, project):
    changed, _, copy = gathered(tmp_path, project[1], check=True)
    assert changed
    assert not copy.exists()
