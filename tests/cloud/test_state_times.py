"""Time per state: exact to the microsecond whatever comes late, and never a state where nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from cloud.core.db import Database
from cloud.core.metrics import Metrics
from cloud.telemetry.retained import us
from cloud.telemetry.tasks import roll_up_all
from protocols.reading import BAD_NO_COMMUNICATION, GOOD, Quality, Reading
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Company
from tests.doubles.agent import POWER, frame, readings

pytestmark = pytest.mark.both_databases

STATE = PointRef("press", "S", "machine_state", "C62")
START = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")

Known = list[tuple[int, float | None]]


def naive(known: Known, begin: int, end: int) -> dict[str, float]:
    """Return the seconds per state in [begin, end), by walking over every reading there is."""
    seconds: dict[str, float] = {}
    for (time, state), (following, _) in zip([(0, None), *known], [*known, (end, None)], strict=True):
        held = min(following, end) - max(time, begin)
        if held > 0:
            name = "unknown" if state is None else f"{state:g}"
            seconds[name] = seconds.get(name, 0) + held
    return {name: held / 1e6 for name, held in seconds.items()}


async def test_seconds_per_state_are_those_of_every_reading_whatever_comes_late(
    company: Company, db: Database, owner_dsn: str
) -> None:
    random = Random(5)
    times = sorted(random.sample(range(us(START), us(START + timedelta(hours=60))), 400))
    times += [times[-1] + 5_000_000_000, times[-1] + 90_000_000_000]  # a day in which nothing is heard
    known: Known = [(time, random.choice([None, 0.0, 3.0, 3.0, 5.0])) for time in times]
    rows = [
        (STATE, Reading("S", state, GOOD if state is not None else Quality(BAD_NO_COMMUNICATION), time, time))
        for time, state in known
    ]
    random.shuffle(rows)
    async with company.agent() as agent:
        for seq in range(4):
            await agent.deliver(frame(seq, rows[seq::4]))
            await roll_up_all(db, Metrics())
        await agent.deliver(frame(9, readings(POWER, [1.0], us(START))))
    points = {each["property"]: each["series_id"] for each in (await company.http.get("/api/v1/points")).json()}

    async def asked(hours: float, **how: Any) -> dict[str, Any]:
        params = {
            "series_id": points["machine_state"],
            "start": START.isoformat(),
            "end": (START + timedelta(hours=hours)).isoformat(),
            "aggregation": "duration_by_state",
            **how,
        }
        answer = await company.http.get("/api/v1/history", params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def check(hours: float, step_s: int, **how: Any) -> None:
        found = await asked(hours, **how)
        assert found["step_s"] == step_s
        (curve,) = found["curves"]
        begins = [us(datetime.fromisoformat(sample["time"])) for sample in curve["samples"]]
        ends = [*begins[1:], us(START + timedelta(hours=hours))]
        assert len(begins) > 1
        unknown = total = 0.0
        for sample, begin, end in zip(curve["samples"], begins, ends, strict=True):
            assert sample["seconds"] == naive(known, begin, end), sample["time"]
            unknown, total = unknown + sample["seconds"].get("unknown", 0), total + (end - begin) / 1e6
        assert curve["completeness"] == pytest.approx(1 - unknown / total, abs=1e-6)

    await check(100.5, 3600, resolution="1h")
    await check(100.5, 86_400, resolution="1d")
    await check(2.2, 60, resolution="1m")
    await check(100.5, 14_400 // 2, max_points=60)
    assert (await asked(-2, resolution="1h"))["curves"][0]["samples"] == []
    day = (await asked(48, resolution="1d"))["curves"][0]["samples"][1]
    assert datetime.fromisoformat(day["time"]).astimezone(ZONE).hour == 0, "a day is the site's"
    assert sum(day["seconds"].values()) == pytest.approx(86_400)

    with psycopg.connect(owner_dsn) as connection:
        connection.execute("DELETE FROM rollup_state")  # as before this was kept
    await check(100.5, 3600, resolution="1h")

    for wrong in ({"shape": "lttb"}, {"resolution": "raw"}, {"series_id": points["active_power_total"]}):
        params = {"series_id": points["machine_state"], "aggregation": "duration_by_state"} | wrong
        assert (await company.http.get("/api/v1/history", params=params)).status_code == 422
