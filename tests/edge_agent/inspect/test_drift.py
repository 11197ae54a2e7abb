"""What has changed is named right, at a real model and over a restart; what has not changed is never called so."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.config import InspectionConfig
from edge_agent.inspect.drift_watch import DriftWatch, shift_at
from edge_agent.plant_shifts import FILE
from models.bundle import read_bundle
from models.drift import CHANCE, REFERENCE, Drift, Signs, Watch, distance, exact_interval, signs_of, stability_index
from models.vision.detector import Detector
from models.vision.pictures import Grey
from protocols.text import Text
from protocols.uplink.shifts import PlannedShift, ShiftsPlanned
from tests.edge_agent.inspect.conftest import SignedBundle, small_picture

Change = Callable[[Grey, float], npt.NDArray[np.float64]]
"""Turns a good picture into one after the change; the number goes from 0 to 1 in the time it takes."""


def dimmed(grey: Grey, share: float) -> npt.NDArray[np.float64]:
    return grey * (1 - 0.25 * share)


def blurred(grey: Grey, share: float) -> npt.NDArray[np.float64]:
    wide = np.pad(grey.astype(np.float64), 1, mode="edge")
    near = (wide[1:-1, 1:-1] + wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) / 5
    return (1 - share) * grey + share * near


def another_variant(grey: Grey, share: float) -> npt.NDArray[np.float64]:
    return grey.T.astype(np.float64)


def worn(grey: Grey, share: float) -> npt.NDArray[np.float64]:
    """A scratch of the tool that grows darker from part to part."""
    marked = grey.astype(np.float64)
    marked[24:34, 24:34] -= 30 * share
    return marked


class Shift:
    """A watch fed with generated parts, and what it announced."""

    def __init__(self, bundle: SignedBundle, folder: Path) -> None:
        self.detector = Detector(read_bundle(bundle.folder, bundle.trust))
        self.config = InspectionConfig(
            device="camera-1", folder=folder, bundle=bundle.folder, trust=bundle.trust, drift_parts=100
        )
        self.folder = folder
        self.told: list[str] = []
        self.seed = 5000
        self.restart()

    def restart(self) -> None:
        self.watch = DriftWatch(self.config, self.detector, self.folder, self._announce)

    def _announce(self, station: str, kind: str, text: Text) -> None:
        self.told.append(kind)

    def run(self, parts: int, change: Change | None = None) -> None:
        for number in range(parts):
            self.seed += 1
            grey = small_picture(self.seed)
            if change is not None:
                grey = np.clip(change(grey, min(1.0, 2 * number / parts)), 0, 255).astype(np.uint8)
            finding = self.detector.inspect(grey)
            self.watch.add(finding.score, signs_of(grey), finding.verdict, number, number)
            self.watch.keep()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (dimmed, "drift_lighting"),
        (blurred, "drift_lighting"),
        (another_variant, "drift_variant"),
        (worn, "drift_model"),
    ],
)
def test_a_change_is_named_and_so_is_its_end(
    change: Change, kind: str, small_bundle: SignedBundle, tmp_path: Path
) -> None:
    shift = Shift(small_bundle, tmp_path)
    shift.run(REFERENCE + 60)
    assert (shift.told, shift.watch.counters()) == ([], {})
    shift.restart()  # the reference has to outlive it, or what comes now would become the new one
    shift.run(300, change)
    assert set(shift.told) == {kind}
    shift.run(300)
    assert shift.told[-1] == "drift_over"


def test_nothing_is_said_of_parts_that_stay_as_they_are(small_bundle: SignedBundle, tmp_path: Path) -> None:
    shift = Shift(small_bundle, tmp_path)
    shift.run(1200)
    assert shift.told == []
    rng = np.random.default_rng(1)
    quiet = Drift(Watch("m", 200))
    coarse = np.arange(64, dtype=np.float32)
    for score in rng.gamma(4, 0.5, 10_000):  # skewed, as scores are
        signs = Signs(0.5 + 0.01 * rng.normal(), 0.1 + 0.01 * rng.normal(), coarse)
        comparison = quiet.add(score, signs, "pass", 0.01)
        assert comparison is None or comparison.cause is None


def test_measures_agree_with_their_definitions() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=400), rng.normal(1.0, size=300)
    assert stability_index(one, one) == pytest.approx(0, abs=1e-12)
    assert 0.6 < stability_index(one, other) < 1.6  # of two normal distributions one deviation apart: 1
    assert distance(one, other) == pytest.approx(0.3829, abs=0.08)  # 2 Phi(1/2) - 1
    # Clopper-Pearson by its closed forms: none of n, all of n; and a table's value for 5 of 20.
    assert exact_interval(0, 50, 0.05) == (0.0, pytest.approx(1 - 0.025 ** (1 / 50)))
    assert exact_interval(50, 50, 0.05) == (pytest.approx(0.025 ** (1 / 50)), 1.0)
    assert exact_interval(5, 20, 0.05) == (pytest.approx(0.0866, abs=1e-4), pytest.approx(0.4910, abs=1e-4))
    assert exact_interval(2, 200, 2 * CHANCE)[0] < 0.01


def test_a_shift_is_told_when_the_next_begins(small_bundle: SignedBundle, tmp_path: Path) -> None:
    """Two shifts of parts that are as before and one in less light: each is told by itself, and none is mixed with another."""
    shift = Shift(small_bundle, tmp_path)
    shift.config = shift.config.model_copy(update={"shifts": ["14:00", "22:00", "06:00"], "drift_parts": 5000})
    shift.restart()
    texts: list[str] = []
    shift.watch._announce = lambda _, kind, text: texts.append(f"{kind} {text.en}")  # type: ignore[method-assign]
    begin = int(datetime(2026, 3, 2, 6, 0).astimezone().timestamp() * 1e6)
    rows = []
    for hours, count, change in ((0, REFERENCE + 60, None), (8, 60, None), (16, 60, dimmed), (24, 1, None)):
        for number in range(count):
            shift.seed += 1
            grey = small_picture(shift.seed)
            if change is not None:
                grey = change(grey, 1.0).astype(np.uint8)
            finding = shift.detector.inspect(grey)
            time = begin + (hours * 3600 + number) * 1_000_000
            rows += shift.watch.add(finding.score, signs_of(grey), finding.verdict, time, time)
    told = [text.split(":")[0] + ":" + text.split(":")[1][:2] for text in texts if text.startswith("drift_shift")]
    assert told == [f"drift_shift shift of 2026-03-02 {begins}" for begins in ("06:00", "14:00", "22:00")]
    assert re.search(r": [56]\d parts", texts[0])
    assert texts[2].startswith("drift_lighting")
    assert "KS" in texts[-1]
    assert len(rows) == 3 * 3


def test_the_plants_shifts_count_before_the_stations_own(small_bundle: SignedBundle, tmp_path: Path) -> None:
    def at(hour: int, minute: int = 0) -> int:
        return int(datetime(2026, 3, 2, hour, minute).astimezone().timestamp() * 1e6)

    shift = Shift(small_bundle, tmp_path)
    shift.config = shift.config.model_copy(update={"shifts": ["06:00", "18:00"]})
    shift.restart()
    assert shift.watch._shift_of(at(8)) == "2026-03-02 06:00"
    heard = ShiftsPlanned({"camera-1": [PlannedShift(at(7, 30), at(11)), PlannedShift(at(12), at(16))], "camera-2": []})
    (tmp_path / FILE).write_bytes(msgspec.json.encode(heard))
    shift.watch.keep()
    told = {hour: shift.watch._shift_of(at(hour))[-5:] for hour in (7, 8, 11, 13, 16, 19)}
    assert told == {7: "06:00", 8: "07:30", 11: "11:00", 13: "12:00", 16: "06:00", 19: "18:00"}
    shift.restart()
    assert shift.watch._shift_of(at(8)) == "2026-03-02 07:30", "known before the cloud is heard again"


def test_the_shift_before_the_first_of_a_day_is_that_of_the_day_before() -> None:
    night = int(datetime(2026, 3, 2, 5, 59).astimezone().timestamp() * 1e6)
    assert shift_at(night, ["06:00", "22:00"]) == "2026-03-01 22:00"
    assert shift_at(night + 60_000_000, ["06:00", "22:00"]) == "2026-03-02 06:00"
    assert shift_at(night, []) == ""
