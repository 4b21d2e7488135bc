# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict of a backup's trial: would this set restore, and if not, what stands in the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

# Persisted in manifests: the values never change.
PASSED, REFUSED, NOT_RUN, OFF = "passed", "refused", "not run", "off"
SHOWN_FINDINGS = 12
RECORDED_FINDINGS = 100


@dataclass(frozen=True)
class Finding:
    """One thing that a restore of the set would refuse."""

    # Kind and name, as in ``TABLE public.trades``.
    object: str
    what: str
    remedy: str

    def text(self) -> str:
        """Return the finding as a line for people."""
        return f"{self.object}: {self.what} {self.remedy}"


@dataclass
class Verdict:
    """The outcome of a trial; a manifest records it as ``trial``."""

    status: str
    # Why the trial, or a part of it, was not run.
    reason: str | None = None
    findings: list[Finding] = field(default_factory=list)
    # What a restored copy has otherwise, though the restore goes through: lines for people.
    deviations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def joined(self, other: Verdict) -> Verdict:
        """Return this verdict together with the one over the rows."""
        found = self.findings + other.findings
        return Verdict(
            REFUSED if found else self.status,
            "; ".join(each for each in (self.reason, other.reason) if each) or None,
            found,
            self.deviations + other.deviations,
            self.seconds + other.seconds,
        )

    def document(self) -> dict[str, Any]:
        """Return the verdict as the manifest and the module's result have it."""
        return {
            "status": self.status,
            "reason": self.reason,
            "findings": [asdict(each) for each in self.findings[:RECORDED_FINDINGS]],
            "count": len(self.findings),
            "deviations": self.deviations[:RECORDED_FINDINGS],
            "seconds": round(self.seconds, 3),
        }

    def warnings(self) -> list[str]:
        """Return what the operator has to know, a line each."""
        lines = []
        if self.status == REFUSED:
            lines.append(
                f"A restore of this set would fail in {len(self.findings)} points; the set is kept:"
            )
            lines += [each.text() for each in self.findings[:SHOWN_FINDINGS]]
            if (more := len(self.findings) - SHOWN_FINDINGS) > 0:
                lines.append(f"and {more} more, in the manifest's trial")
        lines += [f"A restore changes: {line}" for line in self.deviations[:SHOWN_FINDINGS]]
        if self.reason:
            lines.append(f"The trial (would this set restore?) was not run in full: {self.reason}")
        return lines


def of_losses(losses: list[dict[str, Any]]) -> Verdict:
    """Return the verdict on values that the dump does not carry: a proof of the set fails.

    *losses* are those of the manifest, as lost_values.losses gives them.
    """
    return Verdict(
        PASSED,
        findings=[
            Finding(
                f"COLUMN {each['table']}.{each['column']}",
                each["what"].removeprefix(f"{each['table']}: "),
                each["remedy"],
            )
            for each in losses
        ],
    )
