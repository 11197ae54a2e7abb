"""The second opinion and lasting changes: what they see, what they leave alone, the board's rows to the digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.bundle import read_bundle, write_bundle
from models.errors import InputError
from models.series.cards import PARITY_LIMIT
from models.series.change import watch_of
from models.series.health_fit import fit
from models.series.judge import judge_two
from models.series.monitor import Monitor
from models.series.pca import components
from models.series.recipe import HealthRecipe
from models.signing import public_key
from tests.benchmarks.series import SETS, skab_rows
from tests.models.series.test_health import RECIPE, SENSORS, running, table

SECOND = HealthRecipe("second", half_life=8, way="pca")


def monitor(folder: Path, recipe: HealthRecipe, sensors: int = 4) -> Monitor:
    key, learnt = Ed25519PrivateKey.generate(), table(running(1200))
    release = fit(learnt._replace(sensors=SENSORS[:sensors], values=learnt.values[:, :sensors]), recipe)
    assert release.card.fit.parity <= PARITY_LIMIT
    write_bundle(folder, release.card, release.onnx, key)
    return Monitor(read_bundle(folder, [public_key(key)]))


def test_both_opinions_find_sensors_that_no_longer_go_together(tmp_path: Path) -> None:
    values = running(1000, seed=2)
    values[500:, 1] -= 3  # the flow is too small for the pressure, yet within its usual range
    first, second = monitor(tmp_path / "first", RECIPE), monitor(tmp_path / "second", SECOND)
    found = judge_two(first, second, table(values, first_bad=500))
    assert found.second.f1 > 0.9
    assert found.both.false_alarm_rate <= min(found.first.false_alarm_rate, found.second.false_alarm_rate)
    assert found.either.missed_alarm_rate <= min(found.first.missed_alarm_rate, found.second.missed_alarm_rate)
    (change,) = found.second.changes
    assert (change.way, 450 < change.since <= 510, change.told < 650) == ("up", True, True)
    *_, last = second.follow_all(values)
    assert {last.contributions[0][0], last.contributions[1][0]} <= {"pressure", "flow", "current"}


def test_models_of_other_sensors_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same sensors"):
        judge_two(monitor(tmp_path / "1", RECIPE), monitor(tmp_path / "2", SECOND, 3), table(running(50), 40))


def test_main_and_rest_share_the_whole() -> None:
    covariance = np.cov(running(500).T)
    main, rest = components(covariance, 0.85)
    vector = np.random.default_rng(0).normal(size=4)
    kept = vector - rest @ vector
    assert np.linalg.norm(rest @ kept) < 1e-9
    assert np.linalg.norm(main @ vector) ** 2 == pytest.approx(kept @ np.linalg.pinv(covariance) @ kept)


def test_an_even_score_does_not_change_and_a_risen_one_falls_again() -> None:
    noise = np.random.default_rng(7)
    even = np.exp(0.2 * noise.normal(size=6000))
    watch = watch_of(8)
    assert not [change for change in map(watch.follow, even) if change]
    told = [change for change in map(watch.follow, [*(even[:1500] * 1.6), *even[:1500]]) if change]
    assert [(change.way, round(change.since, -2)) for change in told] == [("up", 6000), ("down", 7500)]


def test_the_rows_of_the_board_are_reproduced_to_the_digit(record_property: pytest.RecordProperty) -> None:
    if not (SETS / "skab.tar.gz").exists():
        pytest.skip("the pump test bed's runs are not here: skab.tar.gz")
    rows = {title.split(" (board")[0]: figures for title, *figures in skab_rows()}
    record_property("skab", rows)
    assert rows["T2"] == ["0.660", "19.2%", "42.6%"]
    assert rows["T2+Q"] == ["0.758", "26.6%", "24.9%"]
    assert float(rows["second opinion (pca)"][0]) > float(rows["T2+Q"][0]) > float(rows["always alarming"][0])
