"""`sunmao-cloud compute opinions`: second opinions that are metered, for who asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloud.console import Column, Json, Lang
from cloud.rental_cli import Side, TokenFile, Url, rented, utc, write, yuan
from protocols.errors import ConfigError
from protocols.text import Text

opinions_app = typer.Typer(no_args_is_help=True, help="Second opinions on single parts, metered. 单件复检(计量)。")
_SERVINGS = (
    Column(Text("id", "编号"), lambda row: row["id"]),
    Column(Text("offer", "报价"), lambda row: row["code"]),
    Column(Text("customer", "客户"), lambda row: row["customer"]),
    Column(Text("opinions", "复检次数"), lambda row: f"{row['count']:,}", amount=True),
    Column(Text("seconds", "秒"), lambda row: f"{row['seconds']:,.3f}", amount=True),
    Column(Text("billed, ¥", "已计费，元"), lambda row: yuan(row["cost"]), amount=True),
    Column(Text("left, ¥", "剩余，元"), lambda row: yuan(row["left"]), amount=True),
    Column(Text("ended (UTC)", "结束(UTC)"), lambda row: utc(row["ended_at"])),
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(opinions_app, name="opinions")


@opinions_app.command("open")
def open_serving(
    code: Annotated[str, typer.Argument(help="Code of the offer. 报价编码。")],
    *,
    url: Url,
    budget: Annotated[
        float, typer.Option("--budget", min=0.000001, help="Yuan, reserved until the end. 预留金额，元。")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the boxes' token is written. 盒子令牌保存位置。")],
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Reserve money for opinions; the token for [inspection.remote] is written to a file and never shown. 开通复检。"""
    with rented(url, token_file, as_json, lang) as here:
        if out.exists():
            raise ConfigError(
                Text("it is there already", "文件已存在"), Text("name a new file", "请指定新文件"), key=str(out)
            )
        made = here.told(here.ask("POST", "compute/servings", json={"offer": code, "budget": budget}, key=code))
        identity = made["serving"]["id"]
        try:
            write(out, made["token"].encode(), secret=True)
        except ConfigError:
            here.ask("DELETE", f"compute/servings/{identity}")  # nobody has its token
            raise
        here.say(made["serving"] | {"token_file": str(out)}, str(identity))


@opinions_app.command("list")
def list_servings(
    *,
    url: Url,
    token_file: TokenFile = None,
    side: Side = "customer",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List what was asked, what it cost and what is left, newest first. 列出复检用量。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.get("compute/servings", side=side)
        here.show("servings", found, _SERVINGS, Text("There are none.", "没有复检。"))


@opinions_app.command("end")
def end_serving(
    serving: Annotated[str, typer.Argument(help="Id, as `opinions list` shows it. 编号。")],
    *,
    url: Url,
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """End it: what was answered is billed, the rest of the money is free again. 结束复检并释放余额。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.told(here.ask("DELETE", f"compute/servings/{serving}", key=serving))
        here.say(found, Text(f"Ended; {yuan(found['cost'])} yuan in all.", f"已结束，共 {yuan(found['cost'])} 元。"))
