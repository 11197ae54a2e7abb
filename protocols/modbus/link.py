"""One unit of a Modbus device: sends it a request and hands back the bytes of its answer.

Nothing that is not the exact answer gets through: unit, transaction, function and number of bytes are compared with the
request, and at the first flaw the connection is dropped.
"""

from __future__ import annotations

import struct

from protocols.errors import Unreachable
from protocols.modbus.config import ModbusConnection
from protocols.modbus.failures import Failures
from protocols.modbus.pdu import ECHOED, MEI_TYPE, READ_DEVICE_IDENTIFICATION, REPORT_SERVER_ID, Heard, Trace
from protocols.modbus.serial_line import SerialLine
from protocols.modbus.tcp_line import HungUp, Silent, TcpLine, TcpLines
from protocols.modbus.tcp_wire import Garbled, TcpWire

LINES = TcpLines()
"""Who opens a connection finds here whether there is one already; it holds nothing that is not in use elsewhere."""


class _TcpUnit:
    """One unit on a TCP connection that others may share."""

    def __init__(self, device: str, connection: ModbusConnection, trace: Trace | None) -> None:
        self._connection = connection
        self._failures = Failures(device, connection)
        self._trace = trace
        self._line: TcpLine | None = None
        self._wire: TcpWire | None = None
        self._late = self._late_before = 0

    async def open(self) -> None:
        line = LINES.line(self._connection)
        try:
            self._wire = await line.join(self._connection.timeout_s)
        except (OSError, TimeoutError) as error:
            raise self._failures.nobody() from error
        self._line, self._late_before = line, line.dropped[self._connection.unit_id]

    @property
    def usable(self) -> bool:
        return self._line is not None and self._wire is not None and self._line.current(self._wire)

    async def ask(self, function_code: int, body: bytes) -> Heard:
        line, wire = self._line, self._wire
        if line is None or wire is None:
            raise self._failures.closed()
        try:
            return await line.ask(wire, self._connection, function_code, body, self._trace)
        except Silent as silent:
            raise self._failures.silent(round(silent.waited_s, 3)) from None
        except Garbled as garbled:
            await self.close()
            raise self._failures.malformed(garbled.en, garbled.zh) from None
        except HungUp:
            await self.close()
            raise self._failures.hung_up() from None

    @property
    def late(self) -> int:
        present = 0 if self._line is None else self._line.dropped[self._connection.unit_id] - self._late_before
        return self._late + present

    async def close(self) -> None:
        self._late = self.late
        line, wire, self._line, self._wire = self._line, self._wire, None, None
        if line is not None and wire is not None:
            await line.leave(wire)

    async def break_off(self) -> None:
        """Drop the connection, also for those who share it: what comes over it can not be trusted."""
        if self._wire is not None:
            self._wire.end(None)
        await self.close()


class ModbusLink:
    """A connection to one unit; `trace` is shown every frame."""

    def __init__(self, device: str, connection: ModbusConnection, trace: Trace | None = None) -> None:
        self._connection = connection
        self._failures = Failures(device, connection)
        self._unit = (_TcpUnit if connection.serial is None else SerialLine)(device, connection, trace)

    async def open(self) -> None:
        """Connect; raises Unreachable, and Refused for a serial port that can not be used."""
        await self._unit.open()

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: after silence, where a late answer would be told from the next one's."""
        return self._unit.usable

    @property
    def late(self) -> int:
        """Answers of this unit that came after their time and were dropped."""
        return self._unit.late

    async def exchange(self, function_code: int, address: int, count: int, size: int) -> bytes | int:
        """Ask for `count` registers or bits at `address`; return the `size` bytes of data, or the exception code.

        Raises Unreachable or Malformed.
        """
        return await self._ask(function_code, struct.pack(">HH", address, count), size)

    async def write(self, function_code: int, body: bytes) -> int | None:
        """Send a request that writes, `body` after its function code; return None once confirmed, or the exception code.

        Raises as `exchange`; nobody then knows whether the device has written.
        """
        answer = await self._ask(function_code, body, None)
        if isinstance(answer, int):
            return answer
        if answer != body[: ECHOED[function_code]]:
            raise await self._broken("the confirmation of another write", "对其他写入的确认")
        return None

    async def server_id(self) -> bytes | int:
        """Return what Report Server ID answers after its function code, or the exception code; raises as `exchange`."""
        return await self._ask(REPORT_SERVER_ID, b"", None)

    async def device_identification(self, category: int, first: int) -> bytes | int:
        """Return what Read Device Identification answers after its function code, or the exception code.

        `category` is the Read Device ID code, 1 basic to 3 extended; `first` the object to begin with. Raises as
        `exchange`.
        """
        return await self._ask(READ_DEVICE_IDENTIFICATION, bytes([MEI_TYPE, category, first]), None)

    async def _ask(self, function_code: int, body: bytes, size: int | None) -> bytes | int:
        """Return the data of the answer, or its exception code, once it is sure to belong to the request.

        Without `size`, all that follows the function code is returned.
        """
        heard = await self._unit.ask(function_code, body)
        if heard.unit != self._connection.unit_id:
            raise await self._broken("the answer to another request", "对其他请求的应答")
        data = heard.body
        if heard.function_code == function_code | 0x80 and len(data) == 1:
            return data[0]
        if heard.function_code != function_code:
            raise await self._broken(
                f"function {heard.function_code} where {function_code} was asked for",
                f"功能码 {heard.function_code} 的应答，而请求的是 {function_code}",
            )
        if size is None:
            return data
        if len(data) != size + 1 or data[0] != size:
            raise await self._broken(
                f"{len(data) - 1} bytes of data (byte count {data[0] if data else 'missing'}) where {size} were asked for",
                f"{len(data) - 1} 字节数据（字节计数 {data[0] if data else '缺失'}），而请求的是 {size} 字节",
            )
        return data[1:]

    async def _broken(self, en: str, zh: str) -> Exception:
        """Drop the connection; return that what came over it was no proper answer."""
        await self._unit.break_off()
        return self._failures.malformed(en, zh)

    def unit_absent(self) -> Unreachable:
        """Return the failure a gateway reports when the unit behind it does not answer."""
        return self._failures.unit_absent()

    async def close(self) -> None:
        """Let go of the connection, or of the serial port."""
        await self._unit.close()
