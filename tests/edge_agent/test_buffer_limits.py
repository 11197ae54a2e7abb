"""Limits of the buffer that hold, and damaged buffers of which every readable frame is rescued."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from edge_agent import buffer_file
from edge_agent.buffer import FILE
from edge_agent.buffer_care import salvage, verify
from protocols.errors import ConfigError, SunmaoError
from protocols.reading import now_us
from protocols.uplink.messages import Receipt
from tests.doubles.cloud import CODE, CloudDouble
from tests.edge_agent.conftest import OpenBuffer
from tests.edge_agent.numbered import drain, numbered, numbers_in
from tests.edge_agent.test_agent import Start, done, start, write_config
from tests.edge_agent.test_buffer import inspection

__all__ = ["start"]


async def test_telemetry_above_the_age_limit_goes_counted_and_told(
    open_buffer: OpenBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = 0.0
    monkeypatch.setattr(buffer_file, "now_us", lambda: now_us() + int(hours * 3600e6))
    buffer = await open_buffer(limit_h=24.0)
    buffer.add_inspection(inspection("kept"), [])
    for first in range(0, 100, 10):
        hours += 7.0
        buffer.add_readings(numbered(first, 10))
        await buffer.flush()
    state = (await buffer.stats()).state
    assert (state.collected, state.dropped) == (100, 60)
    hours += 100.0
    await buffer.flush()
    buffer.add_readings(numbered(100, 1))
    await buffer.flush()
    await buffer.flush()
    state = (await buffer.stats()).state
    assert (state.collected, state.dropped, state.inspections) == (101, 100, 1)
    assert await drain(buffer) == [100]
    assert buffer.at_risk == 0


async def test_without_an_age_limit_nothing_is_too_old(
    open_buffer: OpenBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = await open_buffer()
    buffer.add_readings(numbered(0, 10))
    assert buffer.at_risk == 10
    await buffer.flush()
    assert buffer.at_risk == 0
    monkeypatch.setattr(buffer_file, "now_us", lambda: now_us() + 10**15)
    buffer.add_readings(numbered(10, 10))
    await buffer.flush()
    assert await drain(buffer) == list(range(20))


@pytest.fixture
async def whole(open_buffer: OpenBuffer, tmp_path: Path) -> bytes:
    """The file of a buffer in which 2,000 numbered readings wait in 200 frames; a first 50 are settled."""
    folder = tmp_path / "whole"
    buffer = await open_buffer(folder)
    buffer.add_readings(numbered(5000, 50))
    await buffer.flush()
    await drain(buffer)
    for first in range(0, 2000, 10):
        buffer.add_readings(numbered(first, 10))
        await buffer.flush()
    await buffer.close()
    return (folder / FILE).read_bytes()


async def test_every_readable_frame_of_a_damaged_buffer_is_rescued(
    whole: bytes, open_buffer: OpenBuffer, tmp_path: Path
) -> None:
    generator = random.Random(11)
    pages = len(whole) // 4096
    assert pages > 8
    rescued_all = 0
    for case in range(24):
        damaged = bytearray(whole)
        page = case % pages * 4096
        if case % 3 == 0:
            damaged[page : page + 4096] = generator.randbytes(4096)
        else:
            damaged[page + generator.randrange(4096)] ^= 1 << generator.randrange(8)
        source = tmp_path / f"case{case}.damaged"
        source.write_bytes(damaged)
        found = salvage(source, tmp_path / f"out{case}", lambda *_: None)
        assert source.read_bytes() == damaged, "the damaged file is not touched"
        assert verify(Path(found.into) / FILE, lambda *_: None) == []
        buffer = await open_buffer(Path(found.into))
        numbers = await drain(buffer)
        assert numbers == sorted(set(numbers)), "in order, none twice"
        assert set(numbers) <= set(range(2000)), "nothing that was settled, nothing that was not there"
        assert len(numbers) == found.rows
        if found.lost_rows is not None:
            assert found.rows + found.lost_rows == 2000, "what is lost is said"
        assert found.whole == (found.rows == 2000 and found.epoch_kept)
        rescued_all += found.rows
        await buffer.close()
        assert sorted(os.listdir(found.into)) == [FILE]
    assert rescued_all > 24 * 2000 * 0.7


async def test_a_salvaged_buffer_keeps_its_identity(whole: bytes, open_buffer: OpenBuffer, tmp_path: Path) -> None:
    """What the cloud had stored before the damage is recognised: same epoch, same numbers."""
    buffer = await open_buffer(tmp_path / "whole")
    before = await buffer.take(10**9)
    assert before is not None
    await buffer.close()
    found = salvage(tmp_path / "whole" / FILE, tmp_path / "again", lambda *_: None)
    assert found.whole
    again = await open_buffer(tmp_path / "again")
    after = await again.take(10**9)
    assert after == before
    await again.settle(after, Receipt([frame.seq for frame in after.frames]))
    again.add_readings(numbered(9000, 1))
    await again.flush()
    new = await again.take(10**9)
    assert new is not None
    assert new.frames[0].seq > max(frame.seq for frame in after.frames)
    assert numbers_in(new.frames) == [9000]
    with pytest.raises(ConfigError, match="salvaged already"):
        salvage(tmp_path / "whole" / FILE, tmp_path / "again", lambda *_: None)
    (tmp_path / "text.damaged").write_text("no database " * 9999)
    with pytest.raises(SunmaoError, match="nothing can be read"):
        salvage(tmp_path / "text.damaged", tmp_path / "text", lambda *_: None)


async def test_the_command_rescues_and_sends_each_once(
    whole: bytes, start: Start, cloud: CloudDouble, tmp_path: Path
) -> None:
    config = write_config(tmp_path, cloud.url, {})
    state = tmp_path / "state"
    state.mkdir()

    async def say(*words: str) -> tuple[int, Any]:
        code, out, err = await done(await start("buffer", "salvage", *words, "-c", config, "--json"))
        assert "Traceback" not in err
        return code, json.loads(out) if out else err

    assert await say() == (0, [])
    damaged = bytearray(whole)
    damaged[10 * 4096 : 13 * 4096] = bytes(3 * 4096)
    (state / "buffer-20260101T000000.000000Z.damaged").write_bytes(damaged)
    code, (found,) = await say()
    assert (code, found["epoch_kept"], found["rows"] + found["lost_rows"]) == (1, True, 2000)
    assert 1000 < found["rows"] < 2000
    assert (await say("--send"))[0] == 2, "it must be enrolled"
    assert (await done(await start("enrol", CODE, "-c", config)))[0] == 0
    assert await say("--send") == (0, [])
    assert await say("--send") == (0, [])
    assert len(cloud.readings()) == found["rows"]
    await cloud.stop()
    await asyncio.sleep(0)
    assert (await say("--send"))[0] == 3
