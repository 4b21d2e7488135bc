# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for the PMS in one process: enough of it for the smoke test, and ways to break it.

It is not the PMS. Its "database" is the same lists, unless it is told to keep them to itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a token of the stand-in"
COST = 2.0 / 10_000
DOCUMENTED = {
    "/api/v1/pms/trades/proposals": "/api/v1/pms/proposals",
    "/api/v1/pms/mtm": "/api/v1/pms/book/mtm",
}
PATHS = (
    ("get", "/api/v1/pms/book/positions", ()),
    (
        "post",
        "/api/v1/pms/book/positions/open",
        (
            "instrument",
            "asset_class",
            "direction",
            "notional_brl",
            "execution_price",
            "manager_thesis",
        ),
    ),
    ("post", "/api/v1/pms/book/positions/{position_id}/close", ("close_price", "manager_notes")),
    ("post", "/api/v1/pms/mtm", ("price_overrides", "fx_rate")),
    ("get", "/api/v1/pms/trades/proposals", ()),
    ("post", "/api/v1/pms/trades/proposals/generate", ("signals",)),
    ("post", "/api/v1/pms/trades/proposals/{proposal_id}/approve", ("execution_price",)),
    ("post", "/api/v1/pms/trades/proposals/{proposal_id}/reject", ("manager_notes",)),
    ("get", "/api/v1/pms/journal/", ()),
    ("post", "/api/v1/pms/morning-pack/generate", ("briefing_date", "force")),
    ("get", "/api/v1/pms/morning-pack/{briefing_date}", ()),
    ("post", "/api/v1/auth/token", ("username", "password")),
)


class StandIn:
    """The book, and the *faults* that a test switches on by name."""

    def __init__(self) -> None:
        self.faults: set[str] = set()
        self.positions: list[dict[str, Any]] = []
        self.proposals: list[dict[str, Any]] = []
        self.journal: list[dict[str, Any]] = []
        self.marks: list[dict[str, Any]] = []
        self.packs: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.stubborn: int | None = None

    # --- what the smoke test reads as the database ---------------------------------------------

    def rows(self, sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer the smoke test's queries out of the lists."""
        if "nothing_stored" in self.faults:
            return []
        if "portfolio_positions" in sql:
            return [row for row in self.positions if row["id"] == params["id"]]
        if "trade_proposals" in sql:
            return [row for row in self.proposals if row["id"] == params["id"]]
        if "position_pnl_history" in sql:
            return [row for row in reversed(self.marks) if row["position_id"] == params["id"]][:1]
        if "daily_briefings" in sql:
            day = params["day"].isoformat()
            stored = [row for row in self.packs if row["briefing_date"] == day]
            if "old_pack" in self.faults:  # of this morning, and with the same words
                stored = [row | {"created_at": "2026-11-23T09:00:00+00:00"} for row in stored]
            return stored
        if "decision_journal" in sql:
            return [row for row in self.journal if row["id"] in params["ids"]]
        raise AssertionError(f"unexpected query {sql}")

    # --- routes ---------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict, body: dict) -> tuple[int, Any]:
        """Return status and body."""
        self.requests.append(f"{method} {path}")
        if "down" in self.faults:
            return 503, {"detail": "Service Unavailable"}
        for code, documented in DOCUMENTED.items():
            path = path.replace(documented, code) if documented in path else path
        if path == "/openapi.json":
            return 200, self.openapi()
        if path == "/api/v1/auth/token":
            right = body.get("password") == "right"
            return (200, {"access_token": TOKEN}) if right else (401, {"detail": "no"})
        if path == "/health":
            return 200, {"database": "lost" if "no_database" in self.faults else "connected"}
        if path == "/api/v1/pms/book/positions":
            shown = query.get("is_open", "true") == "true"
            return 200, [row for row in self.positions if row["is_open"] == shown]
        if path == "/api/v1/pms/book/positions/open":
            return 201, self.open(body)
        if path == "/api/v1/pms/mtm":
            return 200, self.mark(body)
        if path == "/api/v1/pms/trades/proposals":
            return 200, [row for row in self.proposals if row["status"] == query.get("status")]
        if path == "/api/v1/pms/trades/proposals/generate":
            return 200, self.generate(body)
        if path == "/api/v1/pms/journal/":
            if "late_journal" in self.faults:
                self.faults.remove("late_journal")
                return 200, []
            return 200, [] if "silent_journal" in self.faults else self.journal[::-1]
        if path.startswith("/api/v1/pms/morning-pack/"):
            return self.pack(method, path, body)
        if match := re.fullmatch(r"/api/v1/pms/book/positions/(\d+)/close", path):
            return self.close(int(match[1]), body)
        if match := re.fullmatch(r"/api/v1/pms/trades/proposals/(\d+)/(approve|reject)", path):
            proposal = self.proposals[int(match[1]) - 1]
            return (
                self.approve(proposal, body)
                if match[2] == "approve"
                else self.reject(proposal, body)
            )
        return 404, {"detail": "Not Found"}

    def openapi(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for method, path, fields in PATHS:
            if "documented_paths" in self.faults:
                for code, documented in DOCUMENTED.items():
                    path = path.replace(code, documented)
            schema = {"properties": {name: {} for name in fields}}
            paths.setdefault(path, {})[method] = {
                "requestBody": {"content": {"application/json": {"schema": schema}}}
            }
        return {"paths": paths}

    def open(self, body: dict, price: str = "execution_price") -> dict[str, Any]:
        position = {
            "id": len(self.positions) + 1,
            "instrument": body["instrument"],
            "asset_class": body["asset_class"],
            "direction": body["direction"],
            "notional_brl": body["notional_brl"],
            "entry_price": body[price],
            "current_price": body[price],
            "unrealized_pnl_brl": 0.0,
            "unrealized_pnl_usd": 0.0,
            "realized_pnl_brl": None,
            "transaction_cost_brl": body["notional_brl"] * COST,
            "is_open": True,
            "closed_at": None,
            "close_price": None,
            "notes": body.get("manager_thesis"),
            "updated_at": datetime.now(UTC).isoformat(),
        }
        self.positions.append(position)
        self.write("OPEN", position, position_id=position["id"], price=position["entry_price"])
        if "other_shape" in self.faults:
            return {"position": position}
        return dict(position)

    def mark(self, body: dict) -> dict[str, Any]:
        open_ones = [row for row in self.positions if row["is_open"]]
        for row in open_ones:
            price = body["price_overrides"].get(row["instrument"], row["entry_price"])
            if "marks_reset_others" in self.faults and "SMOKE" not in row["instrument"]:
                price = row["entry_price"]
            row["current_price"] = price
            sign = 1 if row["direction"] == "LONG" or "unsigned_pnl" in self.faults else -1
            gain = row["notional_brl"] * (price / row["entry_price"] - 1) * sign
            row["unrealized_pnl_brl"] = gain * (1.01 if "wrong_pnl" in self.faults else 1)
            row["unrealized_pnl_usd"] = row["unrealized_pnl_brl"] / body.get("fx_rate", 5.0)
            self.marks.append(
                {
                    "position_id": row["id"],
                    "mark_price": price,
                    "unrealized_pnl_brl": row["unrealized_pnl_brl"],
                }
            )
        return {"status": "ok", "updated_count": len(open_ones), "positions": open_ones}

    def close(self, number: int, body: dict) -> tuple[int, Any]:
        row = self.positions[number - 1]
        if not row["is_open"]:
            return 400, {"detail": f"Position {number} is already closed"}
        if "stuck_leftover" in self.faults and "left" in (row["notes"] or ""):
            return 500, {"detail": "Internal server error"}
        if "close_fails_once" in self.faults:
            self.faults.remove("close_fails_once")
            return 500, {"detail": "Internal server error"}
        sign = 1 if row["direction"] == "LONG" or "unsigned_pnl" in self.faults else -1
        gain = row["notional_brl"] * (body["close_price"] / row["entry_price"] - 1) * sign
        row["is_open"], row["close_price"] = False, body["close_price"]
        row["closed_at"] = datetime.now(UTC).isoformat()
        row["realized_pnl_brl"] = gain - row["notional_brl"] * COST
        row["unrealized_pnl_brl"] = 0.0
        row["transaction_cost_brl"] *= 2
        self.write(
            "CLOSE",
            row,
            position_id=number,
            price=row["close_price"],
            notes=body.get("manager_notes"),
        )
        return 200, dict(row)

    def generate(self, body: dict) -> list[dict[str, Any]]:
        threshold = 0.0 if "no_threshold" in self.faults else 0.55
        made = []
        for signal in body["signals"]:
            if signal["conviction"] < threshold:
                continue
            proposal = {
                "id": len(self.proposals) + 1,
                "instrument": signal["instrument"],
                "asset_class": signal["asset_class"],
                "direction": signal["direction"],
                "conviction": signal["conviction"],
                "signal_source": signal["signal_source"],
                "status": "PENDING",
                "execution_price": None,
                "position_id": None,
                "notional_brl": signal["suggested_notional_brl"],
            }
            self.proposals.append(proposal)
            made.append(dict(proposal))
        if "stubborn_proposal" in self.faults:
            self.proposals.append(self.proposals[-1] | {"id": len(self.proposals) + 1})
            self.stubborn = self.proposals[-1]["id"]
        return made

    def approve(self, proposal: dict, body: dict) -> tuple[int, Any]:
        self.open(
            proposal
            | {
                "notional_brl": body["execution_notional_brl"],
                "execution_price": body["execution_price"],
                "manager_thesis": body["manager_thesis"],
            }
        )
        position = self.positions[-1]
        proposal |= {
            "status": "APPROVED",
            "position_id": position["id"],
            "execution_price": body["execution_price"],
        }
        if "approved_elsewhere" in self.faults:
            self.positions.pop()
        if "approved_in_another_store" in self.faults:
            self.positions.pop()
            proposal["position_id"] = len(self.positions)
        return 200, dict(proposal)

    def reject(self, proposal: dict, body: dict) -> tuple[int, Any]:
        notes = (body.get("manager_notes") or "").strip()
        if proposal["id"] == self.stubborn:
            return 500, {"detail": "Internal server error"}
        if len(notes) >= 3 and "reject_fails_once" in self.faults:
            self.faults.remove("reject_fails_once")
            return 500, {"detail": "Internal server error"}
        if len(notes) < 3 and "notes_optional" not in self.faults:
            return 422, {"detail": [{"loc": ["body", "manager_notes"], "msg": "too short"}]}
        proposal["status"] = "REJECTED"
        self.write("REJECT", proposal, proposal_id=proposal["id"], notes=notes)
        return 200, dict(proposal)

    def pack(self, method: str, path: str, body: dict) -> tuple[int, Any]:
        if method == "POST":
            views = [] if "no_agents" in self.faults else [{"agent_id": n} for n in range(5)]
            made = {
                "id": "1",
                "briefing_date": body["briefing_date"],
                "agent_views": views,
                "macro_narrative": "Of the template.",
                "created_at": datetime.now(UTC).isoformat(),
            }
            self.packs = [made]
            return 200, made
        day = path.rsplit("/", 1)[1]
        found = [pack for pack in self.packs if pack["briefing_date"] == day]
        return (200, found[0]) if found else (404, {"detail": "No briefing available"})

    def write(
        self,
        kind: str,
        about: dict,
        *,
        position_id: int | None = None,
        proposal_id: int | None = None,
        price: float = 0.0,
        notes: str | None = None,
    ) -> None:
        hashed = {
            "entry_type": kind,
            "instrument": about["instrument"],
            "direction": about["direction"],
            "notional_brl": float(about["notional_brl"]),
            "entry_price": float(price),
            "manager_notes": notes,
            "system_notes": f"{kind} by the stand-in",
        }
        text = json.dumps(hashed, sort_keys=True, default=str)
        if "forged_journal" in self.faults:
            text += "forged"
        self.journal.append(
            hashed
            | {
                "id": len(self.journal) + 1,
                "position_id": position_id,
                "proposal_id": proposal_id,
                "content_hash": hashlib.sha256(text.encode()).hexdigest(),
                "is_locked": True,
            }
        )


@contextmanager
def served(book: StandIn) -> Iterator[str]:
    """Serve *book* on a free port of loopback, and give its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            path, _, text = self.path.partition("?")
            query = dict(pair.split("=", 1) for pair in text.split("&") if pair)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            status, answer = book.answer(self.command, path, query, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = reply

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
