"""What the running agent says of itself, by its status file: does it run, has it taken over what was saved."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal, NamedTuple

from edge_agent.health import Status, read_status
from protocols.errors import ConfigError
from protocols.reading import now_us
from protocols.text import Text

STALE_US = 10_000_000
"""A status older than this was left by an agent that no longer runs."""

PATIENCE_S = 15.0
"""How long a running agent is waited for: it looks at its file every second and writes its status every two."""


SERVICE = Path("/etc/systemd/system/sunmao-edge.service")
"""Where the installer puts the service; there, an agent started by hand would be one too many."""


def how_to_start(config: Path) -> Text:
    """Return how the agent of this box is started, with the configuration `config`."""
    command = "systemctl start sunmao-edge" if SERVICE.exists() else f"sunmao-edge run --config {config}"
    return Text(f"Start it: {command}", f"请启动代理：{command}")


class Applied(NamedTuple):
    """What became of a configuration that was saved."""

    state: Literal["applied", "failed", "no_agent", "slow"]
    reason: Text = Text("", "")


def running_status(state_dir: Path) -> Status | None:
    """Return the status of the running agent; None if none runs or its file cannot be read just now."""
    try:
        status = read_status(state_dir)
    except ConfigError:
        return None
    return status if status is not None and abs(now_us() - status.health.time) < STALE_US else None


async def until_applied(state_dir: Path, version: str, patience_s: float = PATIENCE_S) -> Applied:
    """Wait until the running agent has taken over `version` of its configuration, or says why not."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience_s
    while True:
        status = await asyncio.to_thread(running_status, state_dir)
        if status is None:
            return Applied("no_agent")
        reason = Text(status.config.reason_en, status.config.reason_zh)
        if status.config.version == version:
            return Applied("applied", reason)
        if status.config.state == "failed":
            return Applied("failed", reason)
        if loop.time() > end:
            return Applied("slow")
        await asyncio.sleep(0.25)
