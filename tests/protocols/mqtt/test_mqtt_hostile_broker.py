"""Peers on the broker's port that break the protocol, stall or never end: one of the four fates, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.mqtt.link import MAX_PACKET_BYTES
from protocols.reading import BAD_CONFIGURATION_ERROR, GOOD
from tests.conformance.plant import client_sockets, listening
from tests.protocols.mqtt.mqtt_stand import opened, point

LET_IN = b"\x20\x02\x00\x00"
POINTS = [point("p")]


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[int]:
    """A peer that gives `answers` to what it hears, one after the other, and then says nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(4096)
            writer.write(answer)
        while await reader.read(4096):
            pass

    async with listening(talk) as port:
        yield port


async def fate(*answers: bytes, **fields: object) -> SunmaoError:
    async with answering(*answers) as port:
        with pytest.raises(SunmaoError, match=f"127.0.0.1:{port}") as caught:
            async with opened(port, POINTS, timeout_s=1, **fields) as driver:
                await driver.read(POINTS)
        assert client_sockets(port) == 0
    return caught.value


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x20\x01\x00",
        b"\x20\xff\xff\xff\xff\x01",
        b"\x30\x03\x00\x01a",
    ],
)
async def test_what_is_no_answer_to_a_log_in_is_malformed(answer: bytes) -> None:
    assert isinstance(await fate(answer), Malformed)


@pytest.mark.parametrize(
    "packet",
    [
        b"\x30\x02\xff\xff",
        b"\x30\x00",
        b"\x36\x05\x00\x01a\x00\x01",
        b"\x30\x03\x00\x01\xff",
        b"\x00\x00",
        b"\xf0\x00",
        b"\x90\x00",
        b"\xd0\x01\x00",
        b"\x30\xff\xff\xff\xff\x7f",
    ],
)
@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_broken_packet_is_malformed(packet: bytes, version: str) -> None:
    let_in = LET_IN if version == "3.1.1" else b"\x20\x03\x00\x00\x00"
    assert isinstance(await fate(let_in, packet, version=version), Malformed)


async def test_an_endless_packet_is_malformed() -> None:
    size = MAX_PACKET_BYTES + 1
    announced = bytes((0x30, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21))
    error = await fate(LET_IN, announced)
    assert isinstance(error, Malformed)
    assert str(size) in str(error)


async def test_another_number_of_answers_than_questions_is_malformed() -> None:
    assert isinstance(await fate(LET_IN, b"\x90\x04\x00\x01\x01\x01"), Malformed)


@pytest.mark.parametrize(("code", "kind"), [(3, Unreachable), (4, Refused), (5, Refused)])
async def test_a_refused_log_in_has_its_fate(code: int, kind: type[SunmaoError]) -> None:
    assert isinstance(await fate(bytes((0x20, 2, 0, code))), kind)


async def test_a_broker_that_says_nothing_more_is_unreachable() -> None:
    assert isinstance(await fate(LET_IN), Unreachable)


async def test_a_broker_that_says_why_it_leaves_is_unreachable_for_that_reason() -> None:
    error = await fate(b"\x20\x03\x00\x00\x00", b"\xe0\x02\x8e\x00", version="5")
    assert isinstance(error, Unreachable)
    assert "Session taken over" in str(error)


async def test_a_topic_that_is_not_allowed_is_told_while_the_others_flow() -> None:
    points = [point("yes"), point("no")]
    value, pong = b"\x30\x08\x00\x05t/yes7", b"\xd0\x00"
    async with answering(LET_IN, b"\x90\x04\x00\x01\x01\x80" + value, pong) as port, opened(port, points) as driver:
        yes, no = await driver.read(points)
    assert (yes.value, yes.quality) == (7, GOOD)
    assert (no.value, no.quality) == (None, BAD_CONFIGURATION_ERROR)
