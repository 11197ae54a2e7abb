"""A server that goes away and comes back with its namespaces in another order."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

import pytest

from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.simulator import OpcuaSimulator
from tests.conformance.plant import listening, only_left, tasks_and_threads
from tests.protocols.opcua.opcua_stand import DEADLINE_S, Inbox, opened

PARTS = OpcuaPoint(name="parts", node="nsu=urn:test:line;s=Counter")
WASTE = OpcuaPoint(name="waste", node="nsu=urn:test:waste;s=Counter")


def plant(parts: int, waste: int, port: int, namespaces: Sequence[str]) -> OpcuaSimulator:
    """A machine whose two counters differ in nothing but their namespace."""
    return OpcuaSimulator(
        [PARTS, WASTE], lambda: {"parts": parts, "waste": waste}, port=port, namespaces=namespaces, tick_s=0.02
    )


async def test_a_restart_with_other_namespace_indices_mixes_nothing_up() -> None:
    inbox = Inbox()
    first = plant(100, 3, 0, ["urn:test:line", "urn:test:waste"])
    endpoint = await first.start()
    port = int(endpoint.rpartition(":")[2].partition("/")[0])
    async with opened(endpoint) as driver:
        await driver.subscribe([PARTS, WASTE], 0.1, inbox.deliver)
        latest = await inbox.until(lambda latest: len(latest) == 2)
        assert (latest["parts"].value, latest["waste"].value) == (100, 3)
        watch = asyncio.create_task(driver.watch())
        await first.stop()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(watch, DEADLINE_S)
    second = plant(101, 4, port, ["urn:test:waste", "urn:test:other", "urn:test:line"])
    assert await second.start() == endpoint
    try:
        async with opened(endpoint) as driver:
            await driver.subscribe([PARTS, WASTE], 0.1, inbox.deliver)
            await inbox.until(lambda latest: latest["parts"].value != 100 and latest["waste"].value != 3)
            read = [reading.value for reading in await driver.read([PARTS, WASTE])]
    finally:
        await second.stop()
    assert read == [101, 4]
    for name, values in {"parts": {100, 101}, "waste": {3, 4}}.items():
        assert {reading.value for reading in inbox.readings if reading.point == name} == values


def frame(kind: bytes, body: bytes) -> bytes:
    return kind + b"F" + struct.pack("<I", 8 + len(body)) + body


def error_message(code: int) -> bytes:
    """An ERR message of Part 6, 7.1.2.5."""
    return frame(b"ERR", struct.pack("<Ii", code, 4) + b"why?")


ACKNOWLEDGE = frame(b"ACK", struct.pack("<5I", 0, 65535, 65535, 0, 0))


@pytest.mark.parametrize(
    ("answers", "fate", "said"),
    [
        ([error_message(0x807D_0000)], Unreachable, "BadTcpServerTooBusy"),
        ([error_message(0x8083_0000)], Refused, "BadTcpEndpointUrlInvalid"),
        ([ACKNOWLEDGE, error_message(0x8055_0000)], Refused, "BadSecurityPolicyRejected"),
        ([b"ACKF" + struct.pack("<I", 2**31 - 1)], Malformed, "broke the protocol"),
        ([ACKNOWLEDGE, b"MSGF" + struct.pack("<I", 100 * 2**20) + bytes(100)], Malformed, "broke the protocol"),
        ([ACKNOWLEDGE, b"OPNF" + struct.pack("<I", 0)], Malformed, "broke the protocol"),
        ([ACKNOWLEDGE, frame(b"OPN", bytes(64))], Malformed, "broke the protocol"),
        ([b"\xff" * 64], Malformed, "broke the protocol"),
        ([b""], Unreachable, "127.0.0.1"),
    ],
)
async def test_answers_no_server_should_give_have_their_fate(
    answers: list[bytes], fate: type[SunmaoError], said: str
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(4096)
            writer.write(answer)
            if not answer:
                writer.close()
        while await reader.read(4096):
            pass

    before = tasks_and_threads()
    async with listening(talk) as port:
        with pytest.raises(fate, match=said):
            async with opened(f"opc.tcp://127.0.0.1:{port}", timeout_s=1):
                pass
    await only_left(before, DEADLINE_S)
