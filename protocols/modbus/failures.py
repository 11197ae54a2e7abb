"""Names what went wrong on the way to a Modbus device, always with the device and the place it is at."""

from __future__ import annotations

from protocols.errors import Malformed, Refused, Unreachable
from protocols.modbus.config import ModbusConnection
from protocols.text import Text


class Failures:
    """The failures of one device, ready to be raised."""

    def __init__(self, device: str, connection: ModbusConnection) -> None:
        self._connection = connection
        self._where = f"{device} ({connection.serial or f'{connection.host}:{connection.port}'})"

    def unreachable(self, en: str, zh: str, mend: Text | None = None) -> Unreachable:
        """Return that the device could not be reached."""
        return Unreachable(Text(f"{self._where}: {en}", f"{self._where}：{zh}"), mend)

    def refused(self, en: str, zh: str, mend: Text) -> Refused:
        """Return that this computer or its user may not."""
        return Refused(Text(f"{self._where}: {en}", f"{self._where}：{zh}"), mend)

    def malformed(self, en: str, zh: str) -> Malformed:
        """Return that what came was no proper answer; `en` and `zh` say what it was instead."""
        return Malformed(
            Text(f"{self._where}: it sent {en}", f"{self._where}：收到{zh}"),
            Text("check framing and that this is a Modbus device", "请检查 framing,并确认这是 Modbus 设备")
            if self._connection.serial is None
            else Text("check baudrate, parity and stopbits", "请检查 baudrate、parity 与 stopbits"),
        )

    def nobody(self) -> Unreachable:
        """Return that no connection could be had."""
        return self.unreachable(
            "nobody answers", "无应答", Text("check power, cable, host and port", "请检查电源、网线、host 与 port")
        )

    def closed(self) -> Unreachable:
        """Return that there is no connection any more."""
        return self.unreachable("the connection is closed", "连接已关闭")

    def hung_up(self) -> Unreachable:
        """Return that the other side has ended the connection."""
        if self._connection.serial is not None:
            return self.unreachable("the serial port has gone", "串口已断开", Text("plug it in", "请重新插好"))
        return self.unreachable("the device has closed the connection", "设备关闭了连接")

    def silent(self, waited_s: float) -> Unreachable:
        """Return that the unit has not answered for `waited_s` seconds."""
        unit = self._connection.unit_id
        return self.unreachable(
            f"no answer from unit {unit} within {waited_s:g} s",
            f"从站 {unit} 在 {waited_s:g} 秒内无应答",
            Text("check unit_id and framing", "请检查 unit_id 与 framing")
            if self._connection.serial is None
            else Text(
                "check unit_id, baudrate, parity, power and the two wires (A and B)",
                "请检查 unit_id、baudrate、parity、电源与两根信号线(A、B)",
            ),
        )

    def unit_absent(self) -> Unreachable:
        """Return what a gateway reports when the unit behind it does not answer."""
        unit = self._connection.unit_id
        return self.unreachable(
            f"the gateway says that unit {unit} does not answer",
            f"网关报告从站 {unit} 无应答",
            Text("check unit_id and the serial line", "请检查 unit_id 与串行总线"),
        )
