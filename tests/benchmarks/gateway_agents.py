"""The two gateways as whole processes, set up alike: our agent, and thingsboard-gateway from PyPI with a real broker.

Both keep what they collect durably before they send it (our buffer; ThingsBoard's SQLite storage), both scale and both
name every value. ThingsBoard's gateway lives in an environment of its own, for it wants other versions of the libraries.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tests.benchmarks.gateway_plant import NAMESPACE
from tests.benchmarks.gateway_sink import Sink, our_cloud, thingsboard
from tests.doubles.cloud import CODE

PACKAGES = ("thingsboard-gateway==3.8.5", "pymodbus==3.9.2", "pyserial==3.5", "pyserial-asyncio==0.6", "asyncua==1.1.5")
"""The gateway would install the last four by itself when it starts."""

ENVIRONMENT = Path(".dev") / "thingsboard-gateway"
POINTS_PER_DEVICE = 1000


class Modbus(msgspec.Struct, frozen=True):
    """One Modbus device to read: `points` registers from 0, in tenths of a degree, each `period_s` seconds."""

    name: str
    port: int
    unit_id: int
    points: int
    period_s: float = 1.0


class Opcua(msgspec.Struct, frozen=True):
    """The OPC UA plant to read: `points` nodes."""

    name: str
    endpoint: str
    points: int


Device = Modbus | Opcua


def modbus_devices(port: int, points: int, period_s: float = 1.0) -> list[Device]:
    """Return devices that share `points` registers, read each `period_s`."""
    return [
        Modbus(f"device-{unit}", port, unit, min(points, POINTS_PER_DEVICE), period_s)
        for unit in range(1, max(points // POINTS_PER_DEVICE, 1) + 1)
    ]


class Use(msgspec.Struct, frozen=True):
    """What a process has used so far: processor seconds, megabytes, bytes sent and received over TCP.

    Memory is the proportional set size, for one gateway is several processes that share pages.
    """

    cpu_s: float
    pss_mb: float
    wire_bytes: int


class Gateway:
    """A running gateway and what takes its values."""

    def __init__(self, process: subprocess.Popen[bytes], sink: Sink) -> None:
        self.process = psutil.Process(process.pid)
        self.sink = sink

    def use(self) -> Use:
        """Return what it has used; its own children count as well."""
        family = [self.process, *self.process.children(recursive=True)]
        return Use(
            sum(_cpu_s(one.pid) for one in family),
            sum(one.memory_full_info().pss for one in family) / 1e6,
            sum(_wire_bytes(one.pid) for one in family),
        )


def _cpu_s(pid: int) -> float:
    """Return what a process has used, by its CPU clock (clock_getcpuclockid(3)); /proc counts in steps of 10 ms."""
    return time.clock_gettime(~pid << 3 | 2)


def _wire_bytes(pid: int) -> int:
    """Return the payload bytes of the process's open TCP connections, both ways, as the kernel counts them."""
    said = subprocess.run(["ss", "-tinpH"], capture_output=True, text=True, check=True).stdout
    total, mine = 0, False
    for line in said.splitlines():
        if not line.startswith(("\t", " ")):
            mine = f"pid={pid}," in line
        elif mine:
            fields = dict(word.split(":", 1) for word in line.split() if word.count(":") == 1)
            total += int(fields.get("bytes_sent", 0)) + int(fields.get("bytes_received", 0))
    return total


@contextmanager
def ours(devices: Sequence[Device], folder: Path) -> Iterator[Gateway]:
    """Run `sunmao-edge` on `devices`, enrolled at a sink."""
    folder.mkdir(parents=True)
    with our_cloud() as sink:
        tables = [f'[agent]\nname = "bench"\n[cloud]\nurl = "{sink.address}"\n', *map(_device_toml, devices)]
        (folder / "agent.toml").write_text("\n".join(tables))
        command = [str(Path(sys.executable).with_name("sunmao-edge"))]
        subprocess.run([*command, "enrol", CODE], cwd=folder, check=True, capture_output=True)
        with _running([*command, "run"], folder, {}) as process:
            yield Gateway(process, sink)


def _device_toml(device: Device) -> str:
    if isinstance(device, Modbus):
        head = f'protocol = "modbus"\nperiod_s = {device.period_s}\n[device.connection]\nhost = "127.0.0.1"\nport = {device.port}\nunit_id = {device.unit_id}\n'
        place = 'table = "holding"\naddress = {}\ntype = "int16"\nscale = 0.1'
    else:
        head = f'protocol = "opcua"\n[device.connection]\nendpoint = "{device.endpoint}"\nsecurity = "none"\n'
        place = f'node = "nsu={NAMESPACE};s=p{{}}"'
    points = "\n".join(
        f'[[device.point]]\nname = "p{i}"\nproperty = "ambient_temperature"\n{place.format(i)}'
        for i in range(device.points)
    )
    return f'[[device]]\nname = "{device.name}"\n{head}{points}\n'


@contextmanager
def thingsboard_gateway(devices: Sequence[Device], folder: Path) -> Iterator[Gateway]:
    """Run thingsboard-gateway on `devices`, connected through mosquitto to a sink that plays ThingsBoard."""
    program = _installed()
    folder.mkdir(parents=True)
    with _mosquitto(folder) as broker, thingsboard(broker) as sink:
        _configure(folder, broker, devices)
        with _running([str(program)], folder, {"TB_GW_CONFIG_DIR": f"{folder}/", "TB_GW_LOGS_PATH": "."}) as process:
            yield Gateway(process, sink)


def _installed() -> Path:
    program = ENVIRONMENT.resolve() / "bin" / "thingsboard-gateway"
    if not program.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, ENVIRONMENT], check=True)
        python = ENVIRONMENT / "bin" / "python"
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *PACKAGES], check=True
        )
    return program


def _configure(folder: Path, broker: str, devices: Sequence[Device]) -> None:
    host, _, port = broker.rpartition(":")
    connectors = []
    modbus = [device for device in devices if isinstance(device, Modbus)]
    if modbus:
        slaves = [_slave(device) for device in modbus]
        connectors.append(
            ("modbus", "modbus.json", {"master": {"slaves": slaves}, "slave": {"sendDataToThingsBoard": False}})
        )
    connectors += [("opcua", f"{device.name}.json", _opcua(device)) for device in devices if isinstance(device, Opcua)]
    general: dict[str, Any] = {
        "thingsboard": {
            "host": host,
            "port": int(port),
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "checkConnectorsConfigurationInSeconds": 3600,
            "maxPayloadSizeBytes": 65536,
            "minPackSendDelayMS": 50,
            "minPackSizeToSend": 500,
            "qos": 1,
            "reportStrategy": {"type": "ON_RECEIVED"},
            "security": {"type": "accessToken", "accessToken": "bench"},
            **dict.fromkeys(_RATES, "0:0,"),
        },
        "storage": {"type": "sqlite", "data_file_path": "./data/", "max_read_records_count": 1000},
        "grpc": {"enabled": False},
        "connectors": [{"type": kind, "name": kind, "configuration": file} for kind, file, _ in connectors],
    }
    for file, content in [("tb_gateway.json", general), *((file, content) for _, file, content in connectors)]:
        (folder / file).write_text(json.dumps(content))
    (folder / "logs.json").write_text(json.dumps(_LOGS))
    (folder / "data").mkdir()


_RATES = (
    "rateLimits",
    "dpRateLimits",
    "messagesRateLimits",
    "deviceMessagesRateLimits",
    "deviceRateLimits",
    "deviceDpRateLimits",
)
_LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler", "level": "WARNING", "stream": "ext://sys.stdout"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
    "loggers": {},
}


def _slave(device: Modbus) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": device.port,
        "type": "tcp",
        "method": "socket",
        "unitId": device.unit_id,
        "deviceName": device.name,
        "deviceType": "default",
        "timeout": 2,
        "byteOrder": "BIG",
        "wordOrder": "BIG",
        "retries": 1,
        "pollPeriod": round(device.period_s * 1000),
        "connectAttemptTimeMs": 5000,
        "connectAttemptCount": 5,
        "waitAfterFailedAttemptsMs": 30000,
        "attributes": [],
        "timeseries": [
            {"tag": f"p{i}", "type": "16int", "functionCode": 3, "objectsCount": 1, "address": i, "divider": 10}
            for i in range(device.points)
        ],
        "attributeUpdates": [],
        "rpc": [],
    }


def _opcua(device: Opcua) -> dict[str, Any]:
    return {
        "server": {
            "url": device.endpoint,
            "timeoutInMillis": 5000,
            "scanPeriodInMillis": 3_600_000,
            "pollPeriodInMillis": 1000,
            "enableSubscriptions": True,
            "subCheckPeriodInMillis": 250,
            "subDataMaxBatchSize": 1000,
            "subDataMinBatchCreationTimeMs": 200,
            "subscriptionProcessBatchSize": 2000,
            "sessionTimeoutInMillis": 120_000,
            "showMap": False,
            "security": "None",
            "identity": {"type": "anonymous"},
        },
        "mapping": [
            {
                "deviceNodeSource": "path",
                "deviceNodePattern": "Root\\.Objects\\.Line",
                "deviceInfo": {
                    "deviceNameExpression": device.name,
                    "deviceNameExpressionSource": "constant",
                    "deviceProfileExpression": "default",
                    "deviceProfileExpressionSource": "constant",
                },
                "attributes": [],
                "timeseries": [
                    {"key": f"p{i}", "type": "identifier", "value": f"${{ns=2;s=p{i}}}"} for i in range(device.points)
                ],
                "rpc_methods": [],
                "attributes_updates": [],
            }
        ],
    }


@contextmanager
def _mosquitto(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    with _running(["/usr/sbin/mosquitto", "-c", "mosquitto.conf"], folder, {}):
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                break
        yield f"127.0.0.1:{port}"


@contextmanager
def _running(command: Sequence[str], folder: Path, settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in `folder`, its output in a file there, until the block ends."""
    with (
        (folder / f"{Path(command[0]).name}.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=os.environ | settings, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
