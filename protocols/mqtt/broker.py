"""A mosquitto of one's own on 127.0.0.1, for the simulator: open to this machine, nothing kept on disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from protocols.errors import ConfigError
from protocols.text import Text

_START_S = 10.0
_PROGRAM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where servers are installed, which is not always on the path of a user."""


def find_mosquitto() -> str | None:
    """Return the path of the mosquitto installed here, None without one."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_PROGRAM_FOLDERS)))


class Broker:
    """One mosquitto process.

    Args:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        settings: further lines of its configuration; anybody on this machine is let in where there are none.
    """

    def __init__(self, port: int = 0, settings: str = "allow_anonymous true") -> None:
        self.port = port
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def start(self) -> None:
        """Start it and wait until it listens; raises ConfigError without mosquitto or with a port that is taken."""
        program = find_mosquitto()
        if program is None:
            raise ConfigError(
                Text("simulating MQTT needs the broker mosquitto", "模拟 MQTT 需要安装MQTT 服务器 mosquitto"),
                Text("install it: apt-get install mosquitto", "请安装：apt-get install mosquitto"),
            )
        try:
            self.port = _free_port(self.port)
        except OSError as error:
            raise self._no_start() from error
        self._folder = tempfile.TemporaryDirectory(prefix="sunmao-mqtt-")
        configuration = Path(self._folder.name, "mosquitto.conf")
        lines = (f"listener {self.port} 127.0.0.1", "persistence false", "log_dest none", "set_tcp_nodelay true")
        configuration.write_text("\n".join((*lines, self._settings, "")), encoding="utf-8")  # noqa: ASYNC240 # one line
        self._process = await asyncio.create_subprocess_exec(
            program, "-c", str(configuration), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(_START_S):
                while not await self._listens():  # noqa: ASYNC110 # another process
                    await asyncio.sleep(0.01)
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise self._no_start() from error
            raise

    async def stop(self) -> None:
        """End it and wait for its end."""
        process, self._process = self._process, None
        if process is not None:
            # It has nothing to save, and a SIGTERM in the moment it starts is lost on it.
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _listens(self) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise self._no_start()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def _no_start(self) -> ConfigError:
        return ConfigError(
            Text(f"mosquitto does not start on port {self.port}", f"mosquitto 无法在端口 {self.port} 启动"),
            Text("choose another port, or 0 for any", "请换一个端口，或用 0 由系统选择"),
            key="port",
        )


def _free_port(port: int) -> int:
    """Return `port`, or one of the system's choice for 0; raises OSError if somebody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
