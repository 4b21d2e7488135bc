# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The results of a gate as JUnit XML, which every CI server can show."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

# Characters that XML 1.0 cannot represent
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(record: dict[str, Any]) -> bytes:
    """Return the XML: a suite for each section, a case for each check."""
    root = ElementTree.Element("testsuites", name="golive", time=_seconds(record))
    for section in record["sections"]:
        results = [r for r in record["results"] if r["section"] == section["id"]]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=section["id"],
            tests=str(len(results)),
            failures=str(sum(r["status"] == "fail" for r in results)),
            errors=str(sum(r["status"] == "unknown" for r in results)),
            skipped=str(sum(r["status"] == "waived" for r in results)),
            time=f"{sum(r['seconds'] for r in results):.3f}",
            timestamp=record["started_at"].removesuffix("Z"),
            hostname=_clean(record["host"]),
        )
        for result in results:
            _case(suite, section["id"], result)
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _case(suite: ElementTree.Element, section: str, result: dict[str, Any]) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"golive.{section}",
        name=_clean(f"{result['id']}: {result['title']}"),
        time=f"{result['seconds']:.3f}",
    )
    finding = _clean(result["finding"])
    if result["status"] in ("fail", "unknown"):
        tag = "failure" if result["status"] == "fail" else "error"
        element = ElementTree.SubElement(case, tag, message=finding, type=result["severity"])
        element.text = _clean(f"{result['finding']}\n{result['remedy']}")
    elif result["status"] == "waived":
        waiver = result["waiver"]
        text = f"waived by {waiver['who']} until {waiver['until']}: {waiver['why']}"
        ElementTree.SubElement(case, "skipped", message=_clean(text))
    if finding:
        ElementTree.SubElement(case, "system-out").text = finding


def _seconds(record: dict[str, Any]) -> str:
    return f"{record['duration_seconds']:.3f}"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
