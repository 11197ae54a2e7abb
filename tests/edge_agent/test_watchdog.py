"""The agent under systemd's watchdog: a socket as systemd gives it, the whole agent as its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from asyncio.subprocess import DEVNULL
from pathlib import Path

from tests.edge_agent.test_agent import COMMAND

ALLOWED_S = 1.0


async def heard(systemd: socket.socket, within_s: float) -> bytes | None:
    """Return the next word, None if none comes in time."""
    try:
        async with asyncio.timeout(within_s):
            return await asyncio.get_running_loop().sock_recv(systemd, 100)
    except TimeoutError:
        return None


async def test_it_is_ready_then_lives_and_says_nothing_while_it_hangs(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:9"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.setblocking(False)
        systemd.bind(str(tmp_path / "notify"))
        watched = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(int(ALLOWED_S * 1e6))}
        command = [COMMAND, "run", "--config", config]
        agent = await asyncio.create_subprocess_exec(*command, env=os.environ | watched, stderr=DEVNULL)
        try:
            assert await heard(systemd, 30) == b"READY=1"
            for _ in range(4):
                assert await heard(systemd, ALLOWED_S) == b"WATCHDOG=1"
            agent.send_signal(signal.SIGSTOP)  # as a loop that does not turn
            while await heard(systemd, 0.2):
                pass
            assert await heard(systemd, 2 * ALLOWED_S) is None
            agent.send_signal(signal.SIGCONT)
            assert await heard(systemd, ALLOWED_S) == b"WATCHDOG=1"
            agent.terminate()
            assert await asyncio.wait_for(agent.wait(), 20) == 0
        finally:
            if agent.returncode is None:
                agent.kill()
                await agent.wait()
