"""Puts the technician's pages together into one application and serves it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from nicegui import app as pages_app
from nicegui import ui
from starlette.types import ASGIApp

from edge_agent.ui import layout
from edge_agent.ui.elements import failure, link_button, notice
from edge_agent.ui.gate import Gate, Pairing
from edge_agent.ui.pages import check, connect, machine, machines, pair, point, report
from edge_agent.ui.routes import make_router
from edge_agent.ui.visit import Visit, language_of
from edge_agent.ui.workplace import Workplace
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Text

STATIC = Path(__file__).parent / "static"

_NOT_FOUND = Text("Nothing here", "此处没有内容")
_FAILED = Text("The page could not be shown", "页面无法显示")
_FAILED_WHY = Text(
    "The fault is ours and stands in the terminal. The agent goes on; nothing is lost.",
    "系统故障，详情见终端窗口。代理仍在运行，数据不会丢失。",
)
_TO_START = Text("To the start", "返回首页")

Build = Callable[..., Awaitable[None]]


def make_app(workplace: Workplace, pairing: Pairing, *, local_only: bool) -> ASGIApp:
    """Return the pages of one box, behind their gate. `local_only`: only this box itself may ask for them."""
    app = FastAPI(title="Sunmao", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(make_router(workplace, pairing))
    app.mount("/look", StaticFiles(directory=STATIC), name="look")
    # NiceGUI keeps one application per process; a second one in it (tests have many) starts from a clean one.
    pages_app.middleware_stack = None
    pages_app.user_middleware.clear()

    def page(path: str, build: Build) -> None:
        async def show(request: Request) -> None:
            await _guarded(Visit(request, language_of(request), workplace), build)

        ui.page(path, response_timeout=20)(show)

    @ui.page("/")
    def start() -> RedirectResponse:
        return RedirectResponse("/machines" if workplace.identity() or workplace.drafts.machines else "/connect", 303)

    @ui.page("/machine/{number}", response_timeout=60)
    async def one_machine(request: Request, number: str) -> None:
        await _guarded(Visit(request, language_of(request), workplace), machine.build, number)

    @ui.page("/machine/{number}/point/{place}")
    async def one_point(request: Request, number: str, place: int) -> None:
        await _guarded(Visit(request, language_of(request), workplace), point.build, number, place)

    ui.page("/pair")(pair.make(pairing))
    page("/connect", connect.build)
    page("/machines", machines.build)
    page("/check", check.build)
    page("/report", report.build)
    pages_app.on_page_exception(_show_failure)
    ui.run_with(
        app,
        root=_show_not_found,
        title="Sunmao",
        favicon=STATIC / "favicon.svg",
        tailwind=False,
        binding_refresh_interval=None,
        show_welcome_message=False,
    )
    return Gate(app, pairing, local_only)


async def _guarded(visit: Visit, build: Build, *place: object) -> None:
    """Build a page; what a person can mend is said on it."""
    try:
        await build(visit, *place)
    except SunmaoError as error:
        failure(error, visit.language)


def _show_not_found(request: Request) -> None:
    language = language_of(request)
    ui.context.client.status_code = 404
    layout.prepare(_NOT_FOUND.to(language), language)
    notice(_NOT_FOUND.to(language), "warn")
    link_button(_TO_START.to(language), "/")


def _show_failure(error: Exception) -> None:
    language = language_of(ui.context.client.request)
    layout.prepare(_FAILED.to(language), language)
    notice(_FAILED.to(language), "bad", mend=_FAILED_WHY.to(language))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises ConfigError if the port cannot be had.

    Without TCP_NODELAY, which asyncio sets only where a socket names its protocol, a body would wait for the headers' ACK.
    """
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise ConfigError(
            Text(f"cannot listen on {host}:{port}: {error.strerror}", f"无法监听 {host}:{port}：{error.strerror}"),
            Text(
                "stop what uses it, or choose another --port (0: the system's choice)",
                "请停止占用该端口的程序，或更换 --port（0 表示自动选择）",
            ),
            key="--port",
        ) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


async def serve(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until the process is told to end; `ready` is called once requests are taken."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    await Server(config).serve(sockets=[listening])
