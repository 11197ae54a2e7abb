"""Rules on KPIs of shifts: raised by the shift that is over, back with the next good one, silent where too little is known."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloud.alarms.schemas import RuleRequest
from cloud.core.db import Database
from cloud.production.schemas import CalendarRequest
from protocols.uplink.messages import PointRef
from tests.cloud.alarms.conftest import Plant
from tests.cloud.production.test_production import DAY, NIGHT, ZONE, settle

STATE = PointRef("press-1", "State", "machine_state", "C62")
RUNNING, IDLE = 3.0, 2.0
SHIFT_MIN = 12 * 60


async def test_a_shift_below_its_limit_is_an_alarm_until_one_is_above(
    plant: Plant, db: Database, owner_dsn: str
) -> None:
    week = [1, 2, 3, 4, 5, 6, 7]
    shifts = [DAY | {"weekdays": week}, NIGHT | {"weekdays": week}]
    body = {"site_id": plant.agent.site_id, "valid_from": "2026-01-01", "shifts": shifts}
    await plant.doors.production.calendars.put(plant.principal, CalendarRequest.model_validate(body))
    evening = (datetime.now(ZONE) - timedelta(days=2)).replace(hour=20, minute=0, second=0, microsecond=0)

    async def shift_ends(end: datetime, values: list[float]) -> None:
        plant.at = end
        await plant.deliver(values, step_s=60, point=STATE)
        await settle(db, owner_dsn)

    low = {"kind": "kpi", "kpi": "availability", "low": 60, "deadband": 2}
    rule = await plant.rule(low, selection={})
    await plant.rule(low | {"kpi": "oee", "low": 99}, selection={})  # nothing is counted: there is no OEE to be low
    await plant.rule(low | {"period": "running_shift", "low": 99}, selection={})
    await shift_ends(evening, [RUNNING] * (SHIFT_MIN // 4) + [IDLE] * (SHIFT_MIN * 3 // 4))
    await plant.run(after_s=30 * 60)  # the night shift has lasted for less than an hour: nothing is said of it
    (alarm,) = await plant.open()
    assert (alarm.rule_id, alarm.level, alarm.unit, alarm.limit) == (rule.id, "low", "%", 60)
    assert alarm.value is not None
    assert abs(alarm.value - 25) < 1
    assert alarm.message_en.startswith("Availability of the last shift too low: ")
    assert alarm.message_zh.startswith("上一班次时间利用率偏低")
    heard_for_a_third = SHIFT_MIN // 3
    await shift_ends(evening + timedelta(hours=4), [RUNNING] * heard_for_a_third)
    await plant.run(after_s=8.5 * 3600)
    assert [one.rule_id for one in await plant.open() if one.active] == [rule.id], "too little is known of the night"
    await shift_ends(evening + timedelta(hours=24), [RUNNING] * SHIFT_MIN)
    await plant.run(after_s=30 * 60)
    assert [one for one in await plant.open() if one.active] == []

    # Tried on the past, the rule says what it said.
    request = RuleRequest.model_validate(rule.model_dump(include=set(RuleRequest.model_fields)))
    tried = await plant.alarms.rules.back_test(plant.scope, request, 7)
    (found,) = tried.occurrences
    assert (found.start, found.end, found.level, found.value) == (
        *(evening, evening + timedelta(hours=24), "low", alarm.value),
    )
    assert [one.time for one in tried.judged] == [evening, evening + timedelta(hours=24)]
