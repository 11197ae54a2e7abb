"""A real machine: the pump test bed of SKAB (Katser and Kozitsin, Skoltech Anomaly Benchmark), by its own protocol.

Of each of 34 runs the first 400 rows are learnt from and the rest is judged, with one recipe for all; all rows are pooled.
The recipe's half life and margin were chosen on the 14 runs "other" alone.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from models.series.health import scores
from models.series.health_fit import fitted
from models.series.recipe import HealthRecipe
from models.series.table import Table, read_table

SET = Path(__file__).parents[4] / "shared" / "data" / "sets" / "skab.tar.gz"
LEARNT = 400


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    if not SET.exists():
        pytest.skip(f"the pump test bed's runs are not here: {SET.name}")
    folder = tmp_path_factory.mktemp("skab")
    found = {}
    with tarfile.open(SET) as tar:
        for member in tar:
            if member.name.endswith(".csv") and "anomaly-free" not in member.name:
                file = tar.extractfile(member)
                assert file is not None
                path = folder / member.name.replace("/", "-")
                path.write_text(io.TextIOWrapper(file, encoding="utf-8").read(), encoding="utf-8")
                found[member.name] = read_table(path, label="anomaly")
    return found


def test_one_recipe_for_all_runs_reaches_its_figures(
    runs: dict[str, Table], record_property: pytest.RecordProperty
) -> None:
    recipe, alarms, truth = HealthRecipe("pump"), [], []
    for table in runs.values():
        model, limits, _ = fitted(table.rows(0, LEARNT), recipe)
        alarms.append(scores(model, table.values).score[LEARNT:] > limits[1].value)
        assert table.label is not None
        truth.append(table.label[LEARNT:])
    alarm, bad = np.concatenate(alarms), np.concatenate(truth)
    assert len(runs) == 34
    hits = (alarm & bad).sum()
    f1, always = 2 * hits / (alarm.sum() + bad.sum()), 2 * bad.sum() / (len(bad) + bad.sum())
    false, missed = alarm[~bad].mean(), 1 - alarm[bad].mean()
    figures = f"F1 {f1:.3f} (always alarming {always:.3f}), false alarms {false:.1%}, missed {missed:.1%}"
    record_property("skab", figures)
    print(figures)
    assert f1 >= 0.81, figures
    assert false <= 0.26, figures
