"""The documents say what the data says, and what they refer to exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
PAGES = ["GOLIVE_CHECKLIST.md", "OPERATIONAL_RUNBOOK.md", "DR_PLAYBOOK.md"]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


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


def test_the_runbook_has_four_time_blocks_and_the_week():
    text = page("OPERATIONAL_RUNBOOK.md")
    assert "# OPERATIONAL RUNBOOK" in text
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [heading.split()[0] for heading in headings] == [
        "06:00",
        "08:30",
        "Intraday",
        "17:30",
        "Weekly",
    ]


def test_the_disaster_playbook_has_five_scenarios_and_the_procedure():
    text = page("DR_PLAYBOOK.md")
    assert "# DISASTER RECOVERY" in text
    assert len(re.findall(r"^## Scenario \d", text, re.MULTILINE)) >= 5
    assert "## The restore procedure" in text
    assert "scripts/restore.sh" in text


@pytest.mark.parametrize("name", ["../README.md", *PAGES])
def test_every_link_to_a_file_leads_somewhere(name):
    here = (PROJECT / "docs" / name).resolve()
    links = [link for link in LINK.findall(here.read_text("utf-8")) if "://" not in link]
    assert links
    assert [link for link in links if not (here.parent / link).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_playbook_and_script_that_a_page_names_exists(name):
    named = set(re.findall(r"(?:playbooks/|scripts/)[a-z_]+\.(?:yml|sh)", page(name)))
    assert named
    assert [path for path in sorted(named) if not (PROJECT / path).exists()] == []
