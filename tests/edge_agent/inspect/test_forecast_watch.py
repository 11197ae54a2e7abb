"""Energy watched by the clock, the clock running fast: what is usual, what is to come, over a restart, and what strays."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.config import parse_config
from edge_agent.inspect import forecast_watch
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from models.bundle import write_bundle
from models.series.clock import Clocked
from models.series.recipe import SeasonalRecipe
from models.series.seasonal_fit import fit
from models.series.table import Table
from models.signing import public_key
from protocols.errors import ConfigError
from protocols.reading import GOOD, Reading, now_us
from protocols.uplink.codec import decode
from protocols.uplink.messages import Batch, PointRef
from tests.edge_agent.conftest import OpenBuffer, until

CONFIG = """
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "meter"
protocol = "modbus"
connection = {{ host = "127.0.0.1" }}
[[device.point]]
name = "energy"
address = 0
[[forecast]]
device = "hall-energy"
bundle = "energy"
trust = {trust}
value = {{ device = "{device}", point = "energy" }}
"""
POINT, FAST = PointRef("meter", "energy", "energy_active_import", "KWH"), 10_000
"""The clock runs so many times as fast: an hour takes 0.36 s."""


def usual(at: datetime) -> float:
    return 40.0 if 8 <= at.hour < 18 else 5.0


@pytest.fixture
def trust(tmp_path: Path) -> str:
    begin, noise, key = datetime(2026, 1, 5), np.random.default_rng(0), Ed25519PrivateKey.generate()  # noqa: DTZ001 - a wall clock
    hours = [begin + timedelta(hours=hour) for hour in range(24 * 30)]
    values = np.array([[usual(at)] for at in hours]) + noise.normal(size=(len(hours), 1))
    release = fit(Clocked(Table(("kWh",), values, None), 3600, begin), SeasonalRecipe("energy", season="day"))
    write_bundle(tmp_path / "energy", release.card, release.onnx, key)
    (tmp_path / "state").mkdir()
    return json.dumps([public_key(key)])


async def test_energy_is_compared_with_its_hour_and_forecast_over_a_restart(
    tmp_path: Path, trust: str, open_buffer: OpenBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, counter, extra = time.monotonic(), 1000.0, 0.0

    def now() -> datetime:
        return datetime(2026, 3, 2, 9, 50) + timedelta(seconds=FAST * (time.monotonic() - begun))  # noqa: DTZ001

    monkeypatch.setattr(forecast_watch, "local_now", now)
    monkeypatch.setattr(forecast_watch, "LOOK_S", 0.01)
    config = parse_config(CONFIG.format(trust=trust, device="meter"), tmp_path / "agent.toml")
    buffer = await open_buffer()
    seen = now()

    def count(watch: forecast_watch.ForecastWatch) -> bool:
        """Let the meter count up to now; never the end of what is waited for."""
        nonlocal counter, seen
        at = now()
        counter += (usual(at) + extra) * (at - seen) / timedelta(hours=1)
        seen = at
        watch.heard([(POINT, Reading("energy", counter, GOOD, now_us(), now_us()))])
        return False

    async def batches() -> list[Batch]:
        await buffer.flush()
        delivery = await buffer.take(10**9)
        return [decode(frame.payload) for frame in delivery.frames] if delivery else []

    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        watch = parts._running["hall-energy"].part
        assert isinstance(watch, forecast_watch.ForecastWatch)
        await until(lambda: count(watch) or (watch.report().state, watch.report().reason_en) == ("up", ""))
    extra = 60.0
    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        watch = parts._running["hall-energy"].part
        assert isinstance(watch, forecast_watch.ForecastWatch)
        await until(lambda: count(watch) or watch._strays)
    said: dict[str, list[float]] = {}
    events = []
    for batch in await batches():
        events += [event for event in batch.events if event.device == "hall-energy"]
        if columns := batch.columns:
            rows = zip(memoryview(columns.point).cast("I"), memoryview(columns.value).cast("d"), strict=True)
            for index, value in rows:
                if columns.points[index].device == "hall-energy":
                    said.setdefault(columns.points[index].name, []).append(value)
    assert said["expected"][0] == pytest.approx(40, abs=3)
    assert said["next day"][0] == pytest.approx(10 * 40 + 14 * 5, rel=0.1)
    assert said["next day at least"][0] < said["next day"][0] < said["next day at most"][0]
    assert said["verdict"][-1] == 2
    assert [event.kind for event in events] == ["value_strays"]
    assert re.match(r"is not as usual at this time: \d[\d.]+, where [\d.]+ to [\d.]+ is usual", events[0].text_en)


def test_a_forecast_of_a_point_nobody_collects_is_refused(tmp_path: Path, trust: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(CONFIG.format(trust=trust, device="metre"), tmp_path / "agent.toml")
    assert raised.value.key == "forecast[1].value.device"
