"""A serial port: whether it can be used, and why not."""

from __future__ import annotations

import os
import termios

from protocols.errors import Refused, Unreachable
from protocols.text import Text

SETTING_ERRORS = (termios.error, ValueError)
"""What pyserial raises, besides its own OSError, when a port does not take its settings."""


def hold(device: str, path: str) -> int:
    """Open the serial port `path` for `device` without touching what goes over it; return the file descriptor.

    As long as one is open, the control lines stay up between requests: some adapters are fed by them.
    Raises Unreachable where there is no such port (it may be plugged in later), Refused where it can not be used.
    """
    where = f"{device} ({path})"
    try:
        port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except PermissionError as error:
        raise Refused(
            Text(f"{where}: no permission to use the serial port", f"{where}：没有使用该串口的权限"),
            Text(
                "add the user of the agent to the group that owns it: usermod -aG dialout USER, then start anew",
                "请将边缘代理的用户加入该串口所属的组：usermod -aG dialout 用户名，然后重新启动",
            ),
        ) from error
    except OSError as error:
        raise Unreachable(
            Text(f"{where}: the serial port is not there", f"{where}：串口不存在"),
            Text(
                "plug the adapter in, check serial and that the adapter's driver is loaded: ls -l /dev/serial/by-id",
                "请插好转换器，检查 serial，并确认驱动已加载：ls -l /dev/serial/by-id",
            ),
        ) from error
    if not os.isatty(port):
        os.close(port)
        raise Refused(
            Text(f"{where}: this is not a serial port", f"{where}：这不是串口"),
            Text("serial is a device like /dev/ttyUSB0", "serial 应为 /dev/ttyUSB0 这样的设备"),
        )
    return port


def silence_s(baudrate: int) -> float:
    """Return the least silence between two frames in seconds: 3.5 characters of 11 bits.

    From 19200 bit/s on, 1.75 ms (MODBUS over Serial Line V1.02, 2.5.1.1).
    """
    return max(3.5 * 11 / baudrate, 0.00175)
