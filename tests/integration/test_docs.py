"""The documents say what the data says, and what they refer to exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT

PAGES = ["GOLIVE_CHECKLIST.md", "OPERATIONAL_RUNBOOK.md", "DR_PLAYBOOK.md"]
# Every page that a person may land on.
ALL = sorted(
    str(path.relative_to(PROJECT))
    for pattern in ("*.md", "docs/*.md", "roles/*/README.md")
    for path in PROJECT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)
# O(option), V(value) and the like, which only ansible-doc understands, whole or half replaced.
MARKUP = re.compile(r"(?<![\w$`])(?:RV|[A-Z])[(`](?=[\w./<*-])")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# A path of the PMS, with what stands for a parameter in it.
API_PATH = re.compile(r"/(?:api/v1|health)(?:/[A-Za-z0-9_{}.-]+)*")
OPENAPI = "import json; from main import app; print(json.dumps(sorted(app.openapi()['paths'])))"


def page(name: str) -> str:
    return (PROJECT / "docs" / name).read_text(encoding="utf-8")


def test_rendering_again_changes_no_document():
    playbook = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [playbook, "--inventory=localhost,", "--check", "--diff", "playbooks/docs.yml"],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"changed=0 ", done.stdout), f"run `make docs`:\n{done.stdout}"


def test_the_checklist_has_six_sections_and_a_box_for_each_check():
    data = yaml.safe_load((PROJECT / "roles/golive/files/checklist.yml").read_text("utf-8"))
    text = page("GOLIVE_CHECKLIST.md")
    assert "# GO-LIVE CHECKLIST" in text
    assert len(re.findall(r"^## \d\. ", text, re.MULTILINE)) == len(data["sections"]) >= 6
    boxes = re.findall(r"^- \[ \] .*?\(`([^`]+)`", text, re.MULTILINE)
    assert sorted(boxes) == sorted(check["id"] for check in data["checks"])
    assert len(boxes) >= 25
    assert "scripts/backup.sh" in text


def test_the_runbook_has_the_blocks_of_the_day_the_week_and_the_month():
    text = page("OPERATIONAL_RUNBOOK.md")
    assert "# OPERATIONAL RUNBOOK" in text
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:6] == [
        "06:00 Pre-market",
        "08:30 Open",
        "09:00 to 17:00 Intraday",
        "17:30 Close",
        "Friday Weekly",
        "first business day Monthly",
    ]


def test_the_disaster_playbook_has_five_scenarios_and_the_procedure():
    text = page("DR_PLAYBOOK.md")
    assert "# DISASTER RECOVERY" in text
    assert len(re.findall(r"^## Scenario \d", text, re.MULTILINE)) >= 5
    assert "## The restore procedure" in text
    assert "scripts/restore.sh" in text


def slugs(path: Path) -> set[str]:
    """Return the anchors of a page, as the forge makes them of its headings."""
    found: dict[str, int] = {}
    for heading in HEADING.findall(FENCE.sub("", path.read_text("utf-8"))):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{n}" if n else slug for slug, most in found.items() for n in range(most + 1)}


@pytest.mark.parametrize("name", ALL)
def test_every_link_and_anchor_leads_somewhere(name):
    here = PROJECT / name
    dead = []
    for target, anchor in LINK.findall(here.read_text("utf-8")):
        if "://" in target:
            continue
        path = (here.parent / target).resolve() if target else here
        if not path.exists() or (anchor and anchor[1:] not in slugs(path)):
            dead.append(target + anchor)
    assert dead == []


@pytest.mark.parametrize("name", ALL)
def test_every_command_that_a_page_names_exists(name):
    text = (PROJECT / name).read_text("utf-8")
    files = set(re.findall(r"\b(?:playbooks/|scripts/)[a-z_-]+(?:\.(?:yml|sh|py))?\b", text))
    files |= set(re.findall(r"ansible-playbook (?:-i \S+ )?([a-z_/]+\.yml)", text))
    # What ends in an underscore was followed by a wildcard.
    files = {path for path in files if not path.endswith("_")}
    missing = [path for path in sorted(files) if not (PROJECT / path).exists()]
    # A page may name a playbook without its folder.
    missing = [path for path in missing if not (PROJECT / "playbooks" / path).exists()]
    assert missing == []
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?<![\w-])make ([a-z-]+)\b(?=[`\n ]*(?:`|\n|#))", text)) <= targets


def test_every_file_that_the_page_for_contributors_names_exists():
    text = FENCE.sub("", (PROJECT / "CONTRIBUTING.md").read_text("utf-8"))
    named = {
        path
        for path in re.findall(r"`(?:pytest )?([a-z][\w.-]*/[\w./-]*)[`: ]", text)
        # Capitals stand for a name; releases are made, not kept.
        if not re.search(r"[A-Z]{3,}", path) and not path.startswith("dist/")
    }
    assert len(named) > 30
    homes = (PROJECT, PROJECT / "module_utils/pmsops")
    assert [
        path for path in sorted(named) if not any((home / path).exists() for home in homes)
    ] == []


@pytest.mark.parametrize("name", ALL)
def test_no_page_shows_the_markup_of_ansible_doc(name):
    text = FENCE.sub("", (PROJECT / name).read_text("utf-8"))
    assert [line for line in text.splitlines() if MARKUP.search(line)] == []


@pytest.fixture(scope="module")
def served(images) -> list[re.Pattern[str]]:
    """The paths that the lab's PMS serves, as patterns."""
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--network=none", "--workdir=/srv/pms"),
            *("--env=PYTHONDONTWRITEBYTECODE=1", "--env=JWT_SECRET_KEY=of-no-account-here"),
            f"--volume={PROJECT}/roles/lab/files/pms:/srv/pms:ro",
            *("--entrypoint=python3", "pms-lab/api:1", "-c", OPENAPI),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    paths = json.loads(done.stdout.splitlines()[-1])
    return [re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path))) for path in paths]


@pytest.mark.parametrize("name", ALL)
def test_every_path_of_the_pms_that_a_page_names_is_served(name, served):
    found = {path.rstrip("./") for path in API_PATH.findall((PROJECT / name).read_text("utf-8"))}
    found = {path for path in found if path != "/api/v1"}
    # What ends in a wildcard names all routes below it.
    missing = [
        path
        for path in sorted(found)
        if not any(each.fullmatch(path) or each.fullmatch(path + "/") for each in served)
        and not any(each.pattern.startswith(re.escape(path)) for each in served)
    ]
    assert missing == []


@pytest.mark.parametrize("name", ALL)
def test_no_section_is_empty_and_nothing_is_left_to_be_filled_in(name):
    text = (PROJECT / name).read_text("utf-8")
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX|lorem ipsum)\b", text)
    sections = re.split(r"^#{1,6} .*$", FENCE.sub("```", text), flags=re.MULTILINE)[1:]
    levels = [len(marks) for marks in re.findall(r"^(#{1,6}) ", FENCE.sub("", text), re.MULTILINE)]
    for number, section in enumerate(sections):
        deeper = number + 1 < len(levels) and levels[number + 1] > levels[number]
        assert section.strip() or deeper, f"section {number + 1} of {name} is empty"


def test_what_scenario_9_types_by_hand_starts_containers_with_the_compose_of_the_clone(
    images, tmp_path
):
    """`docker compose` was unknown on a machine on which `make setup` had said "ready"."""
    by_hand = page("DR_PLAYBOOK.md").partition("\n## Scenario 9: ")[2].partition("\n## ")[0]
    assert "`docker compose up" not in by_hand
    typed = re.findall(r"`(\.venv/bin/docker-compose [^`]*)`", by_hand)
    assert [each.partition(".yml ")[2].split()[0] for each in typed] == ["up"] * 3
    service = {"image": "pms-lab/redis:8", "command": ["sleep", "600"], "entrypoint": ""}
    there = tmp_path / "pms-docs-by-hand" / "docker-compose.yml"
    there.parent.mkdir()
    there.write_text(yaml.safe_dump({"services": dict.fromkeys(("timescaledb", "redis"), service)}))
    compose = str(Path(sys.executable).with_name("docker-compose"))

    def run(words: list[str]) -> str:
        done = subprocess.run(
            words, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    asked = [compose, "--file", str(there)]
    try:
        states = []
        for each in typed:
            words = each.replace("/opt/macro_trading/docker-compose.yml", str(there)).split()
            run([compose, *words[1:]])
            listed = run([*asked, "ps", "--all", "--format", "{{.State}}"])
            states.append(sorted(set(listed.split())))
        assert states == [["created"], ["running"], ["running"]]
    finally:
        run([*asked, "down", "--timeout", "0"])
