"""`sunmao-cloud compute`: what rented computing power would cost, before anything is spent."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud.console import Json, Lang, answer, explained
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
_MORE = Text("and {count} more", "另有 {count} 个")
_REJECTED = Text("will not do:", "不可用：")
_WIDTH = 110


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
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
