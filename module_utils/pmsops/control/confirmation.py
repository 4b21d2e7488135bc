# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to be typed before something is destroyed: each system of the run, by its database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def expected(databases: Mapping[str, str]) -> str:
    """Return what to type: the database of one system, or SYSTEM:DATABASE of each of several."""
    if len(databases) == 1:
        return next(iter(databases.values()))
    return ",".join(_named(system, databases[system]) for system in sorted(databases))


def given_for(typed: str, system: str, database: str, systems: Sequence[str]) -> bool:
    """Tell whether *typed* confirms *system* in a run over *systems*.

    The name of a database that several systems have confirms none of them: each has to be named.
    """
    parts = {each.strip() for each in typed.split(",")}
    if set(systems) <= {system}:
        return bool(parts & {database, _named(system, database)}) and len(parts) == 1
    named = {each.partition(":")[0] for each in parts}
    return _named(system, database) in parts and named == set(systems)


def same(typed: str, wanted: str) -> bool:
    """Tell whether two confirmations name the same, in whatever order."""
    return sorted(each.strip() for each in typed.split(",")) == sorted(wanted.split(","))


def _named(system: str, database: str) -> str:
    return f"{system}:{database}"
