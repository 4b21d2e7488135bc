# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checklist as data: reading it, and refusing an item that could not fail."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks import expectations, probes
from ansible.module_utils.pmsops.common.errors import OpsError

SEVERITIES = ("blocker", "warning", "info")
DEFAULT_TIMEOUT_SECONDS = 5.0
LONGEST_TIMEOUT_SECONDS = 600.0
MOST_RETRIES = 10
REQUIRED = ("id", "section", "title", "severity", "owner", "remedy", "probe")
FIELDS = frozenset(
    {*REQUIRED, "params", "expect", "needs", "timeout", "retries", "retry_delay", "window", "doc"}
)
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True)
class Check:
    """One item of the checklist."""

    id: str
    section: str
    title: str
    severity: str
    owner: str
    remedy: str
    probe: str
    params: dict[str, Any] = field(default_factory=dict)
    expect: tuple[dict[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    retries: int = 0
    retry_delay: float = 0.5
    window: str | None = None
    doc: str = ""


@dataclass(frozen=True)
class Checklist:
    """All items in their order, the sections, and the digest that evidence names it by."""

    title: str
    sections: dict[str, str]
    checks: tuple[Check, ...]
    sha256: str

    def only(self, wanted: list[str], ids: list[str] | None = None) -> Checklist:
        """Return the checklist of these sections or items, and what these need elsewhere.

        :raises OpsError: gate.section, gate.check
        """
        if unknown := sorted(set(wanted) - set(self.sections)):
            raise OpsError(
                f"The checklist has no section {', '.join(unknown)}.",
                f"golive_sections takes {', '.join(self.sections)}.",
                code="gate.section",
            )
        by_id = {check.id: check for check in self.checks}
        if unknown := sorted(set(ids or ()) - set(by_id)):
            raise OpsError(
                f"The checklist has no check {', '.join(unknown)}.",
                "roles/golive/files/checklist.yml holds the ids.",
                code="gate.check",
            )
        if not wanted and not ids:
            return self
        kept = {check.id for check in self.checks if check.section in wanted} | set(ids or ())
        queue = list(kept)
        while queue:
            for need in by_id[queue.pop()].needs:
                if need not in kept:
                    kept.add(need)
                    queue.append(need)
        checks = tuple(check for check in self.checks if check.id in kept)
        return Checklist(self.title, self.sections, checks, self.sha256)


def load(source: Any) -> Checklist:
    """Return the checklist of a mapping, or of the YAML or JSON file that *source* names.

    :raises OpsError: gate.checklist, with every problem that was found.
    """
    document = read_document(source, "gate.checklist")
    problems = list(_problems(document))
    if problems:
        raise OpsError(
            "The checklist cannot be used: " + "; ".join(problems[:20]) + ".",
            "Correct the checklist; nothing was checked.",
            code="gate.checklist",
        )
    text = json.dumps(document, sort_keys=True, default=str, ensure_ascii=False)
    return Checklist(
        title=document.get("title", "Checklist"),
        sections={section["id"]: section["title"] for section in document["sections"]},
        checks=tuple(_check(item) for item in document["checks"]),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def read_document(source: Any, code: str) -> Any:
    """Return a mapping as it is, or what a YAML or JSON file says: its path, or its text.

    :raises OpsError: *code*
    """
    if not isinstance(source, str):
        return source
    is_text = "\n" in source
    path = Path("the text that was given") if is_text else Path(source).expanduser()
    try:
        text = source if is_text else path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.loads(text)
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(text, Loader=loader)  # noqa: S506 -- a safe loader, ten times as quick
    except (OSError, UnicodeDecodeError) as exc:
        what = f"{path} cannot be read: {exc}"
    except ImportError:
        what = f"{path} is YAML, and this Python has no PyYAML"
    except ValueError as exc:
        what = f"{path} is no valid JSON: {exc}"
    except yaml.YAMLError as exc:
        what = f"{path} is no valid YAML: {' '.join(str(exc).split())}"
    raise OpsError(what + ".", f"Correct {path}; nothing was checked.", code=code)


def _check(item: dict[str, Any]) -> Check:
    expect = item.get("expect") or []
    return Check(
        **{name: item[name] for name in REQUIRED},
        params=item.get("params") or {},
        expect=tuple([expect] if isinstance(expect, dict) else expect),
        needs=tuple(item.get("needs") or ()),
        timeout=float(item.get("timeout", DEFAULT_TIMEOUT_SECONDS)),
        retries=item.get("retries", 0),
        retry_delay=float(item.get("retry_delay", 0.5)),
        window=item.get("window"),
        doc=item.get("doc", ""),
    )


def _problems(document: Any) -> Any:
    """Yield each reason why the document is no checklist."""
    if not isinstance(document, dict) or not isinstance(document.get("checks"), list):
        yield "it is no mapping with a list `checks`"
        return
    if document.get("version") != 1:
        yield f"version is {document.get('version')!r}, this release reads 1"
    sections = document.get("sections")
    if not isinstance(sections, list) or not all(
        isinstance(section, dict) and section.get("id") and section.get("title")
        for section in sections
    ):
        yield "sections is no list of mappings with id and title"
        return
    if not document["checks"]:
        yield "it has no check, so it could never be a no-go"
    known = {section["id"] for section in sections}
    seen: dict[str, list[str]] = {}
    for number, item in enumerate(document["checks"], 1):
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            yield f"check {number} has no id"
            continue
        name = item["id"]
        if name in seen:
            yield f"{name}: the id is used twice"
        needs = item.get("needs")
        seen[name] = list(needs) if isinstance(needs, list) else []
        for problem in _item_problems(item, known):
            yield f"{name}: {problem}"
    for name, needs in seen.items():
        for need in needs:
            if need not in seen:
                yield f"{name}: needs {need}, which does not exist"
    if cycle := _cycle(seen):
        yield f"checks need each other in a circle: {' -> '.join(cycle)}"


def _item_problems(item: dict[str, Any], sections: set[str]) -> Any:
    """Yield each reason why one item cannot be used."""
    if unknown := sorted(str(name) for name in set(item) - FIELDS):
        yield f"unknown field {', '.join(unknown)}"
    for name in REQUIRED:
        if not isinstance(item.get(name), str) or not item[name].strip():
            yield f"{name} is missing"
    if not _ID.fullmatch(item["id"]):
        yield "the id may hold a-z, 0-9, dot, dash and underscore"
    if item.get("section") and item["section"] not in sections:
        yield f"section {item['section']} is not among the sections"
    if item.get("severity") and item["severity"] not in SEVERITIES:
        yield f"severity {item['severity']} is not one of {', '.join(SEVERITIES)}"
    yield from _number_problems(item)
    needs = item.get("needs", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        yield "needs is no list of ids"
    if item.get("probe") and item["probe"] not in probes.KINDS:
        yield f"probe {item['probe']} is not one of {', '.join(probes.KINDS)}"
    elif item.get("probe"):
        yield from _probe_problems(item, probes.KINDS[item["probe"]])


def _number_problems(item: dict[str, Any]) -> Any:
    bounds = {
        "timeout": (0.05, LONGEST_TIMEOUT_SECONDS),
        "retries": (0, MOST_RETRIES),
        "retry_delay": (0, 60),
    }
    for name, (low, high) in bounds.items():
        value = item.get(name, low)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            yield f"{name} {value!r} is no number from {low:g} to {high:g}"
    if not isinstance(item.get("retries", 0), int):
        yield "retries is no whole number"
    if (window := item.get("window")) is not None:
        if item.get("probe") != "attest":
            yield "window is for probe attest; others have max_age in expect"
        try:
            expectations.parse_age(window)
        except ValueError as exc:
            yield f"window: {exc}"


def _probe_problems(item: dict[str, Any], kind: probes.Kind) -> Any:
    """Yield what is wrong with the parameters and the expectations of an item."""
    params = item.get("params") or {}
    if not isinstance(params, dict):
        yield "params is no mapping"
        return
    if unknown := sorted(str(name) for name in set(params) - set(kind.params)):
        known = ", ".join(sorted(kind.params)) or "nothing"
        yield f"probe {item['probe']} knows no parameter {', '.join(unknown)}; it takes {known}"
    for group in kind.one_of:
        given = [name for name in group if params.get(name) not in (None, "", [])]
        if len(given) != 1:
            yield f"probe {item['probe']} needs exactly one of {', '.join(group)}"
    expect = item.get("expect") or []
    expect = [expect] if isinstance(expect, dict) else expect
    if not isinstance(expect, list):
        yield "expect is no list"
        return
    if not expect and not kind.judges_itself:
        yield "it expects nothing, so it cannot fail"
    if expect and item["probe"] == "attest":
        yield "probe attest takes no expectation: a person is the evidence"
    for expectation in expect:
        if problem := expectations.problem_of(expectation):
            yield f"expect: {problem}"


def _cycle(needs: dict[str, list[str]]) -> list[str] | None:
    """Return the ids of a circle of needs, None where there is none."""
    done: set[str] = set()
    for start in needs:
        trail: list[str] = []
        stack = [(start, iter(needs[start]))]
        trail.append(start)
        while stack:
            name, pending = stack[-1]
            following = next((need for need in pending if need in needs and need not in done), None)
            if following is None:
                done.add(name)
                stack.pop()
                trail.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            else:
                stack.append((following, iter(needs[following])))
                trail.append(following)
    return None
