"""What a device says of itself: in one answer or several, not at all, or in broken form; over both framings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from protocols.errors import Malformed
from protocols.modbus.config import ModbusConnection
from protocols.modbus.identification import identification, present_units

Answer = Callable[[int, bytes], bytes | None]
"""Takes unit and request (function code and data); returns the answer, or None to keep silent."""


@asynccontextmanager
async def device(answer: Answer) -> AsyncIterator[ModbusConnection]:
    connected: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        try:
            while True:
                head = await reader.readexactly(7)
                request = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                if (reply := answer(head[6], request)) is not None:
                    writer.write(head[:4] + (len(reply) + 1).to_bytes(2, "big") + head[6:] + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield ModbusConnection(host="127.0.0.1", port=server.sockets[0].getsockname()[1], timeout_s=0.2)
    server.close()
    for writer in connected:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in connected), return_exceptions=True)


def objects(more: int, following: int, *texts: tuple[int, bytes]) -> bytes:
    body = b"".join(bytes([number, len(text)]) + text for number, text in texts)
    return bytes([0x2B, 0x0E, 2, 0x82, more, following, len(texts)]) + body


async def test_objects_come_in_several_answers_and_the_server_id_beside_them() -> None:
    def answer(unit: int, request: bytes) -> bytes:
        if request[0] == 0x11:
            return b"\x11\x06PM-5\xff\x00"
        if request[3] == 0:
            return objects(0xFF, 2, (0, "正泰".encode()), (1, b"DTSU666"))
        return objects(0, 0, (2, b"V1.4"), (5, b"Meter\x00"), (0x80, b"private"))

    async with device(answer) as connection:
        found = await identification("meter", connection)
    assert found == {
        "vendor_name": "正泰",
        "product_code": "DTSU666",
        "revision": "V1.4",
        "model_name": "Meter",
        "server_id": "PM-5",
    }


@pytest.mark.parametrize("answer", [lambda _, request: bytes([request[0] | 0x80, 1]), lambda *_: None])
async def test_a_device_without_identification_says_nothing(answer: Answer) -> None:
    async with device(answer) as connection:
        assert await identification("meter", connection) == {}


@pytest.mark.parametrize(
    "reply",
    [
        b"\x2b\x0d\x02\x82\x00\x00\x00",
        b"\x2b\x0e\x02",
        objects(0, 0, (0, b"ABB"))[:-1],
        objects(0, 0, (0, b"ABB"))[:-3] + b"\x7f",
    ],
)
async def test_a_broken_identification_is_malformed(reply: bytes) -> None:
    async with device(lambda _, request: reply) as connection:
        with pytest.raises(Malformed):
            await identification("meter", connection)


async def test_an_endless_identification_ends() -> None:
    asked: list[int] = []

    def answer(unit: int, request: bytes) -> bytes:
        asked.append(request[-1])
        return objects(0xFF, request[-1] + 1, (0, b"x")) if request[0] == 0x2B else b"\x91\x01"

    async with device(answer) as connection:
        assert await identification("meter", connection) == {"vendor_name": "x"}
    assert len(asked) <= 10


async def test_units_that_are_silent_or_unknown_to_the_gateway_are_absent() -> None:
    def answer(unit: int, request: bytes) -> bytes | None:
        return {2: b"\x83\x02", 3: b"\x03\x02\x00\x07", 4: b"\x83\x0b"}.get(unit)

    async with device(answer) as connection:
        found = [unit async for unit, present in present_units("line", connection, range(1, 6)) if present]
    assert found == [2, 3]


async def test_the_sweep_ends_at_the_first_broken_answer() -> None:
    asked: list[int] = []

    def answer(unit: int, request: bytes) -> bytes:
        asked.append(unit)
        return b"\x03\x09\x00"

    async with device(answer) as connection:
        with pytest.raises(Malformed):
            _ = [unit async for unit, _ in present_units("line", connection, range(1, 248))]
    assert asked == [1]
