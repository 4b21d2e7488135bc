# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tokens and roles."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pms_service.settings import ROLES, Settings

ALGORITHM = "HS256"
REFRESH_DAYS = 7
# What a role may do beside its own.
COVERS = {
    "ADMIN": {"ADMIN", "MANAGER", "RISK_OFFICER", "VIEWER"},
    "MANAGER": {"MANAGER", "VIEWER"},
    "RISK_OFFICER": {"RISK_OFFICER", "VIEWER"},
    "VIEWER": {"VIEWER"},
}
User = dict[str, str]
bearer = HTTPBearer(auto_error=False)


def refused(detail: str) -> HTTPException:
    """Return the error for a caller that has not shown who he is."""
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


def tokens(settings: Settings, username: str, role: str) -> dict[str, str]:
    """Return an access token and a refresh token."""
    now = datetime.now(UTC)
    claims = {"sub": username, "role": role, "iat": now}
    access = claims | {"exp": now + timedelta(minutes=settings.jwt_minutes)}
    refresh = claims | {"exp": now + timedelta(days=REFRESH_DAYS), "type": "refresh"}
    return {
        "access_token": jwt.encode(access, settings.jwt_secret, algorithm=ALGORITHM),
        "refresh_token": jwt.encode(refresh, settings.jwt_secret, algorithm=ALGORITHM),
        "token_type": "bearer",
    }


def login(settings: Settings, username: str, password: str) -> dict[str, str]:
    """Return tokens for a user's password."""
    known = settings.passwords.get(username)
    if known is None or not hmac.compare_digest(known.encode(), password.encode()):
        raise refused("Invalid credentials")
    return tokens(settings, username, ROLES[username])


def refresh(settings: Settings, token: str) -> dict[str, str]:
    """Return new tokens for a refresh token."""
    try:
        claims = jwt.decode(token, settings.jwt_secret, algorithms=[ALGORITHM])
    except jwt.ExpiredSignatureError as exc:
        raise refused("Refresh token expired") from exc
    except jwt.InvalidTokenError as exc:
        raise refused("Invalid refresh token") from exc
    if claims.get("type") != "refresh":
        raise HTTPException(400, "Not a refresh token")
    return tokens(settings, claims["sub"], claims["role"])


def current_user(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> User:
    """Return who asks; with DEBUG an administrator, whatever the token."""
    settings: Settings = request.app.state.settings
    if settings.debug:
        return {"username": "dev-user", "role": "ADMIN"}
    if credentials is None:
        raise refused("Missing authentication token")
    try:
        claims = jwt.decode(credentials.credentials, settings.jwt_secret, algorithms=[ALGORITHM])
        return {"username": claims["sub"], "role": claims["role"]}
    except jwt.ExpiredSignatureError as exc:
        raise refused("Token has expired") from exc
    except (jwt.InvalidTokenError, KeyError) as exc:
        raise refused("Invalid authentication token") from exc


CurrentUser = Annotated[User, Depends(current_user)]


def needs(role: str) -> Callable[[User], User]:
    """Return a dependency that lets those pass whose role covers *role*."""

    def check(user: CurrentUser) -> User:
        if user["role"] not in COVERS:
            raise HTTPException(403, f"Unknown role: {user['role']}")
        if role not in COVERS[user["role"]]:
            raise HTTPException(
                403, f"Insufficient permissions. Required: {role}. Your role: {user['role']}."
            )
        return user

    return check


Manager = Annotated[User, Depends(needs("MANAGER"))]
RiskOfficer = Annotated[User, Depends(needs("RISK_OFFICER"))]
