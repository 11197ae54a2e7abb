"""`sunmao-edge buffer salvage`: what a damaged buffer still holds, put into a new one and sent if wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edge_agent.console import Json, Lang, plain, print_table, progress
from edge_agent.interruptible import run_work
from edge_agent.plain_lines import explained, print_json, print_line
from protocols.errors import ConfigError
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from edge_agent.buffer_care import Salvage
    from edge_agent.config import Config


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("salvage")(salvage_command)


def salvage_command(
    *,
    damaged: Annotated[
        list[Path] | None,
        typer.Argument(help="Damaged buffer files; all that were set aside otherwise. 损坏的缓存文件。"),
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send what is rescued to the cloud. 将抢救出的数据上传云端。")
    ] = False,
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file. 配置文件。")] = Path("agent.toml"),
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Rescue what a damaged buffer still holds into a new one; the damaged file stays. 抢救损坏缓存中的数据。"""
    from edge_agent.buffer_care import SALVAGED, salvage
    from edge_agent.config import load_config

    language = choose_language(lang)
    with explained(language):
        loaded = load_config(config)
        state_dir = loaded.agent.state_dir
        files = damaged or sorted(state_dir.glob("buffer-*.damaged"))
        for file in files:
            if not file.is_file():
                raise ConfigError(Text("there is no such file", "没有这个文件"), key=str(file))
        done = []
        for file in files:
            into = state_dir / SALVAGED / file.name
            if damaged is None and into.exists():
                continue
            with progress(None, Text("salvaging", "抢救中").to(language), as_json) as advance:
                done.append(salvage(file, into, lambda tried, total: advance(total)))
        if send:
            folders = sorted(path for path in (state_dir / SALVAGED).glob("*") if path.is_dir())
            run_work(_send(folders, loaded, language))
        _show(done, send, language, as_json)
        raise typer.Exit(0 if all(each.whole for each in done) else 1)


async def _send(folders: list[Path], config: Config, language: Language) -> None:
    """Send what the buffers in `folders` hold; what has been sent is forgotten there. Raises Unreachable or Refused."""
    from edge_agent.buffer import Buffer
    from edge_agent.cloud_link import CloudLink
    from edge_agent.config import BufferConfig
    from edge_agent.forward import Forwarder
    from edge_agent.identity import Login

    async with CloudLink(config.cloud.url, config.cloud.ca) as link:
        login = Login(config.agent.state_dir, link)
        await login.token()
        for folder in folders:
            buffer = Buffer(folder, BufferConfig.model_validate({"limit_mb": 1_000_000}), language)
            await buffer.open()
            try:
                await Forwarder(buffer, link, login, config.agent.state_dir, buffer.announce).run_empty()
            finally:
                await buffer.close()


def _show(done: list[Salvage], sent: bool, language: Language, as_json: bool) -> None:
    if as_json:
        print_json([msgspec.to_builtins(each) for each in done])
        return
    if not done:
        print_line(Text("there is no damaged buffer that has not been salvaged", "没有尚未抢救的损坏缓存").to(language))
        return
    heads = (
        Text("damaged file", "损坏的文件"),
        Text("readings rescued", "抢救读数"),
        Text("batches lost", "丢失批次"),
        Text("readings lost", "丢失读数"),
        Text("now in", "现存于"),
    )
    print_table(
        heads,
        [
            (
                plain(each.source),
                f"{each.rows:,}",
                f"{each.lost_frames:,}",
                "?" if each.lost_rows is None else f"{each.lost_rows:,}",
                plain(each.into),
            )
            for each in done
        ],
        language,
    )
    if any(not each.epoch_kept for each in done):
        print_line(
            Text(
                "the file no longer says whose it was: readings sent shortly before the damage may arrive twice",
                "文件已无法表明其标识：损坏前刚上传的读数可能重复",
            ).to(language)
        )
    if not sent:
        print_line(
            Text("send it with: sunmao-edge buffer salvage --send", "上传命令：sunmao-edge buffer salvage --send").to(
                language
            )
        )
