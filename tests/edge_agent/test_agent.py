"""The whole agent as its own process: real devices on real TCP, a real cloud double, kill -9 in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.buffer import FILE
from edge_agent.buffer_care import peek
from edge_agent.health import read_status
from edge_agent.supervise import supervise
from protocols.catalogue import simulator_class
from protocols.errors import ConfigError
from protocols.library.physics import behaviour
from protocols.library.templates import load_template
from protocols.reading import BAD_NO_COMMUNICATION, now_us
from protocols.text import Text
from protocols.uplink.configuration import split, version_of
from tests.doubles.cloud import CODE, CloudDouble
from tests.edge_agent.conftest import OpenBuffer, forwarding, until

COMMAND = Path(sys.executable).with_name("sunmao-edge")
PERIOD_S = 0.05

Serve = Callable[[str], Awaitable[str]]
Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a library device as it behaves in a workshop; gives its [device.connection]."""
    running = []

    async def start(name: str) -> str:
        template = load_template(name)
        protocol = template.device.protocol
        values = behaviour(template, 1, now_us(), [])
        simulator = simulator_class(protocol)(template.points, lambda: values(now_us()), port=0, tick_s=PERIOD_S)
        address = await simulator.start()
        running.append(simulator)
        if protocol == "opcua":
            return f'endpoint = "{address}"\nsecurity = "none"'
        host, _, port = address.rpartition(":")
        return f'host = "{host}"\nport = {port}'

    yield start
    for simulator in running:
        await simulator.stop()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts `sunmao-edge`; whatever still runs at the end is killed."""
    running: list[Process] = []

    async def start_one(*arguments: object) -> Process:
        process = await asyncio.create_subprocess_exec(
            COMMAND, *map(str, arguments), stdout=PIPE, stderr=PIPE, env=os.environ | {"LANG": "C.UTF-8"}
        )
        running.append(process)
        return process

    yield start_one
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def write_config(folder: Path, url: str, devices: dict[str, tuple[str, str]]) -> Path:
    text = f'[agent]\nname = "a"\n[cloud]\nurl = "{url}"\n[buffer]\ngroup_s = 0.05\n'
    for name, (template, connection) in devices.items():
        text += f'[[device]]\nname = "{name}"\ntemplate = "{template}"\nperiod_s = {PERIOD_S}\n'
        text += f"[device.connection]\n{connection}\n"
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def states(folder: Path) -> dict[str, str]:
    status = read_status(folder / "state")
    return {device.name: device.state for device in status.health.devices} if status else {}


async def done(process: Process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_counts_close_over_a_kill_and_a_dead_device(
    serve: Serve, start: Start, cloud: CloudDouble, open_buffer: OpenBuffer, tmp_path: Path
) -> None:
    devices = {
        "moulder": ("demo-injection-moulder", await serve("demo-injection-moulder")),
        "meter": ("demo-energy-meter", await serve("demo-energy-meter")),
        "nobody": ("demo-air-compressor", 'host = "127.0.0.1"\nport = 1'),
    }
    config = write_config(tmp_path, cloud.url, devices)
    assert (await done(await start("enrol", CODE, "-c", config)))[0] == 0

    def heard(device: str) -> int:
        return sum(point.device == device for point, *_ in cloud.readings())

    first = await start("run", "-c", config)
    await until(lambda: heard("moulder") > 500 and heard("meter") > 500, 40)
    first.kill()
    await first.wait()
    before = heard("moulder")
    second = await start("run", "-c", config)
    await until(lambda: heard("moulder") > before + 500, 40)
    await until(lambda: states(tmp_path) == {"moulder": "up", "meter": "up", "nobody": "down"})
    code, _, err = await done(await start("run", "-c", config))
    assert (code, "agent.state_dir" in err) == (2, True)
    second.send_signal(signal.SIGTERM)
    code, _, err = await done(second)
    assert code == 0, err
    assert "Traceback" not in err
    assert err.count("nobody: ") == 1

    buffer = await open_buffer(tmp_path / "state")
    async with forwarding(buffer, cloud, tmp_path / "state"):
        async with asyncio.timeout(20):
            while (await buffer.stats()).rows:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
    state = (await buffer.stats()).state
    rows = cloud.readings()
    texts = [text for batch in cloud.ledger.values() for text in batch.texts]
    assert state.collected == len(rows) + len(texts)
    assert state.dropped == state.set_aside == 0
    assert len({(point, time) for point, time, _, _ in rows}) == len(rows)
    lost = [point.name for point, _, _, quality in rows if point.device == "nobody" and quality == BAD_NO_COMMUNICATION]
    assert sorted(lost) == sorted([point.name for point in load_template("demo-air-compressor").points] * 2)


async def test_sigterm_ends_an_agent_whose_devices_and_cloud_hang(
    start: Start, cloud: CloudDouble, tmp_path: Path
) -> None:
    waiting: list[asyncio.StreamWriter] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    devices = {
        "moulder": (
            "demo-injection-moulder",
            f'endpoint = "opc.tcp://127.0.0.1:{port}"\nsecurity = "none"\ntimeout_s = 60.0',
        ),
        "meter": ("demo-energy-meter", f'host = "127.0.0.1"\nport = {port}\ntimeout_s = 60.0'),
        "nobody": ("demo-air-compressor", 'host = "127.0.0.1"\nport = 1'),
    }
    config = write_config(tmp_path, cloud.url, devices)
    assert (await done(await start("enrol", CODE, "-c", config)))[0] == 0
    config = write_config(tmp_path, f"http://127.0.0.1:{port}", devices)
    agent = await start("run", "-c", config)
    await until(lambda: len(waiting) >= 3 and states(tmp_path).get("nobody") == "down")
    agent.send_signal(signal.SIGTERM)
    code, _, err = await done(agent)
    assert (code, "Traceback" in err) == (0, False)
    assert peek(tmp_path / "state" / FILE).rows == len(load_template("demo-air-compressor").points)
    server.close()
    for writer in waiting:
        writer.close()


async def test_what_fails_again_for_the_same_reason_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | None] = [ConfigError(Text("a", "甲")), ConfigError(Text("a", "甲")), KeyError("b"), None]
    said = []

    async def work() -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    await supervise("part", work, lambda device, kind, text: said.append(text.en))
    assert said == ["a", "stopped by an internal error: KeyError('b')"]
    assert "Traceback" in caplog.text


async def test_commands_against_a_running_agent(serve: Serve, start: Start, cloud: CloudDouble, tmp_path: Path) -> None:
    config = write_config(tmp_path, cloud.url, {"meter": ("demo-energy-meter", await serve("demo-energy-meter"))})

    async def say(*arguments: str) -> tuple[int, Any]:
        code, out, err = await done(await start(*arguments, "-c", config, "--json"))
        assert "Traceback" not in err
        return code, json.loads(out) if out else err

    assert (await say("status"))[0] == 1
    assert (await say("buffer", "stats"))[0] == 2
    code, findings = await say("check")
    assert (code, [finding["what"] for finding in findings if not finding["ok"]]) == (1, ["cloud"])
    assert (await say("enrol", CODE))[0] == 0
    agent = await start("run", "-c", config)
    await until(lambda: len(cloud.readings()) > 100 and bool(cloud.health), 40)
    await until(lambda: (found := read_status(tmp_path / "state")) is not None and found.uplink.state == "up")
    code, status = await say("status")
    assert (code, status["running"], status["status"]["agent_id"]) == (0, True, "agent-1")
    code, readings = await say("read", "meter", "voltage_l1_n")
    assert [reading["unit"] for reading in readings] == ["VLT"]
    code, findings = await say("check")
    well = {finding["what"]: finding for finding in findings if finding["ok"]}
    assert well.keys() >= {"meter", "cloud/name", "cloud/port", "cloud", "clock", "buffer", "security/listening"}
    assert "as measured" in well["buffer"]["found"]
    assert code == 0
    code, stats = await say("buffer", "stats")
    assert (code, stats["state"]["collected"] > 100) == (0, True)
    assert await say("buffer", "verify") == (0, {"path": str(tmp_path / "state" / FILE), "faults": []})
    reported = cloud.health[-1].config
    assert reported is not None
    assert reported.version == version_of(split(config.read_text(encoding="utf-8"))[1])
    agent.send_signal(signal.SIGINT)
    assert (await done(agent))[0] == 0
    assert peek(tmp_path / "state" / FILE).state.collected >= len(cloud.readings())
