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
from models.bundle import read_bundle, write_bundle
from models.series.clock import Clocked
from models.series.forecast import Forecaster
from models.series.recipe import SeasonalRecipe
from models.series.seasonal_fit import fit
from models.series.table import Table
from models.signing import public_key
from protocols.errors import ConfigError
from protocols.reading import GOOD, Reading, now_us
from protocols.uplink.codec import decode
from protocols.uplink.messages import Batch, PointRef
from protocols.uplink.models import ModelOrder
from tests.cloud.registry.bundles import shelf
from tests.edge_agent.conftest import OpenBuffer, until
from tests.edge_agent.inspect.conftest import SignedBundle
from tests.edge_agent.inspect.test_slots import arrive

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


class Meter:
    """Counts energy by a clock that runs fast; `extra` is what is used besides the usual, in kW."""

    def __init__(self) -> None:
        self._begun, self._counter, self.extra = time.monotonic(), 1000.0, 0.0
        self._seen = self.now()

    def now(self) -> datetime:
        return datetime(2026, 3, 2, 9, 50) + timedelta(seconds=FAST * (time.monotonic() - self._begun))  # noqa: DTZ001

    def count(self, watch: forecast_watch.ForecastWatch) -> bool:
        """Let the meter count up to now; never the end of what is waited for."""
        at = self.now()
        self._counter += (usual(at) + self.extra) * (at - self._seen) / timedelta(hours=1)
        self._seen = at
        watch.heard([(POINT, Reading("energy", self._counter, GOOD, now_us(), now_us()))])
        return False


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    made = Meter()
    monkeypatch.setattr(forecast_watch, "local_now", made.now)
    monkeypatch.setattr(forecast_watch, "LOOK_S", 0.01)
    return made


@pytest.fixture
def trust(tmp_path: Path) -> str:
    key = Ed25519PrivateKey.generate()
    write_model(tmp_path / "energy", key)
    (tmp_path / "state").mkdir()
    return json.dumps([public_key(key)])


def watches(watch: forecast_watch.ForecastWatch) -> bool:
    """Return whether a whole period has been judged."""
    reason = watch.report().reason_en
    return reason.startswith(("starts as it was fitted", "has followed")) and "waits" not in reason


def write_model(folder: Path, key: Ed25519PrivateKey, times: float = 1.0) -> None:
    begin, noise = datetime(2026, 1, 5), np.random.default_rng(0)  # noqa: DTZ001 - a wall clock
    hours = [begin + timedelta(hours=hour) for hour in range(24 * 30)]
    values = times * np.array([[usual(at)] for at in hours]) + noise.normal(size=(len(hours), 1))
    release = fit(Clocked(Table(("kWh",), values, None), 3600, begin), SeasonalRecipe("energy", season="day"))
    write_bundle(folder, release.card, release.onnx, key)


async def test_energy_is_compared_with_its_hour_and_forecast_over_a_restart(
    tmp_path: Path, trust: str, open_buffer: OpenBuffer, meter: Meter
) -> None:
    config = parse_config(CONFIG.format(trust=trust, device="meter"), tmp_path / "agent.toml")
    buffer = await open_buffer()

    async def batches() -> list[Batch]:
        await buffer.flush()
        delivery = await buffer.take(10**9)
        return [decode(frame.payload) for frame in delivery.frames] if delivery else []

    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        watch = parts._running["hall-energy"].part
        assert isinstance(watch, forecast_watch.ForecastWatch)
        await until(lambda: meter.count(watch) or watches(watch))
        assert re.match("starts as it was fitted: its data ended on 2026-02-04 00:00,", watch.report().reason_en)
    meter.extra = 60.0
    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        watch = parts._running["hall-energy"].part
        assert isinstance(watch, forecast_watch.ForecastWatch)
        await until(lambda: meter.count(watch) or watch._strays)
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


async def test_a_model_of_the_cloud_decides_from_the_next_period_and_goes_back_when_it_alarms_more(
    tmp_path: Path, trust: str, open_buffer: OpenBuffer, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.inspect.slots.TRIAL_PARTS", 2)
    monkeypatch.setattr("edge_agent.inspect.health_record.LEAST_COMPARED", 6)
    key, keys = Ed25519PrivateKey.generate(), json.loads(trust)
    models = shelf(tmp_path / "shelf", SignedBundle(tmp_path / "energy", keys))
    write_model(models.folder / "strict", key, times=3)
    keys += [models.trust, public_key(key)]
    models.digests["strict"] = read_bundle(models.folder / "strict", keys).digest
    config = parse_config(CONFIG.format(trust=json.dumps(keys), device="meter"), tmp_path / "agent.toml")
    buffer = await open_buffer()
    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        watch, switch = parts._running["hall-energy"].part, parts.models()["hall-energy"]
        assert isinstance(watch, forecast_watch.ForecastWatch)
        await until(lambda: meter.count(watch) or watches(watch))
        first = switch.report().running
        arrive(switch.slots, models, "2")
        await switch.obey(ModelOrder("hall-energy", 1, run=models.digests["2"], shadow=models.digests["2"]))
        await until(lambda: meter.count(watch) or switch.report().outcome == "done")
        report = switch.report()
        assert (report.task, report.running, report.previous) == ("seasonal", models.digests["2"], first)
        assert report.record
        assert (report.record.judged >= 2, report.record.beside >= 1, report.record.differing) == (True, True, 0)
        assert re.search(
            r"has followed \d+ of \d+ periods since its data ended on 2026-02-04 00:00", watch.report().reason_en
        )
        caught_up, all_along = switch.shadow, switch.before
        assert isinstance(caught_up, Forecaster)
        assert isinstance(all_along, Forecaster)
        assert caught_up.known == all_along.known
        arrive(switch.slots, models, "strict")
        await switch.obey(ModelOrder("hall-energy", 2, run=models.digests["strict"]))
        await until(lambda: meter.count(watch) or switch.report().outcome == "returned")
        await until(lambda: meter.count(watch) or watch.report().template == "energy 2")
        assert switch.report().running == models.digests["2"]
        assert "on the same readings the one before alarms at" in switch.report().reason_en


def test_a_forecast_of_a_point_nobody_collects_is_refused(tmp_path: Path, trust: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(CONFIG.format(trust=trust, device="metre"), tmp_path / "agent.toml")
    assert raised.value.key == "forecast[1].value.device"
