"""Models of series on real sets, each beside its trivial rival: `python -m tests.benchmarks.series`."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from math import lgamma, sqrt
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table as Shown

from models.bundle import Bundle
from models.series.clock import Clocked
from models.series.forecast import Forecaster
from models.series.forecast_judge import judge as judge_forecast
from models.series.health import Doubles, scores
from models.series.health_fit import fitted
from models.series.histories import Histories, read_histories
from models.series.pca import components
from models.series.recipe import HealthRecipe, RemainingRecipe, SeasonalRecipe
from models.series.remaining_fit import fit as fit_remaining
from models.series.remaining_judge import judge as judge_remaining
from models.series.seasonal_fit import fit as fit_seasonal
from models.series.table import Table, columns_of, table_of

SETS = Path(__file__).parents[3] / "shared" / "data" / "sets"
LEARNT, WINDOW, CHANCE = 400, 5, 0.001
"""Rows of each run that are learnt from; rows of the board's median filter; its chance of a false alarm."""


def skab() -> list[Table]:
    """Return the 34 runs of the pump test bed SKAB; raises FileNotFoundError where the set is not here."""
    with tarfile.open(SETS / "skab.tar.gz") as tar:
        names = sorted(name for name in tar.getnames() if name.endswith(".csv") and "anomaly-free" not in name)
        files = [tar.extractfile(name) for name in names]
        return [
            table_of(columns_of(io.TextIOWrapper(file, "utf-8"), "skab"), "skab", label="anomaly")
            for file in files
            if file
        ]


def health_alarms(way: str) -> Callable[[Table], Doubles]:
    """Return what alarms by our model, learnt from the first rows with the default recipe."""

    def alarms(table: Table) -> Doubles:
        recipe = HealthRecipe("pump", way="pca" if way == "pca" else "mahalanobis")
        model, limits, _ = fitted(table.rows(0, LEARNT), recipe)
        return scores(model, table.values).score[LEARNT:] / limits[1].value

    return alarms


def t2_alarms(table: Table) -> Doubles:
    """The board's row "T-squared": Hotelling's T2, twice its limit."""
    learnt, judged = _standardised(table)
    t2 = ((judged @ np.linalg.inv(np.cov(learnt.T))) * judged).sum(axis=1)
    return _median(t2 / (2 * _t2_limit(learnt.shape[1])))


def t2_q_alarms(table: Table) -> Doubles:
    """The board's row "T-squared+Q": both on the components that explain 85 %.

    Its limit of Q takes powers of the sum of the left variances where Jackson and Mudholkar sum their powers.
    """
    learnt, judged = _standardised(table)
    main, rest = components(np.cov(learnt.T), 0.85)
    t2, q = ((judged @ main.T) ** 2).sum(axis=1), ((judged @ rest) ** 2).sum(axis=1)
    left = np.linalg.eig(np.cov(learnt.T))[0][len(main) :].sum()
    normal = _last_below(np.vectorize(NormalDist().cdf))
    q_limit = left * (1 + normal * sqrt(2) / 3 - 2 / 9) ** 3
    return np.fmax(_median(t2 / _t2_limit(len(main))), _median(q / q_limit))


def _standardised(table: Table) -> tuple[Doubles, Doubles]:
    learnt, judged = table.values[:LEARNT], table.values[LEARNT:]
    spread = learnt.std(axis=0)
    spread[spread == 0] = 1
    return (learnt - learnt.mean(axis=0)) / spread, (judged - learnt.mean(axis=0)) / spread


def _median(values: Doubles) -> Doubles:
    """Return the running median; the first rows, which have none, never alarm."""
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW)
    return np.concatenate([np.zeros(WINDOW - 1), np.median(windows, axis=1)])


@cache
def _t2_limit(size: int) -> float:
    n = LEARNT
    return size * (n - 1) * (n + 1) / (n * (n - size)) * _last_below(lambda x: _f_share(x, size, n - size))


def _last_below(share: Callable[[Doubles], Doubles]) -> float:
    """Return the last of 10,000 numbers up to 15 whose share is below 1 - CHANCE: how the board finds its quantiles."""
    grid = np.linspace(0, 15, 10_000)
    return float(grid[share(grid) < 1 - CHANCE][-1])


def _f_share(grid: Doubles, m: int, n: int) -> Doubles:
    """Return the distribution function of Fisher's F with m and n degrees of freedom, summed from its density."""
    x = np.linspace(0, grid[-1], 400_001)[1:]
    density = np.exp(
        lgamma((m + n) / 2) - lgamma(m / 2) - lgamma(n / 2) + m / 2 * np.log(m / n) + (m / 2 - 1) * np.log(x)
        - (m + n) / 2 * np.log1p(m * x / n)
    )  # fmt: skip
    first = density[0] * x[0] * 2 / m  # near zero it is a power of x
    return np.interp(grid, x, first + np.concatenate([[0], np.cumsum(density[1:] + density[:-1]) * (x[1] - x[0]) / 2]))


def skab_rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield method, F1, false and missed alarms, all rows after the learnt ones of all runs pooled."""
    tables = skab()
    truth = np.concatenate([np.asarray(table.label)[LEARNT:] for table in tables])
    ways: dict[str, Callable[[Table], Doubles]] = {
        "always alarming": lambda table: np.full(len(table.values) - LEARNT, 2.0),
        "T2 (board .660 / 19.2 / 42.6)": t2_alarms,
        "T2+Q (board .758 / 26.6 / 24.9)": t2_q_alarms,
        "second opinion (pca)": health_alarms("pca"),
        "machine health": health_alarms("health"),
    }
    found = {title: np.concatenate([way(table) for table in tables]) for title, way in ways.items()}
    found["both opinions"] = np.minimum(found["second opinion (pca)"], found["machine health"])
    for title, score in found.items():
        alarm = score > 1
        f1 = 2 * (alarm & truth).sum() / (alarm.sum() + truth.sum())
        yield title, f"{f1:.3f}", f"{alarm[~truth].mean():.1%}", f"{1 - alarm[truth].mean():.1%}"


def engines() -> Iterator[tuple[str, str]]:
    """Yield figures and their values of remaining life on the turbofans FD001, by the set's own split: 100 learnt, 100 judged."""
    with tarfile.open(SETS / "cmapss-fd001.tar.gz") as tar:
        names = ("train_FD001", "test_FD001", "RUL_FD001")
        files = [tar.extractfile(f"cmapss-fd001/{name}.txt") for name in names]
        learnt, judged, left = (np.loadtxt(file) for file in files if file)
    ends = np.array([judged[judged[:, 0] == unit, 1].max() for unit in range(1, 101)])
    of = judged[:, 0].astype(int) - 1
    with TemporaryDirectory() as name:
        path = Path(name) / "runs.csv"

        def histories(rows: Doubles, rul: Doubles | None) -> Histories:
            titles = [
                "unit",
                "cycle",
                *(f"s{number}" for number in range(rows.shape[1] - 2)),
                *(["rul"] * (rul is not None)),
            ]
            table = rows if rul is None else np.column_stack([rows, rul])
            np.savetxt(path, table, "%.10g", delimiter=",", header=",".join(titles), comments="")
            return read_histories(path, "unit", "cycle")

        release = fit_remaining(histories(learnt, None), RemainingRecipe("fd001", cap=125))
        seen = histories(judged, (ends + left)[of] - judged[:, 1])
    kept = [seen.sensors.index(name) for name in release.card.sensors]
    seen = seen._replace(sensors=tuple(release.card.sensors), values=seen.values[:, kept])
    found = judge_remaining(Bundle(release.card, release.onnx, "", ""), seen)
    yield "RMSE, cycles", f"{found.rmse:.2f}"
    yield "always the mean", f"{found.rmse_mean:.2f}"
    yield "a line in the age", f"{found.rmse_age:.2f}"
    yield "score of the 2008 challenge", f"{found.penalty:.0f}"
    yield "within the interval", f"{found.inside:.0%} (wanted {found.wanted:.0%})"


def steel() -> Iterator[tuple[str, str, str, str]]:
    """Yield of what is forecast the error, the naive one's, and the share within the interval: a steel plant, its second half year."""
    with gzip.open(SETS / "steel-industry-energy.csv.gz", "rt", encoding="utf-8-sig") as file:
        usage = np.array([float(row["Usage_kWh"]) for row in csv.DictReader(file)])
    # The set dates the last quarter of an hour of a day by the day's own midnight, so rows are counted instead.
    begin, week = datetime(2018, 1, 1, 0, 15, tzinfo=UTC), 7 * 96
    clocked = [
        Clocked(Table(("kWh",), values[:, None], None), 900, begin + timedelta(weeks=weeks))
        for values, weeks in ((usage[: 26 * week], 0), (usage[26 * week :], 26))
    ]
    release = fit_seasonal(clocked[0], SeasonalRecipe("steel"))
    found = judge_forecast(Forecaster(Bundle(release.card, release.onnx, "", "")), clocked[1])
    yield "a quarter of an hour, a day ahead", f"{found.day_ahead:.1f}", f"{found.naive_day:.1f}", ""
    yield "a quarter of an hour, a week ahead", f"{found.week_ahead:.1f}", f"{found.naive_week:.1f}", ""
    for name, (error, naive, inside) in found.sums.items():
        yield f"sum of the next {name}", f"{error:.0f}", f"{naive:.0f}", f"{inside:.0%}"


def main() -> None:
    console = Console()
    try:
        table = Shown("SKAB, 34 runs", "F1", "false alarms", "missed", box=None)
        for row in skab_rows():
            table.add_row(*row)
        console.print(table)
        life = Shown("Turbofans FD001, remaining life up to 125 cycles", "", box=None)
        for figure in engines():
            life.add_row(*figure)
        console.print(life)
        energy = Shown(
            "Steel plant, mean absolute error, kWh", "model", "a day or week before", "in interval (80 %)", box=None
        )
        for forecast in steel():
            energy.add_row(*forecast)
        console.print(energy)
    except FileNotFoundError as missing:
        sys.exit(f"the set is not here: {Path(missing.filename).name}")


if __name__ == "__main__":
    main()
