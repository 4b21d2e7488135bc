# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A language of the report: its texts, and how it writes dates and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.export import findings, glossary, words_en, words_people, words_pt
from ansible.module_utils.pmsops.export.period import read_moment

CATALOGUES: Mapping[str, Mapping[str, str]] = {
    "en": words_en.WORDS | words_people.EN | glossary.EN | findings.EN,
    "pt": words_pt.WORDS | words_people.PT | glossary.PT | findings.PT,
}
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


@dataclass(frozen=True)
class Language:
    """The language of this name."""

    name: str

    def text(self, key: str, **parts: str) -> str:
        """Return a text of the catalogue."""
        found = CATALOGUES[self.name][key]
        return found.format(**parts) if parts else found

    def when(self, stamp: Any, *, seconds: bool = False) -> str:
        """Return a moment in the fund's zone; the text itself where it is none."""
        at = read_moment(stamp)
        if at is None:
            return str(stamp) if stamp else self.text("not_measured")
        local = at.astimezone(BUSINESS_ZONE)
        clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
        return f"{self.day(local.date().isoformat())} {clock}"

    def day(self, text: Any) -> str:
        """Return a date."""
        try:
            found = date.fromisoformat(str(text))
        except ValueError:
            return str(text) if text else self.text("not_measured")
        return f"{found:%d/%m/%Y}" if self.name == "pt" else found.isoformat()

    def number(self, value: float | None, digits: int = 3) -> str:
        """Return a number of three digits, or a whole one."""
        if value is None:
            return self.text("not_measured")
        whole = abs(value) >= 10**digits or value == int(value)
        text = f"{value:,.0f}" if whole else f"{value:.{digits}g}"
        if self.name == "pt":
            text = text.translate(str.maketrans(",.", ".,"))
        return text

    def duration(self, seconds: float | None) -> str:
        """Return a duration in its largest fitting unit."""
        return self._in_units(seconds, UNITS)

    def size(self, count: float | None) -> str:
        """Return a size in its largest fitting unit."""
        return self._in_units(count, SIZES)

    def _in_units(self, value: float | None, units: tuple[tuple[float, str], ...]) -> str:
        if value is None:
            return self.text("not_measured")
        factor, unit = next((each for each in units if abs(value) >= 1.5 * each[0]), units[-1])
        return f"{self.number(value / factor)} {self.unit(unit, value / factor)}"

    def unit(self, name: str, amount: float) -> str:
        """Return a unit: days have no sign in Portuguese, and less than two of them is one."""
        if self.name == "pt" and name == "d":
            return "dia" if abs(amount) < 2 else "dias"
        return name
