# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore is asked for, what it requires, and whether it is needed at all."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import psycopg2
import pytest
from ansible.module_utils.pmsops.client_tools import archive_contents, archive_toc
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.restore import data_loss, plan, registry, requirements
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.verify import database as comparison

from tests.support.backup_sets import make_set
from tests.support.fake_server import Server

LIVE = "pms"


@pytest.fixture
def folder(tmp_path):
    """A set of a database with one table."""
    made = make_set(tmp_path / "backups", tmp_path / "keys")
    document = {k: v for k, v in manifest.read(made).items() if k != "signature"}
    document |= {
        "contents": {"public.book": {"rows": 5, "fingerprint": "00"}},
        "server": {"size_bytes": 1000, "version_num": 170012, "system_identifier": "7"},
        "phases": {"dump and fingerprint": 2.0},
    }
    (made / manifest.NAME).unlink()
    manifest.write(made, document, tmp_path / "keys")
    return made


@pytest.fixture
def request_(tmp_path, folder):
    return Request(root=folder.parent, keys=tmp_path / "keys")


def test_the_set_is_looked_up_once(request_, folder, tmp_path, monkeypatch):
    chosen = request_.backup_set
    assert chosen.path == folder
    make_set(folder.parent, tmp_path / "keys", "2026-11-23_0600")
    assert request_.backup_set is chosen
    assert replace(request_).backup_set.id == "2026-11-23_0600"
    assert replace(request_, file=folder / "app.pgdump").backup_set.path == folder
    digest = files.sha256(folder / manifest.NAME)
    assert chosen.manifest_sha256 == digest
    monkeypatch.setattr(files, "sha256", lambda path: pytest.fail("it was read again"))
    assert chosen.manifest_sha256 == digest


def test_a_bare_dump_is_a_set_without_folder_manifest_or_digest(request_, tmp_path):
    dump = tmp_path / "naive.pgdump"
    dump.write_bytes(b"PGDMP...")
    chosen = replace(request_, file=dump).backup_set
    assert (chosen.naive, chosen.path, chosen.id) == (True, dump, "naive.pgdump")
    assert (chosen.encrypted, chosen.manifest_sha256) == (False, None)


def test_the_duration_is_estimated_from_the_last_proof_else_from_the_dump(request_, folder):
    assert request_.expected_seconds() == 6.0
    sets.mark_verified(folder, {"duration_seconds": 4.0, "size_bytes": 500})
    assert request_.expected_seconds() == 8.0


def test_an_encrypted_file_needs_an_identity(request_, tmp_path):
    identity = tmp_path / "identity"
    assert replace(request_, identity=identity).identity_for(tmp_path) == identity
    with pytest.raises(OpsError) as caught:
        request_.identity_for(tmp_path / "x.age")
    assert caught.value.code == "encryption.no-identity"


# --- Requirements ---------------------------------------------------------------------------------


def test_a_set_requires_roles_of_owners_jobs_and_settings():
    document = {
        "database_name": LIVE,
        "server": {"version_num": 170012, "size_bytes": 1000},
        "facts": {
            "schemas": {"tools": {"owner": "keeper"}},
            "extensions": {"timescaledb": {"schema": "tools", "version": "2.1"}},
            "jobs": {"1000": {"owner": "worker"}},
        },
        "database": {"settings": {"": ["a=b"], "reader": ["c=d"]}},
        "required_roles": ["owner"],
    }
    backup_set = sets.BackupSet(dump=SimpleNamespace(), folder=None, manifest=document)
    found = requirements.of_set(backup_set)
    assert found.roles == {"owner", "worker", "reader"}
    assert found.server_major == 17
    assert found.extensions["timescaledb"]["owner"] == "keeper"
    assert found.system_identifier is None
    with pytest.raises(ValueError, match="no manifest"):
        requirements.of_set(sets.BackupSet(dump=SimpleNamespace()))


def test_a_bare_dump_requires_what_it_says():
    contents = archive_contents.Contents(
        roles={"reader"},
        owner="owner",
        timescaledb_version="2.1",
        extensions={"timescaledb": "public", "pg_trgm": "public"},
    )
    toc = archive_toc.Contents(lines=(), database=LIVE, server_major=17)
    found = requirements.of_archive(toc, contents)
    assert found.roles == {"reader", "owner"}
    assert found.extensions["timescaledb"]["version"] == "2.1"
    assert found.extensions["pg_trgm"]["version"] is None
    assert found.described["owner"] == "owner"


# --- Plans ----------------------------------------------------------------------------------------


def test_a_live_database_that_matches_needs_no_restore(request_, folder, monkeypatch):
    monkeypatch.setattr(comparison, "matches", lambda database, document: True)
    found = plan.result_if_matching(Server(LIVE).database(LIVE), request_)
    assert (found["set"], found["rows"], found["side"]) == (str(folder), 5, None)
    assert found["manifest_sha256"] == request_.backup_set.manifest_sha256


def test_a_match_counts_only_for_a_set_whose_files_are_whole(request_, folder, monkeypatch):
    monkeypatch.setattr(comparison, "matches", lambda database, document: True)
    (folder / "a.csv").chmod(0o600)
    (folder / "a.csv").write_text("id\n2\n")
    with pytest.raises(OpsError) as caught:
        plan.result_if_matching(Server(LIVE).database(LIVE), request_)
    assert caught.value.code == "set.damaged"


@pytest.mark.parametrize(
    "answer", [False, OpsError("gone", "Look.", code="database.missing"), psycopg2.DataError("x")]
)
def test_a_database_that_differs_or_cannot_be_read_needs_the_restore(request_, monkeypatch, answer):
    def matches(_database, _document):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(comparison, "matches", matches)
    assert plan.result_if_matching(Server(LIVE).database(LIVE), request_) is None


def test_the_signature_is_checked_before_the_manifest_is_believed(request_, folder, monkeypatch):
    monkeypatch.setattr(comparison, "matches", lambda *args: pytest.fail("it was believed"))
    path = folder / manifest.NAME
    path.chmod(0o600)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"database_name": "other"}))
    with pytest.raises(OpsError) as caught:
        plan.result_if_matching(Server(LIVE).database(LIVE), request_)
    assert caught.value.code.startswith("signing.")


def test_a_bare_dump_matches_nothing(request_, tmp_path):
    dump = tmp_path / "naive.pgdump"
    dump.write_bytes(b"PGDMP...")
    request = replace(request_, file=dump)
    assert plan.result_if_matching(Server(LIVE).database(LIVE), request) is None


def checked(self):
    """Stand in for the preflight, which needs client tools and a server."""
    self.required = SimpleNamespace(size_bytes=1000)
    self.server = SimpleNamespace(notes=["a note"])
    self.staging = "pms__restore_20261123060000"
    self.verified = "signature and every file"


def known(_self, _tools, dump):
    """Stand in for the reading of the dump, which needs client tools."""
    assert dump.exists()


def test_a_plan_names_what_would_be_made_lost_and_kept(request_, monkeypatch):
    monkeypatch.setattr(StagedRestore, "check", checked)
    monkeypatch.setattr(StagedRestore, "require_known_parameters", known)
    monkeypatch.setattr(data_loss, "estimate", lambda *args, **options: {"text": "3 rows of book"})
    server = Server(LIVE)
    server.add("pms__before_20261101000000", 5, {"is": registry.FORMER, "of": LIVE})
    found = plan.plan_restore(server.database(LIVE), request_, ["book"])
    assert found["side"] == "pms__restore_20261123060000"
    assert found["former"] == ["pms__before_20261101000000"]
    assert (found["live_exists"], found["lost"]) == (True, "3 rows of book")
    assert (found["tables"], found["rows"], found["duration_seconds"]) == (1, 5, 6.0)
    assert found["notes"] == ["a note"]


def test_a_plan_without_a_live_database_loses_nothing(request_, monkeypatch):
    monkeypatch.setattr(StagedRestore, "check", checked)
    monkeypatch.setattr(StagedRestore, "require_known_parameters", known)
    found = plan.plan_restore(Server("postgres").database(LIVE), request_)
    assert (found["live_exists"], found["lost"]) == (False, None)


def test_what_a_bare_dump_would_lose_is_unknown(request_, tmp_path, monkeypatch):
    monkeypatch.setattr(StagedRestore, "check", checked)
    monkeypatch.setattr(StagedRestore, "require_known_parameters", known)
    dump = tmp_path / "naive.pgdump"
    dump.write_bytes(b"PGDMP...")
    found = plan.plan_restore(Server(LIVE).database(LIVE), replace(request_, file=dump))
    assert "without a manifest" in found["lost"]
    assert (found["tables"], found["rows"], found["snapshot_at"]) == (None, None, None)
