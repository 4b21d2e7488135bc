# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operations of the PMS, and the paths and field names under which one release offers them.

The documents and the code of the PMS name different paths and fields for the same thing. Each
operation therefore has candidates, the code's first; the first candidate that /openapi.json lists
is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError


@dataclass(frozen=True)
class Operation:
    """One operation of the PMS: method, candidate paths and candidate field names."""

    method: str
    paths: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


OPERATIONS: Mapping[str, Operation] = {
    "positions": Operation("GET", ("/api/v1/pms/book/positions", "/api/v1/pms/positions")),
    "open_position": Operation(
        "POST",
        ("/api/v1/pms/book/positions/open", "/api/v1/pms/positions/open"),
        {
            "notional_brl": ("notional_brl", "size"),
            "execution_price": ("execution_price", "entry_price"),
            "manager_thesis": ("manager_thesis", "notes"),
        },
    ),
    "close_position": Operation(
        "POST",
        ("/api/v1/pms/book/positions/{id}/close", "/api/v1/pms/positions/{id}/close"),
        {
            "close_price": ("close_price", "exit_price"),
            "manager_notes": ("manager_notes", "notes"),
        },
    ),
    "mtm": Operation(
        "POST",
        ("/api/v1/pms/mtm", "/api/v1/pms/book/mtm"),
        {"price_overrides": ("price_overrides", "manual_prices")},
    ),
    "proposals": Operation("GET", ("/api/v1/pms/trades/proposals", "/api/v1/pms/proposals")),
    "generate_proposals": Operation(
        "POST", ("/api/v1/pms/trades/proposals/generate", "/api/v1/pms/proposals/generate")
    ),
    "approve": Operation(
        "POST",
        ("/api/v1/pms/trades/proposals/{id}/approve", "/api/v1/pms/proposals/{id}/approve"),
    ),
    "reject": Operation(
        "POST",
        ("/api/v1/pms/trades/proposals/{id}/reject", "/api/v1/pms/proposals/{id}/reject"),
    ),
    "journal": Operation("GET", ("/api/v1/pms/journal/", "/api/v1/pms/journal")),
    # Some releases only: the PMS's own code cannot write an entry over HTTP.
    "create_journal_entry": Operation("POST", ("/api/v1/pms/journal",)),
    "generate_morning_pack": Operation("POST", ("/api/v1/pms/morning-pack/generate",)),
    "morning_pack": Operation("GET", ("/api/v1/pms/morning-pack/{date}",)),
    "latest_morning_pack": Operation("GET", ("/api/v1/pms/morning-pack/latest",)),
    "risk": Operation("GET", ("/api/v1/pms/risk/live", "/api/v1/pms/risk/monitor")),
    "risk_limits": Operation("GET", ("/api/v1/pms/risk/limits",)),
    "attribution": Operation(
        "GET", ("/api/v1/pms/attribution", "/api/v1/pms/performance/attribution")
    ),
    "pnl_summary": Operation("GET", ("/api/v1/pms/pnl/summary",)),
    "book": Operation("GET", ("/api/v1/pms/book",)),
    "equity_curve": Operation("GET", ("/api/v1/pms/pnl/equity-curve",)),
    "pnl_attribution": Operation("GET", ("/api/v1/pms/pnl/attribution",)),
    "monthly_heatmap": Operation("GET", ("/api/v1/pms/pnl/monthly-heatmap",)),
    "pipeline_trigger": Operation("POST", ("/api/v1/pms/pipeline/trigger",)),
    "test_alert": Operation("POST", ("/api/v1/monitoring/test-alert",)),
    "token": Operation("POST", ("/api/v1/auth/token",)),
    "me": Operation("GET", ("/api/v1/auth/me",)),
    "data_status": Operation("GET", ("/health/data-status",)),
    "health": Operation("GET", ("/health",)),
}


@dataclass(frozen=True)
class Dialect:
    """The paths and field names that one PMS offers."""

    paths: Mapping[str, str]
    fields: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, openapi: Mapping[str, Any]) -> Dialect:
        """Return the dialect of the service that *openapi* describes.

        ``paths`` lacks the operations that the service does not offer: they are never guessed.
        """
        offered = {
            (method.upper(), _shape(path)): details
            for path, methods in (openapi.get("paths") or {}).items()
            if isinstance(methods, Mapping)
            for method, details in methods.items()
        }
        paths: dict[str, str] = {}
        fields: dict[str, dict[str, str]] = {}
        for name, operation in OPERATIONS.items():
            for path in operation.paths:
                details = offered.get((operation.method, _shape(path)))
                if details is None:
                    continue
                known = _properties(details, openapi)
                paths[name] = path
                fields[name] = {
                    ours: next((each for each in theirs if each in known), theirs[0])
                    for ours, theirs in operation.fields.items()
                }
                break
        return cls(paths, fields)

    @classmethod
    def undescribed(cls) -> Dialect:
        """Return the dialect of a service without /openapi.json: the code's paths to read from.

        Operations that write are missing: a release might understand them differently.
        """
        paths = {name: each.paths[0] for name, each in OPERATIONS.items() if each.method == "GET"}
        return cls(paths, {})

    def path(self, operation: str, **parameters: Any) -> str:
        """Return the path of *operation*, its parameters filled in.

        :raises OpsError: pms.no_operation if the service does not offer it.
        """
        if operation not in self.paths:
            missing = OPERATIONS[operation]
            raise OpsError(
                f"The PMS offers none of {missing.method} {', '.join(missing.paths)}.",
                "Compare the running release with the approved one; its /openapi.json lists the"
                " routes.",
                code="pms.no_operation",
            )
        return self.paths[operation].format(**parameters)

    def body(self, operation: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return *values* under the field names that this PMS gives them."""
        names = self.fields.get(operation, {})
        return {names.get(name, name): value for name, value in values.items()}


def _shape(path: str) -> str:
    """Return *path* without parameter names and without the trailing slash."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/"


def _properties(details: Any, openapi: Mapping[str, Any]) -> set[str]:
    """Return the field names of an operation's JSON body; empty if it is not described."""
    try:
        schema = details["requestBody"]["content"]["application/json"]["schema"]
        if "$ref" in schema:
            schema = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        return set(schema.get("properties", {}))
    except (KeyError, TypeError):
        return set()
