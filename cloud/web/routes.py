"""The plain HTTP behind the pages: the log-in and log-out forms and the language switch. None of it needs a script."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from cloud.core.access import SESSION_COOKIE, address_of
from cloud.core.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from cloud.identity.routes import IdentityDoor, set_session_cookie
from cloud.identity.schemas import PasswordRequest
from cloud.identity.service import TICKET_LIFE_S, Identity, InvitationRefused, LogInRefused, SingleSignOnRefused
from cloud.web.language import COOKIE
from cloud.web.pages.board import BOARD_COOKIE
from protocols.text import Language, Text

router = APIRouter(include_in_schema=False)

_REMEMBERED = timedelta(days=365)
_SEE_OTHER = 303
_TICKET = "sunmao_oidc"


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


@router.get("/login/oidc")
async def begin_single_sign_on(request: Request, identity: IdentityDoor, next: str = "/") -> RedirectResponse:
    """Go to the log-in provider, to come back to the page `next`."""
    return await _depart(request, identity, target=own_path(next))


@router.post("/login/oidc")
async def join_by_single_sign_on(request: Request, identity: IdentityDoor) -> RedirectResponse:
    """Go to the log-in provider with both halves of an invitation."""
    _refuse_foreign_form(request)
    form = await request.form()
    return await _depart(
        request, identity, invitation=(str(form.get("token", ""))[:128], str(form.get("code", ""))[:64])
    )


@router.get("/login/oidc/callback")
async def finish_single_sign_on(request: Request, identity: IdentityDoor) -> RedirectResponse:
    """Come back from the log-in provider."""
    if identity.single_sign_on is None:
        raise NotFound
    try:
        arrival = await identity.single_sign_on.finish(
            str(request.url_for("finish_single_sign_on")),
            address_of(request),
            request.query_params,
            request.cookies.get(_TICKET, ""),
        )
    except SingleSignOnRefused as error:
        return _again("/", f"oidc-{error.why}")
    except (InvitationRefused, Conflict):
        return _again("/", "oidc-invitation")
    except TooMany:
        return _again("/", "wait")
    response = RedirectResponse(arrival.target, _SEE_OTHER)
    set_session_cookie(response, request, arrival.session)
    response.delete_cookie(_TICKET, path="/login/oidc")
    return response


async def _depart(
    request: Request, identity: Identity, *, target: str = "/", invitation: tuple[str, str] | None = None
) -> RedirectResponse:
    if identity.single_sign_on is None:
        raise NotFound
    callback = str(request.url_for("finish_single_sign_on"))
    try:
        departure = await identity.single_sign_on.begin(
            callback, address_of(request), target=target, invitation=invitation
        )
    except SingleSignOnRefused as error:
        return _again(target, f"oidc-{error.why}")
    except TooMany:
        return _again(target, "wait")
    response = RedirectResponse(departure.url, _SEE_OTHER)
    response.set_cookie(
        *(_TICKET, departure.ticket),
        max_age=TICKET_LIFE_S,
        path="/login/oidc",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/account/password")
async def change_password(request: Request, identity: IdentityDoor) -> RedirectResponse:
    """Change the password from the account page's form; the browser goes on with a new session."""
    _refuse_foreign_form(request)
    principal = await identity.resolve(request.cookies.get(SESSION_COOKIE, ""))
    if principal is None:
        return RedirectResponse("/login?next=/account", _SEE_OTHER)
    form = {name: str(value) for name, value in (await request.form()).items()}
    if form.get("new") != form.get("again"):
        return _said_of_password("unlike")
    try:
        wanted = PasswordRequest(current=form.get("current", ""), new=form.get("new", ""))
        await identity.change_password(principal, wanted)
        session = await identity.tokens.renew(principal)
    except ValidationError:
        return _said_of_password("short")
    except Invalid:
        return _said_of_password("wrong")
    except TooMany:
        return _said_of_password("wait")
    response = _said_of_password("changed")
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


@router.post("/board")
async def open_board(request: Request, identity: IdentityDoor) -> RedirectResponse:
    """Let a screen show the board whose code it was given, from then on."""
    _refuse_foreign_form(request)
    code = str((await request.form()).get("code", ""))[:64]
    try:
        shown = await identity.boards.open(code, address_of(request))
    except TooMany:
        return RedirectResponse("/board?why=wait", _SEE_OTHER)
    if shown is None:
        return RedirectResponse("/board?why=wrong", _SEE_OTHER)
    response = RedirectResponse("/board", _SEE_OTHER)
    response.set_cookie(
        BOARD_COOKIE,
        code,
        max_age=int(_REMEMBERED.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.get("/language/{language}")
async def choose_language(request: Request, language: Language, next: str = "/") -> RedirectResponse:
    """Remember the reader's language on this browser and go back to the page."""
    response = RedirectResponse(own_path(next), _SEE_OTHER)
    response.set_cookie(COOKIE, language, max_age=int(_REMEMBERED.total_seconds()), httponly=True, samesite="lax")
    return response


def _said_of_password(what: str) -> RedirectResponse:
    return RedirectResponse(f"/account?password={what}", _SEE_OTHER)


def _again(target: str, why: str) -> RedirectResponse:
    return RedirectResponse(f"/login?{urlencode({'why': why, 'next': target})}", _SEE_OTHER)


def _refuse_foreign_form(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden(Text("The form comes from another site's page.", "表单来自其他网站的页面。"))
