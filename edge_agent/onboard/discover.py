"""Finds devices in the ranges a technician names, and nowhere else: `sunmao-edge discover`.

One connection at a time, reads only, a bounded number of questions per second. Modbus TCP is asked first, then serial
frames over TCP, then OPC UA; where an answer is of no known protocol, that address is left alone.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from protocols.errors import ConfigError, Malformed, SunmaoError, Unreachable
from protocols.modbus.config import ModbusConnection
from protocols.modbus.identification import identification, present_units
from protocols.opcua.description import describe_server
from protocols.text import Text

MODBUS_PORT, OPCUA_PORT = 502, 4840
MOST_PLACES = 4096
_OPCUA_PORTS = range(4840, 4900)
_FRAMINGS: tuple[Literal["tcp", "rtu-over-tcp"], ...] = ("tcp", "rtu-over-tcp")

Protocol = Literal["modbus-tcp", "modbus-rtu-over-tcp", "opcua", "unknown"]


class Place(NamedTuple):
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Found(NamedTuple):
    """What listens at a place.

    Attributes:
        units: Modbus units that answered.
        identity: texts the device gives of itself.
        details: for OPC UA: endpoints with their security, namespaces, companion specifications.
        note: what a person should know, e.g. why it was left alone.
    """

    place: Place
    protocol: Protocol
    units: tuple[int, ...] = ()
    identity: Mapping[str, str] = MappingProxyType({})
    details: Mapping[str, Any] = MappingProxyType({})
    note: Text | None = None


def parse_places(text: str) -> list[Place]:
    """Return the places of a range: HOST, HOST:PORT, HOST:PORT-PORT, with HOST a name, an address or 10.0.0.5-20.

    Without a port, those of Modbus (502) and OPC UA (4840). Raises ConfigError for anything else and for more than
    `MOST_PLACES`.
    """
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d+)(?:-(\d+))?)?", text)
    if found is None:
        raise _wrong_range(text)
    ports: Sequence[int] = (MODBUS_PORT, OPCUA_PORT)
    if found[2]:
        ports = range(int(found[2]), int(found[3] or found[2]) + 1)
    hosts = _hosts(found[1].strip("[]"))
    if not ports or ports[0] < 1 or ports[-1] > 65535 or not hosts:
        raise _wrong_range(text)
    if len(hosts) * len(ports) > MOST_PLACES:
        raise ConfigError(
            Text(
                f"'{text}' names {len(hosts) * len(ports):,} places", f"“{text}”包含 {len(hosts) * len(ports):,} 个地址"
            ),
            Text(f"name a smaller range, {MOST_PLACES:,} at most", f"请缩小范围，最多 {MOST_PLACES:,} 个"),
            key="--range",
        )
    return [Place(host, port) for host in hosts for port in ports]


def _hosts(text: str) -> list[str]:
    found = re.fullmatch(r"(\d+\.\d+\.\d+\.)(\d+)-(\d+)", text)
    if not found:
        return [text]
    hosts = [f"{found[1]}{number}" for number in range(int(found[2]), int(found[3]) + 1)]
    try:
        return [str(ip_address(host)) for host in hosts]
    except ValueError:
        return []


def _wrong_range(text: str) -> ConfigError:
    return ConfigError(
        Text(f"'{text}' is not a range of addresses", f"“{text}”不是有效的地址范围"),
        Text(
            "write 192.168.1.20, 192.168.1.20-40 or 192.168.1.20:502-510",
            "请写成 192.168.1.20、192.168.1.20-40 或 192.168.1.20:502-510",
        ),
        key="--range",
    )


async def discover(
    places: Iterable[Place],
    units: Sequence[int],
    *,
    rate: float,
    timeout_s: float,
    advance: Callable[[], None] = lambda: None,
) -> AsyncIterator[Found]:
    """Look at each of `places` in turn and yield those where something listens.

    Args:
        places: where to look.
        units: Modbus unit ids to ask for; the sweep stops at the first broken answer.
        rate: most questions per second.
        timeout_s: longest wait for one answer.
        advance: called after each place.

    Raises ConfigError for a name that is not known in this network.
    """
    for place in places:
        if await _listens(place, timeout_s):
            yield await _look(place, units, 1.0 / rate, timeout_s)
        advance()
        await asyncio.sleep(1.0 / rate)


async def _listens(place: Place, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(place.host, place.port)
    except (socket.gaierror, UnicodeError) as error:  # the latter for what can be no name, as a..b
        raise ConfigError(
            Text(f"no machine is known here by the name '{place.host}'", f"此网络中没有名为“{place.host}”的设备"),
            Text("write its address, as in 192.168.1.20", "请填写地址，例如 192.168.1.20"),
            key="--range",
        ) from error
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


async def _look(place: Place, units: Sequence[int], pause_s: float, timeout_s: float) -> Found:
    attempts = [_modbus, _opcua]
    if place.port in _OPCUA_PORTS:
        attempts.reverse()
    strange: Text | None = None
    for attempt in attempts:
        try:
            found = await attempt(place, units, pause_s, timeout_s)
        except Malformed as error:
            strange = error.what
        except SunmaoError:
            continue
        else:
            if found is not None:
                return found
    silent = Text("listens, and answers no protocol known here", "端口开放，但不应答任何已知协议")
    return Found(place, "unknown", note=strange or silent)


async def _modbus(place: Place, units: Sequence[int], pause_s: float, timeout_s: float) -> Found | None:
    for framing in _FRAMINGS:
        connection = ModbusConnection.model_validate(
            {"host": place.host, "port": place.port, "framing": framing, "timeout_s": timeout_s}
        )
        answering: list[int] = []
        note = None
        try:
            async for unit, present in present_units(str(place), connection, units):
                if present:
                    answering.append(unit)
                await asyncio.sleep(pause_s)
        except Malformed as error:
            if not answering:
                raise
            note = error.what
        if answering:
            identity: dict[str, str] = {}
            if note is None:
                try:
                    first = connection.model_copy(update={"unit_id": answering[0]})
                    identity = await identification(str(place), first)
                except (Malformed, Unreachable) as error:
                    note = error.what
            if note is None and len(units) > 2 and len(answering) == len(units):
                note = Text(
                    "answers to every unit id asked for: probably one device",
                    "对所有询问的从站号均应答，很可能是同一台设备",
                )
            protocol: Protocol = "modbus-tcp" if framing == "tcp" else "modbus-rtu-over-tcp"
            return Found(place, protocol, tuple(answering), identity, note=note)
    return None


async def _opcua(place: Place, units: Sequence[int], pause_s: float, timeout_s: float) -> Found | None:
    await asyncio.sleep(pause_s)
    server = await describe_server(f"opc.tcp://{place}", timeout_s)
    identity = {"application": server.application, **server.build}
    details = {
        "endpoints": [endpoint._asdict() for endpoint in server.endpoints],
        "namespaces": list(server.namespaces),
        "companions": server.companions,
        "machines": [machine._asdict() for machine in server.machines],
    }
    return Found(place, "opcua", identity=identity, details=details)
