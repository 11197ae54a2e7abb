"""Machine health: what it finds, what it leaves alone, and that the graph does what the definition says."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Bundle, read_bundle, write_bundle
from models.errors import InputError
from models.series.cards import PARITY_LIMIT
from models.series.change import watch_of
from models.series.health import Doubles, learn, scores, shrunk_covariance
from models.series.health_fit import fit, parity_gap
from models.series.judge import judge
from models.series.monitor import WARM_HALF_LIVES, Monitor
from models.series.recipe import HealthRecipe
from models.series.table import Table
from models.signing import public_key
from models.vision.detector import Detector

RECIPE = HealthRecipe("pump", half_life=8)
SENSORS = ("pressure", "flow", "current", "temperature")


def running(rows: int, seed: int = 0) -> Doubles:
    """A pump whose pressure, flow and current follow its load, and whose temperature does not."""
    noise = np.random.default_rng(seed)
    load = np.sin(np.arange(rows) / 7) + 0.2 * noise.normal(size=rows)
    columns = [5 + load, 30 + 4 * load, 12 + 2 * load, 60 + noise.normal(size=rows)]
    return np.column_stack(columns) + 0.05 * noise.normal(size=(rows, 4))


def table(values: Doubles, first_bad: int | None = None) -> Table:
    label = None if first_bad is None else np.arange(len(values)) >= first_bad
    return Table(SENSORS, values, label)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder, key = tmp_path_factory.mktemp("health") / "pump", Ed25519PrivateKey.generate()
    release = fit(table(running(1200)), RECIPE)
    write_bundle(folder, release.card, release.onnx, key)
    return read_bundle(folder, [public_key(key)])


def test_a_healthy_machine_is_left_alone(bundle: Bundle) -> None:
    result = judge(Monitor(bundle), table(running(3000, seed=1), first_bad=3000))
    assert result.false_alarm_rate < 0.01


def test_sensors_that_no_longer_go_together_are_found_and_named(bundle: Bundle) -> None:
    values = running(1000, seed=2)
    values[500:, 1] = 30 - 4 * (values[500:, 0] - 5)  # the flow falls when the pressure rises; each alone looks usual
    monitor = Monitor(bundle)
    result = judge(monitor, table(values, first_bad=500))
    assert result.f1 > 0.9 > result.always_f1
    assert result.false_alarm_rate < 0.02


def test_a_sensor_that_drifts_away_leads_the_list(bundle: Bundle) -> None:
    values = running(600, seed=3)
    values[300:, 3] += np.linspace(0, 12, 300)
    *_, last = Monitor(bundle).follow_all(values)
    assert last.verdict == "reject"
    name, part = last.contributions[0]
    assert (name, part > 1) == ("temperature", True)


def test_it_says_nothing_before_it_is_warm_nor_for_a_missing_reading(bundle: Bundle) -> None:
    values = running(200, seed=4)
    values[100:105] = np.nan
    findings = list(Monitor(bundle).follow_all(values))
    warm = int(WARM_HALF_LIVES * RECIPE.half_life)
    assert {finding.verdict for finding in findings[:warm]} == {None}
    assert {finding.verdict for finding in findings[warm:]} <= {"pass", "review"}
    assert findings[104].score == pytest.approx(findings[99].score, rel=1e-5)


def test_the_graph_computes_the_definition(bundle: Bundle) -> None:
    card = bundle.card
    assert card.fit.parity <= PARITY_LIMIT
    changed = learn(running(1200) + 1, RECIPE)
    assert parity_gap(bundle.onnx, changed, running(50), running(50)) > PARITY_LIMIT


def test_the_card_says_what_its_limits_rest_on(bundle: Bundle) -> None:
    card = bundle.card
    assert (card.task, card.sensors) == ("health", list(SENSORS))
    assert card.review.value < card.reject.value
    assert card.reject.low <= card.reject.measured <= card.reject.high
    assert card.reject.provisional  # 1,200 rows are some fifty independent averages: too few to promise 1 %
    assert not card.review.provisional


def test_each_kind_of_model_is_run_by_its_own(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="does not inspect"):
        Detector(bundle)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (running(60), "too few"),
        (np.column_stack([running(400)[:, :3], np.where(np.arange(400) < 90, np.nan, 1.0)]), "'temperature'"),
    ],
)
def test_what_cannot_be_learnt_from_is_said(values: Doubles, why: str) -> None:
    with pytest.raises(InputError, match=why):
        fit(table(values), RECIPE)


def test_a_sensor_that_never_moved_is_unusual_as_soon_as_it_does() -> None:
    values = np.column_stack([running(400), np.full(400, 7.0)])
    model = learn(values, RECIPE)
    moved = values[:100].copy()
    moved[50:, 4] = 7.1
    found = scores(model, moved).score
    assert found[60] > 100 * found[49]


@settings(max_examples=25)
@given(scale=st.lists(st.floats(1e-3, 1e3), min_size=4, max_size=4), shift=st.floats(-1e3, 1e3))
def test_units_do_not_matter(scale: list[float], shift: float) -> None:
    values, other = running(300), running(120, seed=5)
    plain = scores(learn(values, RECIPE), other)
    changed = scores(learn(values * scale + shift, RECIPE), other * scale + shift)
    np.testing.assert_allclose(changed.score, plain.score, rtol=1e-4)


@given(seed=st.integers(0, 1000), rows=st.integers(3, 40))
def test_the_shrunk_covariance_can_be_inverted(seed: int, rows: int) -> None:
    found = shrunk_covariance(np.random.default_rng(seed).normal(size=(rows, 6)))
    assert np.linalg.eigvalsh(found).min() > 0


def test_a_lasting_change_is_told_with_its_time_and_size() -> None:
    noise, watch, told = np.random.default_rng(2), watch_of(2), []
    for minute in range(600):
        score = float(np.exp(0.2 * noise.normal())) * (3 if minute >= 400 else 1)
        if change := watch.follow(score, 60 * minute):
            told.append(change)
    (change,) = told
    assert change.way == "up"
    assert 60 * 385 <= change.since <= 60 * 400 < change.told <= 60 * 420
    assert change.factor == pytest.approx(3, rel=0.2)
