"""The commands of `sunmao-model` on sensor series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from models.console import Json, Key, Lang, answer, answer_release, bar, explained, say
from models.errors import Language, choose_language

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.bundle import Bundle
    from models.series.cells import Tell
    from models.series.change import Change
    from models.series.judge import SeriesEvaluation

Kind = Literal["health", "pca", "seasonal", "vibration", "remaining"]


def fit_series(
    series: Annotated[
        Path,
        typer.Argument(
            help="Text file (CSV) of a healthy machine's readings; of vibration a folder of .wav or .csv files."
            " 设备健康运行时的数据文件(CSV)；振动为 .wav 或 .csv 文件夹。"
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder to write the bundle to. 模型包输出文件夹。")],
    key: Key,
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind",
            help="health: which sensor strays; pca: a second opinion; seasonal: one value by the clock, as energy;"
            " vibration: samples at a rate, of a machine or bearing given by --recipe;"
            " remaining: how long it still runs, from runs to failure with columns unit and cycle (--recipe names others). "
            "health：哪个传感器偏离；pca：第二意见；seasonal：按时段的单个量，如能耗；vibration：高频振动，采样率与轴承由 --recipe 给出；"
            "remaining：剩余寿命，由多台设备运行至失效的记录(unit、cycle 列)得到。",
        ),
    ] = "health",
    sensors: Annotated[
        list[str],
        typer.Option(
            "--sensor",
            help="Column to learn; may be repeated; all that are readings otherwise. 使用的列，可多次给出；默认为全部读数列。",
        ),
    ] = [],  # noqa: B006 - typer copies it
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Learn from the first so many rows only. 仅使用前若干行。")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Column of times, of a seasonal model. 时间列(季节模型)。")
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(
            "--time-format",
            help="How times are written, as %d/%m/%Y %H:%M; found out otherwise where sure. 时间格式，可确定时自动识别。",
        ),
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
    from models.names import checked_name, name_of
    from models.series.clock import read_clocked
    from models.series.health_fit import fit, fit_vibration
    from models.series.histories import read_histories
    from models.series.monitor import Block
    from models.series.recipe import (
        HealthRecipe,
        RemainingRecipe,
        SeasonalRecipe,
        VibrationRecipe,
        channel_names,
        load_recipe,
    )
    from models.series.remaining_fit import fit as fit_remaining
    from models.series.seasonal_fit import fit as fit_seasonal
    from models.series.table import read_table
    from models.series.waveform import read_folder
    from models.signing import load_key

    language = choose_language(lang)
    tell = _telling(language, as_json)
    with explained(language, as_json):
        signing_key = load_key(key)
        called = checked_name(name) if name else "" if recipe else name_of(series.resolve().stem)
        if kind == "seasonal":
            by_clock = load_recipe(recipe, SeasonalRecipe) if recipe else SeasonalRecipe(called)
            by_clock = msgspec.structs.replace(by_clock, name=called or by_clock.name)
            sensor = sensors[0] if sensors else None
            clocked = read_clocked(series, sensor=sensor, time=time, time_format=time_format, rows=rows, tell=tell)
            release = fit_seasonal(clocked, by_clock)
        elif kind == "vibration":
            shaken = load_recipe(recipe, VibrationRecipe) if recipe else VibrationRecipe(called)
            shaken = msgspec.structs.replace(shaken, name=called or shaken.name)
            block = Block(shaken.samples, shaken.rate, channel_names(shaken.channels))
            release = fit_vibration(read_folder(series, block)[:rows], shaken)
        elif kind == "remaining":
            worn = load_recipe(recipe, RemainingRecipe) if recipe else RemainingRecipe(called)
            worn = msgspec.structs.replace(worn, name=called or worn.name)
            release = fit_remaining(read_histories(series, worn.unit, worn.cycle, tuple(sensors), tell), worn)
        else:
            chosen = load_recipe(recipe, HealthRecipe) if recipe else HealthRecipe(called)
            chosen = msgspec.structs.replace(chosen, name=called or chosen.name)
            if kind == "pca":
                chosen = msgspec.structs.replace(chosen, way="pca")
            release = fit(read_table(series, sensors=sensors, tell=tell).rows(0, rows), chosen)
        write_bundle(out, release.card, release.onnx, signing_key)
    answer_release(release, out, signing_key, language, as_json)


def _telling(language: Language, as_json: bool) -> Tell:
    """Return what prints how a file was read, beside the answer."""

    def tell(en: str, zh: str) -> None:
        if not as_json:
            typer.echo(say(language, en, zh), err=True)

    return tell


def judge_series(
    bundle: Bundle,
    series: Path,
    label: str | None,
    after: int,
    *,
    beside: Bundle | None,
    clock: tuple[str | None, str | None],
    language: Language,
    as_json: bool,
) -> None:
    """Judge the health model `bundle` on the labelled rows of `series` after the first `after`, and print its figures.

    With `beside`, a second model of the same sensors, print its figures too, and those of both together. `clock`: of a seasonal
    model, the column of times and how they are written.
    """
    from models.series.judge import judge, judge_two
    from models.series.monitor import Monitor
    from models.series.table import read_table

    if bundle.card.task == "seasonal":
        _judge_seasonal(bundle, series, *clock, language=language, as_json=as_json)
        return
    if bundle.card.fit.family == "remaining-life":
        _judge_remaining(bundle, series, language=language, as_json=as_json)
        return
    monitor = Monitor(bundle)
    table = read_table(series, sensors=monitor.sensors, label=label, tell=_telling(language, as_json))
    judged, before = table.rows(after, None), table.rows(0, after)
    with bar(say(language, "readings", "读数"), len(judged.values), as_json) as advance:
        if beside is None:
            result = judge(monitor, judged, before, advance)
            answer(as_json, result, _rows({"": result}, after, language))
            return
        two = judge_two(monitor, Monitor(beside), judged, before, advance)
    columns = {
        bundle.card.name: two.first,
        beside.card.name: two.second,
        say(language, "both", "两者都报"): two.both,
        say(language, "either", "任一报"): two.either,
    }
    answer(as_json, two, _rows(columns, after, language))


def _judge_remaining(bundle: Bundle, series: Path, *, language: Language, as_json: bool) -> None:
    from models.series.histories import read_histories
    from models.series.remaining_judge import judge

    recipe = bundle.card.fit.recipe
    histories = read_histories(
        series, str(recipe["unit"]), str(recipe["cycle"]), tuple(bundle.card.sensors), _telling(language, as_json)
    )
    with bar(say(language, "readings", "读数"), len(histories.values), as_json) as advance:
        found = judge(bundle, histories, advance)
    rows = [
        (say(language, "units", "设备台数"), f"{found.units}"),
        (say(language, "rows judged", "评估行数"), f"{found.rows:,}"),
        ("RMSE", f"{found.rmse:.2f}"),
        (say(language, "of always saying the mean", "始终取均值的 RMSE"), f"{found.rmse_mean:.2f}"),
        (say(language, "of a line in the age", "按使用时间线性推算的 RMSE"), f"{found.rmse_age:.2f}"),
        (say(language, "penalty (NASA)", "NASA 罚分"), f"{found.penalty:,.0f}"),
        (say(language, "within the interval", "落在区间内"), f"{found.inside:.1%} ({found.wanted:.0%})"),
    ]
    answer(as_json, found, rows)


def judge_vibration(bundle: Bundle, good: Path, bad: Path, *, language: Language, as_json: bool) -> None:
    """Judge the model of vibration `bundle` on two folders of files it never saw, and print its figures."""
    import numpy as np

    from models.series.judge import judge
    from models.series.monitor import Monitor
    from models.series.table import Table
    from models.series.waveform import read_folder

    monitor = Monitor(bundle)
    assert monitor.block  # noqa: S101 - as the caller has seen
    blocks = [read_folder(folder, monitor.block) for folder in (good, bad)]
    label = np.repeat([False, True], [len(each) for each in blocks])
    table = Table(monitor.sensors, np.concatenate(blocks), label)
    with bar(say(language, "readings", "读数"), len(label), as_json) as advance:
        result = judge(monitor, table, None, advance)
    answer(as_json, result, _rows({"": result}, 0, language))


def _judge_seasonal(
    bundle: Bundle, series: Path, time: str | None, time_format: str | None, *, language: Language, as_json: bool
) -> None:
    from models.series.clock import read_clocked
    from models.series.forecast import Forecaster
    from models.series.forecast_judge import judge

    forecaster = Forecaster(bundle)
    tell = _telling(language, as_json)
    clocked = read_clocked(series, sensor=forecaster.sensor, time=time, time_format=time_format, tell=tell)
    with bar(say(language, "readings", "读数"), len(clocked.table.values), as_json) as advance:
        found = judge(forecaster, clocked, advance)
    rows = [
        (say(language, "rows judged", "评估行数"), f"{found.rows:,}"),
        (say(language, "mean", "均值"), f"{found.mean:.2f}"),
        (say(language, "error a day ahead", "提前一天的误差"), f"{found.day_ahead:.2f}"),
        (say(language, "of taking the day before", "沿用前一天的误差"), f"{found.naive_day:.2f}"),
        (say(language, "error a week ahead", "提前一周的误差"), f"{found.week_ahead:.2f}"),
        (say(language, "of taking the week before", "沿用前一周的误差"), f"{found.naive_week:.2f}"),
        (say(language, "beyond the review limit", "超出复核限"), f"{found.outside:.1%} ({found.wanted:.0%})"),
    ]
    for name, (error, naive, inside) in found.sums.items():
        ahead = {
            "hour": say(language, "sum of the next hour", "下一小时合计"),
            "day": say(language, "sum of the next day", "下一天合计"),
        }
        before, within = (
            say(language, "the week before", "沿用前一周"),
            say(language, "within the interval", "落在区间内"),
        )
        rows.append((ahead[name], f"{error:.2f} ({before} {naive:.2f}), {within} {inside:.0%}"))
    answer(as_json, found, rows)


def _rows(columns: Mapping[str, SeriesEvaluation], after: int, language: Language) -> list[Sequence[str]]:
    results = list(columns.values())
    rows: list[Sequence[str]] = [("", *columns)] if len(columns) > 1 else []
    for title, texts in (
        (say(language, "rows judged", "评估行数"), [f"{one.rows:,}" for one in results]),
        (say(language, "of them anomalous", "其中异常"), [f"{one.anomalous:.1%}" for one in results]),
        ("F1", [f"{one.f1:.3f}" for one in results]),
        (say(language, "F1 of always alarming", "始终报警的 F1"), [f"{one.always_f1:.3f}" for one in results]),
        (say(language, "false alarms", "误报率"), [f"{one.false_alarm_rate:.1%}" for one in results]),
        (say(language, "missed alarms", "漏报率"), [f"{one.missed_alarm_rate:.1%}" for one in results]),
        ("AUROC", [_ranking(one) for one in results]),
    ):
        rows.append((title, *texts))
    for name, one in columns.items():
        title = f"{say(language, 'lasting changes', '持续变化')} {name}".strip()
        rows += [(title, _change_text(change, after, language)) for change in one.changes]
    return rows


def _ranking(figures: SeriesEvaluation) -> str:
    if figures.auroc is None:
        return "–"
    interval = figures.auroc_interval
    return f"{figures.auroc:.3f}" + (f"  [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _change_text(change: Change, after: int, language: Language) -> str:
    """Return the change with rows as the file counts them: the first after the column names is 1."""
    since, told = change.since + after + 1, change.told + after + 1
    if change.way == "up":
        return say(language, f"up since row {since:,} (told at {told:,})", f"自第 {since:,} 行升高(第 {told:,} 行确认)")
    return say(language, f"down since row {since:,} (told at {told:,})", f"自第 {since:,} 行降低(第 {told:,} 行确认)")
