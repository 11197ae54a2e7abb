"""Our driver against devices, and our simulator against a client, that share no code with us or with pymodbus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyModbusTCP.server import ModbusServer

from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver
from protocols.modbus.simulator import ModbusSimulator
from protocols.reading import BAD_CONFIGURATION_ERROR, BAD_NO_DATA, GOOD
from tests.conformance.plant import opened
from tests.peers.modbus.peer_programs import appearing, compiled, line_with, needed, program, serial_server

FLOAT = 229.00999450683594  # 0x4365028F
POINTS = {
    ModbusPoint.model_validate({"name": name, **fields}): value
    for name, fields, value in (
        ("abcd", {"address": 100, "type": "float32"}, FLOAT),
        ("cdab", {"address": 102, "type": "float32", "order": "CDAB"}, FLOAT),
        ("badc", {"address": 104, "type": "float32", "order": "BADC"}, FLOAT),
        ("dcba", {"address": 106, "type": "float32", "order": "DCBA"}, FLOAT),
        ("energy", {"address": 108, "type": "uint64"}, 0x0123456789ABCDEF),
        ("temperature", {"address": 112, "type": "int16", "scale": 0.1}, -12.3),
        ("serial", {"address": 113, "type": "string", "length": 3}, "A0042"),
        ("alarm", {"address": 116, "bit": 3}, True),
        ("ready", {"address": 116, "bit": 2}, False),
        ("void", {"address": 117, "type": "int16", "invalid": ["0x8000"]}, None),
        ("count", {"table": "input", "address": 200, "type": "uint32"}, 100000),
        *((f"coil{i}", {"table": "coil", "address": i}, i % 3 == 0) for i in range(20)),
        *((f"discrete{i}", {"table": "discrete", "address": 16 + i}, i % 2 == 1) for i in range(20)),
    )
}
ABSENT = [ModbusPoint(name="beyond", address=119), ModbusPoint(name="far", table="input", address=9000)]


@pytest.fixture(scope="module")
def libmodbus_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the libmodbus server, compiled."""
    return compiled("libmodbus_server.c", tmp_path_factory.mktemp("peer"))


@pytest.fixture
def pymodbustcp_port() -> Iterator[int]:
    """Serve the values of POINTS with pyModbusTCP and yield the port."""
    server = ModbusServer("127.0.0.1", 0, no_block=True)
    bank = server.data_bank
    words = "4365028F028F436565438F028F0265430123456789ABCDEFFF85413030343200000880000007"
    bank.set_holding_registers(100, [int(words[i : i + 4], 16) for i in range(0, len(words), 4)])
    bank.set_input_registers(200, [0x0001, 0x86A0])
    bank.set_coils(0, [i % 3 == 0 for i in range(20)])
    bank.set_discrete_inputs(16, [i % 2 == 1 for i in range(20)])
    server.start()
    yield server._service.server_address[1]
    server.stop()


async def check(port: int, absent: list[ModbusPoint], **fields: object) -> None:
    """Read POINTS and `absent` twice from the device at `port` and compare every reading."""
    connection = ModbusConnection.model_validate({"host": "127.0.0.1", "port": port, **fields})
    points = [*POINTS, *absent]
    async with opened(ModbusDriver("peer", connection, points)) as driver:
        for _ in range(2):
            readings = await driver.read(points)
            assert [reading.value for reading in readings] == [*POINTS.values(), *[None] * len(absent)]
            for point, reading in zip(points, readings, strict=True):
                bad = BAD_NO_DATA if point.name == "void" else GOOD
                assert reading.quality == (BAD_CONFIGURATION_ERROR if point in absent else bad), reading


async def test_libmodbus_over_tcp(libmodbus_server: Path) -> None:
    async with program(libmodbus_server, "tcp") as output:
        await check(int(await line_with(output, "\n")), ABSENT)


async def test_libmodbus_on_a_serial_line_behind_a_serial_server(libmodbus_server: Path, tmp_path: Path) -> None:
    pty = tmp_path / "tty"
    async with serial_server(pty) as port:
        # socat opens the serial line when the first client comes
        connection = ModbusConnection(host="127.0.0.1", port=port, framing="rtu-over-tcp", unit_id=7, timeout_s=5)
        points = [*POINTS, *ABSENT]
        async with opened(ModbusDriver("peer", connection, points)) as driver:
            await appearing(pty)
            async with program(libmodbus_server, "rtu", pty) as output:
                await line_with(output, "ready")
                for _ in range(2):
                    readings = await driver.read(points)
                    assert [reading.value for reading in readings] == [*POINTS.values(), None, None]


async def test_libmodbus_on_a_serial_port(libmodbus_server: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    lines = [f"PTY,raw,echo=0,link={pty}" for pty in (ours, theirs)]
    async with program(needed("socat"), *lines):
        await appearing(ours)
        await appearing(theirs)
        async with program(libmodbus_server, "rtu", theirs) as output:
            await line_with(output, "ready")
            connection = ModbusConnection(serial=str(ours), framing="rtu", baudrate=115200, unit_id=7, timeout_s=5)
            points = [*POINTS, *ABSENT]
            async with opened(ModbusDriver("peer", connection, points)) as driver:
                for _ in range(2):
                    readings = await driver.read(points)
                    assert [reading.value for reading in readings] == [*POINTS.values(), None, None]


async def test_pymodbustcp(pymodbustcp_port: int) -> None:
    await check(pymodbustcp_port, [])


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["-r", "100", "-c", "1", "-t", "4:float", "-B"], "[100]: \t229.01"),
        (["-r", "112", "-c", "1", "-t", "4:hex"], "[112]: \t0xFF85"),
        (["-r", "200", "-c", "1", "-t", "3:int", "-B"], "[200]: \t100000"),
        (["-r", "3", "-c", "1", "-t", "0"], "[3]: \t1"),
        (["-r", "17", "-c", "1", "-t", "1"], "[17]: \t1"),
        (["-r", "4000", "-c", "1", "-t", "4"], "Illegal data address"),
    ],
)
@pytest.mark.parametrize("mode", ["tcp", "rtu"])
async def test_mbpoll_reads_our_simulator(mode: str, arguments: list[str], shown: str, tmp_path: Path) -> None:
    values = {point.name: value for point, value in POINTS.items()}
    simulator = ModbusSimulator(list(POINTS), lambda: values, framing="tcp" if mode == "tcp" else "rtu-over-tcp")
    address = await simulator.start()
    common = [needed("mbpoll"), "-m", mode, "-a", "1", "-0", "-1", "-q", *arguments]
    try:
        if mode == "tcp":
            command = [*common, "-p", address.rpartition(":")[2], "127.0.0.1"]
            async with program(*command, stderr=True) as output:
                assert shown in await line_with(output, shown)
            return
        pty = tmp_path / "tty"
        async with program(needed("socat"), f"PTY,raw,echo=0,link={pty}", f"TCP:{address}"):
            await appearing(pty)
            async with program(*common, "-b", "115200", "-P", "none", pty, stderr=True) as output:
                assert shown in await line_with(output, shown)
    finally:
        await simulator.stop()
