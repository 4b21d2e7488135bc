# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A new machine from a copy: planned, fetched, placed, and the lost one kept from writing."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pms_host
import pms_offsite_info
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.offsite import surroundings
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.recovery import new_host, new_host_files, new_host_plan
from ansible.module_utils.pmsops.repository import sets, signing
from ansible.module_utils.pmsops.services import project_files
from ansible.module_utils.testing import patch_module_args

from tests.support.backup_sets import make_set
from tests.unit.offsite.conftest import Fund, fund, program

__all__ = ["fund", "program"]


@pytest.fixture
def site(fund):
    """A fund whose site has a proved set with what surrounds the database."""
    (fund.folder / "pms.env").write_text("TOKEN=1\n")
    found = project_files.Found()
    found.add(fund.folder / "pms.env", "of a test")
    surroundings.gather(fund.root, found, {}, [], keys_folder=fund.folder / "keys", check=False)
    sets.mark_verified(fund.make_set("2026-11-28_0115"), {})
    fund.call("present")
    assert fund.site("uploaded")["ok"]
    return fund


@pytest.fixture
def new(site, tmp_path):
    """An empty machine with the password and the trusted keys."""
    folder = tmp_path / "new"
    (folder / "keys").mkdir(parents=True)
    shutil.copytree(site.folder / "keys" / "trusted", folder / "keys" / "trusted")
    return Fund(folder, site.capsys, site.program)


def step(site, new, state, **more):
    options = {
        "root": str(new.root),
        "evidence_root": str(new.folder / "evidence"),
        "keys": str(new.folder / "keys"),
    }
    with (
        patch_module_args(site.options(state=state, **(options | more))),
        pytest.raises(SystemExit),
    ):
        pms_host.main()
    return json.loads(site.capsys.readouterr().out)


def test_a_machine_on_which_a_system_is_already_is_refused_by_name(site):
    for state in ("planned", "fetched"):
        result = step(site, site, state)
        assert result["code"] == "host.occupied"
        assert "2026-11-28_0115" in result["msg"]


def test_without_a_trusted_key_nothing_is_fetched(site, new):
    shutil.rmtree(new.folder / "keys" / "trusted")
    assert step(site, new, "fetched")["code"] == "host.no-keys"
    assert not new.root.exists()


def test_the_plan_says_what_will_be_there_and_fetches_nothing(site, new):
    plan = step(site, new, "planned")
    assert plan["set"] == "2026-11-28_0115"
    assert "pms.env" in " ".join(plan["will"])
    assert "committed after" in plan["cannot"][0]
    assert not sets.listed(new.root)
    assert not (new.root / ".pms-ops" / "host.json").exists()
    assert not (new.folder / "evidence").exists()


def test_set_and_evidence_are_fetched_once_and_the_lost_machine_is_kept_from_writing(site, new):
    lines = (site.folder / "evidence" / "ledger.jsonl").read_bytes()
    assert step(site, new, "fetched")["changed"]
    assert (new.root / "2026-11-28_0115" / "manifest.json").is_file()
    assert (new.folder / "evidence" / "ledger.jsonl").read_bytes() == lines
    assert not step(site, new, "fetched")["changed"]
    for state in ("uploaded", "tried"):
        assert site.site(state, strict=False)["code"] == "system.replaced"
    (seen,) = site.call("", pms_offsite_info, ask=True)["copies"]
    assert "Another machine took this system over" in seen["replaced"]
    ours = {"root": str(new.root), "evidence_root": str(new.folder / "evidence")}
    assert site.site("uploaded", **ours)["ok"]


def test_the_files_of_the_new_machine_s_keys_are_named(site, new):
    """The run spoke of a folder, in which the keys of the lost machine are, too."""
    step(site, new, "fetched")
    keys = new.folder / "keys"
    own = signing.key_id(signing.raw_public(signing.load_or_create(keys)))
    known = step(site, new, "noted", step="sites")
    assert known["new_keys"][0] == f"{keys}/trusted/{own}.pub"
    evidence = new.folder / "evidence"
    ledger.append(evidence, "backup", {"set": "y"}, now=datetime.now(UTC), keys=keys)
    of_ledger = ledger.inspect(evidence).key
    known = step(site, new, "noted", step="sites")
    assert known["new_keys"][1] == f"{keys}/trusted/ledger/{of_ledger}.pub"


def test_the_plan_names_the_folders_of_many_files_and_how_many_more():
    """Four files of some hundred were named."""
    paths = [f"/opt/pms/{folder:02}/{name}" for folder in range(12) for name in "ab"]
    files = {"files": [{"path": each, "stored": "x"} for each in paths]}
    chosen = SimpleNamespace(archive=None, why="", needs="")
    there = Copy("s", "fund", datetime.now(UTC), "set", set="x", taken_at="2026-11-28T01:15:00Z")
    images = {"here": [], "to_pull": [], "lost": []}
    seen = new_host_plan.Seen({"vault": [there]}, datetime.now(UTC))
    will, _ = new_host_plan.lines(there, "vault", {}, files, {}, images, chosen, seen)
    (line,) = [each for each in will if each.startswith("24 files")]
    assert "/opt/pms/00 (2), " in line and "/opt/pms/09 (2), and 2 more folders" in line


def test_a_fetch_that_was_killed_goes_on_with_the_same_copy(site, new):
    site.fault("restore", {"status": 1, "said": "killed", "keep": True})
    assert "code" in step(site, new, "fetched")
    sets.mark_verified(site.make_set("2026-11-29_0115"), {})
    assert site.site("uploaded")["ok"]
    assert step(site, new, "fetched")["changed"]
    assert (new.root / "2026-11-28_0115").is_dir()
    assert not (new.root / "2026-11-29_0115").exists()


def test_files_are_put_where_they_were_and_none_is_overwritten(site, new):
    step(site, new, "fetched")
    path = site.folder / "pms.env"
    path.write_text("TOKEN=another\n")
    refused = step(site, new, "placed")
    assert refused["code"] == "host.file-differs"
    assert str(path) in refused["msg"]
    assert path.read_text() == "TOKEN=another\n"
    path.unlink()
    assert step(site, new, "placed")["changed"]
    assert path.read_text() == "TOKEN=1\n"


def test_the_end_is_in_the_ledger_with_the_sets_that_were_lost(site, new):
    step(site, new, "fetched")
    assert step(site, new, "finished")["changed"]
    entries = (new.folder / "evidence" / "ledger.jsonl").read_text().splitlines()
    last = json.loads(entries[-1])
    assert last["kind"] == "host"
    assert last["record"]["set"] == "2026-11-28_0115"
    assert json.loads(entries[-2])["record"]["removed"] == ["x"]


ROLE = {"login": True, "superuser": False}
ROLES = {
    "macro_user": ROLE,
    "dagster_user": ROLE,
    "pms_ops": ROLE,
    "postgres": ROLE | {"superuser": True},
    "readers": ROLE | {"login": False},
}


def test_roles_that_would_have_no_password_end_the_run_before_anything_is_done(site, new):
    """The PMS of a new machine could not log in, which was found out after the restore."""
    sets.mark_verified(site.make_set("2026-11-29_0115", roles=ROLES), {})
    assert site.site("uploaded")["ok"]
    known = {"known_roles": ["pms_ops", "dagster_user"]}
    plan = step(site, new, "planned", _ansible_check_mode=True, **known)
    assert plan["roles_without_password"] == ["macro_user"]
    assert plan["cannot"][-1] == ("passwords of the roles macro_user: set restore_role_passwords")
    refused = step(site, new, "planned", **known)
    assert refused["code"] == "host.no-passwords"
    assert "macro_user" in refused["msg"] and "host_without_passwords" in refused["remedy"]
    assert not sets.listed(new.root)
    assert not (new.root / ".pms-ops" / "host.json").exists()
    assert "code" not in step(site, new, "planned", without_passwords=True, **known)
    plan = step(site, new, "planned", known_roles=[*known["known_roles"], "macro_user"])
    assert plan["roles_without_password"] == []
    assert "passwords" not in " ".join(plan["cannot"])


NO_PARTS = new_host_files.Parts(Path("set"), {}, {})


def document(tmp_path, content=b"x"):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "0").write_bytes(content)
    entry = {"path": str(tmp_path / "there"), "mode": 0o600, "uid": 0, "gid": 0}
    stored = entry | {"stored": "files/0", "bytes": 1}
    return {"files": [stored], "encrypted": False, "sha256": {"files/0": "0" * 64}}


def test_a_file_that_differs_from_the_signed_list_is_not_placed(tmp_path):
    with pytest.raises(OpsError) as caught:
        new_host_files.place(tmp_path, document(tmp_path), NO_PARTS, None)
    assert caught.value.code == "host.file-damaged"
    assert not (tmp_path / "there").exists()


def test_a_list_that_somebody_changed_is_refused(site, new):
    step(site, new, "fetched")
    note = new.root / ".pms-ops" / "host-fetched" / "pms" / "system" / "system.json"
    changed = json.loads(note.read_text())
    changed["files"][0]["path"] = "/etc/cron.d/intruder"
    note.write_text(json.dumps(changed))
    assert step(site, new, "placed")["code"] == "signing.invalid"
    with pytest.raises(OpsError):
        signing.check(changed, new.folder / "keys")


def test_images_that_no_registry_has_are_named_before_anything_is_done():
    images = {
        "pms:1": {"digests": []},
        "redis:8": {"digests": ["redis@sha256:1"]},
        "grafana": {"digests": []},
    }
    here = SimpleNamespace(tags=["grafana:latest"])
    engine = SimpleNamespace(images=SimpleNamespace(list=lambda: [here]))
    found = new_host_plan.images(engine, {"images": images})
    assert found == {"here": ["grafana"], "to_pull": ["redis:8"], "lost": ["pms:1"]}


def test_the_new_machine_may_copy_the_sets_of_another_database_too(site, new):
    """It was refused as the lost one, and Dagster's database was in no copy from then on."""
    step(site, new, "fetched")
    folder = new.root / sets.OTHERS / "dagster_storage"
    make_set(folder, new.folder / "keys", "2026-11-29_0115")
    ours = {"root": str(folder), "evidence_root": str(new.folder / "evidence")}
    done = site.site("uploaded", other_database="dagster_storage", **ours)
    assert done["ok"], done


class Killed(BaseException):
    """What SIGKILL leaves: nothing after it is run."""


# Where a step is killed: the module's function, and after how many calls of it.
KILLS = {
    "while the evidence comes": ("fetched", "shutil.copytree", 0),
    "before the set is in its place": ("fetched", "_put", 0),
    "after the set is in its place": ("fetched", "_put", 1),
    "before the mark on the site": ("fetched", "NewHost.take_over", 0),
    "after the mark on the site": ("fetched", "NewHost.take_over", 1),
    "between two files": ("placed", "new_host_files.files.replace", 1),
    "before the ledger's line": ("finished", "ledger.append", 1),
    "after the ledger's line": ("finished", "shutil.rmtree", 0),
}


@pytest.mark.nightly
@pytest.mark.parametrize(("killed", "target", "calls"), KILLS.values(), ids=KILLS)
def test_a_step_that_was_killed_is_whole_the_next_time(site, new, killed, target, calls):
    """A run that was killed after the ledger's line wrote it a second time."""
    (site.folder / "more.env").write_text("MORE=1\n")
    found = surroundings.Found()
    for name in ("pms.env", "more.env"):
        found.add(site.folder / name, "of a test")
    surroundings.gather(site.root, found, {}, [], keys_folder=site.folder / "keys", check=False)
    sets.mark_verified(site.make_set("2026-11-29_0115"), {})
    assert site.site("uploaded")["ok"]
    written = [site.folder / name for name in ("pms.env", "more.env")]
    for state in ("fetched", "placed", "finished"):
        if state == "placed":
            for path in written:
                path.unlink()
        if state == killed:
            with pytest.MonkeyPatch.context() as patch:
                _kill(patch, target, calls)
                with pytest.raises(Killed):
                    step(site, new, state)
            assert state not in step(site, new, "planned")["done"]
        assert step(site, new, state)["changed"], state
    assert [path.read_text() for path in written] == ["TOKEN=1\n", "MORE=1\n"]
    assert [path.name for path in sets.listed(new.root)] == ["2026-11-29_0115"]
    evidence = new.folder / "evidence"
    kinds = [each["kind"] for each in ledger.inspect(evidence).entries]
    assert kinds.count("host") == 1
    assert not ledger.verify(evidence)
    assert not (new.root / ".pms-ops" / "host-fetched").exists()
    marks = [call for call in site.calls() if "kind=replaced" in call["argv"]]
    assert len(marks) == 1


def _kill(patch, target, calls):
    """Let the function of new_host.py end the process when it is called, or has been so often."""
    holder = new_host
    *path, name = target.split(".")
    for each in path:
        holder = getattr(holder, each)
    real, left = getattr(holder, name), [calls]

    def dying(*arguments, **options):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        done = real(*arguments, **options)
        if left[0] == 0 and name in ("take_over", "_put"):
            raise Killed
        return done

    patch.setattr(holder, name, dying)
