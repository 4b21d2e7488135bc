# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The environment variables that the PMS reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_AUM_BRL = 100_000_000.0
ROLES = {"admin": "ADMIN", "manager": "MANAGER", "risk": "RISK_OFFICER", "viewer": "VIEWER"}


@dataclass(frozen=True)
class Settings:
    """How this PMS runs. *passwords* has the users that exist: those with a password."""

    database: Mapping[str, str]
    redis_host: str
    redis_port: int
    redis_password: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    jwt_minutes: int = 60
    debug: bool = False
    faithful: bool = False
    aum_brl: float = DEFAULT_AUM_BRL

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings, with the PMS's own defaults.

        :raises ValueError: for an unknown PMS_MODE.
        """
        mode = environment.get("PMS_MODE") or "contract"
        if mode not in ("contract", "faithful"):
            raise ValueError(f"PMS_MODE is {mode}, not contract or faithful")
        faithful = mode == "faithful"
        aum = environment.get("FUND_AUM_BRL")
        return cls(
            database={
                "host": environment.get("POSTGRES_HOST", "timescaledb"),
                "port": environment.get("POSTGRES_PORT", "5432"),
                "dbname": environment.get("POSTGRES_DB", "macro_trading"),
                "user": environment.get("POSTGRES_USER", "macro_user"),
                "password": environment.get("POSTGRES_PASSWORD", ""),
            },
            redis_host=environment.get("REDIS_HOST", "localhost"),
            redis_port=int(environment.get("REDIS_PORT", "6379")),
            redis_password=environment.get("REDIS_PASSWORD", ""),
            jwt_secret=environment.get("JWT_SECRET_KEY", ""),
            passwords={
                user: password
                for user in ROLES
                if (password := environment.get(f"PMS_{user.upper()}_PASSWORD"))
            },
            jwt_minutes=int(environment.get("JWT_EXPIRY_MINUTES", "60")),
            debug=environment.get("DEBUG", "false").lower() == "true",
            faithful=faithful,
            # The real one never reads the variable.
            aum_brl=float(aum) if aum and not faithful else DEFAULT_AUM_BRL,
        )
