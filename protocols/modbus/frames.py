"""Says in words what a Modbus frame is: for a person who watches a device answer, not for the driver.

Layouts are those of MODBUS Application Protocol V1.1b3 (function codes, 6; exceptions, 7) and of MODBUS Messaging on
TCP/IP V1.0b (the header, 3.1.3).
"""

from __future__ import annotations

import struct

from protocols.text import Text

_READS = {
    1: Text("coils", "线圈"),
    2: Text("discrete inputs", "离散输入"),
    3: Text("holding registers", "保持寄存器"),
    4: Text("input registers", "输入寄存器"),
}
_WRITES_ONE = {5: Text("coil", "线圈"), 6: Text("holding register", "保持寄存器")}
_WRITES_MANY = {15: Text("coils", "线圈"), 16: Text("holding registers", "保持寄存器")}
_OTHERS = {
    0x11: Text("report server id", "读取从站标识"),
    0x2B: Text("read device identification", "读取设备标识"),
}

EXCEPTIONS = {
    1: Text("illegal function: the device does not know this kind of request", "非法功能：设备不支持此类请求"),
    2: Text("illegal data address: there is no such register", "非法数据地址：没有该寄存器"),
    3: Text(
        "illegal data value: it does not accept this number of registers or value", "非法数据值：数量或数值不被接受"
    ),
    4: Text("failure of the device", "设备故障"),
    5: Text("acknowledged, it will take long", "已确认，处理需要较长时间"),
    6: Text("the device is busy", "设备忙"),
    8: Text("memory parity error of the device", "设备存储校验错误"),
    10: Text("the gateway has no path to the unit", "网关没有到该从站的路径"),
    11: Text("the unit behind the gateway does not answer", "网关后的从站无应答"),
}
"""What each exception code means (V1.1b3, 7)."""


def explain_frame(frame: bytes, *, serial: bool, sent: bool) -> Text:
    """Return what `frame` says; `serial` frames carry a unit and a checksum, the others a header with a transaction id.

    `sent` tells a request, which the agent sends, from an answer: both may look alike.
    """
    if serial:
        if len(frame) < 4:
            return _broken(frame)
        unit, pdu, number = frame[0], frame[1:-2], Text("", "")
    else:
        if len(frame) < 9 or struct.unpack_from(">HH", frame, 2) != (0, len(frame) - 6):
            return _broken(frame)
        unit, pdu = frame[6], frame[7:]
        tid = int.from_bytes(frame[:2], "big")
        number = Text(f"transaction {tid}, ", f"事务 {tid}，")
    words = _request(pdu) if sent else _answer(pdu)
    if words is None:
        words = Text(f"function {pdu[0]}, {len(pdu) - 1} bytes", f"功能码 {pdu[0]}，{len(pdu) - 1} 字节")
    return Text(f"{number.en}unit {unit}: {words.en}", f"{number.zh}从站 {unit}：{words.zh}")


def _request(pdu: bytes) -> Text | None:
    code = pdu[0]
    if code in _READS and len(pdu) == 5:
        address, count = struct.unpack(">HH", pdu[1:])
        table, last = _READS[code], address + count - 1
        return Text(
            f"read {count} {table.en}, {address} to {last} (function {code})",
            f"读取 {count} 个{table.zh}，地址 {address} 至 {last}(功能码 {code})",
        )
    if code in _WRITES_ONE and len(pdu) == 5:
        address, value = struct.unpack(">HH", pdu[1:])
        table = _WRITES_ONE[code]
        return Text(
            f"write {value:04X} to {table.en} {address} (function {code})",
            f"将 {value:04X} 写入{table.zh} {address}(功能码 {code})",
        )
    if code in _WRITES_MANY and len(pdu) > 6:
        address, count = struct.unpack_from(">HH", pdu, 1)
        table = _WRITES_MANY[code]
        return Text(
            f"write {pdu[6:].hex(' ', 2).upper()} to {count} {table.en} from {address} (function {code})",
            f"将 {pdu[6:].hex(' ', 2).upper()} 写入自 {address} 起的 {count} 个{table.zh}(功能码 {code})",
        )
    return _other(code)


def _answer(pdu: bytes) -> Text | None:
    code = pdu[0]
    if code & 0x80 and len(pdu) == 2:
        meaning = EXCEPTIONS.get(pdu[1], Text("a failure the protocol has no name for", "协议未定义的故障"))
        return Text(
            f"refuses function {code & 0x7F} with exception {pdu[1]}: {meaning.en}",
            f"拒绝功能码 {code & 0x7F}，异常码 {pdu[1]}：{meaning.zh}",
        )
    if code in _READS and len(pdu) >= 2 and pdu[1] == len(pdu) - 2:
        shown = pdu[2:].hex(" ", 2 if code > 2 else 1).upper()
        size = len(pdu) - 2
        return Text(f"{size} bytes of data: {shown}", f"{size} 字节数据：{shown}")
    if code in {*_WRITES_ONE, *_WRITES_MANY} and len(pdu) == 5:
        address = int.from_bytes(pdu[1:3], "big")
        return Text(f"confirms the write at {address}", f"确认已写入 {address}")
    return _other(code)


def _other(code: int) -> Text | None:
    words = _OTHERS.get(code)
    return words and Text(f"{words.en} (function {code})", f"{words.zh}(功能码 {code})")


def _broken(frame: bytes) -> Text:
    return Text(f"{len(frame)} bytes that are no Modbus frame", f"{len(frame)} 字节，不是 Modbus 帧")
