# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the routes share: settings, database, cache, and the books."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from pms_service import positions
from pms_service.cache import Cache
from pms_service.database import Database
from pms_service.settings import Settings
from pms_service.store import Book, DatabaseStorage, PrivateStorage

MODULES = ("portfolio", "trades", "journal", "morning_pack", "risk", "attribution")
logger = logging.getLogger("uvicorn.error")


@dataclass(frozen=True)
class Service:
    """One PMS. The books of all modules are the same one, unless it is faithful."""

    settings: Settings
    database: Database
    cache: Cache
    books: dict[str, Book]

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service that the settings describe; nothing is connected yet."""
        database = Database(settings.database)
        cache = Cache(
            settings.redis_host,
            settings.redis_port,
            settings.redis_password,
            patient=settings.faithful,
        )
        shared = Book(DatabaseStorage(database))
        books = {
            name: Book(PrivateStorage(database)) if settings.faithful else shared
            for name in MODULES
        }
        return cls(settings, database, cache, books)

    def market(self, tickers: list[str]) -> dict[str, float] | None:
        """Return market prices; None from the real PMS, whose query for them fails silently."""
        if self.settings.faithful:
            return None
        return positions.market_prices(self.database, tickers)


def service(request: Request) -> Service:
    """Return the service that a request is for."""
    return request.app.state.service


Pms = Annotated[Service, Depends(service)]


class Caught(APIRoute):
    """A route that explains what it refuses, and says in JSON that it failed."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return the handler."""
        handler = super().get_route_handler()

        async def caught(request: Request) -> Response:
            try:
                return await handler(request)
            except (HTTPException, RequestValidationError):
                raise
            except positions.NotFound as exc:
                return JSONResponse({"detail": str(exc)}, 404)
            except positions.Refused as exc:
                return JSONResponse({"detail": str(exc)}, 400)
            except Exception:
                logger.exception("%s %s", request.method, request.url.path)
                return JSONResponse({"detail": "Internal server error"}, 500)

        return caught


def day(text: str | None, detail: str = "Invalid date format. Use YYYY-MM-DD.") -> date | None:
    """Return a day given as text, or None for none."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise HTTPException(400, detail) from exc
