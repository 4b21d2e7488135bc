# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checklist as data: its items, the sections, and the digest that evidence names it by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks import validation
from ansible.module_utils.pmsops.common.errors import OpsError

DEFAULT_TIMEOUT_SECONDS = 5.0
DEFAULT_RETRY_DELAY_SECONDS = 0.5


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
    retry_delay: float = DEFAULT_RETRY_DELAY_SECONDS
    window: str | None = None
    silence: str = "unknown"
    load_sensitive: bool = False
    # Whether a system may lack the part that the check is about: then it does not block
    optional: bool = False
    # The part without which the check has no meaning, of those that a system may lack
    about: str = ""
    doc: str = ""


@dataclass(frozen=True)
class Checklist:
    """All items in their order, the titles of the sections, and the digest of the document."""

    title: str
    sections: dict[str, str]
    checks: tuple[Check, ...]
    sha256: str

    def only(self, sections: list[str], ids: list[str] | None = None) -> Checklist:
        """Return the checklist of these sections or items, and of the items that they need.

        :raises OpsError: gate.section, gate.check
        """
        if unknown := sorted(set(sections) - set(self.sections)):
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
        if not sections and not ids:
            return self
        kept = {check.id for check in self.checks if check.section in sections} | set(ids or ())
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
    if problems := list(validation.problems(document)):
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
    """Return a mapping as it is, or the content of YAML or JSON: of a file, or given as text.

    :raises OpsError: *code*
    """
    if not isinstance(source, str):
        return source
    is_text = "\n" in source
    path = Path("the text given") if is_text else Path(source).expanduser()
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
        **{name: item[name] for name in validation.REQUIRED},
        params=item.get("params") or {},
        expect=tuple([expect] if isinstance(expect, dict) else expect),
        needs=tuple(item.get("needs") or ()),
        timeout=float(item.get("timeout", DEFAULT_TIMEOUT_SECONDS)),
        retries=item.get("retries", 0),
        retry_delay=float(item.get("retry_delay", DEFAULT_RETRY_DELAY_SECONDS)),
        window=item.get("window"),
        silence=item.get("silence", "unknown"),
        load_sensitive=item.get("load_sensitive", False),
        optional=item.get("optional", False),
        about=item.get("about", ""),
        doc=item.get("doc", ""),
    )
