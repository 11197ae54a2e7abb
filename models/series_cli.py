"""The commands of `sunmao-model` on sensor series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from models.console import Json, Key, Lang, answer, answer_release, bar, explained, say
from models.errors import Language, choose_language

if TYPE_CHECKING:
    from models.bundle import Bundle


def fit_series(
    series: Annotated[
        Path, typer.Argument(help="CSV file of a healthy machine's readings. 设备健康运行时的数据文件(CSV)。")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder to write the bundle to. 模型包输出文件夹。")],
    key: Key,
    sensors: Annotated[
        list[str],
        typer.Option("--sensor", help="Column to learn; may be repeated, all otherwise. 使用的列，可多次给出。"),
    ] = [],  # noqa: B006 - typer copies it
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Learn from the first so many rows only. 仅使用前若干行。")
    ] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="TOML file of a recipe. 配方文件。")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model; the file's otherwise. 模型名称。")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Learn from a healthy machine's readings what is usual, and write a signed bundle. 从健康运行数据学习并输出签名的模型包。"""
    from models.bundle import write_bundle
    from models.names import checked_name
    from models.series.health_fit import fit
    from models.series.recipe import HealthRecipe, load_recipe
    from models.series.table import read_table
    from models.signing import load_key

    language = choose_language(lang)
    with explained(language, as_json):
        signing_key = load_key(key)
        chosen = load_recipe(recipe) if recipe else HealthRecipe(checked_name(name or series.stem))
        if name:
            chosen = msgspec.structs.replace(chosen, name=checked_name(name))
        release = fit(read_table(series, sensors=sensors).rows(0, rows), chosen)
        write_bundle(out, release.card, release.onnx, signing_key)
    answer_release(release, out, signing_key, language, as_json)


def judge_series(
    bundle: Bundle, series: Path, label: str | None, after: int, *, language: Language, as_json: bool
) -> None:
    """Judge the health model `bundle` on the labelled rows of `series` after the first `after`, and print its figures."""
    from models.series.judge import judge
    from models.series.monitor import Monitor
    from models.series.table import read_table

    monitor = Monitor(bundle)
    table = read_table(series, sensors=monitor.sensors, label=label)
    judged = table.rows(after, None)
    with bar(say(language, "readings", "读数"), len(judged.values), as_json) as advance:
        result = judge(monitor, judged, table.rows(0, after), advance)
    rows = [
        (say(language, "rows judged", "评估行数"), f"{result.rows:,}"),
        (say(language, "of them anomalous", "其中异常"), f"{result.anomalous:.1%}"),
        ("F1", f"{result.f1:.3f}"),
        (say(language, "F1 of always alarming", "始终报警的 F1"), f"{result.always_f1:.3f}"),
        (say(language, "false alarms", "误报率"), f"{result.false_alarm_rate:.1%}"),
        (say(language, "missed alarms", "漏报率"), f"{result.missed_alarm_rate:.1%}"),
        ("AUROC", "–" if result.auroc is None else f"{result.auroc:.3f}"),
    ]
    answer(as_json, result, rows)
