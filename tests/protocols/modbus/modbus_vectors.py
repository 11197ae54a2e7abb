"""Golden vectors: what registers hold, and the engineering value that is read from them and written to them."""

from __future__ import annotations

import math
from typing import Any

from protocols.modbus.config import ModbusPoint
from protocols.reading import Value

PUBLISHED: list[tuple[dict[str, Any], str, Value]] = [
    # 229.01 is 0x4365028F in IEEE 754 binary32
    ({"type": "float32", "order": "ABCD"}, "4365 028F", 229.00999450683594),
    ({"type": "float32", "order": "CDAB"}, "028F 4365", 229.00999450683594),
    ({"type": "float32", "order": "BADC"}, "6543 8F02", 229.00999450683594),
    ({"type": "float32", "order": "DCBA"}, "8F02 6543", 229.00999450683594),
    # 0x0123456789ABCDEF = 81985529216486895
    ({"type": "uint64", "order": "ABCD"}, "0123 4567 89AB CDEF", 81985529216486895),
    ({"type": "uint64", "order": "CDAB"}, "CDEF 89AB 4567 0123", 81985529216486895),
    ({"type": "uint64", "order": "BADC"}, "2301 6745 AB89 EFCD", 81985529216486895),
    ({"type": "uint64", "order": "DCBA"}, "EFCD AB89 6745 2301", 81985529216486895),
    ({"type": "int64", "order": "ABCD"}, "FFFF FFFF FFFF FFFE", -2),
    ({"type": "int64", "order": "CDAB"}, "FFFE FFFF FFFF FFFF", -2),
    # pi is 0x400921FB54442D18 in IEEE 754 binary64
    ({"type": "float64", "order": "ABCD"}, "4009 21FB 5444 2D18", math.pi),
    ({"type": "float64", "order": "CDAB"}, "2D18 5444 21FB 4009", math.pi),
    ({"type": "float64", "order": "BADC"}, "0940 FB21 4454 182D", math.pi),
    ({"type": "float64", "order": "DCBA"}, "182D 4454 FB21 0940", math.pi),
    ({"type": "uint64", "order": "EFGHABCD"}, "89AB CDEF 0123 4567", 81985529216486895),
    ({"type": "uint64", "order": "CDABGHEF"}, "4567 0123 CDEF 89AB", 81985529216486895),
    ({"type": "uint64", "order": "FEHGBADC"}, "AB89 EFCD 2301 6745", 81985529216486895),
    ({"type": "uint64", "order": "DCBAHGFE"}, "6745 2301 EFCD AB89", 81985529216486895),
    ({"type": "int64", "order": "EFGHABCD"}, "FFFF FFFE FFFF FFFF", -2),
    ({"type": "float64", "order": "CDABGHEF"}, "21FB 4009 2D18 5444", math.pi),
    # 12.5 is 0x4A40, -2 is 0xC000 in IEEE 754 binary16
    ({"type": "float16", "order": "ABCD"}, "4A40", 12.5),
    ({"type": "float16", "order": "BADC"}, "404A", 12.5),
    ({"type": "float16", "order": "CDAB"}, "C000", -2.0),
    ({"type": "bcd16", "order": "ABCD"}, "1234", 1234),
    ({"type": "bcd16", "order": "BADC"}, "3412", 1234),
    ({"type": "bcd16", "order": "ABCD"}, "0007", 7),
    ({"type": "bcd32", "order": "ABCD"}, "1234 5678", 12345678),
    ({"type": "bcd32", "order": "CDAB"}, "5678 1234", 12345678),
    ({"type": "bcd32", "order": "BADC"}, "3412 7856", 12345678),
    ({"type": "bcd32", "order": "DCBA"}, "7856 3412", 12345678),
    ({"type": "uint32", "order": "ABCD"}, "0001 86A0", 100000),
    ({"type": "uint32", "order": "CDAB"}, "86A0 0001", 100000),
    ({"type": "uint32", "order": "BADC"}, "0100 A086", 100000),
    ({"type": "uint32", "order": "DCBA"}, "A086 0100", 100000),
    ({"type": "int32", "order": "ABCD"}, "FFFE 7960", -100000),
    ({"type": "int32", "order": "CDAB"}, "7960 FFFE", -100000),
    ({"type": "int16", "order": "ABCD"}, "FF85", -123),
    ({"type": "int16", "order": "CDAB"}, "FF85", -123),
    ({"type": "int16", "order": "BADC"}, "85FF", -123),
    ({"type": "int16", "order": "DCBA"}, "85FF", -123),
    ({"type": "uint16", "order": "ABCD"}, "FF85", 65413),
    ({"type": "string", "length": 3}, "4130 3034 3200", "A0042"),
    ({"type": "string", "length": 3, "order": "BADC"}, "3041 3430 0032", "A0042"),
    ({"type": "string", "length": 5, "byte": "low"}, "0041 0030 0030 0034 0032", "A0042"),
    ({"type": "string", "length": 5, "byte": "high"}, "4100 3000 3000 3400 3200", "A0042"),
]
"""Fields of a point, the registers in hexadecimal, and the value; writing it gives the same registers."""

CONVERTED: list[tuple[dict[str, Any], str, Value]] = [
    ({"type": "int16", "scale": 0.1}, "FF85", -12.3),
    ({"type": "uint16", "scale": 0.1, "offset": -40}, "0190", 0.0),
    ({"type": "uint16", "scale": 0.1}, "0003", 0.3),
    ({"type": "uint16", "scale": 0.00390625}, "0001", 0.00390625),
    ({"type": "uint32", "scale": 0.001}, "FFFF FFFF", 4294967.295),
    ({"type": "uint64", "scale": 0.1}, "0000 0000 0000 0003", 0.3),
    ({"type": "float32", "scale": 1000}, "3F80 0000", 1000.0),
    ({"type": "uint8", "byte": "high"}, "FE01", 254),
    ({"type": "uint8", "byte": "low"}, "01FE", 254),
    ({"type": "int8", "byte": "high"}, "FE01", -2),
    ({"type": "int8", "byte": "low", "scale": 0.5}, "01FE", -1.0),
    ({"bit": 4, "bits": 3}, "0150", 5),
    ({"bit": 4, "bits": 3, "order": "BADC"}, "5001", 5),
    ({"bit": 12, "bits": 4, "scale": 0.1}, "F000", 1.5),
    ({"bit": 14, "bits": 4, "type": "uint32"}, "0002 8000", 10),
    ({"bit": 14, "bits": 4, "type": "uint32", "order": "CDAB"}, "8000 0002", 10),
    ({"bit": 0, "bits": 2, "codes": {"2": 7}}, "FF02", 7),
    ({"type": "bcd16", "scale": 0.01}, "1250", 12.5),
    ({"type": "string", "length": 5, "byte": "low"}, "0041 0030 0030 0034 0032", "A0042"),
    ({"type": "string", "length": 6, "byte": "high"}, "4142 3042 3042 3442 3242 0042", "A0042"),
    ({"bit": 0}, "0001", True),
    ({"bit": 15}, "8000", True),
    ({"bit": 14}, "8000", False),
    ({"bit": 8, "order": "BADC"}, "0001", True),
    ({"type": "string", "length": 4}, "4130 3034 3200 FFFF", "A0042"),
    ({"type": "string", "length": 4}, "4130 3034 3220 2020", "A0042"),
    ({"type": "string", "length": 3, "order": "BADC"}, "3041 3430 2032", "A0042"),
    ({"type": "string", "length": 3}, "E6B3 B5E4 B880", "泵一"),
    ({"type": "string", "length": 2}, "0000 4141", ""),
]
"""The same for scales, bits and text; other bits of the registers may belong to somebody else."""


def point(name: str = "p", **fields: object) -> ModbusPoint:
    """Return a point at register 0 unless `fields` say otherwise."""
    return ModbusPoint.model_validate({"name": name, "address": 0, **fields})
