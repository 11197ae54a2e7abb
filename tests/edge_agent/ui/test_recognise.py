"""How a server is entered, what a point is called, which networks are suggested, what a search finds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import ifaddr
import pytest

from edge_agent.onboard import identify
from edge_agent.onboard.propose import SURE, Proposal
from edge_agent.ui.drafts import DraftPoint, Machine
from edge_agent.ui.jobs import Job
from edge_agent.ui.learn import _short_names, take_meaning
from edge_agent.ui.networks import suggested_ranges
from edge_agent.ui.pages.meaning import search_dictionary
from edge_agent.ui.recognise import _way_in
from edge_agent.ui.search import look_for_machines, parse_units, parse_wanted, serial_ports
from protocols.errors import ConfigError, Unreachable
from protocols.modbus.config import ModbusPoint
from protocols.modbus.simulator import ModbusSimulator
from protocols.text import Text
from tests.doubles.serial_bridge import SerialBridge


def endpoint(policy: str, mode: str = "SignAndEncrypt") -> dict[str, str]:
    return {"policy": policy, "mode": mode, "url": f"opc.tcp://x/{policy}"}


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([endpoint("None", "None"), endpoint("Basic256Sha256")], "basic256sha256"),
        ([endpoint("Aes128_Sha256_RsaOaep"), endpoint("Aes256_Sha256_RsaPss")], "aes256sha256rsapss"),
        ([endpoint("Basic256Sha256", "Sign"), endpoint("None", "None")], "none"),
        ([], "none"),
    ],
)
def test_the_most_secure_way_in_is_taken(offered: list[dict[str, str]], chosen: str) -> None:
    assert _way_in(offered)[0] == chosen


def test_points_are_called_by_as_much_of_their_path_as_tells_them_apart() -> None:
    paths = ["Press/Barrel/Zone 1/Temperature", "Press/Barrel/Zone 2/Temperature", "Press/Speed", "Press/Speed", "/x"]
    names = _short_names(paths)
    assert names == ["Zone 1.Temperature", "Zone 2.Temperature", "Press.Speed 3", "Press.Speed 4", "x"]
    assert len(set(_short_names([f"{'long ' * 40}/{n}/{'v' * 200}" for n in range(3)]))) == 3


def test_a_meaning_that_the_unit_contradicts_is_none() -> None:
    point = DraftPoint("p", {}, unit="VLT")
    take_meaning(point, Proposal("melt_temperature", 0.95, Text("", "")))
    assert point.code is None


def test_states_are_not_sure_before_their_codes_are_named() -> None:
    point = DraftPoint("p", {})
    take_meaning(point, Proposal("machine_state", 0.95, Text("says so", "如此")))
    assert point.code == "machine_state"
    assert point.confidence < SURE
    point.fields["codes"] = {"1": 3}
    take_meaning(point, Proposal("machine_state", 0.95, Text("says so", "如此")))
    assert point.sure


@pytest.mark.parametrize(
    ("words", "code"),
    [("discharge pressure", "discharge_pressure"), ("排气压力", "discharge_pressure"), ("melt temperature", "melt_temperature")],
)  # fmt: skip
def test_the_dictionary_is_searched_in_both_languages(words: str, code: str) -> None:
    assert search_dictionary(words)[0].code == code


def test_a_search_prefers_the_machines_own_kind() -> None:
    found = search_dictionary("speed", "compressor")
    assert found[0].equipment_class == "compressor" or not any(e.equipment_class == "compressor" for e in found)
    assert search_dictionary("no such thing at all") == []


def test_only_the_boxs_own_networks_are_suggested_and_no_wide_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def adapter(*addresses: tuple[str, int]) -> SimpleNamespace:
        return SimpleNamespace(ips=[ifaddr.IP(ip, prefix, "x") for ip, prefix in addresses])

    found = [
        adapter(("127.0.0.1", 8), ("192.168.1.7", 24)),
        adapter(("10.2.3.4", 8), ("169.254.1.1", 16), ("10.9.9.9", 32)),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: found)
    assert suggested_ranges() == ["192.168.1.1-254", "10.2.3.1-254"]


def test_unit_ids_are_read_as_people_write_them() -> None:
    assert parse_units("") == [1]
    assert parse_units("1, 3 5-7,3") == [1, 3, 5, 6, 7]
    for wrong in ("x", "1-", "0-300", "9-2", "-1"):
        with pytest.raises(ConfigError):
            parse_units(wrong)


async def test_a_job_says_why_it_failed_and_can_be_stopped() -> None:
    async def fail(job: Job) -> None:
        raise Unreachable(Text("away", "断开"), Text("plug it in", "请接好"))

    job = Job(fail, Text("working", "进行中"))
    await job.ended()
    assert (job.failed, job.mend) == (Text("away", "断开"), Text("plug it in", "请接好"))

    async def forever(job: Job) -> None:
        await asyncio.Event().wait()

    job = Job(forever, Text("working", "进行中"))
    await asyncio.sleep(0)
    assert job.running
    await job.stop()
    assert not job.running
    assert job.failed is None


async def test_a_unit_on_a_serial_line_becomes_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = identify.modbus_templates()[:2]  # at 9600 baud the whole library takes more than a minute
    monkeypatch.setattr(identify, "modbus_templates", lambda: few)
    point = ModbusPoint(name="p", address=3)
    simulator = ModbusSimulator([point], lambda: {"p": 7}, framing="rtu-over-tcp", unit_id=1)
    bridge = SerialBridge(tmp_path / "ttyUSB0", int((await simulator.start()).rpartition(":")[2]))
    await bridge.start()
    found: list[Machine] = []

    async def work(job: Job) -> None:
        wanted = parse_wanted(str(bridge.path), "1")
        found.extend([machine async for machine in look_for_machines(wanted, tmp_path, 1000, job)])

    job = Job(work, Text("", ""))
    await job.ended()
    await bridge.stop()
    await simulator.stop()
    assert job.failed is None
    (machine,) = found
    assert machine.connection | {"serial": ""} == {
        "serial": "", "framing": "rtu", "unit_id": 1, "baudrate": 9600, "parity": "N", "stopbits": 1,
    }  # fmt: skip
    assert machine.place == str(bridge.path)


def test_ranges_and_serial_ports_are_told_apart() -> None:
    wanted = parse_wanted("192.168.1.5:502, /dev/ttyUSB0 /dev/ttyUSB0", "1-2")
    assert [str(place) for place in wanted.places] == ["192.168.1.5:502"]
    assert wanted.ports == ["/dev/ttyUSB0"]
    assert wanted.steps == 1 + 8
    with pytest.raises(ConfigError):
        parse_wanted(" , ", "1")


def test_adapters_are_suggested_by_their_lasting_name(tmp_path: Path) -> None:
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "ttyS0").touch()
    assert serial_ports(tmp_path) == [str(tmp_path / "ttyUSB0")]
    (tmp_path / "serial" / "by-id").mkdir(parents=True)
    (tmp_path / "serial" / "by-id" / "usb-FTDI").touch()
    assert serial_ports(tmp_path) == [str(tmp_path / "serial" / "by-id" / "usb-FTDI")]
