"""`sunmao-cloud compute`: plan a task, verify a receipt, name the operator, verify the ledger; see also the `*_cli` registered here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cloud import job_cli, market_cli, opinion_cli, voucher_cli, wallet_cli, worker_cli
from cloud.console import DATA, Data, Dsn, Json, Lang, answer, content_of, explained, installed
from protocols.text import Text, choose_language

compute_app = typer.Typer(no_args_is_help=True, help="Rented computing power. 租用算力。")

_GIVE = Text("give a file you may read", "请提供可读取的文件")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for commands in (job_cli, market_cli, opinion_cli, voucher_cli, wallet_cli, worker_cli):
        commands.register(compute_app)
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
            "plans": [one._asdict() | {"begin": one.begin.isoformat()} for one in decision.plans],
            "rejected": [
                {"code": one.code, "reason_en": one.reason.en, "reason_zh": one.reason.zh} for one in decision.rejected
            ],
            "nearest": nearest.code if nearest else None,
        }
        said = Text(job_cli.plans_said(found, "en"), job_cli.plans_said(found, "zh"))
        if nearest and not decision.plans:
            said = Text(
                f"No offer will do. Nearest is {nearest.code}: {nearest.reason.en}.",
                f"没有可用的报价。最接近的是 {nearest.code}：{nearest.reason.zh}。",
            )
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
