"""What the agent says of itself: how long the buffer lasts at the rate seen, and what the cloud's clock is."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from edge_agent import health
from edge_agent.cloud_link import CloudLink
from edge_agent.forward import Uplink
from edge_agent.health import ConfigState, HealthReporter
from edge_agent.identity import Login
from tests.edge_agent.conftest import OpenBuffer
from tests.edge_agent.numbered import numbered


async def test_hours_left_are_those_of_the_rate_and_the_size_seen(
    open_buffer: OpenBuffer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = await open_buffer(limit_mb=10)
    async with CloudLink("http://127.0.0.1:1") as link:
        reporter = HealthReporter(
            "a",
            tmp_path,
            buffer,
            link,
            Login(tmp_path, link),
            devices=list,
            uplink=lambda: Uplink("down", 0),
            missed=lambda: {"x": 2, "y": 3},
            config=lambda: ConfigState("", "applied"),
            outlets=list,
            diagnostics=lambda: True,
            every_s=10.0,
        )
        first = await reporter._health()
        assert (first.buffer_hours_left, first.missed_cycles) == (None, 5)
        for start in range(0, 100_000, 1000):
            buffer.add_readings(numbered(start, 1000))
            await buffer.flush()
        monkeypatch.setattr(health, "RATE_AFTER_S", 0.0)
        (since, _), *_ = reporter._rates
        reporter._rates = deque([(since - 3600.0, 0)], maxlen=health.RATES)  # 100,000 readings in an hour
        told = (await reporter._health()).buffer_hours_left
        stats = await buffer.stats()
    assert told is not None
    assert stats.bytes_per_row > 1
    room = stats.limit * 0.9 - stats.bytes
    assert told == pytest.approx(room / stats.bytes_per_row / 100_000, rel=0.02, abs=0.1)
    assert stats.bytes == pytest.approx(100_000 * stats.bytes_per_row, rel=0.5), "the estimate is of the right size"
