"""A serial port, taken for one request and let go after it, so that all devices on its line have their turn.

Who has it is known to the operating system, which locks it (flock), be the next device in this program or in another.
A unit that has not answered is given a few times its usual time only until it does, for it keeps the line from the others;
and it is not asked again before its late answer, if there is one, has had its time to come and be discarded.
pymodbus opens the port, builds the frames and finds them in what comes back; its retries and its reconnection are off.
"""

from __future__ import annotations

import asyncio
import logging
import os
from time import monotonic

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient

from protocols.errors import Unreachable
from protocols.modbus import serial_port
from protocols.modbus.config import ModbusConnection
from protocols.modbus.failures import Failures
from protocols.modbus.pdu import LONGEST_FRAME, AnswerDecoder, Heard, Request, Trace
from protocols.text import Text

_LARGEST_READ = 1 << 18
"""Bytes that an asyncio transport hands over at once."""

_TURNS = 10
"""How long a request waits for its turn, in timeouts: those of silent devices that come before it."""

_PATIENCE, _LEAST_PROBE_S = 4.0, 0.25
"""How many times its usual time, and how long at least in seconds, a silent unit is given to answer."""

_LOOK_S = 0.005
"""How often it looks whether the port is free, in seconds. Who has just had it waits twice as long."""


class SerialLine:
    """One unit on a serial port."""

    def __init__(self, device: str, connection: ModbusConnection, trace: Trace | None) -> None:
        self._device = device
        self._connection = connection
        self._path = connection.serial or ""
        self._failures = Failures(device, connection)
        self._trace = trace
        self._client: AsyncModbusSerialClient | None = None
        self._port: int | None = None
        self._heard = False
        self._usual_s = 0.0
        self._silent = False
        self._quiet_until = 0.0

    async def open(self) -> None:
        """Look whether the port is there; raises Unreachable, and Refused for one that can not be used."""
        # What pymodbus would log comes back as an error of ours; a level the operator has set is respected.
        logger = logging.getLogger("pymodbus")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)
        self._port = serial_port.hold(self._device, self._path)

    @property
    def late(self) -> int:
        """Late answers that were counted; on a serial port what comes between two requests is discarded uncounted."""
        return 0

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: after silence, but after nothing else that went wrong."""
        return self._port is not None

    async def ask(self, function_code: int, body: bytes) -> Heard:
        """Send a request and return what answers it, compared with it in unit only.

        Raises Unreachable, Malformed and Refused; but for silence the port is let go for good.
        """
        kept = False
        try:
            if self._port is None:
                raise self._failures.closed()
            waits = self._waits_s()
            await self._take_turn(waits)
            client = self._client
            if client is None or not client.connected:
                raise self._failures.closed()
            sent = monotonic()
            try:
                answer = await client.execute(False, Request(self._connection.unit_id, function_code, body))
                _end_if_cancelled()
            except ModbusException:
                if self._heard:
                    raise
                await self._hang_up()
                kept = True
                self._silent, self._quiet_until = True, monotonic() + self._connection.timeout_s
                raise self._failures.silent(round(waits, 3)) from None
            took = monotonic() - sent
            self._silent = False
            self._usual_s = took if not self._usual_s else 0.9 * self._usual_s + 0.1 * took
            await self._hang_up()
            return Heard(answer.dev_id, answer.function_code, answer.body)
        except (ConnectionError, ModbusException) as error:
            await self.close()
            if isinstance(error, ConnectionError):
                raise self._failures.hung_up() from error
            raise self._failures.malformed("no Modbus frame", "的不是 Modbus 帧") from error
        except Unreachable:
            if not kept:
                await self.close()
            raise
        except BaseException:
            await self.close()
            raise

    def _waits_s(self) -> float:
        """Return how long to wait for the next answer, in seconds."""
        longest = self._connection.timeout_s
        if not self._silent or not self._usual_s:
            return longest
        return min(longest, max(_PATIENCE * self._usual_s, _LEAST_PROBE_S))

    async def _take_turn(self, waits_s: float) -> None:
        """Have the port for one request, once nobody else has it and the line is silent."""
        await asyncio.sleep(max(0.0, self._quiet_until - monotonic()))
        deadline = monotonic() + _TURNS * self._connection.timeout_s
        await asyncio.sleep(2 * _LOOK_S)
        while not await self._connect(waits_s):
            os.close(serial_port.hold(self._device, self._path))  # says so if the port is not taken but gone
            if monotonic() > deadline:
                raise self._failures.refused(
                    "another program keeps the serial port",
                    "串口一直被其他程序占用",
                    Text(
                        f"end it (fuser -v {self._path} shows it), or have one program read the whole line",
                        f"请结束该程序(fuser -v {self._path} 可查看)，或只用一个程序读取整条总线",
                    ),
                )
            await asyncio.sleep(_LOOK_S)
        while True:
            self._heard = False
            await asyncio.sleep(serial_port.silence_s(self._connection.baudrate))
            if not self._heard:
                break
            if monotonic() > deadline:
                raise self._failures.malformed("what nobody asked for, without end", "持续不断的未请求数据")

    async def _connect(self, waits_s: float) -> bool:
        """Return whether the port could be had."""
        connection = self._connection
        client = self._client = AsyncModbusSerialClient(
            self._path,
            baudrate=connection.baudrate,
            parity=connection.parity,
            stopbits=connection.stopbits,
            framer=FramerType.RTU,
            timeout=waits_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._on_packet,
            trace_connect=self._on_connect,
        )
        client.ctx.framer.decoder = AnswerDecoder(False)
        client.ctx.max_buffer_size = 2 * _LARGEST_READ  # pymodbus would drop unseen what is longer than a frame
        self._heard = False
        try:
            connected = await client.connect()
        except serial_port.SETTING_ERRORS as error:
            raise self._failures.refused(
                f"the serial port can not be set as configured ({error})",
                f"串口无法按配置设置({error})",
                Text("check baudrate, parity and stopbits", "请检查 baudrate、parity 与 stopbits"),
            ) from error
        _end_if_cancelled()
        if not connected:
            await self._hang_up()
        return bool(connected)

    async def close(self) -> None:
        """Let the port go; it is closed when this returns."""
        port, self._port = self._port, None
        if port is not None:
            os.close(port)
        await self._hang_up()

    async def break_off(self) -> None:
        """Let the port go: what comes over it can not be trusted."""
        await self.close()

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        transport = client.ctx.transport
        client.close()
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)  # lets the event loop close the port

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        """Note what goes over the wire: whether the request in hand has been answered by anything at all.

        What comes in is all that has come since the last frame; more than a frame can hold ends the request.
        """
        self._heard = not sending
        if self._trace is not None:
            self._trace(sending, data)
        if not sending and len(data) > LONGEST_FRAME:
            self._end_request(ModbusException("too long"))
            return b""
        return data

    def _on_connect(self, connected: bool) -> None:
        """End the request in hand as soon as the port is gone; pymodbus would wait for its timeout."""
        if not connected:
            self._end_request(ConnectionResetError())

    def _end_request(self, error: Exception) -> None:
        if self._client is not None and not self._client.ctx.response_future.done():
            self._client.ctx.response_future.set_exception(error)


def _end_if_cancelled() -> None:
    """Raise the cancellation that asyncio.wait_for, inside pymodbus, loses when it meets the result (Python 3.11)."""
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError
