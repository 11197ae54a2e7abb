"""Writes against a foreign server: what is allowed, what is recorded, what is read back, what the cloud is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyModbusTCP.constants import EXP_ILLEGAL_FUNCTION, EXP_NONE, EXP_SLAVE_DEVICE_FAILURE
from pyModbusTCP.server import DataBank, DataHandler, ModbusServer

from edge_agent import audit
from edge_agent.audit import AuditFollower, Record
from edge_agent.cli import app
from edge_agent.config import Config, load_config
from edge_agent.point_write import Written, write_point
from protocols.errors import ConfigError, Refused
from protocols.mqtt.simulator import MqttSimulator
from protocols.uplink.codec import decode
from tests.edge_agent.conftest import OpenBuffer
from tests.protocols.modbus.modbus_peer import Chunks, Request, answering, registers, tcp
from tests.protocols.mqtt.mqtt_stand import needs_mosquitto

CONFIG = """
[agent]
name = "a"
allow_writes = {allow}
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "press"
protocol = "modbus"
[device.connection]
host = "127.0.0.1"
port = {port}
timeout_s = 0.5
[[device.point]]
name = "pressure"
unit = "BAR"
address = 10
scale = 0.1
write = {{ min = 5.0, max = 8.5 }}
[[device.point]]
name = "speed"
unit = "RPM"
address = 20
type = "float32"
order = "CDAB"
write = {{ min = -50.0, max = 50.0 }}
[[device.point]]
name = "pump"
table = "coil"
address = 3
write = {{ values = [true, false] }}
[[device.point]]
name = "mode"
address = 11
write = {{ values = [1, 3] }}
[[device.point]]
name = "enable"
address = 12
bit = 4
write = {{ values = [true, false] }}
[[device.point]]
name = "recipe"
address = 30
type = "string"
length = 3
write = {{ values = ["A1", "B2"] }}
[[device.point]]
name = "temperature"
address = 13
"""


class Handler(DataHandler):  # type: ignore[misc]
    """A device that can refuse a write, or take it and hold another value."""

    refuse = 0
    instead: int | None = None

    def write_h_regs(self, address: int, words_l: list[int], srv_info: Any) -> Any:
        if self.refuse:
            return DataHandler.Return(exp_code=self.refuse)
        if self.instead is not None:
            words_l = [self.instead] * len(words_l)
        return super().write_h_regs(address, words_l, srv_info)


class Press:
    """The device, and the agent's configuration of it."""

    def __init__(self, folder: Path, server: ModbusServer) -> None:
        self.folder = folder
        self.bank, self.handler = server.data_bank, server.data_hdl
        self.bank.set_holding_registers(10, [60, 1, 0xFFEF])
        self.bank.set_coils(3, [False])
        self.handler.refuse, self.handler.instead = EXP_NONE, None
        self.port = server._service.server_address[1]
        self.configure()

    def configure(self, allow: str = "true", port: int = 0) -> None:
        (self.folder / "agent.toml").write_text(CONFIG.format(allow=allow, port=port or self.port))

    async def write(self, point: str, value: str, reason: str = "new product") -> Written:
        return await write_point(load_config(self.folder / "agent.toml"), "press", point, value, reason)

    def held(self, address: int, count: int = 1) -> list[int]:
        return list(self.bank.get_holding_registers(address, count))

    @property
    def lines(self) -> list[Record]:
        content = (self.folder / "state" / audit.FILE).read_bytes()
        return [msgspec.json.decode(line, type=Record) for line in content.splitlines()]


@pytest.fixture(scope="module")
def server() -> Iterator[ModbusServer]:
    """One for all tests: to stop it takes half a second."""
    server = ModbusServer("127.0.0.1", 0, no_block=True, data_hdl=Handler(data_bank=DataBank()))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def press(tmp_path: Path, server: ModbusServer) -> Press:
    return Press(tmp_path, server)


@pytest.mark.parametrize(
    ("point", "value", "held"),
    [
        ("pressure", "6.5", lambda press: press.held(10) == [65]),
        ("speed", "-12.25", lambda press: press.held(20, 2) == [0x0000, 0xC144]),
        ("speed", "0.1", lambda press: press.held(20, 2) == [0xCCCD, 0x3DCC]),
        ("pump", "on", lambda press: press.bank.get_coils(3) == [True]),
        ("mode", "3", lambda press: press.held(11) == [3]),
        ("enable", "true", lambda press: press.held(12) == [0xFFFF]),
        ("recipe", "B2", lambda press: press.held(30, 3) == [0x4232, 0, 0]),
    ],
)
async def test_an_allowed_value_is_written_read_back_and_recorded(
    point: str, value: str, held: Callable[[Press], bool], press: Press
) -> None:
    written = await press.write(point, value)
    assert (written.outcome, written.exit_code) == ("written", 0)
    assert held(press)
    attempt, outcome = press.lines
    assert attempt.id == outcome.id == written.id
    assert (attempt.outcome, outcome.outcome) == (None, "written")
    assert attempt.before == written.before
    assert attempt.reason == "new product"
    assert attempt.user
    assert (press.folder / "state" / audit.FILE).stat().st_mode & 0o777 == 0o600


async def test_the_record_tells_from_what_to_what_in_the_points_unit(press: Press) -> None:
    written = await press.write("pressure", "6.5")
    assert (written.before, written.wanted, written.after, written.unit) == (6.0, 6.5, 6.5, "BAR")
    assert "set from 6.0 bar to 6.5 bar, read back" in written.found.en
    assert "new product" in written.found.zh


@pytest.mark.parametrize(
    ("point", "value", "why"),
    [
        ("pressure", "8.6", "allowed: 5 … 8.5"),
        ("pressure", "4.999", "allowed: 5 … 8.5"),
        ("pressure", "nan", "may not be written"),
        ("pressure", "true", "may not be written"),
        ("mode", "2", "allowed: 1, 3"),
        ("mode", "true", "allowed: 1, 3"),
        ("recipe", "C3", "allowed: A1, B2"),
        ("pump", "1", "allowed: True, False"),
        ("temperature", "20", "may not be written"),
    ],
)
async def test_what_is_not_allowed_never_reaches_the_device_and_is_recorded(
    point: str, value: str, why: str, press: Press
) -> None:
    press.configure(port=1)  # where nobody listens: an attempt to connect would be Unreachable
    written = await press.write(point, value)
    assert (written.outcome, written.exit_code) == ("refused", 2)
    assert why in written.found.en
    assert [record.outcome for record in press.lines] == [None, "refused"]


async def test_writes_are_off_by_default(press: Press) -> None:
    config = press.folder / "agent.toml"
    config.write_text(config.read_text().replace("allow_writes = true\n", ""))
    written = await press.write("pressure", "6.5")
    assert (written.outcome, written.exit_code) == ("refused", 2)
    assert "allow_writes = true" in written.found.en
    assert press.held(10) == [60]
    assert [record.outcome for record in press.lines] == [None, "refused"]


async def test_a_value_between_the_steps_of_the_device_is_refused_with_the_nearest(press: Press) -> None:
    written = await press.write("pressure", "6.54")
    assert (written.outcome, written.exit_code) == ("refused", 2)
    assert "the nearest it can hold is 6.5" in written.found.en
    assert press.held(10) == [60]


async def test_a_device_that_refuses_is_said(press: Press) -> None:
    press.handler.refuse = EXP_SLAVE_DEVICE_FAILURE
    written = await press.write("pressure", "6.5")
    assert (written.outcome, written.exit_code) == ("refused", 3)
    assert "exception 4: failure of the device" in written.found.en
    assert press.lines[-1].outcome == "refused"


async def test_a_value_that_reads_back_differently_is_said(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.point_write.SETTLE_S", (0.0, 0.01))
    press.handler.instead = 70
    written = await press.write("pressure", "6.5")
    assert (written.outcome, written.after, written.exit_code) == ("differs", 7.0, 1)
    assert "was to be set from 6.0 bar to 6.5 bar, and reads 7.0 bar" in written.found.en


async def test_a_device_without_mask_write_has_the_other_bits_kept(press: Press) -> None:
    assert press.handler.refuse == EXP_NONE
    await press.write("enable", "true")
    assert press.held(12) == [0xFFFF]
    await press.write("enable", "false")
    assert press.held(12) == [0xFFEF]


async def test_without_a_confirmation_nobody_claims_to_know(press: Press) -> None:
    def script(request: Request) -> Chunks:
        return [tcp(request, registers(request, 60))] if request.function == 3 else [30.0]

    async with answering(script) as port:
        press.configure(port=port)
        written = await press.write("pressure", "6.5")
    assert (written.outcome, written.exit_code) == ("unconfirmed", 3)
    assert "may or may not be set" in written.found.en


async def test_a_point_that_can_only_be_written_is_unverified(press: Press) -> None:
    def script(request: Request) -> Chunks:
        pdu = bytes([0x83, EXP_ILLEGAL_FUNCTION]) if request.function == 3 else bytes.fromhex("06000A0041")
        return [tcp(request, pdu)]

    async with answering(script) as port:
        press.configure(port=port)
        written = await press.write("pressure", "6.5")
    assert (written.outcome, written.before, written.exit_code) == ("unverified", None, 1)


async def test_an_unreachable_device_is_recorded(press: Press) -> None:
    press.configure(port=1)
    written = await press.write("pressure", "6.5")
    assert (written.outcome, written.exit_code) == ("refused", 3)
    assert press.lines[-1].outcome == "refused"


async def test_nothing_is_written_that_can_not_be_recorded(press: Press) -> None:
    (press.folder / "state").write_text("in the way")
    with pytest.raises(Refused, match="nothing is written"):
        await press.write("pressure", "6.5")
    assert press.held(10) == [60]


@pytest.mark.parametrize(("point", "reason"), [("pressure", " "), ("presure", "why not")])
async def test_wrong_use_is_no_attempt(point: str, reason: str, press: Press) -> None:
    with pytest.raises(ConfigError):
        await press.write(point, "6.5", reason)
    assert not (press.folder / "state").exists()


async def test_a_template_allows_nothing(tmp_path: Path) -> None:
    """A file that others share must not open a machine."""
    template = """
[device]
id = "shared"
version = 1
name = {en = "shared", zh = "共享"}
manufacturer = "m"
model = "m"
protocol = "modbus"
equipment_class = "compressor"
source = "test"
[[point]]
name = "pressure"
unit = "BAR"
address = 10
write = { min = 0, max = 100 }
"""
    (tmp_path / "shared.toml").write_text(template)
    (tmp_path / "agent.toml").write_text(
        '[agent]\nname = "a"\nallow_writes = true\n[cloud]\nurl = "http://127.0.0.1:1"\n[[device]]\nname = "press"\n'
        'template = "shared.toml"\n[device.connection]\nhost = "127.0.0.1"\nport = 1\n'
    )
    written = await write_point(load_config(tmp_path / "agent.toml"), "press", "pressure", "6", "why not")
    assert (written.outcome, written.exit_code) == ("refused", 2)
    assert "may not be written" in written.found.en


MQTT = """
[agent]
name = "a"
allow_writes = true
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "fan"
protocol = "mqtt"
[device.connection]
host = "127.0.0.1"
port = {port}
security = "none"
client_id = "the-collector"
[[device.point]]
name = "speed"
unit = "RPM"
topic = "fan/state"
value = "speed"
command_topic = "fan/set"
command = '{{"speed": {{value}}}}'
write = {{ min = 0, max = 1500 }}
confirm_s = {confirm_s}
[[device.point]]
name = "limit"
unit = "RPM"
sparkplug = "hall/fan"
metric = "Limit"
write = {{ min = 0, max = 3000 }}
"""


@needs_mosquitto
async def test_a_device_on_mqtt_is_written_and_silence_is_no_confirmation(tmp_path: Path) -> None:
    def configure(port: int, confirm_s: float = 20.0) -> Config:
        (tmp_path / "agent.toml").write_text(MQTT.format(port=port, confirm_s=confirm_s))
        return load_config(tmp_path / "agent.toml")

    (fan,) = configure(1).devices
    simulator = MqttSimulator(fan.points, lambda: {"speed": 900, "limit": 1500}, tick_s=0.02)  # type: ignore[arg-type]
    port = int((await simulator.start()).rpartition(":")[2])
    try:
        config = configure(port)
        running = config.devices[0].driver(collects=True)
        await running.open()
        watch = asyncio.create_task(running.watch())
        for point, before in (("speed", 900), ("limit", 1500)):
            written = await write_point(config, "fan", point, "1200", "new product")
            assert (written.outcome, written.before, written.after) == ("written", before, 1200)
        assert not watch.done(), "the write has taken the collector's name at the broker"
        watch.cancel()
        await running.close()
        # As before: a device that tells changes only has nothing to say.
        written = await write_point(configure(port, 0.2), "fan", "speed", "1200", "again")
        assert (written.outcome, written.exit_code) == ("unconfirmed", 3)
        assert "may or may not be set to 1200 r/min" in written.found.en
        assert "未收到“speed”的状态" in written.found.zh
    finally:
        await simulator.stop()


async def test_the_agent_announces_each_outcome_once(press: Press, open_buffer: OpenBuffer) -> None:
    state = press.folder / "state"
    written = [await press.write("pressure", "6.5"), await press.write("pressure", "60")]
    buffer = await open_buffer(state)
    await AuditFollower(state, buffer).follow()
    await AuditFollower(state, buffer).follow()  # as after a restart of the agent
    written.append(await press.write("mode", "3"))
    follower = AuditFollower(state, buffer)
    await follower.follow()
    await follower.follow()
    events = await _events(buffer)
    assert [event.id for event in events] == [each.id for each in written]
    assert [event.kind for event in events] == ["point_written", "point_not_written", "point_written"]
    assert events[0].text_en == written[0].found.en


async def test_a_write_that_was_cut_off_is_announced(press: Press, open_buffer: OpenBuffer) -> None:
    state = press.folder / "state"
    await press.write("pressure", "6.5")
    path = state / audit.FILE
    attempt, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(attempt + b'{"id":"torn')
    buffer = await open_buffer(state)
    time = json.loads(attempt)["time"]
    await AuditFollower(state, buffer, lambda: time + 1).follow()
    assert await _events(buffer) == []
    later = time + audit.UNFINISHED_US
    await AuditFollower(state, buffer, lambda: later).follow()
    assert "was cut off" in (await _events(buffer))[0].text_en
    await press.write("mode", "3")
    await AuditFollower(state, buffer, lambda: later).follow()
    assert [event.kind for event in await _events(buffer)] == ["point_not_written", "point_written"]


async def _events(buffer: Any) -> list[Any]:
    """Return the events that wait for the cloud."""
    await buffer.flush()
    delivery = await buffer.take(1 << 20)
    return [] if delivery is None else [event for frame in delivery.frames for event in decode(frame.payload).events]


def test_the_command_tells_people_and_machines(press: Press, capfd: pytest.CaptureFixture[str]) -> None:
    config = str(press.folder / "agent.toml")

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(["write", *arguments, "-c", config])
        return int(ended.value.code or 0), capfd.readouterr().out

    code, shown = run("press", "pressure", "7", "--reason", "试产", "--lang", "zh")
    assert (code, "已由 6.0 bar 改为 7 bar，回读一致" in shown) == (0, True)
    code, shown = run("press", "speed", "-5.5", "--reason", "slower", "--json", "--lang", "en")
    assert (code, json.loads(shown)["after"]) == (0, -5.5)
    code, shown = run("press", "pressure", "9", "--reason", "more", "--lang", "en")
    assert (code, "allowed: 5 … 8.5" in shown) == (2, True)
