"""One suite of what the buffer promises."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from edge_agent.buffer import FILE, Buffer
from edge_agent.buffer_care import peek, verify
from edge_agent.normalise import Mark
from protocols.errors import ConfigError
from protocols.reading import GOOD, Reading
from protocols.text import Text
from protocols.uplink.codec import decode
from protocols.uplink.messages import Batch, Event, Inspection, Receipt, Verdict
from tests.edge_agent.conftest import OpenBuffer, until
from tests.edge_agent.numbered import REF, drain, numbered, numbers_in

WRITER = Path(__file__).with_name("numbered_writer.py")


def inspection(name: str, picture: bytes = b"x") -> Inspection:
    return Inspection(name, "camera-1", 1, "part", "pass", 0.1, 1.0, 2.0, "m", "1", 5, picture, b"y")


def fill_disk(file: Path) -> None:
    """Write `file` until its disk is full."""
    with file.open("wb", buffering=0) as out, suppress(OSError):
        while True:
            out.write(b"x" * 4096)


def writer_under_strace(folder: Path, *options: str) -> list[str]:
    """Run the writer for 20 groups; the system calls it made on the buffer and on its output, by thread."""
    trace = folder / "trace"
    command = ["strace", "-f", "-y", "-o", trace, "-e", "trace=pwrite64,fdatasync,fsync,write", *options]
    child = subprocess.run(
        [*command, sys.executable, WRITER, folder / "state", "20"], capture_output=True, timeout=60, check=False
    )
    if b"ptrace" in child.stderr:
        pytest.skip(f"SYSTEM CALLS ARE NOT TESTED: {child.stderr.decode().strip()}")
    assert child.returncode == 0, child.stderr
    return trace.read_text().splitlines()


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def damaged_files(folder: Path) -> list[str]:
    return [file.name for file in folder.glob("*.damaged")]


def write_until_killed(folder: Path, generator: random.Random) -> int:
    """Run the writer, kill -9 it at a random instant; the last number it said was on disk."""
    acknowledged = 0
    child = subprocess.Popen([sys.executable, WRITER, folder], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(generator.randrange(1, 60)):
        acknowledged = int(child.stdout.readline())
    time.sleep(generator.random() * 0.003)
    child.kill()
    for line in child.communicate()[0].splitlines():
        acknowledged = int(line) if line.isdigit() else acknowledged
    return acknowledged


async def batches(buffer: Buffer) -> list[Batch]:
    delivery = await buffer.take(10_000_000)
    return [decode(frame.payload) for frame in delivery.frames] if delivery else []


async def test_what_is_flushed_comes_out_once_in_order(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    for first in range(0, 1000, 100):
        buffer.add_readings(numbered(first, 100))
        await buffer.flush()
    assert await drain(buffer) == list(range(1000))
    assert await buffer.take(1_000_000) is None
    assert (await buffer.stats()).state.collected == 1000


async def test_a_group_is_committed_without_flush_and_wakes_the_forwarder(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    buffer.add_readings(numbered(0, 3))
    await asyncio.wait_for(buffer.committed.wait(), 5)
    assert await drain(buffer) == [0, 1, 2]


async def test_large_groups_become_frames_of_bounded_size(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    buffer.add_readings(numbered(0, 12_000))
    await buffer.flush()
    delivery = await buffer.take(10_000_000)
    assert delivery is not None
    assert [len(numbers_in([frame])) for frame in delivery.frames] == [5000, 5000, 2000]


async def test_a_reopened_buffer_goes_on_where_it_stopped(open_buffer: OpenBuffer) -> None:
    first = await open_buffer()
    first.add_readings(numbered(0, 10))
    await first.close()
    again = await open_buffer()
    assert (await again.stats()).state.collected == 10
    again.add_readings(numbered(10, 10))
    await again.flush()
    assert await drain(again) == list(range(20))


async def test_numbers_of_frames_are_never_used_again(open_buffer: OpenBuffer) -> None:
    seen = []
    for _ in range(3):
        buffer = await open_buffer()
        buffer.add_readings(numbered(0, 1))
        await buffer.flush()
        delivery = await buffer.take(1000)
        assert delivery is not None
        seen += [frame.seq for frame in delivery.frames]
        await buffer.settle(delivery, Receipt([frame.seq for frame in delivery.frames]))
        await buffer.close()
    assert len(set(seen)) == 3


async def test_lanes_quality_before_events_before_telemetry(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    buffer.add_readings(numbered(0, 1))
    await buffer.flush()
    buffer.add_event(Event("e", "", 1, "kind", "en", "zh"))
    await buffer.flush()
    buffer.add_inspection(inspection("i"), [])
    await buffer.flush()
    await buffer.postpone()
    kinds = []
    while delivery := await buffer.take(1):
        batch = decode(delivery.frames[0].payload)
        kinds.append("quality" if batch.inspections else "events" if batch.events else "telemetry")
        await buffer.settle(delivery, Receipt([delivery.frames[0].seq]))
    assert kinds == ["quality", "events", "telemetry"]


async def test_new_readings_do_not_wait_behind_a_backlog(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    for first in range(0, 500, 10):
        buffer.add_readings(numbered(first, 10))
        await buffer.flush()
    await buffer.postpone()
    buffer.add_readings(numbered(9_000, 10))
    await buffer.flush()
    delivery = await buffer.take(2_000)
    assert delivery is not None
    numbers = numbers_in(delivery.frames)
    assert numbers[0] == 0
    assert numbers[-1] == 9_009
    assert len(numbers) < 510


async def test_an_inspection_is_taken_once_even_after_a_restart(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    buffer.add_inspection(inspection("a"), numbered(0, 2))
    buffer.add_inspection(inspection("a"), numbered(0, 2))
    await buffer.close()
    again = await open_buffer()
    again.add_inspection(inspection("a"), numbered(0, 2))
    again.add_inspection(inspection("b"), numbered(2, 2))
    await again.flush()
    found = await batches(again)
    assert [item.id for batch in found for item in batch.inspections] == ["a", "b"]
    state = (await again.stats()).state
    assert (state.inspections, state.collected) == (2, 4)


async def test_pictures_are_spread_over_frames(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    for n in range(6):
        buffer.add_inspection(inspection(str(n), os.urandom(300_000)), [])
    await buffer.flush()
    assert [len(batch.inspections) for batch in await batches(buffer)] == [2, 2, 2]


async def test_marks_are_kept_with_their_readings(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    marks = {"count": Mark(5, 2**64 - 1, 0)}
    buffer.add_readings(numbered(0, 1), [(REF, marks["count"])])
    await buffer.close()
    again = await open_buffer()
    assert await again.marks("press-1") == marks
    assert await again.marks("press-2") == {}


async def test_a_refused_frame_is_set_aside_counted_and_the_queue_moves(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    for first in (0, 5):
        buffer.add_readings(numbered(first, 5))
        await buffer.flush()
    delivery = await buffer.take(1_000_000)
    assert delivery is not None
    bad, good = (frame.seq for frame in delivery.frames)
    await buffer.settle(delivery, Receipt([good, 999], [Verdict(bad, "unit unknown"), Verdict(999, "never sent")]))
    await buffer.flush()
    state = (await buffer.stats()).state
    assert (state.set_aside, state.frames_set_aside, state.collected) == (5, 1, 10)
    assert [event.kind for batch in await batches(buffer) for event in batch.events] == ["frame_refused"]


async def test_refusals_for_one_reason_are_said_once(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    for number in range(4):
        buffer.add_readings(numbered(number, 1))
        await buffer.flush()
    delivery = await buffer.take(1_000_000)
    assert delivery is not None
    reasons = ["clock", "clock", "clock", "unit"]
    verdicts = [Verdict(frame.seq, reason) for frame, reason in zip(delivery.frames, reasons, strict=True)]
    await buffer.settle(delivery, Receipt([], verdicts))
    await buffer.flush()
    assert (await buffer.stats()).state.frames_set_aside == 4
    said = [event.text_en for batch in await batches(buffer) for event in batch.events]
    assert [reason in line for line, reason in zip(said, ("clock", "unit"), strict=True)] == [True, True]


async def test_the_limit_holds_and_every_dropped_reading_is_counted(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    buffer = await open_buffer(limit_mb=2)
    generator = random.Random(5)
    buffer.add_inspection(inspection("kept"), [])
    for first in range(0, 400_000, 5_000):
        buffer.add_readings(
            [(ref, msgspec.structs.replace(r, value=generator.random())) for ref, r in numbered(first, 5_000)]
        )
        await buffer.flush()
        assert size_of(tmp_path) <= 2_200_000
    state = (await buffer.stats()).state
    frames = []
    while delivery := await buffer.take(1_000_000):
        frames += delivery.frames
        await buffer.settle(delivery, Receipt([frame.seq for frame in delivery.frames]))
    found = [decode(frame.payload) for frame in frames]
    rows = len(numbers_in(frames))
    assert (state.frames, state.rows) == (len(frames), rows)
    await buffer.flush()
    emptied = (await buffer.stats()).state
    assert (emptied.frames, emptied.rows) == (0, 0)
    assert state.dropped > 0
    assert rows + state.dropped == state.collected == 400_000
    assert [item.id for batch in found for item in batch.inspections] == ["kept"]
    assert "readings_dropped" in [event.kind for batch in found for event in batch.events]


async def test_kill_at_any_instant_loses_and_doubles_nothing(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    generator = random.Random(20)
    acknowledged = 0
    for _ in range(15):
        acknowledged = write_until_killed(tmp_path, generator)
    buffer = await open_buffer()
    collected = (await buffer.stats()).state.collected
    assert collected >= acknowledged > 0
    assert await drain(buffer) == list(range(collected))


needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="SYSTEM CALLS ARE NOT TESTED: no strace here")


def is_output(call: str) -> bool:
    return " write(1<" in call and "resumed" not in call


@needs_strace
def test_every_group_is_synced_to_disk_before_it_counts(tmp_path: Path) -> None:
    acknowledged, written, unsynced = 0, 0, False
    for call in writer_under_strace(tmp_path):
        if "buffer.db-wal>" in call and "pwrite64(" in call:
            unsynced, written = True, written + 1
        elif "buffer.db-wal>" in call and "sync(" in call and "= 0" in call:
            unsynced = False
        elif is_output(call):
            assert not unsynced, call
            acknowledged += 1
    assert acknowledged >= 20
    assert written >= 20


@needs_strace
def test_a_group_whose_sync_fails_is_written_again_before_it_counts(tmp_path: Path) -> None:
    calls = writer_under_strace(tmp_path, "-e", "inject=fdatasync,fsync:error=EIO:when=12")
    (failed,) = [number for number, call in enumerate(calls) if "EIO" in call]
    after = calls[failed + 1 :]
    alarm = next(number for number, call in enumerate(after) if "write(2<" in call and "cannot be writt" in call)
    again = next(number for number, call in enumerate(after) if "pwrite64(" in call and "buffer.db-wal>" in call)
    synced = next(number for number, call in enumerate(after) if "sync(" in call and "= 0" in call)
    counted = next(number for number, call in enumerate(after) if is_output(call))
    assert alarm < again < synced < counted


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"DISK FULL IS NOT TESTED: no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


async def test_disk_full_keeps_what_is_committed_and_recovers_by_itself(
    open_buffer: OpenBuffer, small_disk: Path
) -> None:
    state_dir = small_disk / "state"
    buffer = await open_buffer(state_dir)
    buffer.add_readings(numbered(0, 100))
    await buffer.flush()
    fill = small_disk / "somebody-else"
    fill_disk(fill)
    number = 100
    async with asyncio.timeout(20):
        while not buffer.failing:
            buffer.add_readings(numbered(number, 1000))
            number += 1000
            await asyncio.sleep(0.01)
    safe = (await buffer.stats()).state.collected
    assert safe < number
    waiter = asyncio.create_task(buffer.flush())
    fill.unlink()
    await asyncio.wait_for(waiter, 10)
    assert await drain(buffer) == list(range(number))
    state = (await buffer.stats()).state
    assert (state.collected, state.dropped) == (number, 0)


async def test_disk_full_for_long_gives_up_the_oldest_in_memory_and_counts_them(
    open_buffer: OpenBuffer, small_disk: Path
) -> None:
    buffer = await open_buffer(small_disk / "state")
    fill_disk(small_disk / "x")
    number = 0
    async with asyncio.timeout(20):
        while not buffer.failing or number < 200_000:
            buffer.add_readings(numbered(number, 2000))
            number += 2000
            await asyncio.sleep(0.001)
    (small_disk / "x").unlink()
    await asyncio.wait_for(buffer.flush(), 10)
    kept = await drain(buffer)
    state = (await buffer.stats()).state
    assert state.dropped > 0
    assert state.collected == number == len(kept) + state.dropped
    assert kept == sorted(set(kept))


async def test_disk_full_at_the_end_says_what_is_lost_with_it(
    open_buffer: OpenBuffer, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = await open_buffer(small_disk / "state")
    fill_disk(small_disk / "x")
    buffer.add_readings(numbered(0, 40_000), [(REF, Mark(n, n, 0)) for n in range(40_000)])
    await until(lambda: buffer.failing)
    assert len(buffer._group.marks) == 1
    await buffer.close()
    assert ["40000 readings" in line for line in caplog.messages] == [False, True]


async def test_text_that_is_not_utf_8_is_damage(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    buffer = await open_buffer()
    buffer.add_readings(numbered(0, 1), [(REF, Mark(1, 1, 0))])
    await buffer.close()
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content.replace(b"press-1count", b"press-1\xffount"))
    again = await open_buffer()
    assert await again.marks("press-1") == {}
    assert len(damaged_files(tmp_path)) == 1


async def test_a_sentence_that_quotes_what_is_no_unicode_can_be_kept(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    buffer.announce("camera-1", "folder_unusable", Text("\udcb3: no\0", "\udcb3：no"))
    await asyncio.wait_for(buffer.flush(), 5)
    assert [event.text_en for batch in await batches(buffer) for event in batch.events] == ["?: no?"]


async def test_a_damaged_file_never_stops_the_agent_nor_gives_a_wrong_value(
    open_buffer: OpenBuffer, tmp_path: Path
) -> None:
    whole = await open_buffer(tmp_path / "whole")
    for first in range(0, 400, 10):
        whole.add_readings(numbered(first, 10))
        await whole.flush()
    await whole.close()
    content = (tmp_path / "whole" / FILE).read_bytes()
    generator = random.Random(9)
    pages = len(content) // 4096
    assert pages > 5
    outcomes = set()
    for case in range(120):
        folder = tmp_path / f"case{case}"
        folder.mkdir()
        damaged = bytearray(content)
        if case % 4 == 3:
            del damaged[generator.randrange(1, len(damaged)) :]
        else:
            damaged[case % pages * 4096 + generator.randrange(4096)] ^= 1 << generator.randrange(8)
        (folder / FILE).write_bytes(damaged)
        buffer = await open_buffer(folder)
        buffer.add_readings(numbered(1000, 3))
        await buffer.flush()
        numbers = await drain(buffer)
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= {*range(400), 1000, 1001, 1002}
        assert numbers[-3:] == [1000, 1001, 1002]
        state = (await buffer.stats()).state
        aside = damaged_files(folder)
        outcomes.add("file set aside" if aside else "frame set aside" if state.set_aside else "unharmed")
        if not aside:
            assert len(numbers) + state.set_aside == 403
        await buffer.close()
    assert outcomes >= {"file set aside", "frame set aside"}


async def test_damage_is_announced(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database at all" * 400)
    buffer = await open_buffer()
    await buffer.flush()
    events = [event for batch in await batches(buffer) for event in batch.events]
    assert [event.kind for event in events] == ["buffer_damaged"]
    assert damaged_files(tmp_path)[0] in events[0].text_zh


async def test_an_unusable_folder_is_a_configuration_error(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as error:
        await open_buffer(tmp_path / "file")
    assert error.value.key == "agent.state_dir"


async def test_a_running_buffer_can_be_looked_at_and_verified(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    buffer = await open_buffer()
    buffer.add_readings(numbered(0, 10))
    await buffer.flush()
    stats = peek(tmp_path / FILE)
    assert (stats.frames, stats.rows, stats.state.collected) == (1, 10, 10)
    assert verify(tmp_path / FILE, lambda done, total: None) == []
    delivery = await buffer.take(1000)
    assert delivery is not None
    await buffer.close()
    payload = delivery.frames[0].payload
    content = (tmp_path / FILE).read_bytes()
    assert content.count(payload) == 1
    (tmp_path / FILE).write_bytes(content.replace(payload, payload[:-1] + b"?"))
    assert verify(tmp_path / FILE, lambda done, total: None) == ["frame 1: content does not match its CRC"]


async def test_text_and_numbers_both_survive(open_buffer: OpenBuffer) -> None:
    buffer = await open_buffer()
    buffer.add_readings([(REF, Reading("count", "程序 7", GOOD, 1, 1)), (REF, Reading("count", True, GOOD, 2, 2))])
    await buffer.flush()
    (batch,) = await batches(buffer)
    assert [text.value for text in batch.texts] == ["程序 7"]
    assert batch.columns is not None


def test_a_buffer_that_is_just_being_made_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    assert peek(tmp_path / FILE).state.collected == 0
