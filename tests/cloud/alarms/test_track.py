"""When a source is raised and when it is back: laws that hold for any readings, and the cases people argue about."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cloud.alarms.default_rules import default_rules
from cloud.alarms.schemas import RuleRequest
from cloud.alarms.sources import track_of
from cloud.alarms.track import AnyTrack, Transition, steps
from protocols.dictionary.entries import equipment_classes, load_dictionary

S = 1_000_000


def rule(condition: dict[str, Any], **more: Any) -> RuleRequest:
    return RuleRequest.model_validate({"name": "r", "selection": {"series_id": 1}, "condition": condition, **more})


def play(track: AnyTrack, *readings: tuple[float, float | None]) -> list[tuple[float, str, str]]:
    """Feed (second, value) readings, None for a bad one; returns (second, before, after)."""
    made: list[Transition] = []
    for second, value in readings:
        made += track.step(int(second * S), math.nan if value is None else value, value is not None)
    return [(one.time_us / S, one.before, one.after) for one in made]


CONDITIONS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("threshold"), "high": st.just(10.0), "deadband": st.sampled_from([0.0, 2.0])},
        optional={"high_high": st.just(15.0), "low": st.just(0.0), "low_low": st.just(-5.0)},
    ),
    st.fixed_dictionaries({"kind": st.just("rate"), "per_minute": st.just(60.0), "window_s": st.sampled_from([5, 10])}),
    st.just({"kind": "state", "values": [3, 12]}),
    st.just({"kind": "bad_quality"}),
    st.just({"kind": "stale", "seconds": 10}),
)
READINGS = st.lists(
    st.tuples(st.integers(1, 30), st.one_of(st.none(), st.integers(-8, 18).map(float))), min_size=1, max_size=60
)


@settings(max_examples=150, deadline=None)
@given(CONDITIONS, READINGS, st.sampled_from([0, 4, 20]), st.sampled_from([0, 7]), st.randoms(use_true_random=False))
def test_the_same_readings_give_the_same_alarms_however_they_are_cut(
    condition: dict[str, Any], gaps: list[tuple[int, float | None]], on: int, off: int, random: Any
) -> None:
    tried = rule(condition, on_delay_s=on, off_delay_s=off)
    times = np.cumsum([gap * S // 3 for gap, _ in gaps]) + S
    values = np.array([math.nan if value is None else value for _, value in gaps])
    usable = np.isfinite(values)
    one_by_one, cut = track_of(tried), track_of(tried)
    expected: list[Transition] = []
    for time, value, good in zip(times.tolist(), values.tolist(), usable.tolist(), strict=True):
        expected += one_by_one.step(time, value, good)
    made: list[Transition] = []
    at = 0
    while at < len(times):
        upto = random.randint(at + 1, len(times))
        made += steps(cut, times[at:upto], values[at:upto], usable[at:upto])
        at = upto
    assert repr(made) == repr(expected)
    assert (cut.level, cut.wanted) == (one_by_one.level, one_by_one.wanted)
    # Levels follow upon each other, in the order of time; every alarm begins at normal.
    assert all(a.after == b.before and a.time_us <= b.time_us for a, b in pairwise(made))
    assert not made or made[0].before == ""


@settings(max_examples=60, deadline=None)
@given(READINGS, st.sampled_from([0, 4, 20]))
def test_a_bad_reading_never_raises_what_is_about_values(gaps: list[tuple[int, float | None]], on: int) -> None:
    tried = track_of(rule({"kind": "threshold", "high": 10.0}, on_delay_s=on))
    time, out_since = 0, None
    for gap, value in gaps:
        time += gap * S // 3
        if value is not None and value > 10 and out_since is None:
            out_since = time
        for made in tried.step(time, math.nan if value is None else value, value is not None):
            if made.raises:
                assert out_since is not None
                assert made.time_us - out_since >= on * S
        if value is None or value <= 10:
            out_since = None


def test_a_limit_is_left_by_the_deadband_and_the_outer_one_goes_first() -> None:
    limits = {"kind": "threshold", "high_high": 90, "high": 80, "low": 10, "low_low": 5, "deadband": 2}
    found = play(
        track_of(rule(limits)),
        (1, 80),
        (2, 80.1),
        (3, 78.5),
        (4, 95),
        (5, 89),
        (6, 85),
        (7, 77),
        (8, 3),
        (9, 11.5),
        (10, 13),
    )
    assert found == [
        *((2, "", "high"), (4, "high", "high_high"), (6, "high_high", "high"), (7, "high", "")),
        *((8, "", "low_low"), (9, "low_low", "low"), (10, "low", "")),
    ]


def test_delays_count_from_when_the_value_left_and_a_value_holds_until_the_next() -> None:
    limits = {"kind": "threshold", "high_high": 90, "high": 80}
    track = track_of(rule(limits, on_delay_s=10, off_delay_s=5))
    # Out at 1, worse at 6: raised at 11 with what it then is. Back at 20, in again at 23: not back. Back for good at 30.
    readings = [(1, 81), (6, 95), (15, 95), (20, 70), (23, 85), (24, 85), (30, 70)]
    assert play(track, *readings) == [(11, "", "high_high"), (28, "high_high", "high")]
    assert [(made.time_us / S, made.after) for made in track.advance(60 * S)] == [(35, "")]


def test_a_bad_reading_begins_the_delay_anew_and_leaves_an_alarm_standing() -> None:
    track = track_of(rule({"kind": "threshold", "high": 80}, on_delay_s=10))
    assert play(track, (0, 85), (9, None), (10, 85), (19, 85), (21, 85), (22, None), (500, None)) == [(20, "", "high")]
    assert play(track, (501, 70)) == [(501, "high", "")]


def test_a_rate_needs_half_its_window_and_no_leap_over_a_gap() -> None:
    condition = {"kind": "rate", "per_minute": 6, "direction": "rising", "window_s": 60}
    track = track_of(rule(condition))
    assert play(track, *((second, 20 + 0.05 * second) for second in range(0, 120, 5))) == []
    assert play(track, *((second, 26 + 0.2 * (second - 120)) for second in range(120, 180, 5)))[0][1:] == ("", "on")
    other = track_of(rule(condition))
    assert play(other, (0, 20), (5, None), (3600, 900), (3605, 900)) == []


def test_silence_is_raised_by_time_and_ended_by_a_usable_reading() -> None:
    track = track_of(rule({"kind": "stale", "seconds": 60}))
    assert play(track, (0.001, 1), (30, None)) == []
    assert track.advance(60 * S) == []
    assert [(made.time_us / S, made.after) for made in track.advance(65 * S)] == [(60.001, "on")]
    assert play(track, (70, None), (71, 5)) == [(71, "on", "")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"condition": {"kind": "threshold"}},
        {"condition": {"kind": "threshold", "high": 5, "low": 6}},
        {"condition": {"kind": "threshold", "high": math.inf}},
        {"condition": {"kind": "threshold", "high": 5, "deadband": -1}},
        {"selection": {}},
        {"selection": {"series_id": 1, "property": "oil_temperature"}},
        {"message_en": "{nonsense}"},
        {"message_zh": "{value.__class__}"},
        {"escalation": [{"after_minutes": 5, "channels": []}]},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RuleRequest.model_validate(
            {"name": "r", "selection": {"series_id": 1}, "condition": {"kind": "threshold", "high": 5}} | wrong
        )


def test_every_default_rule_names_what_there_is_and_is_off() -> None:
    for default in default_rules():
        for language in ("en", "zh"):
            made = default.request(language)
            assert not made.enabled
            assert made.selection.property is None or made.selection.property in load_dictionary()
            assert made.selection.equipment_class is None or made.selection.equipment_class in equipment_classes()
    assert len({default.code for default in default_rules()}) == len(default_rules())
