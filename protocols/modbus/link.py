"""One connection to a Modbus device: sends a read request and hands back the bytes of its answer.

A serial port is taken for one request and let go after it, so that all devices on its line have their turn. Who has it
is known to the operating system, which locks it (flock), be the next device in this program or in another.

pymodbus builds the frames and finds them in what comes back. It does not compare an answer with its request beyond
unit and transaction id (and lets a transaction id of 0 pass), so the rest is compared here: nothing that is not the
exact answer gets through. After any failure the connection is dropped, so that a late answer finds nobody to hurt.
pymodbus's retries and its reconnection are off: both belong to the agent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
from collections.abc import Callable
from time import monotonic

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.modbus import serial_port
from protocols.modbus.config import ModbusConnection
from protocols.text import Text

Trace = Callable[[bool, bytes], None]
"""Is shown what goes over the wire: whether it is sent, and the bytes; those received so far each time more come."""

_READS = frozenset({1, 2, 3, 4})

_ECHOED = {5: 4, 6: 4, 15: 4, 16: 4, 22: 6}
"""Function that writes -> bytes of its request, after the function code, that the answer repeats (V1.1b3, 6)."""

REPORT_SERVER_ID, READ_DEVICE_IDENTIFICATION, MEI_TYPE = 0x11, 0x2B, 0x0E
"""Functions whose answers tell their own length (V1.1b3, 6.13 and 6.21)."""

_KNOWN = frozenset({*_READS, *_ECHOED, REPORT_SERVER_ID, READ_DEVICE_IDENTIFICATION})

_LONGEST_FRAME = 260
"""Bytes of the longest Modbus TCP frame (MODBUS Messaging on TCP/IP V1.0b, 4.1); a serial one has at most 256."""

_LARGEST_READ = 1 << 18
"""Bytes that an asyncio transport hands over at once."""

_TURNS = 10
"""How long a request waits for its turn on a serial port, in timeouts: those of silent devices that come before it."""

_LOOK_S = 0.005
"""How often it looks whether the serial port is free, in seconds. Who has just had it waits twice as long."""


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
    """Any answer, its bytes untouched: `body` is what follows the function code."""

    body = b""

    def decode(self, data: bytes) -> None:
        """Keep the bytes; the request decides what they have to be."""
        self.body = data

    @classmethod
    def calculateRtuFrameSize(cls, data: bytes) -> int:  # noqa: N802
        """Return the length of the serial frame that begins with `data`: an exception's, or by its byte count."""
        if data[1] & 0x80:
            return 5
        if data[1] in _ECHOED:
            return 4 + _ECHOED[data[1]]
        if data[1] == READ_DEVICE_IDENTIFICATION:
            return int(ReadDeviceInformationResponse.calculateRtuFrameSize(data))
        return data[2] + 5


class AnswerDecoder(DecodePDU):  # type: ignore[misc]
    """Makes an `Answer` of every frame, whatever its function code, instead of raising inside the transport."""

    def lookupPduClass(self, data: bytes) -> type[ModbusPDU] | None:  # noqa: N802
        """Return the class that knows the length of a serial frame; None skips a byte that can not begin one."""
        known = data[1] & 0x7F
        return Answer if known in _KNOWN else None

    def decode(self, frame: bytes) -> ModbusPDU:
        """Return `frame`, function code and data, as an `Answer`."""
        answer = Answer()
        answer.function_code = frame[0]
        answer.decode(frame[1:])
        return answer


class ModbusLink:
    """A connection to one unit; `trace` is shown every frame."""

    def __init__(self, device: str, connection: ModbusConnection, trace: Trace | None = None) -> None:
        self._device = device
        self._connection = connection
        self._trace = trace
        self._place = connection.serial or f"{connection.host}:{connection.port}"
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._port: int | None = None
        self._heard = self._stray = False

    async def open(self) -> None:
        """Connect; raises Unreachable, and Refused for a serial port that can not be used."""
        # What pymodbus would log comes back as an error of ours; a level the operator has set is respected.
        logger = logging.getLogger("pymodbus")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)
        if self._connection.serial is not None:
            self._port = serial_port.hold(self._device, self._connection.serial)
        elif not await self._connect():
            raise self._unreachable(
                "nobody answers", "无应答", Text("check power, cable, host and port", "请检查电源、网线、host 与 port")
            )

    async def _connect(self) -> bool:
        """Return whether the connection, or the serial port, could be had."""
        client = self._client = self._new_client()
        client.ctx.framer.decoder = AnswerDecoder(False)
        client.ctx.max_buffer_size = 2 * _LARGEST_READ  # pymodbus would drop unseen what is longer than a frame
        self._heard = self._stray = False
        try:
            connected = await client.connect()
        except serial_port.SETTING_ERRORS as error:
            raise self._refused(
                f"the serial port can not be set as configured ({error})",
                f"串口无法按配置设置({error})",
                Text("check baudrate, parity and stopbits", "请检查 baudrate、parity 与 stopbits"),
            ) from error
        _end_if_cancelled()
        if not connected:
            await self._hang_up()
        return bool(connected)

    def _new_client(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        connection = self._connection
        framer = FramerType.SOCKET if connection.framing == "tcp" else FramerType.RTU
        options = {
            "framer": framer,
            "timeout": connection.timeout_s,
            "retries": 0,
            "reconnect_delay": 0,
            "trace_packet": self._on_packet,
            "trace_connect": self._on_connect,
        }
        if connection.serial is None:
            return AsyncModbusTcpClient(connection.host, port=connection.port, **options)
        return AsyncModbusSerialClient(
            connection.serial,
            baudrate=connection.baudrate,
            parity=connection.parity,
            stopbits=connection.stopbits,
            **options,
        )

    async def _take_turn(self, path: str) -> None:
        """Have the serial port `path` for one request, once nobody else has it and the line is silent."""
        deadline = monotonic() + _TURNS * self._connection.timeout_s
        await asyncio.sleep(2 * _LOOK_S)
        while not await self._connect():
            os.close(serial_port.hold(self._device, path))  # says so if the port is not taken but gone
            if monotonic() > deadline:
                raise self._refused(
                    "another program keeps the serial port",
                    "串口一直被其他程序占用",
                    Text(
                        f"end it (fuser -v {path} shows it), or have one program read the whole line",
                        f"请结束该程序(fuser -v {path} 可查看)，或只用一个程序读取整条总线",
                    ),
                )
            await asyncio.sleep(_LOOK_S)
        while True:
            self._heard = False
            await asyncio.sleep(serial_port.silence_s(self._connection.baudrate))
            if not self._heard:
                break
            if monotonic() > deadline:
                raise self._malformed("what nobody asked for, without end", "持续不断的未请求数据")
        self._stray = False  # what came before the request was late for another one

    async def exchange(self, function_code: int, address: int, count: int, size: int) -> bytes | int:
        """Ask for `count` registers or bits at `address`; return the `size` bytes of data, or the exception code.

        Raises Unreachable or Malformed, and drops the connection with it.
        """
        return await self._ask(function_code, struct.pack(">HH", address, count), size)

    async def write(self, function_code: int, body: bytes) -> int | None:
        """Send a request that writes, `body` after its function code; return None once confirmed, or the exception code.

        Raises as `exchange`; nobody then knows whether the device has written.
        """
        answer = await self._ask(function_code, body, None)
        if isinstance(answer, int):
            return answer
        if answer != body[: _ECHOED[function_code]]:
            await self.close()
            raise self._malformed("the confirmation of another write", "对其他写入的确认")
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
        request = Request(self._connection.unit_id, function_code, body)
        try:
            if self._port is not None and self._connection.serial is not None:
                await self._take_turn(self._connection.serial)
            client = self._client
            if client is None or not client.connected:
                raise self._unreachable("the connection is closed", "连接已关闭")
            if self._stray:
                raise self._malformed("an answer nobody asked for", "未请求的应答")
            answer = await client.execute(False, request)
            _end_if_cancelled()
            if self._port is not None:
                await self._hang_up()
            return self._checked(answer, request, size)
        except (ConnectionError, ModbusException) as error:
            await self.close()
            raise self._failure(error) from error
        except BaseException:
            await self.close()
            raise

    def _checked(self, answer: Answer, request: Request, size: int | None) -> bytes | int:
        """Return the data of `answer`, or its exception code, once it is sure to belong to `request`.

        Without `size`, all that follows the function code is returned.
        """
        asked = request.function_code
        if answer.dev_id != request.dev_id or answer.transaction_id != request.transaction_id:
            raise self._malformed("the answer to another request", "对其他请求的应答")
        body = answer.body
        if answer.function_code == asked | 0x80 and len(body) == 1:
            return body[0]
        if answer.function_code != asked:
            raise self._malformed(
                f"function {answer.function_code} where {asked} was asked for",
                f"功能码 {answer.function_code} 的应答，而请求的是 {asked}",
            )
        if size is None:
            return body
        if len(body) != size + 1 or body[0] != size:
            raise self._malformed(
                f"{len(body) - 1} bytes of data (byte count {body[0] if body else 'missing'}) where {size} were asked for",
                f"{len(body) - 1} 字节数据（字节计数 {body[0] if body else '缺失'}），而请求的是 {size} 字节",
            )
        return body[1:]

    async def close(self) -> None:
        """Drop the connection; the socket, or the serial port, is closed when this returns."""
        port, self._port = self._port, None
        if port is not None:
            os.close(port)
        await self._hang_up()

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        transport = client.ctx.transport
        client.close()
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)  # lets the event loop close the socket

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        """Note what goes over the wire: whether the request in hand has been answered by anything at all.

        What comes in is all that has come since the last frame; more than a frame can hold ends the request.
        """
        self._heard = not sending
        if self._trace is not None:
            self._trace(sending, data)
        if not sending and self._client is not None:
            self._stray = self._stray or self._client.ctx.response_future.done()
            if len(data) > _LONGEST_FRAME:
                self._end_request(ModbusException("too long"))
                return b""
        return data

    def _on_connect(self, connected: bool) -> None:
        """End the request in hand as soon as the device hangs up; pymodbus would wait for its timeout."""
        if not connected:
            self._end_request(ConnectionResetError())

    def _end_request(self, error: Exception) -> None:
        if self._client is not None and not self._client.ctx.response_future.done():
            self._client.ctx.response_future.set_exception(error)

    def _failure(self, error: Exception) -> SunmaoError:
        if isinstance(error, ConnectionError):
            if self._connection.serial is not None:
                return self._unreachable("the serial port has gone", "串口已断开", Text("plug it in", "请重新插好"))
            return self._unreachable("the device has closed the connection", "设备关闭了连接")
        if self._heard:
            return self._malformed("no Modbus frame", "的不是 Modbus 帧")
        return self._unreachable(
            f"no answer from unit {self._connection.unit_id} within {self._connection.timeout_s:g} s",
            f"从站 {self._connection.unit_id} 在 {self._connection.timeout_s:g} 秒内无应答",
            Text("check unit_id and framing", "请检查 unit_id 与 framing")
            if self._connection.serial is None
            else Text(
                "check unit_id, baudrate, parity, power and the two wires (A and B)",
                "请检查 unit_id、baudrate、parity、电源与两根信号线(A、B)",
            ),
        )

    def unit_absent(self) -> Unreachable:
        """Return the failure a gateway reports when the unit behind it does not answer."""
        return self._unreachable(
            f"the gateway says that unit {self._connection.unit_id} does not answer",
            f"网关报告从站 {self._connection.unit_id} 无应答",
            Text("check unit_id and the serial line", "请检查 unit_id 与串行总线"),
        )

    def _unreachable(self, en: str, zh: str, mend: Text | None = None) -> Unreachable:
        where = f"{self._device} ({self._place})"
        return Unreachable(Text(f"{where}: {en}", f"{where}：{zh}"), mend)

    def _malformed(self, en: str, zh: str) -> Malformed:
        where = f"{self._device} ({self._place})"
        return Malformed(
            Text(f"{where}: it sent {en}", f"{where}：收到{zh}"),
            Text("check framing and that this is a Modbus device", "请检查 framing,并确认这是 Modbus 设备")
            if self._connection.serial is None
            else Text("check baudrate, parity and stopbits", "请检查 baudrate、parity 与 stopbits"),
        )

    def _refused(self, en: str, zh: str, mend: Text) -> Refused:
        where = f"{self._device} ({self._place})"
        return Refused(Text(f"{where}: {en}", f"{where}：{zh}"), mend)


def _end_if_cancelled() -> None:
    """Raise the cancellation that asyncio.wait_for, inside pymodbus, loses when it meets the result (Python 3.11)."""
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError
