"""`sunmao-cloud compute`: plan a task, verify a receipt, name the operator, verify the ledger; see also `worker_cli` and `rental_cli`."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud import rental_cli, worker_cli
from cloud.console import DATA, Data, Dsn, Json, Lang, answer, content_of, explained, installed
from protocols.text import Language, Text, choose_language

if TYPE_CHECKING:
    from cloud.compute.decide import Decision

compute_app = typer.Typer(no_args_is_help=True, help="Rented computing power. 租用算力。")

_ROWS = 20
_COLUMNS = (
    Text("offer", "报价"),
    Text("provider", "提供方"),
    Text("begin (UTC)", "开始(UTC)"),
    Text("done within", "完成用时"),
    Text("cost, ¥", "费用，元"),
    Text("voucher, ¥", "补贴，元"),
    Text("own, ¥", "自付，元"),
    Text("CO₂, kg", "CO₂，kg"),
)
_GIVE = Text("give a file you may read", "请提供可读取的文件")
_MORE = Text("and {count} more", "另有 {count} 个")
_REJECTED = Text("will not do:", "不可用：")
_WIDTH = 110


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    worker_cli.register(compute_app)
    rental_cli.register(compute_app)
    app.add_typer(compute_app, name="compute")


@compute_app.command("plan")
def plan(
    task: Annotated[Path, typer.Argument(help="What is to run: a task.toml. 任务文件。")],
    *,
    offers: Annotated[Path, typer.Option("--offers", help="What can be had: a file of [[offer]]. 报价文件。")],
    at: Annotated[
        datetime | None, typer.Option("--at", help="Begin of the plan instead of now, UTC. 以此时刻(UTC)代替当前时间。")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show what each offer would come to, cheapest first, and why others will not do; status 1 if none will. 比较报价。"""
    from cloud.compute.decide import decide
    from cloud.compute.task import read_offers, read_task

    language = choose_language(lang)
    with explained(language, as_json):
        wanted, given = read_task(task), read_offers(offers)
        decision = decide(wanted, given, at.replace(tzinfo=UTC) if at else datetime.now(UTC))
        nearest = decision.nearest
        found = {
            "plans": [one._asdict() for one in decision.plans],
            "rejected": [{"code": one.code, "reason": one.reason.to(language)} for one in decision.rejected],
            "nearest": nearest.code if nearest else None,
        }
        if decision.plans:
            said = Text(_table(decision, "en"), _table(decision, "zh"))
        elif nearest:
            said = Text(
                f"No offer will do. Nearest is {nearest.code}: {nearest.reason.en}.",
                f"没有可用的报价。最接近的是 {nearest.code}：{nearest.reason.zh}。",
            )
        else:
            said = Text("There is no offer.", "没有报价。")
        answer(as_json, found, said, language)
        if not decision.plans:
            raise typer.Exit(1)


@compute_app.command("verify-receipt")
def verify_receipt(
    file: Annotated[Path, typer.Argument(help="A receipt as downloaded from a job's page. 从作业页面下载的凭据。")],
    *,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            help="The platform's public key, known from elsewhere; else the receipt's own is believed. 平台公钥。",
        ),
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Verify a job's receipt offline: signatures, prices, sums, carbon; status 1 if anything is amiss. 离线校验作业凭据。"""
    from cloud.billing.money import YUAN
    from cloud.compute.receipt import verify

    language = choose_language(lang)
    with explained(language, as_json):
        found, faults = verify(content_of(file, "FILE", _GIVE), key)
        money, job = found["money"], found["job"]
        spent = f"{money['own'] / YUAN:,.6f}"
        attempts = len(found["attempts"])
        said = (
            Text("\n".join(each.en for each in faults), "\n".join(each.zh for each in faults))
            if faults
            else Text(
                f"{job['name']} of {job['customer']}: {attempts} attempts, {spent} yuan of its own. Whole.",
                f"{job['customer']} 的 {job['name']}：运行 {attempts} 次，自付 {spent} 元。完整有效。",
            )
        )
        told = {
            "job": job["id"],
            "money": money,
            "green": found["green"],
            "faults": [each.to(language) for each in faults],
        }
        answer(as_json, told, said, language)
        if faults:
            raise typer.Exit(1)


@compute_app.command("operator")
def operator(
    company: Annotated[str, typer.Argument(help="Name or id of the company. 企业名称或编号。")],
    *,
    fee: Annotated[
        float, typer.Option("--fee", min=0, max=50, help="Percent of what providers earn. 平台服务费，百分比。")
    ] = 0.0,
    data: Data = DATA,
    dsn: Dsn = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Name the company that runs the market: it books money and decides on vouchers. 指定算力市场运营方。"""
    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn) as here:
        scope = here.tenant(company)
        here.as_owner("SELECT appoint_market_operator(%s, %s)", [scope.tenant_id, round(fee * 10_000)])
        said = Text(f"{company} runs the market.", f"{company} 已成为算力市场运营方。")
        answer(as_json, {"operator": str(scope.tenant_id), "fee_percent": fee}, said, language)


@compute_app.command("verify-ledger")
def verify_ledger(*, data: Data = DATA, dsn: Dsn = None, as_json: Json = False, lang: Lang = None) -> None:
    """Reckon the whole ledger anew: every unit adds up, every balance follows, every row is posted once. 校验账本。"""
    language = choose_language(lang)
    with explained(language, as_json), installed(data, dsn) as here:
        rows = here.as_owner("SELECT what, id, is_now, should_be FROM ledger_faults()")
        faults = [{"what": what, "id": str(one), "is": now, "should_be": due} for what, one, now, due in rows]
        said = (
            Text("\n".join(map(str, faults)), "\n".join(map(str, faults)))
            if faults
            else Text("The ledger is whole.", "账本完整。")
        )
        answer(as_json, {"faults": faults}, said, language)
        if faults:
            raise typer.Exit(1)


def _table(decision: Decision, language: Language) -> str:
    """Return the best plans and the offers that will not do as text."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(_COLUMNS):
        table.add_column(column.to(language), justify="right" if place > 2 else "left")
    for plan in decision.plans[:_ROWS]:
        hours, minutes = divmod(int(plan.time_s / 60), 60)
        table.add_row(
            plan.code,
            plan.provider,
            f"{plan.begin:%m-%d %H:%M}",
            f"{hours}:{minutes:02}",
            f"{plan.cost:,.2f}",
            f"{plan.subsidy:,.2f} {plan.programme}".strip() if plan.subsidy else "–",
            f"{plan.own:,.2f}",
            f"{plan.carbon_kg:,.2f}",
        )
    text = io.StringIO()
    console = Console(file=text, width=_WIDTH, highlight=False, color_system=None)
    console.print(table)
    if len(decision.plans) > _ROWS:
        console.print(_MORE.to(language).format(count=len(decision.plans) - _ROWS))
    if decision.rejected:
        console.print(_REJECTED.to(language))
    for one in decision.rejected[:_ROWS]:
        console.print(f"  {one.code}  {one.reason.to(language)}")
    return text.getvalue().rstrip()
