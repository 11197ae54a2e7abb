"""The plain HTTP behind the pages: pairing, the language switch, the photograph of a code, the report as a file."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import UploadFile

from edge_agent.ui.enrolment_code import MOST_BYTES, read_photograph
from edge_agent.ui.gate import COOKIE as PAIRED
from edge_agent.ui.gate import Pairing
from edge_agent.ui.pages.report import write_report
from edge_agent.ui.visit import COOKIE, Visit, language_of
from edge_agent.ui.workplace import Workplace
from protocols.errors import ConfigError
from protocols.text import Language

_REMEMBERED = timedelta(days=365)
_SEE_OTHER = 303


def make_router(workplace: Workplace, pairing: Pairing) -> APIRouter:
    """Return the routes of one box."""
    router = APIRouter(include_in_schema=False)

    @router.post("/pair")
    async def pair(request: Request) -> RedirectResponse:
        """Let a browser in that shows the PIN."""
        form = await request.form()
        token = pairing.pair(str(form.get("pin", "")))
        if token is None:
            return RedirectResponse("/pair?why=wrong", _SEE_OTHER)
        response = RedirectResponse("/", _SEE_OTHER)
        response.set_cookie(PAIRED, token, httponly=True, samesite="strict")
        return response

    @router.get("/language/{language}")
    async def choose_language(language: Language, next: str = "/") -> RedirectResponse:
        """Remember the reader's language on this browser and go back to the page."""
        response = RedirectResponse(own_path(next), _SEE_OTHER)
        response.set_cookie(COOKIE, language, max_age=int(_REMEMBERED.total_seconds()), httponly=True, samesite="lax")
        return response

    @router.post("/connect/photo")
    async def photograph(request: Request) -> RedirectResponse:
        """Read the enrolment code from a photograph; the page it leads to shows what was read."""
        form = await request.form()
        file = form.get("photo")
        try:
            data = await file.read(MOST_BYTES) if isinstance(file, UploadFile) else b""
            workplace.photographed = read_photograph(data)
        except ConfigError as error:
            workplace.photographed = error
        return RedirectResponse("/connect", _SEE_OTHER)

    @router.get("/report/file")
    async def report_file(request: Request) -> HTMLResponse:
        """The report as one self-contained file."""
        visit = Visit(request, language_of(request), workplace)
        name, content = await write_report(visit)
        return HTMLResponse(content, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    return router


def own_path(target: str) -> str:
    """Return `target` if it is a path of this site, else the first page: a link must not lead a reader elsewhere."""
    parts = urlsplit(target)
    ours = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if ours and target.isprintable() else "/"
