"""Rules on energy: told before the contract is exceeded, by the figures pages show, silent where too little was measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest

from cloud.alarms.schemas import RuleRequest
from cloud.core.db import Database
from cloud.energy import figures
from cloud.energy.carriers import CARRIERS
from cloud.energy.profiles import Profile
from cloud.energy.schemas import TariffRequest
from cloud.production.schemas import Node
from protocols.uplink.messages import PointRef
from tests.cloud.alarms.conftest import Plant
from tests.cloud.energy.plant import settle

POWER = PointRef("main-meter", "P", "active_power_total", "KWT")
PRESS_POWER = PointRef("press-1", "P", "active_power_total", "KWT")
PRESS_STATE = PointRef("press-1", "State", "machine_state", "C62")
RUNNING, IDLE = 3.0, 2.0
ZONE = ZoneInfo("Asia/Shanghai")
QUARTER = timedelta(minutes=15)


def in_a_quarter(minutes: float) -> datetime:
    """Return when a quarter of an hour, that is over by now, was `minutes` old."""
    now = datetime.now(UTC)
    return now - (now - datetime(2026, 1, 1, tzinfo=UTC)) % QUARTER - QUARTER + timedelta(minutes=minutes)


async def test_a_contract_is_told_before_it_is_exceeded(plant: Plant, db: Database, owner_dsn: str) -> None:
    site = plant.agent.site_id
    flat = {
        "prices": {"flat": 1},
        "schedules": [{"months": list(range(1, 13)), "bands": [{"minute": 0, "band": "flat"}]}],
    }
    demand = {"kind": "maximum_demand", "price": 40, "contract": 100}
    body = {"site_id": site, "name": "T", "valid_from": "2026-01-01", "terms": flat | {"demand": demand}}
    condition = {"kind": "energy", "figure": "demand_of_contract", "high": 95, "deadband": 10}

    plant.at = in_a_quarter(0)
    await plant.deliver([50.0] * 180, step_s=10, point=POWER)
    await settle(db, owner_dsn)
    rule = await plant.rule(condition, selection={}, on_delay_s=60)
    await plant.run(after_s=60)
    request = RuleRequest.model_validate(rule.model_dump(include=set(RuleRequest.model_fields)))
    (said,) = (await plant.alarms.rules.back_test(plant.scope, request, 7)).present
    assert (said.source, said.value, said.level) == ("main", None, "")
    assert said.why_zh
    assert "contract" in said.why_en

    await plant.doors.energy.registry.create_tariff(plant.principal, TariffRequest.model_validate(body))
    await plant.deliver([50.0] * 6, step_s=10, point=POWER)
    plant.at += timedelta(minutes=5)
    await plant.deliver([140.0] * 30, step_s=10, point=POWER)
    await settle(db, owner_dsn)
    await plant.run(after_s=60)
    assert await plant.open() == [], "it has not held for a minute"
    await plant.run(after_s=60)
    (alarm,) = await plant.open()
    assert (alarm.rule_id, alarm.level, alarm.limit, alarm.unit, alarm.source) == (rule.id, "high", 95, "%", "main")
    assert alarm.value is not None
    assert alarm.value > 120
    curve = await plant.doors.energy.load_curve(
        plant.scope, Node(kind="site", id=site), figures.Window(plant.at - QUARTER, plant.at)
    )
    known = [point.load for point in curve.points if point.load is not None]
    assert sum(known) / len(known) < 100, "so far the contract is kept"
    assert alarm.message_en.startswith("Demand of this quarter hour, of the contract too high: ")
    assert alarm.message_zh.startswith("本 15 分钟需量（预计）占合同需量偏高")

    await plant.run(after_s=20 * 60)  # nothing comes any more
    assert [one.active for one in await plant.open()] == [True], "silence is no reason to say it is over"
    await plant.deliver([40.0] * 90, step_s=10, point=POWER)
    await settle(db, owner_dsn)
    await plant.run(after_s=30)
    assert [one.active for one in await plant.open()] == [False]

    tried = await plant.alarms.rules.back_test(plant.scope, request, 1)
    (found,) = tried.occurrences
    assert found.series_id is None
    assert abs(found.start - alarm.raised_at) <= timedelta(minutes=5), "looked at every five minutes"
    assert {one.source for one in tried.judged} == {"main"}


async def test_a_day_of_idling_is_told_and_a_day_hardly_measured_is_not(
    plant: Plant, db: Database, owner_dsn: str
) -> None:
    midnight = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    now, plant.at = plant.at, midnight
    await plant.deliver([10.0] * 1441, step_s=60, point=PRESS_POWER)
    await plant.deliver([RUNNING] * 720 + [IDLE] * 721, step_s=60, point=PRESS_STATE)
    plant.at = midnight - timedelta(hours=20)
    await plant.deliver([10.0] * 240, step_s=60, point=PointRef("press-2", "P", "active_power_total", "KWT"))
    await settle(db, owner_dsn)
    plant.at = now
    idle = {"kind": "energy", "figure": "idle_share", "day": "yesterday", "high": 30}
    rule = await plant.rule(idle, selection={})
    await plant.run()
    (alarm,) = await plant.open()
    assert (alarm.rule_id, alarm.unit) == (rule.id, "%")
    assert alarm.value == pytest.approx(50, abs=1)
    assert alarm.message_en.startswith("Idle energy of yesterday too high: ")
    request = RuleRequest.model_validate(rule.model_dump(include=set(RuleRequest.model_fields)))
    tried = await plant.alarms.rules.back_test(plant.scope, request, 7)
    said = {one.source.split(" / ")[-1]: one for one in tried.present}
    (found,) = tried.occurrences
    assert (found.source.endswith("press-1"), found.value, found.end) == (True, alarm.value, None)
    assert found.start == midnight + timedelta(minutes=1)
    assert said["press-1"].level == "high"
    assert (said["press-2"].level, bool(said["press-2"].why_en)) == ("", True)
    summary = await plant.doors.energy.summary(
        plant.scope, plant.agent.site_id, figures.Window(midnight - timedelta(days=1), midnight)
    )
    machine = next(one for one in summary.machines if one.name == "press-1")
    assert machine.idle_share.value == alarm.value, "page and alarm have one figure"


def test_the_demand_of_a_quarter_counts_what_is_left_at_the_latest_load() -> None:
    electricity = CARRIERS["electricity"]
    profile = Profile(0, np.array([5.0, 5.0, 5.0, 5.0, 10.0, 0.0]), np.array([300.0] * 4 + [300.0, 0.0]), 1800.0)
    found = figures.projected_demand(profile, datetime.fromtimestamp(1500, UTC), electricity, ["M"])
    assert found.value == pytest.approx((5 + 10 + 10) * 4)
    assert found.completeness == 1
    late = figures.projected_demand(profile, datetime.fromtimestamp(1620, UTC), electricity, ["M"])
    assert late.value == found.value, "what is on its way counts at the latest load"
    assert late.completeness == pytest.approx(900 / 1020)
    nothing = Profile(0, np.zeros(6), np.zeros(6), 1800.0)
    assert figures.projected_demand(nothing, datetime.fromtimestamp(900, UTC), electricity, []).value is None
    assert figures.power_factor(profile, nothing, []).why_zh
    quarter = Profile(0, profile.energy, profile.covered, 1800.0)
    assert figures.power_factor(profile, quarter, []).value == pytest.approx(0.5**0.5)


async def test_a_made_up_day_or_figure_is_refused(plant: Plant, owner_dsn: str) -> None:
    with pytest.raises(ValueError, match="at least one limit"):
        await plant.rule({"kind": "energy", "figure": "daily_cost"}, selection={})
    with pytest.raises(ValueError, match="figure"):
        await plant.rule({"kind": "energy", "figure": "gas", "high": 1}, selection={})
    with psycopg.connect(owner_dsn) as connection:
        assert connection.execute(
            "SELECT count(*) FROM alarm_rule WHERE tenant_id = %s", [plant.scope.tenant_id]
        ).fetchone() == (0,)
