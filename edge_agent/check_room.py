"""How long an outage of the cloud the buffer can bridge, at the rate at which readings really come."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from edge_agent.buffer import FILE
from edge_agent.buffer_care import peek
from edge_agent.config import Config
from edge_agent.finding import Finding
from edge_agent.health import STATUS_EVERY_S, Status, read_status
from protocols.errors import SunmaoError
from protocols.reading import now_us
from protocols.text import Text

BYTES_PER_ROW = 30.0
"""Room one reading takes in the buffer until there is a backlog to measure it by; small groups compress least."""
LEAST_HOURS = 24.0
STALE_US = 10_000_000
"""A status older than this was left by an agent that no longer runs."""


def running_status(state_dir: Path) -> Status | None:
    """Return the status of the agent that runs on this folder, None if none does; raises ConfigError as `read_status`."""
    status = read_status(state_dir)
    return status if status is not None and abs(now_us() - status.health.time) < STALE_US else None


async def check_room(config: Config) -> Finding:
    """Return how many hours of readings the buffer and the disk still take."""
    state_dir, limit = config.agent.state_dir, config.buffer.limit_mb * 1e6
    path = state_dir / FILE
    used, per_row = 0.0, BYTES_PER_ROW
    try:
        if path.exists():
            stats = peek(path)
            used = stats.bytes
            if stats.rows > 10_000:
                per_row = stats.bytes / stats.rows
        measured = await _measured_rate(state_dir)
    except SunmaoError as error:
        return Finding("buffer", "wrong", error.what, error.mend or Text("", ""))
    free = float(shutil.disk_usage(existing(state_dir)).free)
    configured = sum(1 / (point.period_s or device.period_s) for device in config.devices for point in device.points)
    rate = configured if measured is None else measured
    hours = min(max(limit - used, 0.0), free) / per_row / rate / 3600 if rate else float("inf")
    age = config.buffer.limit_h
    by_age = age is not None and age < hours
    how = Text("as configured", "按配置") if measured is None else Text("as measured", "实测")
    if by_age and age is not None:
        hours, how = age, Text("buffer.limit_h", "由 buffer.limit_h 限定")
    endless = hours == float("inf")
    room = Text("no end", "不限时间") if endless else Text(f"{hours:,.0f} h", f"{hours:,.0f} 小时")
    return Finding(
        "buffer",
        "ok" if hours >= LEAST_HOURS else "wrong",
        Text(
            f"room for {room.en} without the cloud at {rate:,.0f} values/s ({how.en}); {free / 1e9:.1f} GB free on disk",
            f"每秒 {rate:,.0f} 个值（{how.zh}），断网可缓存 {room.zh}；磁盘剩余 {free / 1e9:.1f} GB",
        ),
        Text(
            f"raise {'buffer.limit_h' if by_age else 'buffer.limit_mb or free disk space'},"
            f" for at least {LEAST_HOURS:.0f} h",
            f"请增大 {'buffer.limit_h' if by_age else 'buffer.limit_mb 或清理磁盘'}，至少满足 {LEAST_HOURS:.0f} 小时",
        ),
    )


async def _measured_rate(state_dir: Path) -> float | None:
    """Return the readings per second of the running agent, from two of its status files; None if none runs."""
    first = running_status(state_dir)
    if first is None:
        return None
    for _ in range(10):
        await asyncio.sleep(STATUS_EVERY_S / 2)
        second = running_status(state_dir)
        if second is None or second.pid != first.pid:
            return None
        passed = second.health.time - first.health.time
        if passed >= STATUS_EVERY_S * 1.5e6:
            return (second.health.collected - first.health.collected) / passed * 1e6
    return None


def existing(folder: Path) -> Path:
    """Return `folder` or the nearest folder above it that is there."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
