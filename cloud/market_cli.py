"""`sunmao-cloud compute` on the market: what is offered, a provider's offers and earnings, the operator's quotas."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud.console import Column, Json, Lang, content_of, listed
from cloud.rental_cli import Month, Platform, TokenFile, Url, rented, utc, write, yuan
from protocols.errors import ConfigError
from protocols.text import Text

offer_app = typer.Typer(no_args_is_help=True, help="A provider's offers. 提供算力。")
_TERMS = Text("give a TOML file as docs/compute.md shows", "请提供 docs/compute.zh.md 所示的 TOML 文件")
_FREE = Text("free", "空闲")


def _state(offer: dict[str, Any]) -> Text:
    if offer["closed_at"]:
        return Text("closed", "已下架")
    if offer["paused"]:
        return Text("paused", "暂停接单")
    if not offer["alive"]:
        return Text("does not answer", "无应答")
    if not offer["proven"]:
        return Text("chip not proven", "芯片未验证")
    return Text("busy", "使用中") if offer["busy"] else _FREE


_OFFERS = (
    Column(Text("offer", "报价"), lambda row: row["code"]),
    Column(Text("provider", "提供方"), lambda row: row["provider"]),
    Column(Text("region", "地区"), lambda row: row["terms"]["region"]),
    Column(Text("chip", "芯片"), lambda row: row["terms"]["chip"]),
    Column(Text("cores", "核数"), lambda row: row["terms"]["cores"], amount=True),
    Column(Text("memory, GB", "内存，GB"), lambda row: f"{row['terms']['memory_gb']:g}", amount=True),
    Column(Text("speed", "速度"), lambda row: f"{row['speed']:.2f}" if row["speed"] else "–", amount=True),
    Column(Text("now, ¥/h", "现价，元/小时"), lambda row: yuan(row["price_now"]), amount=True),
    Column(Text("failures/h", "故障/小时"), lambda row: f"{row['failures_per_hour']:.3f}", amount=True),
    Column(Text("green", "绿色指数"), lambda row: f"{row['green']['score']:.0f}", amount=True),
    Column(Text("state", "状态"), _state),
)
_CHARGES = (
    Column(Text("begin (UTC)", "开始(UTC)"), lambda row: utc(row["start_at"])),
    Column(Text("job", "作业编号"), lambda row: row["job_id"] or "–"),
    Column(Text("category", "类别"), lambda row: row["category"]),
    Column(Text("seconds", "秒"), lambda row: f"{row['seconds']:,.1f}", amount=True),
    Column(Text("price, ¥/h", "单价，元/小时"), lambda row: yuan(row["price"]), amount=True),
    Column(Text("cost, ¥", "费用，元"), lambda row: yuan(row["cost"]), amount=True),
)
_QUOTAS = (
    Column(Text("company", "企业"), lambda row: row["company"]),
    Column(Text("credit code", "信用代码"), lambda row: row["credit_code"] or "–"),
    Column(Text("open jobs", "未完成作业"), lambda row: f"{row['jobs']}/{row['open_jobs']}", amount=True),
    Column(Text("reserved, ¥", "预留，元"), lambda row: yuan(row["reserved"]), amount=True),
    Column(Text("at most, ¥", "上限，元"), lambda row: yuan(row["open_budget"]), amount=True),
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (offers, settlements, quota):
        app.command(command.__name__)(command)
    app.add_typer(offer_app, name="offer")


def offers(
    words: Annotated[
        str, typer.Argument(help="Part of a code or of a provider's name. 编码或提供方名称的一部分。")
    ] = "",
    *,
    url: Url,
    token_file: TokenFile = None,
    chip: Annotated[str, typer.Option("--chip", help="A family, or one of it: cuda, cuda-a10. 芯片。")] = "",
    region: Annotated[str, typer.Option("--region", help="As CN-JS. 地区。")] = "",
    price: Annotated[float | None, typer.Option("--price", help="Yuan per hour now, at most. 现价上限。")] = None,
    free: Annotated[bool, typer.Option("--free", help="Only where a job would run at once. 仅空闲。")] = False,
    own: Annotated[bool, typer.Option("--own", help="Yours, closed ones too. 本企业的报价。")] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List the computing power that can be had, cheapest first. 列出可用算力。"""

    def wanted(row: dict[str, Any]) -> bool:
        terms = row["terms"]
        return (
            words.lower() in f"{row['code']} {row['provider']}".lower()
            and (not chip or chip in (terms["chip"], terms["chip"].partition("-")[0]))
            and region in ("", terms["region"])
            and (price is None or row["price_now"] <= price)
            and (not free or _state(row) == _FREE)
        )

    with rented(url, token_file, as_json, lang) as here:
        found = [row for row in here.get("compute/offers", own="true" if own else "") if wanted(row)]
        found.sort(key=lambda row: row["price_now"])
        here.show("offers", found, _OFFERS, Text("There is no such offer.", "没有符合条件的报价。"))


@offer_app.command("open")
def open_offer(
    terms: Annotated[Path, typer.Argument(help="What is offered: a TOML file. 报价文件。")],
    *,
    url: Url,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the worker's token is written. 令牌保存位置。")],
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Offer computing power; its worker's token is written to a file and never shown. 新建报价。"""
    with rented(url, token_file, as_json, lang) as here:
        body = _toml(terms)
        if out.exists():
            raise ConfigError(
                Text("it is there already", "文件已存在"), Text("name a new file", "请指定新文件"), key=str(out)
            )
        made = here.told(here.ask("POST", "compute/offers", json=body, key=str(terms)))
        try:
            write(out, made["token"].encode(), secret=True)
        except ConfigError:
            here.ask("DELETE", f"compute/offers/{made['offer']['id']}")  # nobody has its token
            raise
        start = f"sunmao-cloud compute work --url {url} --token-file {out}"
        here.say(made["offer"] | {"token_file": str(out)}, f"{made['offer']['code']}\n{start}")


@offer_app.command("change")
def change_offer(
    code: Annotated[str, typer.Argument(help="Code of your offer. 本企业报价的编码。")],
    terms: Annotated[
        Path | None, typer.Argument(help="What is to be otherwise: prices and the like, a TOML file. 变更内容文件。")
    ] = None,
    *,
    url: Url,
    pause: Annotated[
        bool | None, typer.Option("--pause/--resume", help="Take no new jobs, or take them again. 暂停或恢复接单。")
    ] = None,
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Let other prices or terms hold from now on; jobs that were placed keep theirs. 变更报价，已提交的作业不受影响。"""
    with rented(url, token_file, as_json, lang) as here:
        body = _toml(terms) if terms else {}
        if pause is not None:
            body["paused"] = pause
        identity = _own_offer(here, code)
        made = here.told(here.ask("PATCH", f"compute/offers/{identity}", json=body, key=str(terms or code)))
        said = Text(f"{code}: terms {made['version']}.", f"{code}：条款版本 {made['version']}。")
        here.say(made, said)


@offer_app.command("close")
def close_offer(
    code: Annotated[str, typer.Argument(help="Code of your offer. 本企业报价的编码。")],
    *,
    url: Url,
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Take an offer back; its worker's token ends at once. 下架报价。"""
    with rented(url, token_file, as_json, lang) as here:
        here.ask("DELETE", f"compute/offers/{_own_offer(here, code)}", key=code)
        here.say({"closed": code}, Text(f"{code} is closed.", f"{code} 已下架。"))


def _toml(terms: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(content_of(terms, "TERMS", _TERMS))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Text(str(error), str(error)), _TERMS, key=str(terms)) from error


def _own_offer(here: Platform, code: str) -> str:
    """Return the id of an open offer of the company's."""
    found = {row["code"]: str(row["id"]) for row in here.get("compute/offers", own="true") if not row["closed_at"]}
    if code not in found:
        mend = Text(f"open are: {', '.join(found) or '–'}", f"现有报价：{'、'.join(found) or '–'}")
        raise ConfigError(Text("your company has no such offer", "本企业没有该报价"), mend, key=code)
    return found[code]


def settlements(
    *, url: Url, month: Month, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None
) -> None:
    """Show what a provider has earned in a month, row by row, and what it can be paid out. 查看提供方结算明细。"""
    with rented(url, token_file, as_json, lang) as here:
        bill = here.get("billing/bill", month=month, side="provider")
        accounts = here.get("billing/wallet")["accounts"]
        bill["payable"] = sum(each["free"] for each in accounts if each["kind"] == "payable")
        cost, payable = yuan(bill["cost"]), yuan(bill["payable"])
        said = Text(f"¥{cost} charged; ¥{payable} to be paid out.", f"计费 ¥{cost}；可提现 ¥{payable}。")
        table = listed(bill["charges"], _CHARGES, here.language) if bill["charges"] else ""
        here.say(bill, f"{table}\n{said.to(here.language)}".strip())


def quota(
    credit_code: Annotated[
        str | None, typer.Argument(help="Of the company whose quota is set. 要设置配额的企业信用代码。")
    ] = None,
    *,
    url: Url,
    token_file: TokenFile = None,
    open_jobs: Annotated[int, typer.Option("--jobs", help="That wait or run, at most. 未完成作业上限。")] = 50,
    open_budget: Annotated[
        float | None, typer.Option("--budget", help="Yuan reserved at most; no limit unless told. 预留上限，元。")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List what companies have open and may have, having set one first if named; the operator's. 配额(运营方)。"""
    with rented(url, token_file, as_json, lang) as here:
        if credit_code:
            body = {"credit_code": credit_code, "open_jobs": open_jobs, "open_budget": open_budget}
            here.ask("PUT", "compute/quotas", json=body)
        here.show("quotas", here.get("compute/quotas"), _QUOTAS, Text("There are none.", "没有配额。"))
