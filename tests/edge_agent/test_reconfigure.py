"""A changed configuration is put into force while the agent runs, and whoever is not concerned notices nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_agent.buffer import Buffer
from edge_agent.config import DeviceConfig, load_config
from edge_agent.config_edit import put_device, remove_device, save_config
from edge_agent.health import read_status
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from edge_agent.reconfigure import Reconfigurer
from protocols.catalogue import simulator_class
from protocols.errors import ConfigError
from protocols.library.physics import behaviour
from protocols.library.templates import load_template
from protocols.reading import BAD_NO_COMMUNICATION, Reading, now_us
from protocols.text import Text
from protocols.uplink.messages import PointRef
from tests.doubles.cloud import CloudDouble
from tests.edge_agent.conftest import OpenBuffer, until
from tests.edge_agent.test_agent import Start, done, start

__all__ = ["start"]

PERIOD_S = 0.25
HEAD = '[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"\n[buffer]\ngroup_s = 0.05\n'


def device(name: str, port: int, **keys: Any) -> dict[str, Any]:
    connection = {"host": "127.0.0.1", "port": port}
    return {"name": name, "template": "demo-energy-meter", "period_s": PERIOD_S, "connection": connection} | keys


@dataclass
class Bench:
    """Parts at work for a configuration file, and what they collected."""

    path: Path
    parts: Parts
    buffer: Buffer
    reconfigurer: Reconfigurer
    port: int
    events: list[tuple[str, str]]
    times: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    bad: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def save(self, text: str) -> None:
        save_config(self.path, text)

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def told(self, kind: str) -> list[str]:
        return [text for said, text in self.events if said == kind]

    def state(self, name: str) -> str:
        return {report.name: report.state for report in self.parts.reports()}.get(name, "")

    def gaps(self, name: str) -> list[float]:
        times = sorted(set(self.times[name]))
        return [(after - before) / 1e6 for before, after in itertools.pairwise(times)]


@pytest.fixture
async def bench(tmp_path: Path, open_buffer: OpenBuffer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """Two meters that a simulator answers for, followed by the agent's own watcher of the file."""
    template = load_template("demo-energy-meter")
    values = behaviour(template, 1, now_us(), [])
    simulator = simulator_class("modbus")(template.points, lambda: values(now_us()), port=0, tick_s=PERIOD_S)
    port = int((await simulator.start()).rpartition(":")[2])
    path = tmp_path / "agent.toml"
    text = put_device(put_device(HEAD, device("steady", port)), device("other", port))
    path.write_text(text, encoding="utf-8")
    buffer = await open_buffer(tmp_path / "state")
    config = load_config(path)
    async with Outlets(buffer, path.parent) as outlets, Parts(buffer, outlets) as parts:
        bench = Bench(path, parts, buffer, Reconfigurer(path, config, parts, buffer), port, [])
        add, announce = buffer.add_readings, buffer.announce

        def added(rows: Sequence[tuple[PointRef, Reading]], marks: Any = ()) -> None:
            for ref, reading in rows:
                bench.times[ref.device].append(reading.arrival_time)
                bench.bad[ref.device] += reading.quality == BAD_NO_COMMUNICATION
            add(rows, marks)

        monkeypatch.setattr(buffer, "add_readings", added)
        monkeypatch.setattr(
            buffer,
            "announce",
            lambda who, kind, text: (bench.events.append((kind, text.en)), announce(who, kind, text)),
        )
        await parts.become(config)
        watching = asyncio.create_task(bench.reconfigurer.watch())
        await until(lambda: bench.state("steady") == bench.state("other") == "up")
        yield bench
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    await simulator.stop()


async def test_devices_come_change_and_go_without_a_missed_cycle_of_another(bench: Bench) -> None:
    begun = len(bench.times["steady"])
    bench.save(put_device(bench.text, device("new", bench.port)))
    await until(lambda: bench.state("new") == "up")
    bench.save(put_device(bench.text, device("other", bench.port, period_s=PERIOD_S / 5)))
    known = len(bench.gaps("other"))
    await until(lambda: len(bench.gaps("other")) > known + 25)
    bench.save(remove_device(bench.text, "other"))
    await until(lambda: bench.state("other") == "")
    ended = len(bench.times["other"])
    more = len(bench.times["steady"])
    await until(lambda: len(bench.times["steady"]) > more + 3 * len(load_template("demo-energy-meter").points))
    assert len(bench.times["other"]) == ended, "what is removed is read no more"
    assert sorted(bench.gaps("other")[known + 5 :])[10] < PERIOD_S / 2, "the new period is in force"
    assert bench.parts.missed()["steady"] == 0
    assert max(bench.gaps("steady")) < 2 * PERIOD_S
    assert len(bench.times["steady"]) > begun
    assert bench.bad["steady"] == bench.bad["new"] == 0
    applied = bench.told("config_applied")
    for said, what in zip(applied, ("added new", "changed other", "removed other"), strict=True):
        assert what in said
    assert bench.told("device_lost") == []
    assert bench.reconfigurer.state.version == load_config(bench.path).version


async def test_a_wrong_file_is_announced_once_and_the_old_one_goes_on(bench: Bench) -> None:
    good = bench.text
    bench.path.write_text(good + "[[device]]\nname = ", encoding="utf-8")
    await until(lambda: bench.reconfigurer.state.state == "failed")
    count = len(bench.gaps("steady"))
    await until(lambda: len(bench.gaps("steady")) > count + 8)
    (said,) = bench.told("config_failed")
    assert "not valid TOML" in said
    assert "agent.toml" in bench.reconfigurer.state.reason_zh
    bench.path.write_text(good + '[[device]]\nname = "x"\ntemplate = "no-such"\n', encoding="utf-8")
    await until(lambda: len(bench.told("config_failed")) == 2)
    bench.path.unlink()
    await until(lambda: "no such file" in bench.told("config_failed")[-1])
    bench.path.write_text(good, encoding="utf-8")
    await until(lambda: bench.reconfigurer.state.state == "applied")
    assert max(bench.gaps("steady")) < 2 * PERIOD_S
    assert bench.reconfigurer.state.version == load_config(bench.path).version


async def test_a_device_that_cannot_be_reached_stops_no_other(bench: Bench) -> None:
    bench.save(put_device(bench.text, device("nobody", 1)))
    await until(lambda: bench.state("nobody") == "down")
    bench.save(put_device(bench.text, device("after", bench.port)))
    await until(lambda: bench.state("after") == "up")
    assert max(bench.gaps("steady")) < 2 * PERIOD_S


async def test_a_driver_that_cannot_be_built_is_one_device_down(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    build = DeviceConfig.driver
    checked: list[str] = []

    def gone_meanwhile(self: DeviceConfig, **how: bool) -> Any:
        """The file a driver needs is there when the configuration is checked and gone when the device is started."""
        if self.name == "broken" and "broken" in checked:
            raise ConfigError(Text("own.der is gone", "own.der 已不存在"))
        checked.append(self.name)
        return build(self, **how)

    monkeypatch.setattr(DeviceConfig, "driver", gone_meanwhile)
    text = put_device(put_device(bench.text, device("broken", bench.port)), device("after", bench.port))
    bench.path.write_text(text, encoding="utf-8")
    await until(lambda: bench.state("after") == "up" and bench.state("broken") == "down")
    assert max(bench.gaps("steady")) < 2 * PERIOD_S


async def test_limits_of_the_buffer_change_and_what_cannot_is_said(bench: Bench) -> None:
    assert (await bench.buffer.stats()).limit == 64_000_000
    text = bench.text.replace("group_s = 0.05", "limit_mb = 3").replace('name = "a"', 'name = "b"')
    bench.save(text)
    await until(lambda: bool(bench.told("config_applied")))
    assert (await bench.buffer.stats()).limit == 3_000_000
    assert "restart the agent for the change of agent.name" in bench.told("config_applied")[0]
    assert "agent.name" in bench.reconfigurer.state.reason_zh


async def test_a_fresh_agent_waits_for_its_first_device_and_takes_it_on_sighup(
    bench: Bench, start: Start, cloud: CloudDouble, tmp_path: Path
) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    path = folder / "agent.toml"
    path.write_text(HEAD.replace("http://127.0.0.1:1", cloud.url), encoding="utf-8")
    agent = await start("run", "-c", path)

    def status() -> Any:
        return read_status(folder / "state")

    await until(lambda: status() is not None, 40)
    assert (status().health.devices, status().config.state) == ([], "applied")
    save_config(path, put_device(path.read_text(encoding="utf-8"), device("first", bench.port)))
    agent.send_signal(signal.SIGHUP)
    await until(lambda: [each.state for each in status().health.devices] == ["up"])
    assert status().config.version == load_config(path).version
    path.write_text("[agent", encoding="utf-8")
    await until(lambda: status().config.state == "failed")
    code, out, _ = await done(await start("status", "-c", path, "--json"))
    assert (code, out) == (2, "")
    agent.send_signal(signal.SIGTERM)
    code, _, err = await done(agent)
    assert (code, "Traceback" in err, err.count("is in force")) == (0, False, 1), err
    assert json.loads((folder / "state" / "status.json").read_bytes())["config"]["reason_en"]
