"""`sunmao-cloud sharing`: prove a grant's receipts whole, from a downloaded file, without a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloud.console import Json, Lang, answer, content_of, explained
from protocols.text import Text, choose_language

sharing_app = typer.Typer(no_args_is_help=True, help="Data shared between companies. 企业间数据共享。")

_GIVE = Text("give a file downloaded from the grant's page", "请提供从授权页面下载的文件")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(sharing_app, name="sharing")


@sharing_app.command("verify")
def verify(
    file: Annotated[
        Path, typer.Argument(help="Receipts as downloaded from the grant's page. 从授权页面下载的凭据文件。")
    ],
    *,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", help="The other side's file, or an earlier one of yours. 对方的文件，或本方较早下载的文件。"
        ),
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Find any receipt that was changed, moved, added or taken away; exit status 1 if there is one. 校验授权凭据。"""
    from cloud.sharing import receipts

    language = choose_language(lang)
    with explained(language, as_json):
        text = content_of(file, "FILE", _GIVE)
        verdict = receipts.compare(text, content_of(against, "--against", _GIVE)) if against else receipts.verify(text)
        fault = verdict.fault.to(language) if verdict.fault else ""
        said = (
            Text(f"receipt {verdict.seq}: {fault}", f"第 {verdict.seq} 条凭据：{fault}")
            if fault
            else Text(
                f"{verdict.receipts} receipts, {verdict.reads} of them reads: whole",
                f"共 {verdict.receipts} 条凭据，其中读取 {verdict.reads} 条：完整",
            )
        )
        answer(as_json, verdict._asdict() | {"fault": fault}, said, language)
        if fault:
            raise typer.Exit(1)
