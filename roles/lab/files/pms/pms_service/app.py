# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The application: which routes there are, under which paths."""

from __future__ import annotations

from fastapi import FastAPI

from pms_service.routes import (
    agents,
    attribution,
    authentication,
    data,
    health,
    journal,
    monitoring,
    morning_pack,
    pipeline,
    portfolio,
    risk,
    trades,
)
from pms_service.service import Service, logger
from pms_service.settings import ROLES, Settings

API = "/api/v1"
PMS = f"{API}/pms"


def create_app(settings: Settings) -> FastAPI:
    """Return the PMS's application."""
    app = FastAPI(
        title="Macro Trading API (stand-in)",
        description="A stand-in for the PMS, for the lab.",
        version="1.0.0",
    )
    app.state.settings = settings
    app.state.service = Service.of(settings)
    for user in sorted(set(ROLES) - set(settings.passwords)):
        logger.warning("bootstrap_user_disabled %s", user)

    app.include_router(health.router)
    app.include_router(authentication.router, prefix=f"{API}/auth")
    app.include_router(portfolio.router, prefix=PMS)
    app.include_router(trades.router, prefix=f"{PMS}/trades")
    app.include_router(journal.router, prefix=f"{PMS}/journal")
    app.include_router(morning_pack.router, prefix=f"{PMS}/morning-pack")
    app.include_router(risk.router, prefix=f"{PMS}/risk")
    app.include_router(attribution.router, prefix=f"{PMS}/attribution")
    app.include_router(pipeline.router, prefix=f"{PMS}/pipeline")
    app.include_router(risk.older, prefix=f"{API}/risk")
    app.include_router(agents.router, prefix=f"{API}/agents")
    app.include_router(data.router, prefix=API)
    app.include_router(monitoring.router, prefix=f"{API}/monitoring")
    if not settings.faithful:
        # The paths that the PMS's documents name, and its code does not have.
        app.include_router(portfolio.documented, prefix=f"{PMS}/book")
        app.include_router(trades.router, prefix=PMS)
        app.include_router(journal.documented, prefix=PMS)
        app.include_router(risk.documented, prefix=f"{PMS}/risk")
        app.include_router(attribution.documented, prefix=f"{PMS}/performance")
    return app
