# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of an exchange of tables, or of its rollback, as a second person approves it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.approvals.plan import Plan
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

_SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"


def of_exchange(
    consent: Consent, live: Database, set_id: str, manifest_sha256: str | None, tables: list[str]
) -> Plan:
    """Return the plan to exchange single tables by those of a set."""
    return _of(
        consent,
        plans.TABLES,
        live,
        {"set": set_id, "manifest_sha256": manifest_sha256, "tables": tables},
        [
            f"compare the database with set {set_id}; bring these tables, and prove them",
            "exchange them with the live ones in one transaction, which are kept",
        ],
    )


def of_rollback(consent: Consent, live: Database, schema: str) -> Plan:
    """Return the plan to give former tables their names again."""
    steps = [f"give the tables of {schema} their names again, in one transaction"]
    return _of(consent, plans.TABLES_ROLLBACK, live, {"former_schema": schema}, steps)


def _of(
    consent: Consent, operation: str, live: Database, facts: dict[str, Any], steps: list[str]
) -> Plan:
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        system = str(fetch_value(cursor, _SYSTEM))
    return consent.plan(operation, server=system, database=live.name, **facts, steps=steps)
