"""Answers that break the protocol, one by one: none of them may ever become a value.

The device's true registers all hold 7; whatever an answer must not be taken for holds 57005 (0xDEAD).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket

from protocols.errors import Malformed, SunmaoError, Unreachable
from protocols.modbus.config import ModbusPoint
from protocols.modbus.pdu import AnswerDecoder
from protocols.reading import Reading
from tests.conformance.plant import listening
from tests.protocols.modbus.modbus_peer import (
    Chunks,
    Request,
    Script,
    answering,
    driver_at,
    read_request,
    registers,
    rtu,
    tcp,
)

TRUE, WRONG = 7, 0xDEAD
POINTS = [ModbusPoint(name=f"p{address}", address=address) for address in range(3)]


def right(request: Request) -> bytes:
    return tcp(request, registers(request, TRUE))


def wrong(request: Request, **fields: int) -> bytes:
    return tcp(request, registers(request, WRONG), **fields)


async def read_all(port: int, points: list[ModbusPoint] = POINTS, **fields: object) -> Sequence[Reading] | SunmaoError:
    """Return what one read of a new driver gives, or the failure it ends with."""
    driver = driver_at(port, points, **fields)
    try:
        await driver.open()
        return await driver.read(points)
    except SunmaoError as error:
        return error
    finally:
        await driver.close()


def values(outcome: Sequence[Reading] | SunmaoError) -> list[object]:
    assert not isinstance(outcome, SunmaoError), outcome
    return [reading.value for reading in outcome]


MALFORMED: dict[str, Callable[[Request], bytes]] = {
    "one register too many": lambda r: tcp(r, registers(r, WRONG, r.count + 1)),
    "one register too few": lambda r: tcp(r, registers(r, WRONG, r.count - 1)),
    "no register": lambda r: tcp(r, registers(r, WRONG, 0)),
    "all 127 registers": lambda r: tcp(r, registers(r, WRONG, 127)),
    "odd byte count": lambda r: tcp(r, bytes([3, 5]) + b"\xde\xad" * 2 + b"\xde"),
    "byte count above the data": lambda r: tcp(r, bytes([3, 6]) + b"\xde\xad" * 2),
    "byte count below the data": lambda r: tcp(r, bytes([3, 4]) + b"\xde\xad" * 3),
    "byte count only": lambda r: tcp(r, bytes([3, 6])),
    "function code only": lambda r: tcp(r, b"\3"),
    "wrong unit": lambda r: wrong(r, unit=r.unit + 1),
    "wrong function": lambda r: tcp(r, bytes([4, 6]) + b"\xde\xad" * 3),
    "unknown function": lambda r: tcp(r, bytes([0x66, 6]) + b"\xde\xad" * 3),
    "bits for registers": lambda r: tcp(r, bytes([1, 6]) + b"\xde\xad" * 3),
    "exception of another function": lambda r: tcp(r, b"\x84\2"),
    "exception without code": lambda r: tcp(r, b"\x83"),
    "exception with data": lambda r: tcp(r, b"\x83\2\0"),
    "transaction of nobody": lambda r: wrong(r, tid=0),
    "transaction before": lambda r: wrong(r, tid=r.tid + 0xFFFF & 0xFFFF),
    "transaction to come": lambda r: wrong(r, tid=r.tid + 1),
    "protocol id 1": lambda r: wrong(r, protocol=1),
    "length 0": lambda r: wrong(r, length=0),
    "length 1": lambda r: wrong(r, length=1),
    "length 2": lambda r: wrong(r, length=2),
    "length one short": lambda r: wrong(r, length=8),
    "length one long": lambda r: wrong(r, length=10),
    "length 65535": lambda r: wrong(r, length=65535),
    "text": lambda r: b"220 ready\r\n",
    "zeros": lambda r: bytes(300),
    "ones": lambda r: b"\xff" * 300,
    "more than any frame": lambda r: wrong(r, length=65535) + b"\xde\xad" * 5000,
    "half a frame": lambda r: right(r)[:-3],
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_broken_answer_is_malformed(name: str) -> None:
    async with answering(lambda request: [MALFORMED[name](request)]) as port:
        outcome = await read_all(port)
    assert isinstance(outcome, Malformed), outcome
    assert f"press-1 (127.0.0.1:{port})" in outcome.what.en


@pytest.mark.parametrize("name", MALFORMED)
async def test_after_a_broken_answer_the_connection_is_dropped_and_the_next_is_clean(name: str) -> None:
    connections = 0

    def script(request: Request) -> Chunks:
        nonlocal connections
        connections += request.number == 1
        return [MALFORMED[name](request) if connections == 1 else right(request)]

    async with answering(script) as port:
        driver = driver_at(port, POINTS)
        await driver.open()
        with pytest.raises(Malformed):
            await driver.read(POINTS)
        with pytest.raises(Unreachable, match="connection is closed"):
            await driver.read(POINTS)
        await driver.close()
        assert values(await read_all(port)) == [TRUE] * 3
    assert connections == 2


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
async def test_an_answer_split_anywhere_is_the_same_answer(framing: str) -> None:
    build = tcp if framing == "tcp" else rtu
    size = len(build(Request(1, 1, 1, 3, 0, 3), bytes(8)))

    def script(cut: int) -> Script:
        def answer(request: Request) -> Chunks:
            frame = build(request, registers(request, TRUE))
            return [frame[:cut], 0.005, frame[cut:]]

        return answer

    async def split(cut: int) -> list[object]:
        async with answering(script(cut), framing) as port:
            return values(await read_all(port, framing=framing, timeout_s=10))

    assert await asyncio.gather(*(split(cut) for cut in range(1, size))) == [[TRUE] * 3] * (size - 1)


async def test_no_flaw_in_the_header_of_an_answer_goes_unnoticed() -> None:
    def flawed(offset: int, flaw: int) -> Script:
        def answer(request: Request) -> Chunks:
            frame = bytearray(tcp(request, registers(request, WRONG)))
            frame[offset] ^= flaw
            return [bytes(frame)]

        return answer

    async def outcome(offset: int, flaw: int) -> object:
        async with answering(flawed(offset, flaw)) as port:
            return await read_all(port, timeout_s=2)  # all of them at once, on a machine that may be busy

    flaws = [(offset, flaw) for offset in range(9) for flaw in (1, 2, 4, 8, 16, 32, 64, 128, 255)]
    for case, got in zip(flaws, await asyncio.gather(*(outcome(*flaw) for flaw in flaws)), strict=True):
        assert isinstance(got, Malformed), (case, got)


async def test_no_flaw_in_a_serial_frame_goes_unnoticed() -> None:
    def flawed(offset: int, flaw: int) -> Script:
        def answer(request: Request) -> Chunks:
            frame = bytearray(rtu(request, registers(request, WRONG)))
            frame[offset] ^= flaw
            return [bytes(frame)]

        return answer

    async def outcome(offset: int, flaw: int) -> object:
        async with answering(flawed(offset, flaw), "rtu-over-tcp") as port:
            return await read_all(port, framing="rtu-over-tcp", timeout_s=2)

    flaws = [(offset, flaw) for offset in range(11) for flaw in (1, 8, 0x40, 255)]
    for case, got in zip(flaws, await asyncio.gather(*(outcome(*flaw) for flaw in flaws)), strict=True):
        assert isinstance(got, Malformed), (case, got)


@pytest.mark.parametrize(
    "pdu",
    [
        lambda r: registers(r, WRONG, 4),
        lambda r: registers(r, WRONG, 2),
        lambda r: bytes([3, 5]) + b"\xde\xad" * 2 + b"\xde",
        lambda r: bytes([4, 6]) + b"\xde\xad" * 3,
        lambda r: b"\x84\2",
        lambda r: bytes([0x2B, 0x0E, 6]) + b"\xde\xad" * 3,
    ],
    ids=["too many", "too few", "odd byte count", "wrong function", "other exception", "unknown function"],
)
async def test_a_serial_frame_with_a_good_crc_is_still_compared_with_the_request(
    pdu: Callable[[Request], bytes],
) -> None:
    async with answering(lambda request: [rtu(request, pdu(request))], "rtu-over-tcp") as port:
        assert isinstance(await read_all(port, framing="rtu-over-tcp"), Malformed)


async def test_another_units_serial_frame_is_malformed() -> None:
    async with answering(lambda r: [rtu(r, registers(r, WRONG), unit=9)], "rtu-over-tcp") as port:
        assert isinstance(await read_all(port, framing="rtu-over-tcp"), Malformed)


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
async def test_a_late_answer_finds_nobody(framing: str) -> None:
    """The device answers each first request of a connection after the timeout: with an old value, as it comes late."""
    build = tcp if framing == "tcp" else rtu
    first = True

    def script(request: Request) -> Chunks:
        nonlocal first
        late, first = first, False
        return [0.4, build(request, registers(request, WRONG))] if late else [build(request, registers(request, TRUE))]

    async with answering(script, framing) as port:
        outcome = await read_all(port, framing=framing)
        assert isinstance(outcome, Unreachable)
        assert "no answer from unit 1 within 0.2 s" in outcome.what.en
        assert values(await read_all(port, framing=framing)) == [TRUE] * 3


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
async def test_an_answer_nobody_asked_for_ends_the_connection(framing: str) -> None:
    build = tcp if framing == "tcp" else rtu
    again, sent = asyncio.Event(), asyncio.Event()

    async def doubled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader, 1, framing)
        writer.write(build(request, registers(request, TRUE)))
        await again.wait()
        writer.write(build(request, registers(request, WRONG)))
        sent.set()
        await reader.read()

    async with listening(doubled) as port:
        driver = driver_at(port, POINTS, framing=framing)
        await driver.open()
        assert values(await driver.read(POINTS)) == [TRUE] * 3
        again.set()
        await sent.wait()
        for _ in range(10):
            await asyncio.sleep(0)  # the event loop reads what lies in the socket
        with pytest.raises(Malformed, match="nobody asked for"):
            await driver.read(POINTS)
        await driver.close()


async def test_a_device_that_hangs_up_is_unreachable_at_once() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(12)

    async with listening(hang_up) as port:
        outcome = await asyncio.wait_for(read_all(port, timeout_s=60), 20)
    assert isinstance(outcome, Unreachable)
    assert "closed the connection" in outcome.what.en


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
async def test_an_endless_answer_ends_the_request(framing: str) -> None:
    """Long before the timeout, and without being kept."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(b"\1\3\xff\0" * 4096)
            sent += 4 * 4096
            await writer.drain()

    async with listening(flood) as port:
        outcome = await asyncio.wait_for(read_all(port, framing=framing, timeout_s=60), 20)
    assert isinstance(outcome, Malformed)
    assert sent < 64 * 2**20


@pytest.mark.parametrize("framing", [FramerSocket, FramerRTU])
@given(data=st.binary(max_size=300))
def test_no_bytes_raise_inside_the_transport(framing: type[FramerSocket | FramerRTU], data: bytes) -> None:
    """There an exception would be logged with a traceback instead of ending the request."""
    framer = framing(AnswerDecoder(False))
    for start in (b"", b"\0\1\0\0\0\7\1", b"\1\3", b"\1\x83"):
        used, answer = framer.handleFrame(start + data, 1, 1)
        assert 0 <= used <= len(start + data)
        assert answer is None or answer.dev_id == 1
