"""Programs the tests start beside themselves: foreign devices, serial lines, and how to wait for them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

DEADLINE_S = 20.0


@asynccontextmanager
async def program(*command: str | Path, stderr: bool = False) -> AsyncIterator[asyncio.StreamReader]:
    """Run `command` and yield what it prints; end it, and its children with it."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if stderr else None
    )
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), DEADLINE_S)


async def line_with(output: asyncio.StreamReader, word: str) -> str:
    """Return the next printed line that holds `word`."""
    while line := (await asyncio.wait_for(output.readline(), DEADLINE_S)).decode():
        if word in line:
            return line
    raise AssertionError(f"ended without printing '{word}'")


@asynccontextmanager
async def serial_server(pty: Path) -> AsyncIterator[int]:
    """Connect the serial line `pty` to a TCP port, as a transparent serial server does; yield the port."""
    line = f"PTY,raw,echo=0,link={pty}"
    async with program(needed("socat"), "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1", line, stderr=True) as output:
        yield int((await line_with(output, "listening on")).rpartition(":")[2])


async def appearing(pty: Path) -> None:
    """Wait until socat has made the serial line."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        if await asyncio.to_thread(pty.exists):
            return
        assert time.monotonic() < deadline, f"{pty} did not appear"
        await asyncio.sleep(0.01)


def needed(name: str) -> str:
    """Return where the program `name` is, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: this test against a foreign Modbus peer did NOT run")
    return found


def compiled(name: str, folder: Path) -> Path:
    """Return the program of the C source `name` beside this file, compiled against libmodbus into `folder`."""
    source = Path(__file__).with_name(name)
    binary = folder / source.stem
    build = [needed("gcc"), "-Wall", "-Werror", "-I/usr/include/modbus", str(source), "-o", str(binary), "-lmodbus"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if "modbus.h: No such file" in done.stderr:
        pytest.skip("libmodbus-dev is not installed: the tests against libmodbus did NOT run")
    assert done.returncode == 0, done.stderr
    return binary


SERVERS = ("libmodbus", "pyModbusTCP", "modbus_tk")


@asynccontextmanager
async def foreign_server(kind: str, folder: Path, port: int = 0) -> AsyncIterator[int]:
    """Run one of `SERVERS` with registers 0 to 999, all 0, and yield its port; `folder` takes what has to be compiled."""
    if kind == "libmodbus":
        command: list[str | Path] = [compiled("libmodbus_server.c", folder), "blank"]
    else:
        command = [sys.executable, "-P", Path(__file__).with_name(f"{kind.lower()}_server.py")]
    async with program(*command, str(port)) as output:
        yield int(await line_with(output, "\n"))
