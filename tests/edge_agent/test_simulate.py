"""`simulate` serves a device of the library to a client that is not ours, says where, and ends when told to."""

import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient

from edge_agent.simulate import simulate
from protocols.errors import ConfigError
from protocols.library.physics import Compressor, EnergyMeter, Moulder
from protocols.reading import now_us


@contextmanager
def simulated(arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `simulate(arguments)` in a process of its own; gives the process and its first line."""
    program = f"from edge_agent.simulate import simulate; simulate({arguments})"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def client_of(line: str) -> tuple[ModbusClient, dict[str, Any]]:
    found = json.loads(line)
    host, port = found["address"].split(":")
    return ModbusClient(host=host, port=int(port), unit_id=1), found


def test_a_foreign_client_reads_what_the_physics_say() -> None:
    start = now_us()
    with simulated(
        f"'demo-energy-meter', seed=5, start={start}, as_json=True, tick=0.05,"
        " load=['demo-injection-moulder', 'demo-air-compressor']"
    ) as (process, line):
        client, found = client_of(line)
        assert (found["protocol"], found["seed"], found["start"]) == ("modbus", 5, start)
        before = now_us()
        registers = client.read_input_registers(0x0100, 4)
        after = now_us()
        client.close()
        meter = EnergyMeter(5, start, [Moulder(5, start), Compressor(5, start)])
        low, high = (float(meter.values(moment)["energy_active_import"]) for moment in (before - 10**5, after))  # type: ignore[arg-type]
        (energy_wh,) = struct.unpack(">Q", struct.pack(">4H", *registers))
        assert 1000 * low - 1 <= energy_wh <= 1000 * high + 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_device_says_of_itself_and_shows_what_its_type_does() -> None:
    with (
        simulated("'siemens-pac4200', as_json=True") as (_, line),
        simulated("'eastron-sdm230', as_json=True") as (_, other),
    ):
        client, _ = client_of(line)
        answer = client.custom_request(bytes([0x2B, 0x0E, 1, 0]))
        client.close()
        assert b"Siemens" in answer
        assert b"PAC4200" in answer
        client, _ = client_of(other)
        assert client.read_holding_registers(0xFC02, 1) == [43]
        client.close()


def test_two_simulators_agree() -> None:
    arguments = f"'demo-air-compressor', seed=9, start={now_us() - 3600 * 10**6}, as_json=True"
    with simulated(arguments) as (_, first), simulated(arguments) as (_, second):
        answers = []
        for line in (first, second):
            client, _ = client_of(line)
            answers.append((client.read_holding_registers(36, 2), client.read_holding_registers(34, 1)))
            client.close()
        assert answers[0][0] == answers[1][0]
        assert abs(answers[0][1][0] - answers[1][1][0]) <= 1


def test_a_person_reads_one_line_and_stops_it_with_ctrl_c() -> None:
    with simulated("'demo-injection-moulder', language='zh'") as (process, line):
        assert line.startswith("demo-injection-moulder 已在 opc.tcp://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0


def test_a_taken_port_and_an_unknown_device_are_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="can not be used - choose another port"):
            simulate("demo-energy-meter", port=taken.getsockname()[1])
    with pytest.raises(ConfigError, match="no device 'demo-meter' in the library"):
        simulate("demo-meter")
