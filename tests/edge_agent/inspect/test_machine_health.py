"""A pump watched by its collected points, over real Modbus: told when it strays, silent at rest, and over a restart."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyModbusTCP.server import DataBank, ModbusServer

from edge_agent.buffer import Buffer
from edge_agent.check import check
from edge_agent.config import Config, parse_config
from edge_agent.inspect.health_record import LEAST_COMPARED, Compared, HealthRecord, Said
from edge_agent.inspect.model_switch import ModelSwitch
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from models.bundle import read_bundle, write_bundle
from models.series.health_fit import fit
from models.series.histories import read_histories
from models.series.monitor import HealthFinding
from models.series.recipe import HealthRecipe, RemainingRecipe
from models.series.remaining_fit import fit as fit_remaining
from models.series.table import Table
from models.signing import public_key
from models.verdict import Verdict
from protocols.errors import ConfigError
from protocols.uplink.codec import decode
from protocols.uplink.messages import DeviceReport, Event
from protocols.uplink.models import ModelOrder, ModelRecord
from tests.cloud.registry.bundles import shelf
from tests.edge_agent.conftest import OpenBuffer, until
from tests.edge_agent.inspect.conftest import SignedBundle
from tests.edge_agent.inspect.test_slots import arrive
from tests.models.series.test_remaining import written

CONFIG = """
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "pump"
protocol = "modbus"
period_s = 0.05
connection = {{ host = "127.0.0.1", port = {port} }}
[[device.point]]
name = "pressure"
address = 10
[[device.point]]
name = "flow"
address = 11
[[device.point]]
name = "running"
table = "coil"
address = 3
[[machine_health]]
device = "pump-health"
bundle = "{bundle}"
trust = {trust}
period_s = 0.1
running = {{ device = "pump", point = "running" }}
[machine_health.sensors]
pressure = {{ device = "pump", point = "pressure" }}
{second} = {{ device = "{device}", point = "flow" }}
"""
USUAL, FLOW_LOST = [500, 3000], [500, 2000]
GOOD, BAD = 0, -0x8000


@pytest.fixture(scope="module")
def pump_model(tmp_path_factory: pytest.TempPathFactory) -> SignedBundle:
    folder, key = tmp_path_factory.mktemp("bundles") / "pump", Ed25519PrivateKey.generate()
    write_pump(folder, key)
    return SignedBundle(folder, [public_key(key)])


def write_pump(folder: Path, key: Ed25519PrivateKey, flow: float = 3000) -> None:
    noise = np.random.default_rng(0)
    load = noise.normal(size=600)
    values = np.column_stack([500 + 10 * load, flow + 60 * load]) + noise.normal(size=(600, 2))
    release = fit(Table(("pressure", "flow"), values, None), HealthRecipe("pump", half_life=1))
    write_bundle(folder, release.card, release.onnx, key)


class Pump:
    """A pump over Modbus, the watch over it, and what the buffer holds of that."""

    def __init__(self, folder: Path, model: SignedBundle, open_buffer: OpenBuffer) -> None:
        self.folder, self.model, self._open = folder, model, open_buffer
        self.bank = DataBank()
        self.server = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=self.bank)
        self.bank.set_holding_registers(10, USUAL)
        self.bank.set_coils(3, [True])
        self.buffer: Buffer | None = None
        (folder / "state").mkdir()

    def config(self, second: str = "flow", device: str = "pump") -> Config:
        port = self.server._service.server_address[1] if self.server.is_run else 502
        text = CONFIG.format(
            port=port, bundle=self.model.folder, trust=json.dumps(self.model.trust), second=second, device=device
        )
        return parse_config(text, self.folder / "agent.toml")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        self.buffer = self.buffer or await self._open()
        async with Outlets(self.buffer, self.folder / "state") as outlets, Parts(self.buffer, outlets) as self.parts:
            await self.parts.become(self.config())
            yield

    @property
    def report(self) -> DeviceReport:
        return self.parts.reports()[-1]

    async def held(self) -> tuple[list[Event], dict[str, list[tuple[float, int]]]]:
        """Events of the watch, and its readings by point: value and quality."""
        assert self.buffer
        await self.buffer.flush()
        delivery = await self.buffer.take(10**9)
        batches = [decode(frame.payload) for frame in delivery.frames] if delivery else []
        readings: dict[str, list[tuple[float, int]]] = {}
        for columns in (batch.columns for batch in batches if batch.columns):
            rows = zip(
                memoryview(columns.point).cast("I"),
                memoryview(columns.value).cast("d"),
                memoryview(columns.quality).cast("h"),
                strict=True,
            )
            for index, value, quality in rows:
                if columns.points[index].device == "pump-health":
                    readings.setdefault(columns.points[index].name, []).append((value, quality))
        events = [event for batch in batches for event in batch.events if event.device == "pump-health"]
        return events, readings

    async def told(self, kind: str) -> Event:
        async with asyncio.timeout(20):
            while True:
                for event in (await self.held())[0]:
                    if event.kind == kind:
                        return event
                await asyncio.sleep(0.02)


@pytest.fixture
async def pump(tmp_path: Path, pump_model: SignedBundle, open_buffer: OpenBuffer) -> AsyncIterator[Pump]:
    pump = Pump(tmp_path, pump_model, open_buffer)
    pump.server.start()
    yield pump
    pump.server.stop()


async def test_a_machine_that_strays_is_told_with_the_sensor_and_so_is_its_end(pump: Pump) -> None:
    async with pump.watched():
        await until(lambda: (pump.report.state, pump.report.reason_en) == ("up", ""))
        pump.bank.set_holding_registers(10, FLOW_LOST)
        strays = await pump.told("machine_strays")
        assert "most of all: flow -" in strays.text_en
        assert "主要来自：flow -" in strays.text_zh
    # The box is restarted: what is known is kept, and nobody is told twice.
    async with pump.watched():
        pump.bank.set_holding_registers(10, USUAL)
        await pump.told("machine_well")
        pump.bank.set_coils(3, [False])
        await until(lambda: pump.report.reason_en == "the machine is at rest")
    events, readings = await pump.held()
    kinds = [event.kind for event in events if event.kind != "machine_changed"]
    assert kinds == ["machine_strays", "machine_well"]
    verdicts = {value for value, quality in readings["verdict"] if quality == GOOD}
    assert verdicts >= {0, 2}
    assert readings["verdict"][-1][1] < 0, "at rest there is no verdict"
    assert max(value for value, quality in readings["score"] if quality == GOOD) > 10
    assert min(value for value, _ in readings["part of flow"]) < -5


async def test_without_its_device_there_is_no_verdict(pump: Pump) -> None:
    async with pump.watched():
        await until(lambda: (pump.report.state, pump.report.reason_en) == ("up", ""))
        pump.server.stop()
        await until(lambda: pump.report.reason_en in {"no sensor is read", "the machine is at rest"})
    events, readings = await pump.held()
    assert not events
    assert readings["score"][-1][1] < 0


async def test_a_model_of_other_sensors_is_refused_by_name(pump: Pump) -> None:
    config = pump.config(second="temperature")
    found = [finding async for finding in check(config) if finding.subject == "pump-health"]
    assert [finding.severity for finding in found] == ["wrong"]
    assert "the model's sensors are pressure, flow" in found[0].found.en
    with pytest.raises(ConfigError, match="pomp") as raised:
        pump.config(device="pomp")
    assert raised.value.key == "machine_health[1].sensors.flow.device"


async def test_a_lasting_change_is_told_by_what_was_known_before_a_restart(pump: Pump) -> None:
    async with pump.watched():
        async with asyncio.timeout(20):
            while len((await pump.held())[1].get("verdict", [])) < 18:  # noqa: ASYNC110 - the buffer does not call
                await asyncio.sleep(0.1)
    pump.bank.set_holding_registers(10, [503, 2990])
    # Without what was known, the new level would be all that is ever learnt.
    async with pump.watched():
        changed = await pump.told("machine_changed")
    assert re.fullmatch(
        r"has changed for good since \d{4}-\d\d-\d\d \d\d:\d\d UTC: its health score is [\d.e+]+ times what it was",
        changed.text_en,
    )


async def test_a_model_of_the_cloud_decides_once_it_can_and_no_reading_is_without_a_verdict(
    pump: Pump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.inspect.slots.TRIAL_PARTS", 5)
    models = shelf(tmp_path / "shelf", pump.model)
    pump.model = SignedBundle(models.folder / "1", [models.trust])
    async with pump.watched():
        await until(lambda: (pump.report.state, pump.report.reason_en) == ("up", ""))
        switch = pump.parts.models()["pump-health"]
        arrive(switch.slots, models, "2")
        await switch.obey(ModelOrder("pump-health", 1, shadow=models.digests["2"]))
        await until(lambda: counts(switch).beside >= 2)
        beside = switch.report()
        assert (beside.task, beside.running, beside.shadow) == ("health", models.digests["1"], models.digests["2"])
        assert (counts(switch).differing, counts(switch).beside_rejects) == (0, 0)
        await switch.obey(ModelOrder("pump-health", 2, run=models.digests["2"], latency_us=10_000_000))
        await until(lambda: (switch.report().order, switch.report().outcome) == (2, "done"))
        assert (switch.report().previous, pump.report.template) == (models.digests["1"], "pump 2")
        assert counts(switch).judged >= 1
        await switch.obey(ModelOrder("pump-health", 3, run=models.digests["1"], latency_us=1))
        await until(lambda: (switch.report().outcome, pump.report.template) == ("returned", "pump 2"))
        assert switch.report().running == models.digests["2"]
        assert "more than the 0 ms allowed" in switch.report().reason_en
    # What was counted outlives the agent.
    before = counts(switch).judged
    async with pump.watched():
        await until(lambda: pump.report.state == "up")
        assert counts(pump.parts.models()["pump-health"]).judged >= before
    events, readings = await pump.held()
    assert [event.kind for event in events] == ["model_changed", "model_changed", "model_returned"]
    assert {quality for _, quality in readings["verdict"]} == {GOOD}


async def test_a_model_that_alarms_where_the_one_before_does_not_goes_back_without_the_cloud(
    pump: Pump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.inspect.slots.TRIAL_PARTS", 2)
    monkeypatch.setattr("edge_agent.inspect.health_record.LEAST_COMPARED", 6)
    models = shelf(tmp_path / "shelf", pump.model)
    key = Ed25519PrivateKey.generate()
    write_pump(models.folder / "strict", key, flow=2900)
    models.digests["strict"] = read_bundle(models.folder / "strict", [public_key(key)]).digest
    pump.model = SignedBundle(models.folder / "1", [models.trust, public_key(key)])
    async with pump.watched():
        await until(lambda: (pump.report.state, pump.report.reason_en) == ("up", ""))
        switch = pump.parts.models()["pump-health"]
        arrive(switch.slots, models, "strict")
        await switch.obey(ModelOrder("pump-health", 1, run=models.digests["strict"]))
        await until(lambda: switch.report().outcome == "done")
    # The model before is compared with over a restart, too, and long after the trial.
    async with pump.watched():
        switch = pump.parts.models()["pump-health"]
        await until(lambda: (switch.report().outcome, pump.report.template) == ("returned", "pump 1"))
        report = switch.report()
        assert (report.order, report.running, report.previous) == (1, models.digests["1"], "")
        assert "100.0% of 6 judgements" in report.reason_en
        # Ordered back by a person it stays, whatever it says.
        await switch.obey(ModelOrder("pump-health", 2, run=models.digests["strict"]))
        await until(lambda: switch.report().order == 2)
        await switch.obey(ModelOrder("pump-health", 3, run=models.digests["1"]))
        await until(lambda: switch.report().order == 3)
        assert switch.slots.compared_with is None
    returned = [event for event in (await pump.held())[0] if event.kind == "model_returned"]
    assert len(returned) == 1
    assert "之前的模型报警 0.0%" in returned[0].text_zh


def test_a_machine_that_strays_is_not_held_against_the_new_model_nor_is_a_time_that_does_not_matter() -> None:
    def said(verdict: Verdict, latency_us: int = 1000) -> Said[HealthFinding]:
        return Said(HealthFinding(verdict, 1.0, 1.0, 1.0, []), latency_us)

    record = HealthRecord()
    for _ in range(LEAST_COMPARED):
        record.add((1, "new"), 1, said("reject", 40_000), None, said("reject"))
    assert record.worse(period_s=0.1) is None
    slow = record.worse(period_s=0.05)
    assert slow is not None
    assert "0.04 s of the 0.05 s" in slow.en
    record.add((2, "new"), 1, said("reject"), None, said("pass"))
    assert record.compared == Compared(1, 1, 0)


async def test_how_long_a_machine_still_runs_is_told_in_hours(pump: Pump, tmp_path: Path) -> None:
    histories = read_histories(written(tmp_path / "runs.csv", 14, ("pressure", "flow"), (500, 3000)), "unit", "cycle")
    release, key = fit_remaining(histories, RemainingRecipe("pump")), Ed25519PrivateKey.generate()
    write_bundle(tmp_path / "life", release.card, release.onnx, key)
    pump.model = SignedBundle(tmp_path / "life", [public_key(key)])
    pump.bank.set_holding_registers(10, [420, 3160])  # as shortly before the end
    async with pump.watched():
        short = await pump.told("life_short")
    assert "hours of running are left, probably 0" in short.text_en
    _, readings = await pump.held()
    left, low, high = (readings[f"remaining {name}"][-1][0] for name in ("life", "at least", "at most"))
    assert 0 <= low <= left <= high < 20 * 0.1 / 3600


def counts(switch: ModelSwitch[Any]) -> ModelRecord:
    return switch.report().record or ModelRecord()
