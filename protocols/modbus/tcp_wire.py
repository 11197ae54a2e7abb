"""One TCP connection that carries Modbus frames: cuts what comes in into frames, and says when it ends."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from pymodbus.framer import FramerRTU

from protocols.modbus.pdu import KNOWN, LONGEST_FRAME, Heard, answer_size


class Garbled(Exception):
    """What came in is no Modbus frame, or the answer to nothing; `en` and `zh` say what it was."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.en = en
        self.zh = zh


NO_FRAME = ("no Modbus frame", "的不是 Modbus 帧")

OnFrame = Callable[[int, Heard, bytes], None]
"""Takes a frame as it is complete: transaction id (0 in serial framing), what it says, and its bytes."""


class TcpWire(asyncio.Protocol):
    """A connection in one of the two framings.

    Args:
        serial: frames with a checksum, as on a serial line, in place of those with a header.
        on_frame: takes each frame; what it raises as Garbled ends the connection.
        on_end: is told once why the connection ended, None if the other side just hung up.
    """

    def __init__(self, serial: bool, on_frame: OnFrame, on_end: Callable[[Garbled | None], None]) -> None:
        self._cut = self._cut_serial if serial else self._cut_header
        self._on_frame = on_frame
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._held = b""
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_connection gives no other
        self._transport = transport

    @property
    def half_a_frame(self) -> bytes:
        """What has come of a frame that is not complete."""
        return self._held

    def send(self, unit: int, function_code: int, body: bytes, tid: int | None) -> bytes:
        """Send a request, in serial framing where `tid` is None; return its bytes."""
        pdu = bytes([function_code]) + body
        if tid is None:
            frame = bytes([unit]) + pdu
            frame += FramerRTU.compute_CRC(frame).to_bytes(2, "big")
        else:
            frame = struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu
        if self._transport is not None:
            self._transport.write(frame)
        return frame

    def data_received(self, data: bytes) -> None:
        """Cut frames off what has come so far."""
        self._held += data
        try:
            while self._held and not self._ended and (used := self._cut()):
                self._held = self._held[used:]
            if len(self._held) > LONGEST_FRAME:
                raise Garbled(*NO_FRAME)
        except Garbled as garbled:
            self.end(garbled)

    def forget(self) -> None:
        """Throw away what has come of a frame that is not complete."""
        self._held = b""

    def _cut_header(self) -> int:
        """Hand on the frame at the beginning, if it is all there, and return its length."""
        held = self._held
        if len(held) < 7:
            return 0
        tid, protocol, length, unit = struct.unpack_from(">HHHB", held)
        if protocol != 0 or not 2 <= length <= LONGEST_FRAME - 6:
            raise Garbled(*NO_FRAME)
        end = 6 + int(length)
        if len(held) < end:
            return 0
        self._on_frame(tid, Heard(unit, held[7], held[8:end]), held[:end])
        return end

    def _cut_serial(self) -> int:
        """The same for a serial frame; bytes that can not begin one are skipped, for lines crackle between frames."""
        held = self._held
        if len(held) < 4:
            return 0
        if held[1] & 0x7F not in KNOWN:
            return 1
        size = answer_size(held)
        if not size or len(held) < size:
            return 0
        frame = held[:size]
        if not FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
            raise Garbled(*NO_FRAME)
        self._on_frame(0, Heard(frame[0], frame[1], frame[2:-2]), frame)
        return size

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the other side has ended the connection."""
        self.end(None)

    def end(self, why: Garbled | None) -> None:
        """Drop the connection at once."""
        if not self._ended:
            self._ended = True
            self._held = b""
            if self._transport is not None:
                self._transport.abort()
            self._on_end(why)
