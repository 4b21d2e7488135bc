# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A comparison of rows that was made, and that can be made again of one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.postgresql.connection import fetch_value, quote_ident
from ansible.module_utils.pmsops.verify import changed_row, differences
from ansible.module_utils.pmsops.verify.differences import Difference


class Comparison(Protocol):
    """What the negative control needs of a comparison."""

    @property
    def relations(self) -> Sequence[fingerprint.Relation]:
        """Return the tables that hold rows; several may share a key."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of changes that this comparison promises to find."""
        ...

    def rows(self, key: str) -> int:
        """Return how many rows the table of *key* has."""
        ...

    def again(self, cursor: Any, key: str) -> list[Difference]:
        """Read one table again, compare all as before, and return what differs."""
        ...


@dataclass(frozen=True)
class OfFingerprints:
    """The rows of a manifest and of a database, by their fingerprints."""

    wanted: dict[str, dict[str, Any]]
    found: dict[str, dict[str, Any]]
    relations: Sequence[fingerprint.Relation]
    formula: int
    parents: Mapping[str, str]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return all kinds; the first formula is linear, so a swap of two values has no effect."""
        return tuple(
            kind for kind in changed_row.KINDS if self.formula > 1 or kind != changed_row.SWAPPED
        )

    def rows(self, key: str) -> int:
        """Return how many rows the table of *key* has."""
        return int(self.found.get(key, {}).get("rows", 0))

    def differences(self, notes: list[str] | None = None) -> list[Difference]:
        """Return the tables whose rows differ; *notes* gets a line for each expected deviation."""
        return differences.of_contents(self.wanted, self.found, self.parents, notes)

    def again(self, cursor: Any, key: str) -> list[Difference]:
        """Read one table again, compare all as before, and return what differs."""
        parts = [
            fingerprint.fingerprint(cursor, each, self.formula)
            for each in self.relations
            if each.key == key
        ]
        found = self.found | {key: fingerprint.summed(parts)}
        return differences.of_contents(self.wanted, found, self.parents)


@dataclass(frozen=True)
class OfCounts:
    """The numbers of rows of a bare dump and of a database, by schema and table."""

    wanted: Mapping[tuple[str, str], int]
    found: Mapping[tuple[str, str], int]
    relations: Sequence[fingerprint.Relation] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds that change a number of rows: nothing else is compared."""
        return changed_row.COUNTED

    def rows(self, key: str) -> int:
        """Return how many rows the table of *key* has."""
        return next((n for name, n in self.found.items() if ".".join(name) == key), 0)

    def differences(self) -> list[Difference]:
        """Return the tables that have another number of rows."""
        return differences.of_counts(self.wanted, self.found)

    def again(self, cursor: Any, key: str) -> list[Difference]:
        """Count one table again, compare all as before, and return what differs."""
        name = next(each for each in self.found if ".".join(each) == key)
        found = {**self.found, name: count(cursor, name)}
        return differences.of_counts(self.wanted, found)


def count(cursor: Any, name: tuple[str, str]) -> int:
    """Return the number of rows of one table by itself."""
    schema, table = map(quote_ident, name)
    return int(fetch_value(cursor, f"SELECT count(*) FROM ONLY {schema}.{table}"))
