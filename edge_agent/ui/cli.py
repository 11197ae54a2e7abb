"""The command of the technician's pages: `sunmao-edge ui`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.console import Json, Lang
from edge_agent.plain_lines import explained, say
from protocols.errors import ConfigError
from protocols.text import Text, choose_language

PORT = 8020


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("ui")(ui_command)


def ui_command(
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="Configuration file; made if there is none. 配置文件，不存在则新建。")
    ] = Path("agent.toml"),
    port: Annotated[int, typer.Option(help="TCP port; 0 = any free one. 端口，0 为自动选择。")] = PORT,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 lets phones in, by PIN. 监听地址；0.0.0.0 允许手机凭配对码访问。"
        ),
    ] = "127.0.0.1",
    rate: Annotated[
        float, typer.Option(min=1, max=1000, help="Most questions a second to an unknown machine. 每秒最多请求数。")
    ] = 20.0,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Serve the technician's pages until Ctrl-C: connect, find machines, confirm, check. 启动技术员页面。"""
    language = choose_language(lang)
    with explained(language):
        try:
            from edge_agent.ui.app import listen, make_app, serve
            from edge_agent.ui.gate import Pairing, is_local
            from edge_agent.ui.networks import own_addresses
            from edge_agent.ui.workplace import Workplace
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("edge_agent"):
                raise
            raise ConfigError(
                Text(f"the pages need the package '{error.name}'", f"页面功能缺少软件包“{error.name}”"),
                Text("install sunmao-iiot[edge,ui]", "请安装 sunmao-iiot[edge,ui]"),
            ) from error
        local = is_local(f"[{host}]" if ":" in host else host)
        pairing = Pairing(needed=not local)
        workplace = Workplace(config, rate)
        listening = listen(host, port)
        everywhere = host in {"", "0.0.0.0", "::"}  # noqa: S104 - what a person typed
        hosts = (own_addresses() if everywhere else []) or [f"[{host}]" if ":" in host else host]
        url, *others = (f"http://{shown}:{listening.getsockname()[1]}" for shown in hosts)

        def ready() -> None:
            found = {"url": url} | ({"pin": pairing.pin} if pairing.needed else {})
            pin = f"{pairing.pin[:4]} {pairing.pin[4:]}"
            places = ", ".join([url, *others])
            en, zh = f"the pages are at {places} (Ctrl-C ends them)", f"页面地址：{places}（按 Ctrl-C 结束）"
            if pairing.needed:
                en, zh = f"{en}; PIN for phones: {pin}", f"{zh}；手机配对码：{pin}"
            say(found, Text(en, zh), language, as_json)

        app = make_app(workplace, pairing, local_only=local)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            asyncio.run(serve(app, listening, ready))
