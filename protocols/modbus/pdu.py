"""Requests and answers as they are, bytes untouched: what a request means and whether an answer fits is for the link."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

Trace = Callable[[bool, bytes], None]
"""Is shown what goes over the wire: whether it is sent, and the bytes; those of an answer so far each time more come."""

READS = frozenset({1, 2, 3, 4})

ECHOED = {5: 4, 6: 4, 15: 4, 16: 4, 22: 6}
"""Function that writes -> bytes of its request, after the function code, that the answer repeats (V1.1b3, 6)."""

REPORT_SERVER_ID, READ_DEVICE_IDENTIFICATION, MEI_TYPE = 0x11, 0x2B, 0x0E
"""Functions whose answers tell their own length (V1.1b3, 6.13 and 6.21)."""

KNOWN = frozenset({*READS, *ECHOED, REPORT_SERVER_ID, READ_DEVICE_IDENTIFICATION})

LONGEST_FRAME = 260
"""Bytes of the longest Modbus TCP frame (MODBUS Messaging on TCP/IP V1.0b, 4.1); a serial one has at most 256."""


class Heard(NamedTuple):
    """An answer: the unit it is from, its function code, and what follows the code."""

    unit: int
    function_code: int
    body: bytes


def answer_size(frame: bytes) -> int:
    """Return the length of the serial frame that begins with `frame`; 0 until enough of it is there to tell."""
    if len(frame) < 4:
        return 0
    if frame[1] & 0x80:
        return 5
    if frame[1] in ECHOED:
        return 4 + ECHOED[frame[1]]
    if frame[1] == READ_DEVICE_IDENTIFICATION:
        return int(ReadDeviceInformationResponse.calculateRtuFrameSize(frame))
    return frame[2] + 5


class Request(ModbusPDU):  # type: ignore[misc]
    """Any request: `body` is what follows the function code."""

    def __init__(self, unit: int, function_code: int, body: bytes) -> None:
        super().__init__(dev_id=unit)
        self.function_code = function_code
        self.body = body

    def encode(self) -> bytes:
        """Return the bytes after the function code."""
        return self.body


class Answer(ModbusPDU):  # type: ignore[misc]
    """Any answer: `body` is what follows the function code."""

    body = b""

    def decode(self, data: bytes) -> None:
        """Keep the bytes; the request decides what they have to be."""
        self.body = data

    @classmethod
    def calculateRtuFrameSize(cls, data: bytes) -> int:  # noqa: N802
        """Return the length of the serial frame that begins with `data`."""
        return answer_size(data)


class AnswerDecoder(DecodePDU):  # type: ignore[misc]
    """Makes an `Answer` of every frame, whatever its function code, instead of raising inside the transport."""

    def lookupPduClass(self, data: bytes) -> type[ModbusPDU] | None:  # noqa: N802
        """Return the class that knows the length of a serial frame; None skips a byte that can not begin one."""
        return Answer if data[1] & 0x7F in KNOWN else None

    def decode(self, frame: bytes) -> ModbusPDU:
        """Return `frame`, function code and data, as an `Answer`."""
        answer = Answer()
        answer.function_code = frame[0]
        answer.decode(frame[1:])
        return answer
