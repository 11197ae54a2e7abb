"""Serves points as a Modbus device over real TCP, for tests, demos and training; reading only."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Literal

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from protocols.errors import ConfigError
from protocols.modbus.codec import encode, own_bits
from protocols.modbus.config import ModbusPoint
from protocols.modbus.plan import FUNCTION_CODES
from protocols.reading import Value
from protocols.text import Text

Image = dict[int, dict[int, int | None]]
"""Function code -> address -> register or bit; None where the device has the address but no value for it."""


class _Tables:
    """The data pymodbus's server asks for; takes the place of its own store, which knows no single missing address."""

    def __init__(self, image: Callable[[], Image], unit_id: int | None) -> None:
        self._image = image
        self._unit_id = unit_id

    def device_ids(self) -> list[int]:
        """Return the units that answer; 0 stands for all."""
        return [self._unit_id or 0]

    async def async_getValues(  # noqa: N802
        self, unit: int, function_code: int, address: int, count: int
    ) -> list[int] | list[bool] | ExcCodes:
        """Return `count` registers or bits, or the exception to answer."""
        if self._unit_id is not None and unit != self._unit_id:
            raise NoSuchIdException
        table = self._image().get(function_code)
        if table is None:
            return ExcCodes.ILLEGAL_FUNCTION
        found: list[int] = []
        for place in range(address, address + count):
            value = table.get(place, ExcCodes.ILLEGAL_ADDRESS)
            if value is None:
                return ExcCodes.DEVICE_FAILURE
            if isinstance(value, ExcCodes):
                return value
            found.append(value)
        return [value != 0 for value in found] if function_code in {1, 2} else found

    async def async_setValues(  # noqa: N802
        self, unit: int, function_code: int, address: int, values: Sequence[int]
    ) -> ExcCodes:
        """Refuse to be written."""
        return ExcCodes.ILLEGAL_FUNCTION


class ModbusSimulator:
    """A Modbus device that exists in software only.

    Values are asked for when a request comes and the last ones are older than `tick_s`. Addresses of no point answer
    exception 2 (illegal data address); a point whose value is None, or does not fit its registers, answers with its
    `invalid` value or NaN, or, having neither, with exception 4 (server device failure).

    Args:
        points: what is served.
        values: gives the present engineering value of every point name.
        port: TCP port on 127.0.0.1; 0 lets the system choose.
        framing: as in `ModbusConnection`.
        unit_id: the only unit that answers; all do where None.
        tick_s: how long values stay as they are, in seconds.
        identity: vendor name and product code to answer function 43/14 with. pymodbus keeps one for all servers of a
            process.
    """

    def __init__(
        self,
        points: Sequence[ModbusPoint],
        values: Callable[[], Mapping[str, Value]],
        *,
        port: int = 0,
        framing: Literal["tcp", "rtu-over-tcp"] = "tcp",
        unit_id: int | None = None,
        tick_s: float = 0.1,
        identity: tuple[str, str] | None = None,
    ) -> None:
        # What shares a register with others is set in it after the register's own points have been written.
        self._points = sorted(points, key=lambda point: own_bits(point) is not None)
        self._values = values
        self._port = port
        self._framing = framing
        self._unit_id = unit_id
        self._tick_s = tick_s
        self._identity = identity
        self._server: ModbusTcpServer | None = None
        self._image: Image = {}
        self._stale_at = 0.0

    async def start(self) -> str:
        """Listen and return "host:port". Raises ConfigError if the port is taken or a first value does not fit."""
        values = self._values()
        for point in self._points:
            _check(point, values)
        self._take(values)
        server = ModbusTcpServer(
            SimDevice(0, SimData(0, datatype=DataType.REGISTERS)),
            framer=FramerType.SOCKET if self._framing == "tcp" else FramerType.RTU,
            address=("127.0.0.1", self._port),
            identity=None
            if self._identity is None
            else ModbusDeviceIdentification(
                info_name=dict(zip(("VendorName", "ProductCode"), self._identity, strict=True))
            ),
        )
        server.context = _Tables(self._present, self._unit_id)
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise ConfigError(
                Text(f"port {self._port} can not be used", f"端口 {self._port} 无法使用"),
                Text("choose another port, or 0 for any", "请换一个端口，或用 0 由系统选择"),
                key="port",
            ) from error
        self._server = server
        host, port = server.transport.sockets[0].getsockname()
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Stop listening and drop every client."""
        server, self._server = self._server, None
        if server is not None:
            for handler in server.active_connections.values():
                handler.transport.abort()
            await server.shutdown()

    def _present(self) -> Image:
        if monotonic() >= self._stale_at:
            self._take(self._values())
        return self._image

    def _take(self, values: Mapping[str, Value]) -> None:
        self._image = {code: {} for code in FUNCTION_CODES.values()}
        for point in self._points:
            _store(point, values.get(point.name), self._image[FUNCTION_CODES[point.table]])
        self._stale_at = monotonic() + self._tick_s


def _check(point: ModbusPoint, values: Mapping[str, Value]) -> None:
    if point.name not in values:
        raise ConfigError(Text(f"no value for point '{point.name}'", f"点“{point.name}”没有值"), key=point.name)
    if values[point.name] is not None:
        try:
            encode(point, values[point.name])
        except ValueError as error:
            raise ConfigError(error.args[0], key=point.name) from error


def _store(point: ModbusPoint, value: Value, table: dict[int, int | None]) -> None:
    """Put the registers of `point`, or its bit, into `table`."""
    try:
        data = encode(point, value)
    except ValueError:
        table.update(dict.fromkeys(range(point.address, point.address + point.width)))
        return
    registers = struct.unpack(f">{point.width}H", data)
    if own := own_bits(point):
        masks = struct.unpack(f">{point.width}H", own)
        places = range(point.address, point.address + point.width)
        registers = tuple(
            register | (table.get(place) or 0) & ~mask
            for register, mask, place in zip(registers, masks, places, strict=True)
        )
    table.update(enumerate(registers, point.address))
