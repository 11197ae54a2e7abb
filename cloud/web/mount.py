"""Puts the pages on the cloud's application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from nicegui import app as pages_app
from nicegui import ui
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from cloud.core.errors import Forbidden, NotFound
from cloud.identity.routes import set_session_cookie
from cloud.web import layout, routes
from cloud.web.language import language_of
from cloud.web.pages import (
    account,
    alarm,
    alarm_rules,
    alarms,
    assessment,
    audit,
    board,
    boards,
    channels,
    compute,
    compute_job,
    configuration,
    control,
    describe,
    diagnostics,
    dictionary,
    energy,
    energy_settings,
    enrol,
    equipment,
    gateways,
    inspection,
    inspections,
    join,
    judge,
    login,
    lots,
    market,
    models,
    oee,
    oee_settings,
    overview,
    people,
    person,
    plant_layout,
    plant_part,
    programme,
    programmes,
    provider,
    quality,
    renewal,
    reports,
    share,
    shares,
    shelf,
    stops,
    supplier,
    trace,
    training,
    training_set,
    trends,
    uploads,
    wallet,
)
from cloud.web.places import place_of
from cloud.web.visit import Domains, Visit, visit_of
from protocols.text import Text

STATIC = Path(__file__).parent / "static"

Build = Callable[[Visit], Awaitable[None]]

PAGES: dict[str, Build] = {
    "/": overview.build,
    "/sites/{site_id}": plant_part.build_site,
    "/lines/{line_id}": plant_part.build_line,
    "/equipment/{equipment_id}": equipment.build,
    "/energy": energy.build,
    "/energy/settings": energy_settings.build,
    "/oee": oee.build,
    "/oee/stops": stops.build,
    "/oee/settings": oee_settings.build,
    "/trends": trends.build,
    "/boards": boards.build,
    "/quality": quality.build,
    "/energy/renewal": renewal.build,
    "/alarms": alarms.build,
    "/alarms/{alarm_id}": alarm.build,
    "/alarm-rules": alarm_rules.build,
    "/alarm-rules/{rule_id}": alarm_rules.build_one,
    "/channels": channels.build,
    "/reports": reports.build,
    "/inspections": inspections.build,
    "/inspections/{inspection_id}": inspection.build,
    "/judge": judge.build,
    "/training": training.build,
    "/training/{set_id}": training_set.build,
    "/models": models.build,
    "/control": control.build,
    "/lots": lots.build,
    "/programmes": programmes.build,
    "/programmes/{programme_id}": programme.build,
    "/assessment": assessment.build,
    "/trace": trace.build,
    "/compute": compute.build,
    "/compute/jobs/{job_id}": compute_job.build,
    "/wallet": wallet.build,
    "/wallet/market": market.build,
    "/provider": provider.build,
    "/shares": shares.build,
    "/shares/{grant_id}": share.build,
    "/shelf": shelf.build,
    "/gateways": gateways.build,
    "/gateways/{agent_id}/configuration": configuration.build,
    "/gateways/{agent_id}/diagnostics": diagnostics.build,
    uploads.PATH: uploads.build,
    "/dictionary": dictionary.build,
    "/plant": plant_layout.build,
    "/plant/equipment/{equipment_id}": describe.build,
    "/people": people.build,
    "/people/{user_id}": person.build,
    "/audit": audit.build,
    "/account": account.build,
}

_NOT_FOUND = Text("Nothing here", "此处没有内容")
_NOT_FOUND_WHY = Text(
    "The address is wrong, or what was here belongs to another company or has been removed.",
    "地址有误，或该内容不属于本企业，或已被移除。",
)
_CLOSED = Text("Not open to your role", "您的角色无权访问")
_CLOSED_WHY = Text("Ask a manager of your company if you need this page.", "如需使用该页面，请联系本企业管理者。")
_FAILED = Text("The page could not be shown", "页面无法显示")
_FAILED_WHY = Text(
    "The fault is ours and has been logged. Your machines go on delivering; nothing is lost. Try again in a minute.",
    "系统故障，已记录。设备数据仍在正常采集，不会丢失。请稍后重试。",
)
_PATIENCE_S = 20
"""How long a page waits for a browser that has lost its connection; then it is loaded anew, and what was typed is gone."""
_TO_OVERVIEW = Text("To the overview", "返回总览")


def mount(app: FastAPI) -> None:
    """Add all pages to `app`; call it after the API's routes, for the pages answer every other address.

    The domains are taken from `app.state` when a page is asked for, so the application may make them in its lifespan.
    """
    app.routes.append(Route("/api/{path:path}", _UnknownApi(app), include_in_schema=False))
    app.include_router(routes.router)
    app.mount("/look", StaticFiles(directory=STATIC), name="look")
    # NiceGUI keeps one application per process; a second cloud in it (tests have many) starts from a clean one.
    pages_app.middleware_stack = None
    pages_app.user_middleware.clear()
    for path, open_page in (("/login", login.build), (people.JOIN_PATH, join.build)):
        ui.page(path, response_timeout=10)(_before_log_in(app, open_page))
    ui.page("/enrol", response_timeout=10)(enrol.build)
    ui.page(supplier.INVITATION_PATH, response_timeout=10)(_invitation(app))
    ui.page("/board", response_timeout=10)(board.page_of(app))
    for path, build in PAGES.items():
        ui.page(path, response_timeout=10)(_guarded(app, build))
    pages_app.on_page_exception(_show_failure)
    ui.run_with(
        app,
        root=_show_not_found,
        title="Sunmao",
        favicon=STATIC / "favicon.svg",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=_PATIENCE_S,
        show_welcome_message=False,
    )


class _UnknownApi:
    """Answers, as the API does, what no route of the API takes; the pages, which take all else, would send HTML."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for route in self._app.routes:
            if route.matches(scope)[0] is Match.PARTIAL:
                await route.handle(scope, receive, send)  # it raises 405 and names the methods it takes
                return
        raise NotFound


def _invitation(app: FastAPI) -> Callable[[Request], Awaitable[None]]:
    async def page(request: Request) -> None:
        await supplier.build(request, Domains.of(app).suppliers)

    return page


def _before_log_in(
    app: FastAPI, build: Callable[[Request, str | None], Awaitable[None]]
) -> Callable[[Request], Awaitable[None]]:
    """Return the page that is told what to call log-in with the account at work, None where there is none."""

    async def page(request: Request) -> None:
        provider = Domains.of(app).identity.single_sign_on
        await build(request, provider.called if provider else None)

    return page


def _guarded(app: FastAPI, build: Build) -> Callable[[Request], Awaitable[Response | None]]:
    """Return the page that lets signed-in people in to `build` and sends all others to the log-in page."""

    async def page(request: Request) -> Response | None:
        visit = await visit_of(request, Domains.of(app))
        if visit is None:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/login?next={quote(request.url.path + query, safe='')}", 303)
        if session := await visit.domains.identity.tokens.renewed(visit.principal):
            again = RedirectResponse(visit.here, 303)
            set_session_cookie(again, request, session)
            return again
        place = place_of(request.url.path)
        if place is not None and not visit.may(place.scope):
            _show_closed(visit)
            return None
        try:
            await build(visit)
        except NotFound:
            _show_not_found(request)
        return None

    return page


def _show_not_found(request: Request) -> None:
    language = language_of(request)
    client = ui.context.client
    client.status_code = NotFound.status
    layout.prepare(_NOT_FOUND.to(language), language)
    layout.show_message(_NOT_FOUND.to(language), _NOT_FOUND_WHY.to(language), ("/", _TO_OVERVIEW.to(language)))


def _show_closed(visit: Visit) -> None:
    ui.context.client.status_code = Forbidden.status
    with layout.frame(visit, visit.say(_CLOSED)):
        layout.show_message(visit.say(_CLOSED), visit.say(_CLOSED_WHY), ("/", visit.say(_TO_OVERVIEW)))


def _show_failure(error: Exception) -> None:
    language = language_of(ui.context.client.request)
    layout.prepare(_FAILED.to(language), language)
    layout.show_message(_FAILED.to(language), _FAILED_WHY.to(language), ("/", _TO_OVERVIEW.to(language)))
