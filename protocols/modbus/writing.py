"""Writes one point of a Modbus device: functions 5, 6, 15, 16 and 22, with the codec the driver reads by."""

from __future__ import annotations

import struct

from protocols.errors import ConfigError
from protocols.modbus.codec import decode, encode, own_bits
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.link import ModbusLink
from protocols.reading import Quality, Value, same_value
from protocols.text import Text

_ILLEGAL_FUNCTION = 1


async def write_point(link: ModbusLink, connection: ModbusConnection, point: ModbusPoint, value: Value) -> int | None:
    """Write `value`, in the unit of `point`; return None once the device has confirmed, or its exception code.

    Raises ConfigError for what the registers can not hold exactly, before anything is sent, and as `ModbusLink.write`.
    """
    many = connection.write_multiple
    if point.table == "coil":
        on = bool(value)
        if many:
            return await link.write(15, struct.pack(">HHBB", point.address, 1, 1, on))
        return await link.write(5, struct.pack(">HH", point.address, 0xFF00 if on else 0))
    data = registers_of(point, value)
    own = own_bits(point)
    if own is not None:
        return await _write_part(link, point, data, own, many)
    return await _write_registers(link, point.address, data, many)


def registers_of(point: ModbusPoint, value: Value) -> bytes:
    """Return the bytes that hold `value`; raises ConfigError where reading them would give anything else."""
    try:
        data = encode(point, value)
    except ValueError as error:
        raise ConfigError(error.args[0]) from error
    held = decode(point, data)
    if isinstance(held, Quality) or not same_value(held, value):
        nearest = "" if isinstance(held, (Quality, str)) or held is None else f"{held:g}"
        raise ConfigError(
            Text(f"'{point.name}' can not be set to {value}", f"“{point.name}”无法设为 {value}"),
            Text(f"the nearest it can hold is {nearest}", f"最接近的可用值为 {nearest}")
            if nearest
            else Text("choose another value", "请换一个值"),
        )
    return data


async def _write_registers(link: ModbusLink, address: int, data: bytes, many: bool) -> int | None:
    if len(data) == 2 and not many:
        return await link.write(6, struct.pack(">H", address) + data)
    return await link.write(16, struct.pack(">HHB", address, len(data) // 2, len(data)) + data)


async def _write_part(link: ModbusLink, point: ModbusPoint, data: bytes, own: bytes, many: bool) -> int | None:
    """Change the bits in `own` and no others: by mask where the device can, else by reading and writing back."""
    value, mask = int.from_bytes(data, "big"), int.from_bytes(own, "big")
    if point.width == 1:
        refused = await link.write(22, struct.pack(">HHH", point.address, ~mask & 0xFFFF, value))
        if refused != _ILLEGAL_FUNCTION:
            return refused
    present = await link.exchange(3, point.address, point.width, len(data))
    if isinstance(present, int):
        return present
    others = int.from_bytes(present, "big") & ~mask
    return await _write_registers(link, point.address, (others | value).to_bytes(len(data), "big"), many)
