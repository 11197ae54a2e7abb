"""The plain HTTP behind the pages: the log-in and log-out forms and the language switch. None of it needs a script."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from cloud.core.access import SESSION_COOKIE, address_of
from cloud.core.errors import Forbidden, TooMany
from cloud.identity.routes import IdentityDoor, set_session_cookie
from cloud.identity.service import LogInRefused
from cloud.web.language import COOKIE
from protocols.text import Language, Text

router = APIRouter(include_in_schema=False)

_REMEMBERED = timedelta(days=365)
_SEE_OTHER = 303


def own_path(target: str) -> str:
    """Return `target` if it is a path of this site, else the overview: a link must not lead a reader elsewhere."""
    parts = urlsplit(target)
    ours = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if ours and target.isprintable() else "/"


@router.post("/login")
async def log_in(request: Request, identity: IdentityDoor) -> RedirectResponse:
    """Sign in from the log-in page's form, and go where the reader wanted to."""
    _refuse_foreign_form(request)
    form = await request.form()
    target = own_path(str(form.get("next", "/")))
    email, password = str(form.get("email", "")), str(form.get("password", ""))
    try:
        session = await identity.log_in(
            email, password, address_of(request), old_token=request.cookies.get(SESSION_COOKIE)
        )
    except LogInRefused:
        return _again(target, "refused")
    except TooMany:
        return _again(target, "wait")
    response = RedirectResponse(target, _SEE_OTHER)
    set_session_cookie(response, request, session)
    return response


@router.post("/logout")
async def log_out(request: Request, identity: IdentityDoor) -> RedirectResponse:
    """End the session."""
    _refuse_foreign_form(request)
    principal = await identity.resolve(request.cookies.get(SESSION_COOKIE, ""))
    if principal is not None:
        await identity.log_out(principal)
    response = RedirectResponse("/login", _SEE_OTHER)
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/language/{language}")
async def choose_language(request: Request, language: Language, next: str = "/") -> RedirectResponse:
    """Remember the reader's language on this browser and go back to the page."""
    response = RedirectResponse(own_path(next), _SEE_OTHER)
    response.set_cookie(COOKIE, language, max_age=int(_REMEMBERED.total_seconds()), httponly=True, samesite="lax")
    return response


def _again(target: str, why: str) -> RedirectResponse:
    return RedirectResponse(f"/login?{urlencode({'why': why, 'next': target})}", _SEE_OTHER)


def _refuse_foreign_form(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden(Text("The form comes from another site's page.", "表单来自其他网站的页面。"))
