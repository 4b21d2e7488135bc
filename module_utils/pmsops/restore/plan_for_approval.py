# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a swap or a rollback, as a second person approves it.

The restore asks for the approval before anything is touched, the swap before it renames. Both have
to find the same plan, so it holds nothing that is known only in between, as the staging database's
name; the set's manifest fixes what will be in that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.approvals.plan import Plan
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.restore import former_retention, registry, slot_handover
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase

_SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"


@dataclass(frozen=True)
class Terms:
    """How a swap is done, whatever becomes live."""

    services: tuple[str, ...] = ()
    slots: str = slot_handover.REFUSE
    policy: former_retention.Policy = field(default_factory=former_retention.Policy)
    probe_writes: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Terms:
        """Return the terms that the options of a module describe."""
        return cls(
            services=tuple((options["services"] or {}).get("app_services") or ()),
            slots=options["slots"],
            policy=former_retention.Policy(options["keep_former"], options["keep_former_days"]),
            probe_writes=options["probe_writes"],
        )

    def steps(self, first: Sequence[str], live: str, *, exists: bool) -> list[str]:
        """Return what is done, in order."""
        kept = f"the newest {self.policy.count}" if self.policy.count else "all"
        stop = f"stop {', '.join(self.services) or 'no service'}"
        rename = f"rename {live} to a former database" if exists else f"there is no {live}"
        writes = "at once" if self.probe_writes else "once it is found to work"
        return [
            *first,
            f"{stop}; {rename}; let the new database be {live}; start the services",
            f"swap back if the PMS does not work on it; it may write {writes}",
            f"logical slots: {self.slots}",
            f"keep {kept} former databases, each for {self.policy.days} days at least",
        ]


def of_swap(
    consent: Consent, live: Database, set_id: str, manifest_sha256: str | None, terms: Terms
) -> Plan:
    """Return the plan to replace the live database by a set.

    :raises OpsError: approval.no-manifest
    """
    if manifest_sha256 is None:
        raise OpsError(
            f"{set_id} has no manifest, so nothing fixes what a second person would approve."
            " Nothing was changed.",
            "Restore a backup set; or set restore_second_person to false for this one run, which"
            " two people should decide.",
            code="approval.no-manifest",
        )
    first = [f"restore set {set_id} into a staging database, and prove it"]
    facts = {"set": set_id, "manifest_sha256": manifest_sha256}
    return _of(consent, plans.SWAP, live, terms, first, facts)


def of_rollback(consent: Consent, live: Database, incoming: ManagedDatabase, terms: Terms) -> Plan:
    """Return the plan to replace the live database by a former or rolled-back one."""
    first = [f"take {incoming.name}, replaced at {incoming.mark.get('since')}"]
    facts = {"incoming": {"name": incoming.name, "oid": incoming.oid}}
    return _of(consent, plans.ROLLBACK, live, terms, first, facts)


def of_incoming(consent: Consent, live: Database, incoming: ManagedDatabase, terms: Terms) -> Plan:
    """Return the plan of what a swap would make live, by the mark of that database."""
    if incoming.kind != registry.STAGING:
        return of_rollback(consent, live, incoming, terms)
    mark = incoming.mark
    return of_swap(consent, live, str(mark.get("set")), mark.get("manifest_sha256"), terms)


def _of(
    consent: Consent,
    operation: str,
    live: Database,
    terms: Terms,
    first: Sequence[str],
    facts: dict[str, Any],
) -> Plan:
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        found = registry.read(cursor)
        system = str(fetch_value(cursor, _SYSTEM))
    former = found.get(live.name)
    return consent.plan(
        operation,
        server=system,
        database=live.name,
        **facts,
        former={"name": former.name, "oid": former.oid} if former else None,
        steps=terms.steps(first, live.name, exists=former is not None),
    )
