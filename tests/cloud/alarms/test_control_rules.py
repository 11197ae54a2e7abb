"""Rules on control charts: raised where a chart signals against frozen limits, over after calm points, as any other alarm."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from cloud.alarms.schemas import RuleRequest
from cloud.core.errors import Invalid
from cloud.spc.schemas import PlanRequest
from tests.cloud.alarms.conftest import Plant

SPC = {"kind": "spc", "charts": ["western_electric"], "calm_points": 3}


async def freeze(plant: Plant, subgroup: int = 4) -> int:
    """Have the oil temperature vary about 60 for a while and freeze the limits that follow; returns its series."""
    usual = np.random.default_rng(3).normal(60, 0.5, 400)
    await plant.deliver(usual.tolist(), ago_s=3600)
    (point,) = await plant.doors.telemetry.points(plant.scope)
    end = plant.at - timedelta(seconds=3590)
    plan = PlanRequest(subgroup=subgroup, baseline_start=end - timedelta(seconds=420), baseline_end=end)
    await plant.doors.spc.set_plan(plant.principal, point.series_id, plan)
    return point.series_id


async def test_a_shift_raises_an_alarm_that_is_told_and_is_over_once_the_chart_is_calm(plant: Plant) -> None:
    series = await freeze(plant)
    channel = await plant.channel("duty")
    rule = await plant.rule(SPC, selection={"series_id": series}, channels=[str(channel.id)], tell_return=True)
    quiet = [60.1, 59.9, 60.2, 59.8] * 3
    await plant.run()
    await plant.deliver(quiet)
    await plant.run(after_s=20)
    assert await plant.open() == []
    await plant.deliver([62.0, 62.2, 61.9, 62.1])
    await plant.run(after_s=20)
    (alarm,) = await plant.open()
    assert (alarm.rule_id, alarm.level, alarm.series_id) == (rule.id, "on", series)
    assert alarm.value is not None
    assert 61 < alarm.value < 62.2, "the mean of a subgroup, of which the reading before all of these may be the first"
    assert "its control chart signals at 6" in alarm.message_en
    assert "控制图" in alarm.message_zh
    assert len(await plant.told(channel)) == 1
    # One calm point is not three; then it is over, and told.
    await plant.deliver(quiet[:4])
    await plant.run(after_s=20)
    assert [one.active for one in await plant.open()] == [True]
    await plant.deliver(quiet * 2)
    await plant.run(after_s=60)
    assert [one for one in await plant.open() if one.active] == []
    assert len(await plant.told(channel)) == 2, "that it is back, too"


async def test_a_point_without_frozen_limits_is_not_watched(plant: Plant) -> None:
    await plant.deliver([60.0, 61.0])
    (point,) = await plant.doors.telemetry.points(plant.scope)
    with pytest.raises(Invalid, match="no frozen control limits"):
        await plant.rule(SPC, selection={"series_id": point.series_id})
    await plant.rule(SPC)  # of all oil temperatures those that have limits
    await plant.run()
    await plant.deliver([90.0] * 12)
    await plant.run(after_s=30)
    assert await plant.open() == []


async def test_it_is_tried_on_what_is_stored_and_goes_on_in_another_process(plant: Plant) -> None:
    series = await freeze(plant)
    await plant.deliver([60.0] * 20 + [63.0] * 8 + [60.0] * 40, ago_s=600)
    body = {"name": "tried", "selection": {"series_id": series}, "condition": SPC | {"charts": ["cusum", "ewma"]}}
    tried = await plant.alarms.rules.back_test(plant.scope, RuleRequest.model_validate(body), 1)
    assert tried.raised >= 1
    await plant.rule(SPC, selection={"series_id": series})
    await plant.run()
    await plant.deliver([63.0] * 8)
    await plant.run(after_s=20)
    assert len(await plant.open()) == 1
    other = plant.process()
    plant.at += timedelta(seconds=40)  # the lease of the first is over
    while await other.run(plant.at):
        pass
    assert [one.active for one in await plant.open()] == [True], "what was raised stays raised"
