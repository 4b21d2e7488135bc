# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parts go back: each former file is kept, each error comes first, and a rollback is exact."""

from __future__ import annotations

import json

import pms_restore_parts
import pytest
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.parts import packs, placing
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.testing import patch_module_args

from tests.support.backup_sets import make_set
from tests.support.parts import SECRET, backup, project
from tests.support.redis_server import Store, redis_server

pyrage = pytest.importorskip("pyrage")
PACK = "pms:morning_pack:2026-11-30"


class Fund:
    """A machine with one encrypted set, and what its operator can ask for."""

    def __init__(self, tmp_path, monkeypatch, capsys):
        self.tmp_path, self.capsys = tmp_path, capsys
        self.folder = project(tmp_path, monkeypatch)
        self.root, self.evidence = tmp_path / "backups", tmp_path / "evidence"
        key = pyrage.x25519.Identity.generate()
        self.recipients = [str(key.to_public())]
        self.identity = tmp_path / "identity"
        self.identity.write_text(str(key))
        self.set, self.parts = backup(tmp_path, recipients=self.recipients)

    def run(self, parts, *, check=False, **options):
        """Run the module; return its result."""
        arguments = {
            "root": str(self.root),
            "keys": str(self.tmp_path / "keys"),
            "evidence_root": str(self.evidence),
            "identity": str(self.identity),
            "parts": parts,
            "_ansible_check_mode": check,
        }
        with patch_module_args(arguments | options), pytest.raises(SystemExit):
            pms_restore_parts.main()
        return json.loads(self.capsys.readouterr().out)

    def before(self):
        """Return the former files that are kept, by the name of what replaced each."""
        found = sorted(self.folder.rglob(f"*{placing.FORMER}*"))
        return {each.name.split(placing.FORMER)[0]: each for each in found}

    def harm(self):
        """Let the machine have other files than the set; return what they are now."""
        (self.folder / ".env").write_text("POSTGRES_PASSWORD=later\n")
        (self.folder / "docker-compose.yml").unlink()


@pytest.fixture
def fund(tmp_path, monkeypatch, capsys):
    return Fund(tmp_path, monkeypatch, capsys)


def test_files_come_back_and_each_former_one_is_kept(fund):
    fund.harm()
    result = fund.run(["compose"])
    assert result["changed"] is True
    assert (fund.folder / ".env").read_text() == f"POSTGRES_PASSWORD={SECRET}\n"
    assert "services:" in (fund.folder / "docker-compose.yml").read_text()
    assert fund.before()[".env"].read_text() == "POSTGRES_PASSWORD=later\n"
    assert result["kept"] == [str(fund.before()[".env"])]
    assert SECRET not in json.dumps(result)
    (line,) = ledger.records(fund.evidence, "restore")
    assert line["record"]["parts"] == ["compose"]
    assert line["record"]["set"] == fund.set.name


def test_a_second_run_changes_nothing(fund):
    fund.harm()
    fund.run(["compose"])
    again = fund.run(["compose"])
    assert again["changed"] is False
    assert len(fund.before()) == 1
    assert len(ledger.records(fund.evidence, "restore")) == 1
    # and the first can still be undone
    fund.run(["compose"], state="rolled_back")
    assert (fund.folder / ".env").read_text() == "POSTGRES_PASSWORD=later\n"


def test_the_plan_names_each_file_and_its_moment_and_writes_nothing(fund):
    fund.harm()
    lines = fund.run(["compose", "grafana"], check=True)["lines"]
    assert lines[0] == "compose, of 2026-11-30T12:00:00Z:"
    assert f"  {fund.folder}/.env: replaces the file there, which is kept beside" in lines
    assert f"  {fund.folder}/docker-compose.yml: new" in lines
    assert "  2 of 2 files are as in the set" in lines
    assert not (fund.folder / "docker-compose.yml").exists()
    assert fund.before() == {}
    assert not (fund.root / sets.STATE / placing.JOURNAL).exists()


def test_a_rollback_brings_back_what_was_there_and_keeps_what_was_changed_since(fund):
    fund.harm()
    fund.run(["compose"])
    (fund.folder / ".env").write_text("POSTGRES_PASSWORD=since\n")
    result = fund.run(["compose"], state="rolled_back")
    assert (fund.folder / ".env").read_text() == "POSTGRES_PASSWORD=later\n"
    assert not (fund.folder / "docker-compose.yml").exists()
    assert fund.before()[".env"].read_text() == "POSTGRES_PASSWORD=since\n"
    assert any("changed since" in each for each in result["lines"])
    assert fund.run(["compose"], state="rolled_back")["code"] == "parts.nothing-to-undo"


def test_a_run_that_was_killed_can_be_undone_and_run_again(fund, monkeypatch):
    fund.harm()
    compose = (fund.folder / "api.env", "X=later\n")
    compose[0].write_text(compose[1])
    real, calls = placing.files.replace, []

    def dies(path, content, **options):
        calls.append(path)
        if len([each for each in calls if each.parent == fund.folder]) == 2:
            raise OSError(28, "No space left on device", str(path))
        real(path, content, **options)

    monkeypatch.setattr(placing.files, "replace", dies)
    assert fund.run(["compose"])["code"] == "disk.full"
    monkeypatch.setattr(placing.files, "replace", real)
    assert fund.run(["compose"])["changed"] is True
    fund.run(["compose"], state="rolled_back")
    assert (fund.folder / ".env").read_text() == "POSTGRES_PASSWORD=later\n"
    assert compose[0].read_text() == compose[1]
    assert not (fund.folder / "docker-compose.yml").exists()


def test_nothing_is_changed_where_a_later_file_cannot_be_read(fund):
    """The parts are read whole before the first file is written."""
    fund.harm()
    damaged = fund.set / fund.parts["compose"]["files"][-1]
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = fund.run(["compose"])
    assert result["code"] == "parts.damaged"
    assert (fund.folder / ".env").read_text() == "POSTGRES_PASSWORD=later\n"


def test_a_damaged_dump_does_not_keep_the_compose_file_from_coming_back(fund):
    dump = fund.set / "app.pgdump" / "toc.dat"
    dump.chmod(0o600)
    dump.write_text("rotten")
    fund.harm()
    assert fund.run(["compose"])["changed"] is True


@pytest.mark.parametrize(
    ("parts", "options", "code"),
    [
        (["redsi"], {}, "parts.unknown"),
        (["redis"], {}, "parts.none"),
        (["compose"], {"identity": None}, "encryption.no-identity"),
        (["redis"], {"state": "rolled_back"}, "parts.no-rollback"),
        (["dagster_storage"], {"state": "rolled_back"}, "parts.unknown"),
        (["grafana"], {"state": "rolled_back"}, "parts.nothing-to-undo"),
    ],
)
def test_each_refusal_has_a_name_and_says_that_nothing_was_changed(fund, parts, options, code):
    result = fund.run(parts, **options)
    assert result["code"] == code
    assert result["remedy"]


def test_a_folder_that_docker_made_in_place_of_a_file_is_named(fund):
    (fund.folder / ".env").unlink()
    (fund.folder / ".env").mkdir()
    assert fund.run(["compose"])["code"] == "parts.in-the-way"


def test_a_set_that_was_forged_is_refused(fund):
    path = fund.set / manifest.NAME
    path.chmod(0o600)
    path.write_text(path.read_text().replace("2026-11-30T12:00:00Z", "2026-11-30T13:00:00Z"))
    assert fund.run(["compose"])["code"].startswith("signing.")


def test_a_set_of_an_older_release_has_no_parts_and_says_so(fund):
    old = make_set(fund.root, fund.tmp_path / "keys", "2026-11-01_0600")
    result = fund.run(["compose"], file=str(old))
    assert result["code"] == "parts.none"
    assert "no parts at all" in result["msg"]


def test_a_link_stays_a_link_to_the_same_file_when_it_is_undone(fund):
    real = fund.folder / "real.env"
    real.write_text("later\n")
    (fund.folder / ".env").unlink()
    (fund.folder / ".env").symlink_to(real)
    fund.run(["compose"])
    assert real.read_text() == "later\n"
    fund.run(["compose"], state="rolled_back")
    assert (fund.folder / ".env").readlink() == real


def test_packs_go_back_into_redis_for_the_rest_of_their_time(fund):
    store = Store()
    store.values, store.lives = {PACK: "{}"}, {PACK: 300}
    with redis_server(store) as redis:
        backup(fund.tmp_path, "2026-11-30_1300", names=("redis",), redis=redis)
        store.values, store.lives = {}, {}
        store.clock += 100
        assert f"  {PACK}: {packs.WRITTEN}" in fund.run(["redis"], redis=redis, check=True)["lines"]
        assert store.values == {}
        assert f"  {PACK}: {packs.WRITTEN}" in fund.run(["redis"], redis=redis)["lines"]
        assert store.lives == {PACK: 200}
        assert fund.run(["redis"], redis=redis)["changed"] is False


def test_a_redis_that_is_down_is_refused_before_any_file_is_written(fund):
    store = Store()
    store.values = {PACK: "{}"}
    with redis_server(store) as redis:
        backup(
            fund.tmp_path,
            "2026-11-30_1300",
            fund.recipients,
            names=("redis", "compose"),
            redis=redis,
        )
    fund.harm()
    assert fund.run(["redis", "compose"], redis=redis)["code"] == "redis.unreachable"
    assert fund.before() == {}


def test_databases_are_named_with_the_set_that_the_manifest_means(fund):
    others = fund.root / sets.OTHERS / "wiki"
    wiki = make_set(others, fund.tmp_path / "keys")
    backup(fund.tmp_path, "2026-11-30_1300", names=("databases",), databases={"wiki": "newest"})
    found = fund.run(["databases"], check=True)
    assert found["databases"] == [{"part": "wiki", "database": "wiki", "file": str(wiki)}]
    undone = fund.run(["wiki"], check=True, state="rolled_back")
    assert undone["databases"] == [{"part": "wiki", "database": "wiki"}]
    document = manifest.read(wiki) | {"host": "another"}
    (wiki / manifest.NAME).chmod(0o600)
    manifest.write(wiki, document, fund.tmp_path / "keys")
    assert fund.run(["wiki"])["code"] == "parts.other-set"
    (wiki / manifest.NAME).unlink()
    assert fund.run(["wiki"])["code"] == "parts.set-gone"


def test_a_restore_of_parts_is_no_restore_of_the_database(fund):
    fund.harm()
    fund.run(["compose"])
    entries = ledger.inspect(fund.evidence).entries
    assert restores._of_restores(entries) == []
