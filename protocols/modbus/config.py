"""How a Modbus device is reached and how one of its points is addressed.

Numbering follows the protocol's data units (MODBUS Application Protocol V1.1b3, 4.4): addresses are 0-based, and the
table is named, not coded into the address.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from protocols.driver import ConnectionConfig, PointConfig
from protocols.text import Text

Table = Literal["coil", "discrete", "input", "holding"]
PointType = Literal[
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
    "float64",
    "bcd16",
    "bcd32",
    "string",
]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA", "EFGHABCD", "CDABGHEF", "FEHGBADC", "DCBAHGFE"]

BCD_LIMITS: Mapping[str, int] = {"bcd16": 9999, "bcd32": 99_999_999}
"""Greatest number in binary-coded decimals, one digit in four bits."""

_LABEL = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
"""RFC 1123, 2.1, and the underscores that container networks allow; an IPv4 address is written in the same letters."""

BIT_TABLES = frozenset({"coil", "discrete"})
HALVES_SWAPPED: Mapping[str, str] = {"EFGHABCD": "ABCD", "CDABGHEF": "CDAB", "FEHGBADC": "BADC", "DCBAHGFE": "DCBA"}
"""Orders of 64 bits that become those of the right once their two halves of 32 bits have been swapped.

With the four on the right these are all that come of swapping bytes, registers and halves.
"""

NUMBER_FORMATS: Mapping[str, str] = {
    "uint8": "B",
    "int8": "b",
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
    "bcd16": "H",
    "bcd32": "I",
}
"""Point type -> format character of `struct` (standard sizes)."""


def _wrong(en: str, zh: str) -> ValueError:
    """Return the error a validator raises to be understood in both languages."""
    return ValueError(Text(en, zh))


def _whole_number(value: Any) -> Any:
    """Turn the text "0x101E" or "4126" into a number; leave anything else to the field's own check."""
    if not isinstance(value, str):
        return value
    try:
        return int(value, 0)
    except ValueError:
        raise _wrong(
            f"'{value}' is not a number; write 4126 or \"0x101E\"", f'“{value}”不是数字；请写 4126 或 "0x101E"'
        ) from None


class ModbusConnection(ConnectionConfig):
    """How to reach one Modbus device: over TCP (`host`, `port`) or on a serial port (`serial` and what follows it)."""

    host: str | None = Field(None, min_length=1, description="IP address or host name of the device or of its gateway.")
    port: int = Field(502, ge=1, le=65535, description="TCP port.")
    unit_id: int = Field(
        1, ge=0, le=255, description="Unit (slave) address; behind a gateway it chooses the device on the serial line."
    )
    framing: Literal["tcp", "rtu-over-tcp", "rtu"] = Field(
        "tcp",
        description=(
            '"tcp": Modbus TCP; "rtu-over-tcp": serial frames with CRC through a transparent serial server; '
            '"rtu": the same on a serial port of this computer.'
        ),
    )
    serial: str | None = Field(
        None,
        pattern=r"^/[!-~]+$",
        description='Serial port: "/dev/ttyUSB0", or better its lasting name under /dev/serial/by-id.',
    )
    baudrate: int = Field(9600, ge=300, le=4_000_000, description="Bits per second on the serial port.")
    parity: Literal["N", "E", "O"] = Field(
        "N", description='Parity on the serial port: "N" none, "E" even, "O" odd; there are always 8 data bits.'
    )
    stopbits: Literal[1, 2] = Field(1, description="Stop bits on the serial port.")
    share: bool = Field(
        True,
        description=(
            "Use one TCP connection together with the other devices at the same host and port; false opens one of its own."
        ),
    )
    pipeline: int = Field(
        1,
        ge=1,
        le=16,
        description="Requests sent before the first is answered (Modbus TCP only); many devices take just one at a time.",
    )
    max_registers: int = Field(
        125,
        ge=1,
        le=125,
        description="Most registers asked for in one request; sixteen times as many coils or discrete inputs.",
    )
    max_gap: int = Field(
        8,
        ge=0,
        le=124,
        description=(
            "Unused registers read along when that saves a request; sixteen times as many coils or discrete inputs."
        ),
    )

    write_multiple: bool = Field(
        False,
        description="Write a single coil or register, too, by the functions for many: 15 and 16 in place of 5 and 6.",
    )

    @field_validator("host")
    @classmethod
    def _host_is_an_address_or_a_name(cls, host: str | None) -> str | None:
        if host is None or _HOST_NAME.fullmatch(host):
            return host
        try:
            return str(ip_address(host))
        except ValueError:
            raise _wrong(
                f"'{host}' is neither an IP address nor a host name; the port is set by port",
                f"“{host}”既不是 IP 地址也不是主机名；端口请写在 port 中",
            ) from None

    @model_validator(mode="after")
    def _one_way_to_the_device(self) -> ModbusConnection:
        if self.framing == "rtu" and (self.serial is None or self.host is not None):
            raise _wrong(
                'framing "rtu" speaks on a serial port: give serial = "/dev/ttyUSB0" and no host',
                'framing "rtu" 使用串口：请写 serial = "/dev/ttyUSB0"，并去掉 host',
            )
        if self.framing != "rtu" and (self.host is None or self.serial is not None):
            raise _wrong(
                f'framing "{self.framing}" speaks over the network: give host and no serial; '
                'for a serial port set framing = "rtu"',
                f'framing "{self.framing}" 使用网络：请写 host，并去掉 serial；使用串口时请写 framing = "rtu"',
            )
        return self

    @model_validator(mode="after")
    def _unit_answers(self) -> ModbusConnection:
        if self.framing != "tcp" and self.unit_id == 0:
            raise _wrong(
                "unit_id 0 is the broadcast address of a serial line, which nobody answers; use 1..247",
                "unit_id 0 是串行总线的广播地址，没有设备会应答；请使用 1..247",
            )
        return self


class ModbusPoint(PointConfig):
    """One value in one of the four tables of a Modbus device."""

    table: Table = Field(
        "holding",
        description='"coil" (function 1), "discrete" input (2), "holding" register (3) or "input" register (4).',
    )
    address: Annotated[int, BeforeValidator(_whole_number)] = Field(
        description='0-based address as sent on the wire: 30 or "0x1E". Manuals that count from 40001 mean 0 by it.'
    )
    type: PointType = Field(
        "uint16", description="How the registers are read; bool where the table holds bits or `bit` is given."
    )
    order: Order = Field(
        "ABCD",
        description=(
            "Order of the bytes of a value on the wire, A the most significant: ABCD big-endian, CDAB registers "
            "swapped, BADC bytes swapped in each register, DCBA little-endian; 64 bits in the same manner, or, with the "
            "two halves swapped as well, EFGHABCD, CDABGHEF, FEHGBADC, DCBAHGFE."
        ),
    )
    length: int | None = Field(
        None, ge=1, le=125, description="Registers of a string, two characters each, or one where byte is given."
    )
    byte: Literal["high", "low"] | None = Field(
        None,
        description="The byte of a register that holds a uint8 or int8, or one character of a string in each register.",
    )
    bit: int | None = Field(
        None, ge=0, le=63, description="Bit of a register, 0 the least significant; type is bool unless bits is given."
    )
    bits: int | None = Field(
        None, ge=1, le=63, description="Width of a number that begins at bit within a uint16, uint32 or uint64."
    )
    invalid: tuple[Annotated[int | float, BeforeValidator(_whole_number)], ...] = Field(
        (),
        description='Raw values by which the device says "no data", as its manual writes them: [32768] or ["0x8000"].',
    )

    @model_validator(mode="before")
    @classmethod
    def _type_follows_table(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "type" in data:
            return data
        is_bool = data.get("table") in BIT_TABLES or (data.get("bit") is not None and data.get("bits") is None)
        return {**data, "type": "bool"} if is_bool else data

    @field_validator("address")
    @classmethod
    def _address_in_range(cls, address: int) -> int:
        if not 0 <= address <= 0xFFFF:
            raise _wrong(
                f"{address} is outside 0..65535; of a number like 400101 drop the first digit, which is the table, "
                "and count from 0: 100",
                f"{address} 超出 0..65535；像 400101 这样的编号，首位表示数据表，去掉后从 0 开始计：100",
            )
        return address

    @model_validator(mode="after")
    def _fields_agree(self) -> ModbusPoint:
        in_bits = self.table in BIT_TABLES
        if in_bits and (self.type != "bool" or self.bit is not None):
            raise _wrong(
                f"table '{self.table}' holds single bits: leave out type and bit",
                f"数据表“{self.table}”存放单个位：请去掉 type 与 bit",
            )
        self._bits_agree(in_bits)
        if (self.type == "string") != (self.length is not None):
            raise _wrong(
                "a string needs length (its number of registers), and only a string has one",
                "string 需要 length(寄存器个数),其他类型不能有 length",
            )
        self._order_agrees()
        if self.address + self.width > 0x10000:
            raise _wrong(
                f"{self.type} at {self.address} takes {self.width} registers and ends beyond 65535",
                f"{self.address} 处的 {self.type} 占 {self.width} 个寄存器，超出 65535",
            )
        for value in self.invalid:
            raw_pattern(self.type, value)
        self._writes_agree()
        if self.codes is not None and "int" not in self.type:
            raise _wrong(f"a {self.type} has no codes", f"{self.type} 不能使用 codes")
        return self

    def _bits_agree(self, in_bits: bool) -> None:
        if self.bits is not None:
            if self.bit is None or self.type not in {"uint16", "uint32", "uint64"}:
                raise _wrong(
                    "bits needs bit and a uint16, uint32 or uint64", "bits 需要 bit，且类型为 uint16、uint32 或 uint64"
                )
            if self.bit + self.bits > 16 * self.width:
                raise _wrong(
                    f"bits {self.bit}..{self.bit + self.bits - 1} are not all within a {self.type}",
                    f"位 {self.bit}..{self.bit + self.bits - 1} 超出 {self.type}",
                )
        elif not in_bits and ((self.type == "bool") != (self.bit is not None) or (self.bit or 0) > 15):
            raise _wrong(
                "a bool in a register needs bit = 0..15, and only a bool, or a number with bits, has one",
                "寄存器中的 bool 需要 bit = 0..15；除带 bits 的数字外，其他类型不能有 bit",
            )

    def _order_agrees(self) -> None:
        if self.type == "string" and self.order not in {"ABCD", "BADC"}:
            raise _wrong(
                'the registers of a string are never swapped: order is "ABCD" or "BADC"',
                'string 的寄存器不会对调：order 只能是 "ABCD" 或 "BADC"',
            )
        if self.order in HALVES_SWAPPED and (self.type not in {"uint64", "int64", "float64"} or self.bits is not None):
            raise _wrong(f"order {self.order} is one of 64 bits", f"order {self.order} 仅用于 64 位数")
        if self.byte is None and self.type in {"uint8", "int8"}:
            raise _wrong(f'a {self.type} needs byte = "high" or "low"', f'{self.type} 需要 byte = "high" 或 "low"')
        if self.byte is not None and (self.type not in {"uint8", "int8", "string"} or self.order != "ABCD"):
            raise _wrong(
                "byte goes with uint8, int8 and string, and without order",
                "byte 只用于 uint8、int8 与 string，且不写 order",
            )

    def _writes_agree(self) -> None:
        if self.write is None:
            return
        if self.table not in {"coil", "holding"}:
            raise _wrong(f"write: table '{self.table}' can only be read", f"write：数据表“{self.table}”只能读取")
        if self.type in {"bool", "string"} and self.write.values is None:
            raise _wrong(
                f"write: a {self.type} needs values, as in {{ values = [true, false] }}",
                f"write：{self.type} 需要 values，例如 {{ values = [true, false] }}",
            )
        for value in self.write.values or ():
            if isinstance(value, bool) != (self.type == "bool") or isinstance(value, str) != (self.type == "string"):
                raise _wrong(
                    f"write: {value!r} is not a value of a {self.type}", f"write：{value!r} 不是 {self.type} 的值"
                )

    def span(self) -> tuple[str, int, int]:
        """Return the memory the value takes: its table, first bit and the bit after the last."""
        if self.table in BIT_TABLES:
            return self.table, self.address, self.address + 1
        first = 16 * self.address
        if self.bit is not None and self.width == 1:
            return self.table, first + self.bit, first + self.bit + (self.bits or 1)
        if self.byte is not None and self.type != "string":
            return self.table, first + 8 * (self.byte == "high"), first + 8 + 8 * (self.byte == "high")
        return self.table, first, first + 16 * self.width

    def raw_limits(self) -> tuple[float, float] | None:
        """Return the least and the greatest whole number the registers hold; None for other types."""
        if self.type in BCD_LIMITS:
            return 0, BCD_LIMITS[self.type]
        if "int" not in self.type:
            return None
        bits = self.bits or 8 * struct.calcsize(NUMBER_FORMATS[self.type])
        return (0, (1 << bits) - 1) if self.type.startswith("u") else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)

    @property
    def width(self) -> int:
        """Addresses the value takes: registers, or 1 in a table of bits."""
        if self.type == "string":
            return self.length or 1
        return 1 if self.type == "bool" else (struct.calcsize(f">{NUMBER_FORMATS[self.type]}") + 1) // 2


def raw_pattern(kind: str, value: float) -> float:
    """Return `value`, one of `ModbusPoint.invalid`, as a point of type `kind` decodes it.

    A signed type also takes the unsigned pattern that manuals print (0x8000 for -32768); a float16 or float32 is rounded to its
    own precision. Raises a validation error where no registers of that type could ever hold it.
    """
    if kind in NUMBER_FORMATS and value <= BCD_LIMITS.get(kind, math.inf):
        form = f">{NUMBER_FORMATS[kind]}"
        bits = 8 * struct.calcsize(form)
        if kind.startswith("int") and 1 << (bits - 1) <= value < 1 << bits:
            value -= 1 << bits
        try:
            raw: float = struct.unpack(form, struct.pack(form, value))[0]
        except (struct.error, OverflowError):
            raw = math.nan
        if raw == value or (kind in {"float16", "float32"} and math.isfinite(raw)):
            return raw
    raise _wrong(f"invalid: {value} can not be the raw value of a {kind}", f"invalid:{value} 不可能是 {kind} 的原始值")
