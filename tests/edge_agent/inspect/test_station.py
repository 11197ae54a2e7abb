"""What an inspection station promises: every picture once, nothing lost, nobody hurt by a bad file or a bad model."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_agent.config import InspectionConfig
from edge_agent.inspect.runtime import EVIDENCE_BYTES, EVIDENCE_SIDE, evidence_jpeg
from edge_agent.inspect.source_folder import PATIENCE_S, Picture, PictureFolder, picture_id
from models.vision.pictures import MAX_BYTES
from protocols.reading import GOOD
from protocols.uplink.codec import decode
from tests.edge_agent.conftest import OpenBuffer
from tests.edge_agent.inspect.conftest import SignedBundle, StartBench, drop, small_picture

RUNNER = Path(__file__).with_name("station_runner.py")


async def test_verdict_evidence_and_readings_become_durable_together(start_bench: StartBench) -> None:
    bench = await start_bench()
    drop(bench.folder, "cap-1.png", 1)
    drop(bench.folder, "cap-2.png", 2, flawed=True)
    await bench.until_judged(2)
    batches = await bench.batches()
    found = {one.part: one for batch in batches for one in batch.inspections}
    assert {part: one.verdict for part, one in found.items()} == {"cap-1": "pass", "cap-2": "reject"}
    bad = found["cap-2"]
    assert bad.score > bad.reject_limit >= bad.review_limit
    assert (bad.device, bad.model, bad.model_version) == ("camera-1", "ramp", "1")
    assert bad.latency_us > 0
    with Image.open(BytesIO(bad.picture)) as picture, Image.open(BytesIO(bad.heatmap)) as heatmap:
        assert (picture.format, heatmap.format) == ("JPEG", "PNG")
        assert picture.size == heatmap.size == (64, 64)
        heat = np.asarray(heatmap)
        assert heat[18:34, 18:34].min() == 255 > heat.mean()
    with Image.open(BytesIO(found["cap-1"].heatmap)) as quiet:
        assert np.asarray(quiet).mean() < heat.mean()
    columns = [batch.columns for batch in batches if batch.columns]
    points = {point.name: (point.property, point.unit) for column in columns for point in column.points}
    assert points == {
        "verdict": ("inspection_verdict", "C62"),
        "score": ("inspection_score", "C62"),
        "latency": ("inspection_latency", "SEC"),
    }
    assert sum(len(column.value) // 8 for column in columns) == 6
    assert {code for column in columns for code in np.frombuffer(column.quality, "<i2")} == {int(GOOD)}
    assert bench.station.report().state == "up"
    assert bench.station.report().template == "ramp 1"


async def test_lot_and_serial_are_read_from_the_parts_name(start_bench: StartBench) -> None:
    bench = await start_bench(part_pattern=r"(?P<lot>L\d+)-(?P<serial>\d+)")
    drop(bench.folder, "L7-0042.png", 1)
    drop(bench.folder, "other.png", 2)
    await bench.until_judged(2)
    found = {one.part: (one.lot, one.serial) for batch in await bench.batches() for one in batch.inspections}
    assert found == {"L7-0042": ("L7", "0042"), "other": ("", "")}


@pytest.mark.parametrize("pattern", ["(", "L.*", "(?P<batch>L.*)"])
def test_a_pattern_without_lot_and_serial_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"part_pattern"):
        InspectionConfig.model_validate(
            {
                "device": "c",
                "folder": Path("p"),
                "bundle": Path("b"),
                "trust": ["A" * 43 + "="],
                "part_pattern": pattern,
            }
        )


async def test_the_time_is_the_pictures(start_bench: StartBench) -> None:
    bench = await start_bench()
    drop(bench.folder, ".hidden.png", 1)
    os.utime(bench.folder / ".hidden.png", ns=(0, 1_700_000_000_123_456_789))
    (bench.folder / ".hidden.png").replace(bench.folder / "cap.png")
    await bench.until_judged(1)
    (one,) = [one for batch in await bench.batches() for one in batch.inspections]
    assert one.time == 1_700_000_000_123_456


async def test_a_picture_seen_again_after_a_crash_is_not_counted_again(start_bench: StartBench) -> None:
    """A kill between commit and move leaves the picture where it was; putting it back is the same thing."""
    bench = await start_bench()
    drop(bench.folder, "cap-1.png", 1)
    await bench.until_judged(1)
    (name,) = bench.names("done")
    (bench.folder / "done" / name).rename(bench.folder / "cap-1.png")
    await bench.until_judged(1)
    drop(bench.folder, "cap-1.png", 1)  # taken anew: another inspection, though every pixel is the same
    await bench.until_judged(2)
    inspections = [one for batch in await bench.batches() for one in batch.inspections]
    assert [one.part for one in inspections] == ["cap-1", "cap-1"]
    assert len({one.id for one in inspections}) == 2


async def test_exactly_once_over_kills(tmp_path: Path, small_bundle: SignedBundle, open_buffer: OpenBuffer) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    parts = [f"cap-{number:03d}" for number in range(60)]
    for number, part in enumerate(parts):
        drop(pictures, f"{part}.png", number)
    chance = random.Random(4)
    command = [sys.executable, str(RUNNER), str(tmp_path), str(small_bundle.folder), small_bundle.trust[0]]
    for _ in range(4):
        run_until_judged(command, pictures, _judged(pictures) + chance.randint(1, 12))
    run_until_judged(command, pictures, len(parts))
    buffer = await open_buffer()
    delivery = await buffer.take(10**9)
    assert delivery
    batches = [decode(frame.payload) for frame in delivery.frames]
    assert Counter(one.part for batch in batches for one in batch.inspections) == Counter(parts)
    assert sum(len(batch.columns.value) // 8 for batch in batches if batch.columns) == 3 * len(parts)
    assert [path for path in pictures.iterdir() if path.is_file()] == []


def run_until_judged(command: list[str], pictures: Path, target: int) -> None:
    """Run a station and kill it (SIGKILL) the moment `target` pictures have been moved."""
    with subprocess.Popen(command) as runner:
        deadline = time.monotonic() + 30
        while _judged(pictures) < target:
            assert runner.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        runner.kill()


def _judged(pictures: Path) -> int:
    done = pictures / "done"
    return len(list(done.iterdir())) if done.is_dir() else 0


async def test_a_picture_written_slowly_is_judged_when_it_is_whole(start_bench: StartBench) -> None:
    bench = await start_bench()
    whole = BytesIO()
    Image.fromarray(small_picture(3)).save(whole, "PNG")
    content = whole.getvalue()
    with (bench.folder / "slow.png").open("wb", buffering=0) as file:
        for begin in range(0, len(content), len(content) // 6 + 1):
            file.write(content[begin : begin + len(content) // 6 + 1])
            await asyncio.sleep(PATIENCE_S / 8)  # the camera's own pace, not a wait for the station
    await bench.until_judged(1)
    assert bench.names("bad") == []
    (one,) = [one for batch in await bench.batches() for one in batch.inspections]
    assert one.part == "slow"


async def test_files_that_are_no_pictures_are_set_aside_and_told(start_bench: StartBench, tmp_path: Path) -> None:
    bench = await start_bench()
    with (bench.folder / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    (bench.folder / "text.jpg").write_text("hello")
    (bench.folder / "empty.png").touch()
    (bench.folder / "bomb.png").write_bytes(_png_header(50_000, 50_000))
    (bench.folder / "gif.png").write_bytes(b"GIF89a" + bytes(40))
    (bench.folder / "notes.txt").write_text("not mine")
    (bench.folder / "folder.png").mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (bench.folder / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(bench.folder / "pipe.png")
    drop(bench.folder, "good.png", 1)
    await bench.until_judged(1)
    await bench.until(lambda: len(bench.names("bad")) == 5)
    events = [event for batch in await bench.batches() for event in batch.events]
    told = " | ".join(event.text_en for event in events)
    assert len(events) == 5
    for name, why in (
        ("huge", "32 MiB"),
        ("text", "not a complete"),
        ("empty", "not a complete"),
        ("bomb", "million pixels"),
        ("gif", "not a complete"),
    ):
        assert f"{name}: " in told
        assert why in told
    assert all(event.kind == "picture_set_aside" and event.device == "camera-1" for event in events)
    assert all("已移至 bad/" in event.text_zh for event in events)
    assert {"notes.txt", "folder.png", "link.png", "pipe.png"} <= {path.name for path in bench.folder.iterdir()}
    assert bench.station.report().state == "up"


def _png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims this size, up to where its pixels would come."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">II", zlib.crc32(body), 99) + b"IDAT"


async def test_a_refused_model_stops_the_station_alone_until_it_is_replaced(
    start_bench: StartBench, small_bundle: SignedBundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(small_bundle.folder, tmp_path / "bundle"))
    signature = (folder / "signature").read_bytes()
    (folder / "signature").write_bytes(bytes(64))
    bench = await start_bench(SignedBundle(folder, small_bundle.trust))
    await bench.until(lambda: bench.station.report().state == "down")
    report = bench.station.report()
    assert "not by a trusted key" in report.reason_en
    assert "\n" not in report.reason_en
    assert "受信任" in report.reason_zh
    drop(bench.folder, "cap.png", 1)
    (folder / "signature").write_bytes(signature)
    await bench.until_judged(1)
    assert bench.station.report().state == "up"
    kinds = [event.kind for batch in await bench.batches() for event in batch.events]
    assert kinds == ["model_refused", "inspecting"]


async def test_done_keeps_the_latest(start_bench: StartBench) -> None:
    bench = await start_bench(keep=3)
    for number in range(8):
        drop(bench.folder, f"cap-{number}.png", number)
        os.utime(bench.folder / f"cap-{number}.png", ns=(0, 1_700_000_000_000_000_000 + number * 10**9))
    await bench.until(lambda: [n[37:] for n in bench.names("done")] == [f"cap-{n}.png" for n in (5, 6, 7)])
    assert len([one for batch in await bench.batches() for one in batch.inspections]) == 8


def test_a_picture_put_in_the_place_of_another_is_never_taken_for_it(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path, 10)
    folder.prepare()
    drop(tmp_path, "latest.png", 1)
    folder.arrived(10)
    (first,) = folder.arrived(10)
    content = folder.read(first)
    drop(tmp_path, "latest.png", 2)
    with pytest.raises(FileNotFoundError):
        folder.read(first)
    folder.judged(first, picture_id("camera-1", first, content))
    folder.set_aside(first, picture_id("camera-1", first, content))
    folder.arrived(10)
    (second,) = folder.arrived(10)
    assert folder.read(second) != content
    folder.judged(second, picture_id("camera-1", second, b""))
    assert len(list((tmp_path / "done").iterdir())) == 1


def test_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path, 10)
    folder.prepare()
    name = os.fsdecode(b"\xff\xfe" + "螺母".encode() * 30 + b".png")
    (tmp_path / name).write_bytes(b"x")
    folder.arrived(10)
    (picture,) = folder.arrived(10)
    picture.part.encode()
    assert len(picture.part) <= 120
    folder.judged(picture, picture_id("camera-1", picture, b"x"))
    assert len(list((tmp_path / "done").iterdir())) == 1


def test_identifiers_tell_pictures_apart_and_sort_by_time(tmp_path: Path) -> None:
    def identifier(name: str = "a.png", taken_ns: int = 10**18, content: bytes = b"x", device: str = "c") -> str:
        return picture_id(device, Picture(tmp_path / name, 1, taken_ns, 0.0), content)

    assert identifier() == identifier()
    others = [identifier("b.png"), identifier(taken_ns=2 * 10**18), identifier(content=b"y"), identifier(device="d")]
    assert len({identifier(), *others}) == 5
    assert identifier() < identifier(taken_ns=2 * 10**18)
    assert all(text[14] == "7" and text[19] in "89ab" for text in others)


@pytest.mark.parametrize("size", [(64, 64), (2000, 1500), (4000, 3), (30, 900)])
def test_evidence_is_small_and_keeps_its_shape(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0]), dtype=np.uint8)
    content = evidence_jpeg(Image.fromarray(noise))
    assert len(content) <= EVIDENCE_BYTES
    with Image.open(BytesIO(content)) as picture:
        assert max(picture.size) <= EVIDENCE_SIDE
        if min(picture.size) > 10:
            assert picture.width / picture.height == pytest.approx(size[0] / size[1], rel=0.1)


def test_the_box_needs_no_onnx_package(small_bundle: SignedBundle, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['onnx'] = None; from pathlib import Path; from edge_agent.inspect.runtime import *; "
    )
    code += "print(load_detector(Path(sys.argv[1]), sys.argv[3:], Path(sys.argv[2])).detector.card.name)"
    command = [sys.executable, "-c", code, str(small_bundle.folder), str(tmp_path), *small_bundle.trust]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "ramp\n"
