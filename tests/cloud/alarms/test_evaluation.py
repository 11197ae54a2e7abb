"""From committed readings to alarms: each reading once, whoever evaluates and whatever comes between."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from cloud.alarms import evaluator, raising
from cloud.alarms.schemas import RuleRequest
from cloud.alarms.sources import track_of
from protocols.reading import BAD_SENSOR_FAILURE
from tests.cloud.alarms.conftest import FAULT, OIL, Plant

LIMITS = {"kind": "threshold", "high_high": 90, "high": 80, "deadband": 2}


async def test_an_alarm_lives_from_the_reading_to_the_acknowledgement(plant: Plant) -> None:
    channel = await plant.channel("shift")
    await plant.deliver([70.0])
    rule = await plant.rule(LIMITS, name="Oil", channels=[channel.id], hint_en="Open the valve.", tell_return=True)
    await plant.run()
    assert await plant.open() == []
    await plant.deliver([81.5, 83.0], ago_s=-5)
    await plant.run(after_s=6)
    (alarm,) = await plant.open()
    assert (alarm.state, alarm.level, alarm.priority, alarm.value, alarm.limit) == (
        "unacknowledged",
        "high",
        "medium",
        81.5,
        80,
    )
    assert (alarm.source, alarm.unit, alarm.message_zh) == (
        "main / press-1 · OilTemperature",
        "°C",
        "油温偏高：81.5 °C(限值 80)",
    )
    # Worse: it wants to be seen again, one priority up.
    await plant.alarms.acknowledge(plant.principal, alarm.id, "on my way")
    await plant.deliver([95.0], ago_s=-2)
    await plant.run(after_s=3)
    (alarm,) = await plant.open()
    assert (alarm.state, alarm.level, alarm.priority, alarm.comment) == ("unacknowledged", "high_high", "high", "")
    await plant.deliver([70.0], ago_s=-2)
    await plant.run(after_s=3)
    (alarm,) = await plant.open()
    assert (alarm.state, (await plant.alarms.counts(plant.scope)).unacknowledged) == ("returned", 1)
    await plant.alarms.acknowledge(plant.principal, alarm.id)
    assert await plant.open() == []
    detail = await plant.alarms.alarm(plant.scope, alarm.id)
    assert [event.change for event in detail.events] == ["raised", "acknowledged", "level", "returned", "acknowledged"]
    assert detail.events[1].actor == plant.principal.email
    notices = [told.notice for told in await plant.told()]
    assert [notice.title_en for notice in notices] == [
        "[Medium] Oil temperature too high: 81.5 °C (limit 80)",
        "[High] Oil temperature far too high: 95 °C (limit 90)",
        "[Back to normal] Oil temperature far too high: 95 °C (limit 90)",
    ]
    assert notices[0].body_en.endswith("Open the valve.")
    assert notices[0].data["alarm_id"] == str(alarm.id)
    assert rule.origin == ""


async def test_bad_late_old_and_future_readings_raise_nothing(plant: Plant) -> None:
    await plant.deliver([70.0, 70.0])
    await plant.rule(LIMITS)
    quality = await plant.rule({"kind": "bad_quality"}, on_delay_s=2)
    await plant.run()
    await plant.deliver([95.0], ago_s=0.5)  # between two that were evaluated: late
    await plant.deliver([95.0], ago_s=3600)  # of an hour ago
    await plant.deliver([95.0], ago_s=-600)  # of a clock that is wrong
    await plant.run(after_s=1)
    await plant.deliver([None, None, None, None], quality=BAD_SENSOR_FAILURE, ago_s=-4)
    await plant.run(after_s=5)
    assert [alarm.rule_id for alarm in await plant.open()] == [quality.id]
    await plant.deliver([95.0], ago_s=-1)
    await plant.run(after_s=2)
    assert {alarm.level for alarm in await plant.open()} == {"high_high", "on"}


async def test_a_rule_begins_with_the_value_that_is_held_and_ends_its_alarms_when_it_is_another(plant: Plant) -> None:
    await plant.deliver([1.0], point=FAULT, ago_s=3 * 3600)
    state = {"kind": "state", "values": [1]}
    rule = await plant.rule(state, selection={"property": "fault_active"}, on_delay_s=3600)
    await plant.run()
    (alarm,) = await plant.open()
    assert (plant.at - alarm.raised_at).total_seconds() == pytest.approx(2 * 3600)
    other = rule.model_dump(include=set(RuleRequest.model_fields)) | {"on_delay_s": 4 * 3600}
    await plant.alarms.rules.change(plant.principal, rule.id, RuleRequest.model_validate(other))
    assert await plant.open() == []
    await plant.run(after_s=1)
    assert await plant.open() == []
    await plant.heard()
    await plant.run(after_s=3600 + 11)
    assert await plant.open() == [], "the agent was not heard for an hour: nobody knows"
    plant.at -= timedelta(hours=1)
    await plant.alarms.rules.remove(plant.principal, rule.id)
    with pytest.raises(Exception, match="nothing at this address"):
        await plant.alarms.rules.one(plant.scope, rule.id)


async def test_a_point_that_is_new_while_its_rule_is_on_is_watched_from_its_first_readings(plant: Plant) -> None:
    await plant.rule({"kind": "state", "values": [1]}, selection={"property": "fault_active"})
    await plant.run()
    await plant.deliver([0.0, 1.0], point=FAULT, ago_s=-1)  # a clock that is a little ahead
    await plant.run()
    await plant.run(after_s=1)
    assert [alarm.level for alarm in await plant.open()] == ["on"]


async def test_time_alone_raises_what_is_held_and_what_is_silent(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "_GRACE", timedelta(0))
    await plant.deliver([85.0])
    held = await plant.rule(LIMITS, on_delay_s=20)
    silent = await plant.rule({"kind": "stale", "seconds": 60})
    await plant.run(after_s=5)
    assert await plant.open() == []
    await plant.run(after_s=26)
    assert [alarm.rule_id for alarm in await plant.open()] == [held.id]
    await plant.run(after_s=31)
    assert {alarm.rule_id for alarm in await plant.open()} == {held.id, silent.id}
    await plant.deliver([70.0])
    await plant.run(after_s=1)
    assert {alarm.state for alarm in await plant.open()} == {"returned"}


async def test_a_silent_agent_is_one_alarm_and_not_one_for_every_point(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "_GRACE", timedelta(0))
    channel = await plant.channel("shift")
    await plant.deliver([70.0])
    agent = await plant.rule(
        {"kind": "agent", "measure": "silent_s", "limit": 100}, selection={}, channels=[channel.id]
    )
    await plant.rule({"kind": "stale", "seconds": 120}, channels=[channel.id])
    await plant.run()
    await plant.run(after_s=110)
    await plant.run(after_s=30)
    first = {alarm.rule_id: alarm for alarm in await plant.open()}
    assert len(first) == 2
    assert [alarm.suppressed for rule, alarm in first.items() if rule != agent.id] == [True]
    assert [told.notice.data["source"] for told in await plant.told()] == ["box-1"]
    assert (await plant.alarms.counts(plant.scope)).suppressed == 1


async def test_what_follows_within_a_minute_is_a_consequence_and_is_told_if_it_is_graver(plant: Plant) -> None:
    channel = await plant.channel("shift")
    await plant.deliver([70.0])
    await plant.deliver([0.0], point=FAULT)
    await plant.rule(LIMITS, channels=[channel.id], priority="high")
    selection, state = {"property": "fault_active"}, {"kind": "state", "values": [1]}
    await plant.rule(state, selection=selection, channels=[channel.id], priority="low", name="lesser")
    await plant.rule(state, selection=selection, channels=[channel.id], priority="critical", name="graver")
    await plant.run()
    await plant.deliver([85.0], ago_s=-1)
    await plant.deliver([1.0], point=FAULT, ago_s=-2)
    await plant.run(after_s=3)
    found = {alarm.rule: alarm for alarm in await plant.open()}
    (first,) = (alarm for alarm in found.values() if alarm.first_out is None)
    assert (first.level, first.consequences) == ("high", 2)
    assert found["lesser"].first_out == found["graver"].first_out == first.id
    assert sorted(told.notice.data["priority"] for told in await plant.told()) == ["critical", "high"]
    await plant.alarms.acknowledge(plant.principal, found["graver"].id)
    urgent = await plant.alarms.worst(plant.scope, limit=3)
    assert [alarm.id for alarm in urgent] == [first.id, found["lesser"].id, found["graver"].id], (
        "what nobody has seen first"
    )
    await plant.alarms.shelve(plant.principal, first.id, minutes=30, reason="sensor is being changed")
    assert first.equipment_id is not None
    (shown,) = await plant.alarms.worst(plant.scope, limit=1, equipment=[first.equipment_id])
    assert shown.id == found["lesser"].id
    assert await plant.alarms.worst(plant.scope, limit=1, equipment=[]) == []


async def test_shelved_is_not_told_until_the_shelf_ends_and_what_nobody_acknowledges_is_escalated(
    plant: Plant, owner_dsn: str
) -> None:
    import psycopg

    shift, boss = await plant.channel("shift"), await plant.channel("boss")
    steps = [{"after_minutes": 10, "channels": [boss.id]}]
    await plant.deliver([70.0])
    await plant.rule(LIMITS, channels=[shift.id], escalation=steps, latching=True)
    await plant.run()
    await plant.deliver([85.0], ago_s=-1)
    await plant.run(after_s=2)
    (alarm,) = await plant.open()
    await plant.alarms.shelve(plant.principal, alarm.id, minutes=30, reason="sensor is being changed")
    assert (await plant.alarms.counts(plant.scope)).model_dump(include={"unacknowledged", "shelved"}) == {
        "unacknowledged": 0,
        "shelved": 1,
    }
    await plant.deliver([70.0], ago_s=-1)
    await plant.run(after_s=2)
    await plant.deliver([85.0], ago_s=-1)
    await plant.run(after_s=2)
    await plant.run(after_s=700)
    assert len(await plant.told(shift)) == 1
    assert await plant.told(boss) == []
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("UPDATE alarm_track SET shelved_until = now() WHERE tenant_id = %s", [plant.scope.tenant_id])
    await plant.run(after_s=1)
    assert len(await plant.told(shift)) == 2, "the shelf has ended and nobody has seen it"
    await plant.run(after_s=1)
    await plant.run(after_s=1)
    (escalated,) = await plant.told(boss)
    assert escalated.notice.title_en.startswith("Not acknowledged for 10 min: [Medium] ")
    # It latches: acknowledged and back to normal it stays until somebody resets it.
    await plant.alarms.acknowledge(plant.principal, alarm.id)
    await plant.deliver([70.0], ago_s=-1)
    await plant.run(after_s=2)
    (alarm,) = await plant.open()
    assert (alarm.state, alarm.raises) == ("latched", 2)
    assert (await plant.alarms.acknowledge(plant.principal, alarm.id)).state == "closed"
    changes = [event.change for event in (await plant.alarms.alarm(plant.scope, alarm.id)).events]
    assert changes == [
        "raised",
        "shelved",
        "returned",
        "raised",
        "unshelved",
        "escalated",
        "acknowledged",
        "returned",
        "reset",
    ]


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_number_of_processes_that_fail_and_begin_anew_raise_what_one_would(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(evaluator, "LEASE_S", 0.0)
    random = Random(seed)
    limits = {"kind": "threshold", "high": 80, "deadband": 3}
    await plant.deliver([70.0])
    rule = await plant.rule(limits, on_delay_s=2, off_delay_s=1)
    await plant.run()
    values = [random.choice([60.0, 78.5, 79.0, 82.0, 90.0]) for _ in range(240)]
    reference, start_us = track_of(rule), int(plant.at.timestamp() * 1e6)
    expected = [
        made for i, value in enumerate(values) for made in reference.step(start_us + (i + 1) * 500_000, value, True)
    ]

    fail = False
    apply = raising.Raising.apply

    async def failing(self: raising.Raising, *arguments: object) -> None:
        await apply(self, *arguments)  # type: ignore[arg-type]
        if fail and random.random() < 0.3:
            raise ConnectionError("the process has died")

    monkeypatch.setattr(raising.Raising, "apply", failing)
    fail = True
    owners = [UUID(int=number) for number in range(10, 13)]
    at = 0
    while at < len(values):
        upto = min(at + random.randint(1, 25), len(values))
        plant.at += timedelta(seconds=(upto - at) * 0.5)
        await plant.deliver(values[at:upto], step_s=0.5)
        at = upto
        if random.random() < 0.2:
            plant.evaluators.pop(random.choice(owners), None)
        await asyncio.gather(*(plant.run(owner) for owner in owners), return_exceptions=True)
    fail = False
    await plant.run(owners[0])
    await plant.run(owners[1])
    found = [
        (event.at, event.level)
        for alarm in reversed(await plant.all())
        for event in (await plant.alarms.alarm(plant.scope, alarm.id)).events
        if alarm.rule_id == rule.id
    ]
    wanted = [(raising.moment(made.time_us), made.after) for made in expected]
    assert len(wanted) > 10
    assert [(level, round(at.timestamp(), 3)) for at, level in sorted(found)] == [
        (level, round(at.timestamp(), 3)) for at, level in wanted
    ]


async def test_a_tried_rule_says_what_it_would_have_done(plant: Plant) -> None:
    await plant.deliver([70.0] * 60 + [85.0] * 60 + [70.0] * 60 + [95.0] * 60, step_s=60, ago_s=3600)
    request = RuleRequest.model_validate(
        {"name": "tried", "selection": {"property": "oil_temperature"}, "condition": LIMITS}
    )
    found = await plant.alarms.rules.back_test(plant.scope, request, 7)
    assert (found.sources, found.readings, found.raised) == (1, 240, 2)
    assert [(one.level, one.end is None) for one in found.occurrences] == [("high", False), ("high_high", True)]
    assert found.active_s == pytest.approx(2 * 3600 + 3600, abs=120)
    assert await plant.alarms.rules.all(plant.scope) == [], "a trial leaves nothing behind"
    assert OIL.property == "oil_temperature"
