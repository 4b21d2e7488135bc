# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands of the documents, triage, and disasters of the PMS, its book and its pipeline.

All on one lab, since start and end of a lab take forty seconds. A block of commands below a
comment ``<!-- run: TEXT -->`` is run, page by page and in order; it has to succeed and to say TEXT.
A block whose commands a later block has, too, is not run: that one has to say the texts of both.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.molecule.conftest import (
    ENVIRONMENT,
    LABS,
    PIPELINED,
    PLAYBOOK,
    PROJECT,
    lab_name,
    play,
    today,
)
from tests.molecule.deep_parts import DEEP_PARTS, block, other_parts, scenarios
from tests.molecule.documents import PROTECTED_PAGE, TIMEOUT_SECONDS, blocks, type_block

LAB = lab_name("moleculepms")
SMALL = "--extra-vars=lab_scale=0.1"


Block = tuple[str, list[str], str]


def typed(commands: str) -> list[str]:
    """Return the commands of a block as they are on PATH, without what is said about them."""
    return [
        line.partition("  #")[0].strip().removeprefix("scripts/") for line in commands.splitlines()
    ]


def different_blocks() -> list[Block]:
    """Return the blocks with all that they have to say; not those in a later one, nor PITR.md's."""
    found: list[Block] = []
    for page, said, commands in reversed(blocks()):
        if page == PROTECTED_PAGE:
            continue
        longer = [each for each in found if set(typed(commands)) <= set(typed(each[2]))]
        if longer:
            longer[0][1].append(said)
        else:
            found.insert(0, (page, [said], commands))
    return found


def run(playbook, environment, *arguments):
    done = subprocess.run(
        [PLAYBOOK, playbook, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.fixture(scope="module")
def started(shared_labs):
    """A lab with a set in its backups."""
    shared_labs[LAB] = today()
    environment = ENVIRONMENT | PIPELINED | {"PMS_LAB_INSTANCE": LAB, "ANSIBLE_NOCOLOR": "1"}
    run("playbooks/lab.yml", environment, SMALL)
    # As after a first go-live: no other database has a set yet.
    run("playbooks/backup.yml", environment, "--extra-vars={backup_other_databases: []}")
    return environment


@pytest.fixture
def lab(started, shared_labs):
    """The lab, with the data that it has to have today."""
    if shared_labs[LAB] != today():
        shared_labs[LAB] = today()
        run("playbooks/lab.yml", started, SMALL)
    return started


def test_every_page_that_an_operator_types_from_has_blocks_that_are_run():
    assert {page for page, _said, _commands in blocks()} == {
        "README.md",
        *(
            f"docs/{name}.md"
            for name in (
                *("BACKUPS", "DR_PLAYBOOK", "OPERATIONAL_RUNBOOK", "PITR", "RESTORE"),
                "WITHOUT_PMS_OPS",
            )
        ),
    }


# What a playbook says if the lab is healthy; then it changes nothing.
HEALTHY = ("No scenario fits", "Healthy, nothing was changed")


def test_each_disaster_that_takes_no_arguments_is_documented_on_a_healthy_system():
    healthy = "".join(commands for _page, said, commands in blocks() if said in HEALTHY)
    for name in ("triage", "database", "redis", "pipeline", "api", "disk", "bad_backup"):
        assert f"pms-ops dr {name}\n" in healthy


def test_each_act_has_one_way_to_be_typed_and_the_others_are_in_one_appendix():
    """Four ways for one act, three of them in one block: issue 18, D."""
    for name in ("BACKUPS", "DR_PLAYBOOK", "OPERATIONAL_RUNBOOK", "RESTORE"):
        text = (PROJECT / f"docs/{name}.md").read_text("utf-8")
        commands = "".join(re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.M | re.S))
        others = re.findall(r"^(?:ansible-playbook|scripts/|make ).*", commands, re.M)
        assert others == [], name
    appendix = (
        (PROJECT / "docs/REFERENCE.md").read_text("utf-8").partition("## The same by Ansible")
    )
    for word in ("backup", "drill", "verify", "restore", "rollback", "hold", "golive", "dr", "ops"):
        assert f"| `pms-ops {word}" in appendix[2], word


@pytest.mark.parametrize(
    ("page", "said", "commands"),
    [block(each) for each in different_blocks()],
    ids=[f"{b[0]}: {b[2].splitlines()[0]}" for b in different_blocks()],
)
def test_a_block_does_what_its_page_says(lab, page, said, commands):
    output = type_block(lab, LAB, page, said[0], commands)
    assert [text for text in said if text not in output] == []
    if set(said) & set(HEALTHY):
        if log := re.search(r" log (\S+\.log)", output):  # pms-ops says it in one line
            output += " ".join(Path(log[1]).read_text().split())
        assert " changed=0 " in output and " failed=0 " in output


def test_triage_names_each_disaster_and_no_other(started, shared_labs):
    play("dr_triage", shared_labs, parts="quick")


DISASTERS = [name for name in LABS[LAB] if name != "dr_triage"]


@pytest.mark.parametrize("scenario", scenarios(DISASTERS))
def test_a_disaster_is_recovered_from(scenario, shared_labs):
    play(scenario, shared_labs, parts="quick" if scenario in DEEP_PARTS else None)


@pytest.mark.parametrize("scenario", other_parts([*DISASTERS, "dr_triage"]))
def test_a_disaster_is_recovered_from_in_its_other_forms(scenario, shared_labs):
    play(scenario, shared_labs, parts="deep")


def test_both_parts_of_a_scenario_are_run_and_no_disaster_is_in_neither():
    def imports(path):
        return re.findall(r"^  import_playbook: (\S+)$", path.read_text(), re.M)

    for folder in sorted((PROJECT / "molecule").glob("*/")):
        files = {path.name for path in folder.glob("*.yml")}
        has = {"quick.yml", "deep.yml"} & files
        if folder.name not in {*DEEP_PARTS, "default"} - {"dr_triage"}:  # which has rows
            assert not has, folder
            continue
        (whole,) = re.findall(r"{PMS_TEST_PARTS:-(\w+)}", (folder / "molecule.yml").read_text())
        assert imports(folder / f"{whole}.yml") == ["quick.yml", "deep.yml"]
        known = {"create.yml", "destroy.yml", "molecule.yml", "verify.yml", f"{whole}.yml"}
        parts = [*imports(folder / "quick.yml"), *imports(folder / "deep.yml")]
        assert {*parts} - {"verify.yml"} == files - has - known, folder


def test_no_scenario_is_left_out():
    assert {
        lab_name("moleculekilled"): ["dr_killed"],
        lab_name("moleculepitr"): ["dr_pitr"],
        lab_name("moleculehost"): ["dr_host"],
    }.items() <= LABS.items()
    own = ("moleculedr", "moleculekilled", "moleculepitr", "moleculehost")
    assert set(LABS) == {*(lab_name(each) for each in own), LAB}
    assert "dr_triage" in LABS[LAB]
    assert "default" in LABS[lab_name("moleculedr")]
