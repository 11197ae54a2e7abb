"""Remaining life: from runs to failure to a judged bundle, better than age alone; what is too little or out of order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.bundle import read_bundle
from models.cli import app
from models.errors import InputError
from models.series.histories import read_histories
from models.series.monitor import Monitor
from models.series.recipe import RemainingRecipe
from models.series.remaining_fit import offsets
from models.signing import create_key

RUN = CliRunner()


def written(
    path: Path, units: int, names: Sequence[str] = ("a", "b"), usual: Sequence[float] = (0, 0), *, seed: int = 0
) -> Path:
    """Machines that live 80 to 160 cycles; wear shows more and more, as noise on two sensors; a third never changes."""
    noise = np.random.default_rng(seed)
    lines = [",".join(["unit", "cycle", *names, "constant"])]
    for unit in range(units):
        life = int(noise.integers(80, 160))
        for cycle in range(1, life + 1):
            wear = np.exp(-(life - cycle) / 25)
            a, b = (usual + np.array([-100, 200]) * wear + noise.normal(size=2) * [5, 10]).round(3)
            lines.append(f"m{unit},{cycle},{a},{b},7")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_from_runs_to_failure_to_a_judged_bundle(tmp_path: Path) -> None:
    key, out = tmp_path / "key.pem", tmp_path / "bundle"
    trust = create_key(key)
    fit = ["fit", "series", str(written(tmp_path / "runs.csv", 30)), "--kind", "remaining", "--out", str(out)]
    made = RUN.invoke(app, [*fit, "--key", str(key), "--json"])
    assert made.exit_code == 0, made.output
    later = ["--series", str(written(tmp_path / "later.csv", 15, seed=1)), "--trust", trust]
    judged = RUN.invoke(app, ["evaluate", str(out), *later, "--json"])
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.output)
    assert found["units"] == 15
    assert found["rmse"] < 0.7 * found["rmse_age"] < found["rmse_mean"]
    assert 0.65 < found["inside"] < 0.95
    shown = RUN.invoke(app, ["evaluate", str(out), *later, "--lang", "zh"])
    assert "落在区间内" in shown.output
    bundle = read_bundle(out, [trust])
    assert bundle.card.sensors == ["a", "b"], "what never changes is left out"
    monitor = Monitor(bundle)
    for _ in range(60):
        last = monitor.follow([-80, np.nan]).remaining
    assert last is not None
    assert 0 <= last[1] <= last[0] <= last[2] <= float(bundle.card.fit.recipe["cap"])


def test_with_too_few_failures_it_is_said_how_many_are_missing(tmp_path: Path) -> None:
    create_key(tmp_path / "key.pem")
    fit = ["fit", "series", str(written(tmp_path / "runs.csv", 4)), "--kind", "remaining", "--out", str(tmp_path / "b")]
    refused = RUN.invoke(app, [*fit, "--key", str(tmp_path / "key.pem")])
    assert refused.exit_code == 2
    assert "4 runs to failure, at least 10 are needed: 6 are missing" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("m1,1,5\nm1,1,6\n", "row 3: the rows of a unit must stand together"),
        ("m1,1,5\nm2,1,6\nm1,2,5\n", "row 4: the rows of a unit must stand together"),
        ("m1,x,5\nm2,1,6\n", "row 2, column 'cycle': 'x' is no number"),
    ],
)
def test_rows_out_of_order_are_named(tmp_path: Path, rows: str, why: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("unit,cycle,a\n" + rows, encoding="utf-8")
    with pytest.raises(InputError, match=why):
        read_histories(path, RemainingRecipe("a").unit, RemainingRecipe("a").cycle)


def test_an_interval_counts_units_and_not_their_rows() -> None:
    # One unit of nineteen is always off by 50 and has most of the rows; a further unit is as likely as any to be like it.
    unit = np.repeat(np.arange(19), [10] * 18 + [1000])
    truth = np.full(len(unit), 50.0) + 50 * (unit == 18)
    low, high = offsets(np.full(len(unit), 50.0), truth, unit, 100.0, 0.2)
    assert (low.max(), high.max()) == (0, 0)
