"""`sunmao-cloud compute` about money: wallet, bank of hours, invoices, refunds and the bill, over the platform's API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cloud.console import Column, Json, Lang, listed
from cloud.rental_cli import Month, Out, Side, TokenFile, Url, rented, utc, yuan
from protocols.text import Text

invoices_app = typer.Typer(no_args_is_help=True, help="Invoices of a month. 结算单。")
_ACCOUNTS = {
    "cash": Text("cash", "现金"),
    "voucher": Text("voucher", "算力券"),
    "payable": Text("earnings", "收入"),
    "bond": Text("bond", "保证金"),
    "bank": Text("behind hours", "机时对应金额"),
}
_KINDS = {
    "single": Text("moved", "转账"),
    "hold": Text("held", "占用"),
    "post": Text("paid of what was held", "占用转支付"),
    "void": Text("free again", "释放"),
}
_BALANCES = (
    Column(Text("account", "账户"), lambda row: _ACCOUNTS.get(row["kind"], row["kind"])),
    Column(Text("there, ¥", "余额，元"), lambda row: yuan(row["there"]), amount=True),
    Column(Text("held, ¥", "占用，元"), lambda row: yuan(row["held"]), amount=True),
    Column(Text("free, ¥", "可用，元"), lambda row: yuan(row["free"]), amount=True),
)
_MOVEMENTS = (
    Column(Text("time (UTC)", "时间(UTC)"), lambda row: utc(row["at"])),
    Column(Text("account", "账户"), lambda row: _ACCOUNTS.get(row["account"], row["account"])),
    Column(Text("amount, ¥", "金额，元"), lambda row: yuan(row["amount"]), amount=True),
    Column(Text("what", "类型"), lambda row: _KINDS[row["kind"]]),
    Column(Text("why", "事由"), lambda row: f"{row['reason']} {row['ref']}".strip()),
)
_INVOICES = (
    Column(Text("invoice", "编号"), lambda row: row["id"]),
    Column(Text("number", "号码"), lambda row: row["number"]),
    Column(Text("supplier", "提供方"), lambda row: row["supplier"]),
    Column(Text("customer", "客户"), lambda row: row["customer"]),
    Column(Text("month", "月份"), lambda row: row["month"]),
    Column(Text("amount, ¥", "金额，元"), lambda row: yuan(row["amount"]), amount=True),
)
_NO_INVOICES = Text("There are no invoices.", "没有结算单。")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (wallet, bank, refund, export):
        app.command(command.__name__)(command)
    app.add_typer(invoices_app, name="invoices")


def wallet(
    *,
    url: Url,
    token_file: TokenFile = None,
    movements: Annotated[
        bool, typer.Option("--movements", help="The latest 100 movements, too. 同时列出最近收支。")
    ] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show what is there, held and free, the budget of the month, and what may be open. 查看余额、预算与配额。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.get("billing/wallet")
        found["quota"] = here.get("compute/quota")
        said = [listed(found["accounts"], _BALANCES, here.language)]
        said += [line.to(here.language) for line in (_spent(found), _open(found["quota"]))]
        if movements:
            found["movements"] = here.get("billing/movements")
            said.append(listed(found["movements"], _MOVEMENTS, here.language))
        here.say(found, "\n".join(said))


def bank(
    *,
    url: Url,
    token_file: TokenFile = None,
    buy: Annotated[
        tuple[str, float] | None,
        typer.Option("--buy", metavar="CHIP YUAN", help="Buy hours of a chip for so much. 按金额存入某类机时。"),
    ] = None,
    convert: Annotated[
        tuple[str, str, float] | None,
        typer.Option("--convert", metavar="FROM INTO HOURS", help="Turn hours of a chip into another's. 兑换机时。"),
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show the bank of compute hours: rates and lots; buy or convert first, if told to. 算力银行：查看、存入或兑换机时。"""
    with rented(url, token_file, as_json, lang) as here:
        if buy:
            here.ask("POST", "billing/bank/deposits", json={"chip": buy[0], "amount": buy[1]})
        if convert:
            here.ask(
                "POST", "billing/bank/conversions", json={"chip": convert[0], "into": convert[1], "hours": convert[2]}
            )
        found = here.get("billing/bank")
        rates = [f"{one['chip']}: ¥{one['yuan_per_hour']:g}/h" for one in found["rates"]]
        lots = [f"{one['chip']}: {one['hours']:,.3f} h, {one['expires_at'][:10]}" for one in found["lots"]]
        here.say(
            found,
            Text("\n".join(["Rates", *rates, "Your hours", *lots]), "\n".join(["价格", *rates, "我的机时", *lots])),
        )


@invoices_app.command("list")
def list_invoices(
    *, url: Url, token_file: TokenFile = None, side: Side = "customer", as_json: Json = False, lang: Lang = None
) -> None:
    """List invoices you have got, or issued, newest first. 列出结算单。"""
    with rented(url, token_file, as_json, lang) as here:
        here.show("invoices", here.get("billing/invoices", side=side), _INVOICES, _NO_INVOICES)


@invoices_app.command("issue")
def issue(*, url: Url, month: Month, token_file: TokenFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """Issue one to each customer for what you charged in a month and is on none yet. 开具结算单。"""
    with rented(url, token_file, as_json, lang) as here:
        made = here.told(here.ask("POST", "billing/invoices", json={"month": month}))
        here.show("invoices", made, _INVOICES, Text("There is nothing to invoice.", "没有待开具的明细。"))


@invoices_app.command("pdf")
def pdf(
    invoice: Annotated[str, typer.Argument(help="Id of the invoice. 结算单编号。")],
    *,
    url: Url,
    token_file: TokenFile = None,
    out: Out = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Fetch an invoice as a PDF, in the language of the command. 下载结算单 PDF。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.ask("GET", f"billing/invoices/{invoice}/pdf", params={"language": here.language})
        here.keep(out or Path(f"invoice-{invoice}.pdf"), found.content)


def refund(
    job: Annotated[str, typer.Argument(help="Id of a job that ran at your offer. 在本方算力上运行的作业编号。")],
    *,
    url: Url,
    reason: Annotated[str, typer.Option("--reason", help="Why; the customer reads it. 退款理由。")],
    share: Annotated[float, typer.Option("--share", help="Of what it cost, 0 to 1. 退款比例。")] = 1.0,
    token_file: TokenFile = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Give money back, as the provider of a job; its voucher gets its part of it. 退款。"""
    with rented(url, token_file, as_json, lang) as here:
        body = {"job_id": job, "share": share, "reason": reason}
        rows = here.told(here.ask("POST", "billing/refunds", json=body, key=job))
        given = -sum(row["billed"] for row in rows if row["correction"])
        here.say({"charges": rows}, Text(f"¥{yuan(given)} given back.", f"已退款 ¥{yuan(given)}。"))


def export(
    *,
    url: Url,
    month: Month,
    side: Side = "customer",
    form: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="csv or parquet. 文件格式。")] = "csv",
    token_file: TokenFile = None,
    out: Out = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Fetch the bill of a month as a table of FOCUS 1.2 with energy and carbon. 导出月度账单(FOCUS 1.2)。"""
    with rented(url, token_file, as_json, lang) as here:
        found = here.ask("GET", "billing/bill/focus", params={"month": month, "side": side, "format": form})
        here.keep(out or Path(f"focus-{month}-{side}.{form}"), found.content)


def _spent(wallet: dict[str, Any]) -> Text:
    from cloud.billing.budget import WARN_AT

    spent, budget = yuan(wallet["spent"]), wallet["budget"]
    if budget is None:
        return Text(f"This month: ¥{spent} spent, no budget.", f"本月已用 ¥{spent}，未设预算。")
    share = wallet["spent"] / budget
    near = Text(" It is nearly used up.", " 即将用完。") if share >= WARN_AT else Text("", "")
    return Text(
        f"This month: ¥{spent} of ¥{yuan(budget)} spent, {share:.0%}.{near.en}",
        f"本月已用 ¥{spent}，预算 ¥{yuan(budget)}，占 {share:.0%}。{near.zh}",
    )


def _open(quota: dict[str, Any]) -> Text:
    most = yuan(quota["open_budget"])
    return Text(
        f"Open jobs: {quota['jobs']} of {quota['open_jobs']}; reserved: ¥{yuan(quota['reserved'])} of ¥{most}.",
        f"未完成作业 {quota['jobs']}/{quota['open_jobs']}；预留 ¥{yuan(quota['reserved'])}，上限 ¥{most}。",
    )
