"""Checklists and results for the tests of the gate and of its evidence."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from typing import Any

from ansible.module_utils.pmsops.checks import gate
from ansible.module_utils.pmsops.checks.probes.context import Settings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TRUE = {"path": "rc", "eq": 0}
WAIVER = {
    "check": "waived",
    "who": "Ana <script>alert(1)</script>",
    "when": "2026-11-20",
    "until": "2026-12-01",
    "why": "Planned & agreed for Thursday",
}
VOUCHED = {"check": "person", "who": "Carla", "when": "2026-11-20", "why": "Reviewed the limits"}
STATEMENTS = {"waivers": [WAIVER], "attestations": [VOUCHED]}


def item(name: str, probe: str = "command", **fields: Any) -> dict[str, Any]:
    """Return an item of a checklist; a command that succeeds unless told otherwise."""
    found: dict[str, Any] = {
        "id": name,
        "section": "first",
        "title": f"Title of {name}",
        "severity": "blocker",
        "owner": "platform",
        "remedy": f"Mend {name} with `mend`.",
        "probe": probe,
    }
    if probe == "command":
        found |= {"params": {"argv": ["true"]}, "expect": [TRUE]}
    return found | fields


def broken(name: str, **fields: Any) -> dict[str, Any]:
    """Return an item that fails."""
    return item(name, params={"argv": ["false"]}, **fields)


def document(*items: dict[str, Any]) -> dict[str, Any]:
    """Return a checklist of these items."""
    sections = [{"id": "first", "title": "First <section>"}, {"id": "second", "title": "Second"}]
    return {"version": 1, "title": "A checklist", "sections": sections, "checks": list(items)}


def run(*items: dict[str, Any], settings: dict[str, Any] | None = None, **options: Any) -> Any:
    """Run a gate over these items."""
    whole = Settings(now=NOW, **(settings or {}))
    return gate.run(document(*items), whole, gate.Options(**options))


@cache
def _mixed() -> dict[str, Any]:
    hostile = item(
        "hostile",
        section="second",
        params={"argv": ["printf", "<img src=x onerror=alert(1)>\\x01\\n|`"]},
        expect=[{"path": "stdout", "eq": "x"}],
    )
    return run(
        item("fine"),
        broken("root"),
        item("leaf", needs=["root"]),
        item("leaf2", needs=["leaf"], severity="warning"),
        broken("waived"),
        item("person", "attest"),
        hostile,
        attestations=STATEMENTS,
    )


def mixed() -> dict[str, Any]:
    """Return a no-go with every status in it. The gate runs once: it starts eight processes."""
    return deepcopy(_mixed())
