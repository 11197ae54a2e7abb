"""A Modbus device on real TCP whose every answer a test writes by hand."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from pymodbus.framer import FramerRTU

from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver
from tests.conformance.plant import listening


class Request(NamedTuple):
    """One request as it came: `number` counts those of the connection from 1; `tid` is 0 in serial framing."""

    number: int
    tid: int
    unit: int
    function: int
    address: int
    count: int


Chunks = Sequence[bytes | float]
"""What goes over the wire: bytes, and pauses in seconds between them."""

Script = Callable[[Request], Chunks]


def tcp(request: Request, pdu: bytes, **wrong: int) -> bytes:
    """Return `pdu` in the frame that answers `request`; `tid`, `protocol`, `length` and `unit` can be set wrong."""
    header = {"tid": request.tid, "protocol": 0, "length": len(pdu) + 1, "unit": request.unit} | wrong
    return struct.pack(">HHHB", *header.values()) + pdu


def rtu(request: Request, pdu: bytes, unit: int | None = None) -> bytes:
    """Return `pdu` in the serial frame, with its CRC, that answers `request`."""
    frame = bytes([request.unit if unit is None else unit]) + pdu
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


def registers(request: Request, value: int, count: int | None = None) -> bytes:
    """Return the PDU with `count` registers (as many as asked for by default), each holding `value`."""
    count = request.count if count is None else count
    return bytes([request.function, 2 * count]) + struct.pack(">H", value) * count


@asynccontextmanager
async def answering(script: Script, framing: str = "tcp") -> AsyncIterator[int]:
    """Serve `script` on 127.0.0.1 and yield the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            number += 1
            for chunk in script(await read_request(reader, number, framing)):
                if isinstance(chunk, bytes):
                    writer.write(chunk)
                    await writer.drain()
                else:
                    await asyncio.sleep(chunk)

    async with listening(serve) as port:
        yield port


async def read_request(reader: asyncio.StreamReader, number: int, framing: str) -> Request:
    """Return the next request of a connection."""
    if framing == "tcp":
        tid, _, _, *rest = struct.unpack(">HHHBBHH", await reader.readexactly(12))
        return Request(number, tid, *rest)
    return Request(number, 0, *struct.unpack(">BBHH", (await reader.readexactly(8))[:6]))


def driver_at(port: int, points: Sequence[ModbusPoint], **fields: object) -> ModbusDriver:
    """Return a driver for `points` at `port`, not open, that waits a fifth of a second at most."""
    connection = {"host": "127.0.0.1", "port": port, "timeout_s": 0.2, **fields}
    return ModbusDriver("press-1", ModbusConnection.model_validate(connection), points)
