"""`sunmao-cloud compute` about vouchers: programmes, a company's applications, and the operator's word on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cloud.console import Column, Json, Lang, listed
from cloud.rental_cli import TokenFile, Url, rented, utc, yuan
from protocols.text import Text

vouchers_app = typer.Typer(no_args_is_help=True, help="Vouchers for computing. 算力券。")
Voucher = Annotated[str, typer.Argument(help="Id of the application. 申请编号。")]
_STATES = {
    "applied": Text("applied for", "待审批"),
    "issued": Text("issued", "已发放"),
    "rejected": Text("turned down", "未通过"),
    "withdrawn": Text("withdrawn", "已撤回"),
    "expired": Text("expired", "已过期"),
}
_VOUCHERS = (
    Column(Text("voucher", "编号"), lambda row: row["id"]),
    Column(Text("company", "企业"), lambda row: row["company"]),
    Column(Text("programme", "计划"), lambda row: row["programme"]),
    Column(Text("state", "状态"), lambda row: _STATES[row["state"]]),
    Column(Text("fee, ¥", "预计费用，元"), lambda row: yuan(row["fee"]), amount=True),
    Column(Text("granted, ¥", "发放，元"), lambda row: yuan(row["amount"]), amount=True),
    Column(Text("left, ¥", "剩余，元"), lambda row: yuan(row["left"]), amount=True),
    Column(Text("until (UTC)", "有效期至(UTC)"), lambda row: utc(row["valid_until"])),
    Column(Text("reason", "理由"), lambda row: row["reason"]),
)
_FLOWS = {"deduct_now": Text("at once", "即时抵扣"), "reimburse": Text("on proof", "凭证返还")}
_PROGRAMMES = (
    Column(Text("programme", "计划"), lambda row: row["code"]),
    Column(Text("name", "名称"), lambda row: Text(row["name_en"], row["name_zh"])),
    Column(Text("pays", "兑付"), lambda row: _FLOWS[row["flow"]]),
    Column(Text("at most", "最高比例"), lambda row: f"{row['highest_share']:.0%}", amount=True),
    Column(Text("open until (UTC)", "受理至(UTC)"), lambda row: utc(row["closes_at"])),
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(vouchers_app, name="vouchers")
    for command in (programmes, applications, approve, decline):
        app.command(command.__name__)(command)


@vouchers_app.command("list")
def list_vouchers(*, url: Url, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """List your vouchers and applications with what became of them, newest first. 列出算力券与申请记录。"""
    with rented(url, token_file, as_json, lang) as here:
        here.show("vouchers", here.get("billing/vouchers"), _VOUCHERS, Text("There are no vouchers.", "没有算力券。"))


@vouchers_app.command("apply")
def apply(
    programme: Annotated[str, typer.Argument(help="Code of a programme: see `programmes`. 补贴计划代码。")],
    *,
    url: Url,
    fee: Annotated[float, typer.Option("--fee", help="Fees expected within a year, yuan. 一年内预计费用，元。")],
    purpose: Annotated[str, typer.Option("--purpose", help="What is computed. 用途。")],
    contact: Annotated[str, typer.Option("--contact", help="Whom to ask. 联系方式。")],
    applicant: Annotated[
        Literal["enterprise", "startup", "institute", "one_person"],
        typer.Option("--applicant", help="What it is. 申请主体。"),
    ] = "enterprise",
    affiliate: Annotated[
        list[str] | None, typer.Option("--affiliate", help="A provider you belong together with. 关联提供方。")
    ] = None,
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Apply for a voucher; name and credit code of the company are known. 申请算力券。"""
    body = {"programme": programme, "fee": fee, "purpose": purpose, "contact": contact, "applicant": applicant}
    with rented(url, token_file, as_json, lang) as here:
        made = here.told(here.ask("POST", "billing/vouchers", json=body | {"affiliates": affiliate or []}))
        here.say(made, listed([made], _VOUCHERS, here.language))


@vouchers_app.command("withdraw")
def withdraw(
    voucher: Voucher,
    *,
    url: Url,
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Take an application back before it is decided. 撤回申请。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.told(here.ask("POST", f"billing/vouchers/{voucher}/withdrawal"))
        here.say(found, listed([found], _VOUCHERS, here.language))


def programmes(*, url: Url, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """List the voucher programmes whose rules are known, those open here first. 列出算力券补贴计划。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.get("billing/programmes")
        here.show("programmes", found, _PROGRAMMES, Text("There are none.", "没有补贴计划。"))


def applications(
    *,
    url: Url,
    token_file: TokenFile = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those to be decided. 仅待审批。")] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List all companies' vouchers and applications, newest first; the operator's. 列出全部申请(运营方)。"""
    with rented(url, token_file, as_json, lang) as here:
        found = [row for row in here.get("billing/applications") if not waiting or row["state"] == "applied"]
        here.show("applications", found, _VOUCHERS, Text("There are none.", "没有申请。"))


def approve(
    voucher: Voucher,
    *,
    url: Url,
    amount: Annotated[
        float | None, typer.Option("--amount", help="Yuan; what the rules allow unless told. 发放金额。")
    ] = None,
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Grant an application; the operator's. 批准申请(运营方)。"""
    _decide(voucher, {"approve": True, "amount": amount}, (url, token_file, as_json, lang))


def decline(
    voucher: Voucher,
    *,
    url: Url,
    reason: Annotated[str, typer.Option("--reason", help="Why; the company reads it. 理由。")],
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Turn an application down; the operator's. 驳回申请(运营方)。"""
    _decide(voucher, {"approve": False, "reason": reason}, (url, token_file, as_json, lang))


def _decide(voucher: str, body: dict[str, Any], asked: tuple[str, Path | None, bool, str | None]) -> None:
    with rented(*asked) as here:
        found = here.told(here.ask("POST", f"billing/applications/{voucher}/decision", json=body))
        here.say(found, listed([found], _VOUCHERS, here.language))
