# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Log in."""

from __future__ import annotations

from fastapi import APIRouter

from pms_service import auth
from pms_service.models import LoginIn, RefreshIn
from pms_service.service import Pms

router = APIRouter(tags=["Auth"])


@router.post("/token")
def token(body: LoginIn, pms: Pms) -> dict[str, str]:
    """Return tokens for a password."""
    return auth.login(pms.settings, body.username, body.password)


@router.post("/refresh")
def refresh(body: RefreshIn, pms: Pms) -> dict[str, str]:
    """Return new tokens."""
    return auth.refresh(pms.settings, body.refresh_token)


@router.get("/me")
def me(user: auth.CurrentUser) -> dict[str, str]:
    """Say who asks."""
    return user
