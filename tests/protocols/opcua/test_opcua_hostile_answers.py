"""Answers no server should give: each has its fate, and none costs more than a connection."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.opcua.transport import Socket, silence
from tests.conformance.plant import listening, only_left, tasks_and_threads
from tests.protocols.opcua.opcua_stand import DEADLINE_S, opened


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


@pytest.mark.parametrize("security", ["none", "basic256sha256"])
async def test_a_server_that_takes_connections_and_then_fails_is_told_from_nobody(
    tmp_path: Path, security: str
) -> None:
    """The agent asks it ever more slowly, for each try costs it a session; an address where nobody listens costs nothing."""
    own = {"certificate": tmp_path / "own.der", "key": tmp_path / "own.pem", "trust_dir": tmp_path / "trusted"}

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)

    async def fails(port: int) -> Unreachable:
        with pytest.raises(Unreachable) as failed:
            async with opened(f"opc.tcp://127.0.0.1:{port}", timeout_s=1, security=security, **own):
                pass
        return failed.value

    async with listening(hang_up) as port:
        assert (await fails(port)).answered
    assert not (await fails(port)).answered


class Line(asyncio.Transport):
    """A connection that only knows whether it is closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


kinds = st.sampled_from([b"ACK", b"ERR", b"OPN", b"MSG", b"CLO", b"HEL", b"GET"])
chunks = st.builds(
    lambda kind, final, size, sequence, body: (
        kind + final + struct.pack("<I", 8 + len(sequence + body) if size is None else size) + sequence + body
    ),
    kinds,
    st.sampled_from([b"F", b"C", b"A", b"?"]),
    st.none() | st.integers(0, 2**32 - 1),
    st.sampled_from([b"", struct.pack("<4I", 0, 0, 1, 1), struct.pack("<4I", 0, 0, 2, 1)]),
    st.binary(max_size=60),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(chunks | st.binary(max_size=30), max_size=5).map(b"".join), st.lists(st.integers(1, 40), max_size=5))
def test_any_bytes_in_any_pieces_end_in_a_bounded_wait_or_a_hang_up(data: bytes, pieces: list[int]) -> None:
    silence("asyncua.client", "asyncua.uaprotocol")
    socket, line = Socket(1.0), Line()
    socket.connection_made(line)
    for size in [*pieces, len(data)]:
        if data and not line.closed:
            socket.data_received(data[:size])
            data = data[size:]
    assert line.closed or len(socket.receive_buffer or b"") <= 65536
