"""What inspection costs: our run of a model beside a bare ONNX Runtime loop, CPU at ten pictures a second, two cameras.

`python -m tests.benchmarks.inspection` fits a model of the default size on generated parts, runs it, and lets two stations
fetch ten pictures a second each over HTTP from a camera in another process. Beside it, what watching a video of ten pictures a
second costs, where GStreamer's RTSP server is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from rich.console import Console
from rich.table import Table

from edge_agent.buffer import Buffer
from edge_agent.config import parse_config
from edge_agent.config_inspection import CameraConfig
from edge_agent.inspect.camera import SnapshotCamera
from edge_agent.inspect.probe import probe
from edge_agent.inspect.runtime import judge
from edge_agent.inspect.video import VideoReader, source_of
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from models.bundle import read_bundle, write_bundle
from models.session import Way, open_session
from models.signing import public_key
from models.vision.detector import Detector
from models.vision.fit import fit
from models.vision.parts import Parts as PicturedParts
from models.vision.pictures import Grey
from models.vision.recipe import Recipe
from tests.peers.rtsp.film import PASSWORD, USER, Film, RtspCamera, has_server

RUNS = 200
SECONDS = 15.0
FPS = 10
STATION = """
[[inspection]]
device = "camera-{number}"
folder = "pictures-{number}"
bundle = "{bundle}"
trust = {trust}
keep = 100000
[inspection.camera]
url = "http://127.0.0.1:{port}/{number}.jpg"
[inspection.trigger]
period_s = {period}
deadline_s = 1.0
"""


def part(seed: int, side: int) -> Grey:
    """A ramp with texture and noise."""
    rng = np.random.default_rng(seed)
    grey = (
        np.linspace(40, 200, side)[:, None] + 10 * np.sin(np.arange(side) / 5)[None, :] + rng.normal(0, 6, (side, side))
    )
    return np.clip(grey, 0, 255).astype(np.uint8)


def serve_camera() -> None:
    """Print the port and answer every request with a JPEG of 1280 x 960 pixels, until killed."""
    files = []
    for seed in range(20):
        file = BytesIO()
        Image.fromarray(part(seed, 1280)[:960]).save(file, "JPEG", quality=85)
        files.append(file.getvalue())

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = files[time.monotonic_ns() // 50_000_000 % len(files)]
            self.send_response(200)
            self.send_header("content-type", "image/jpeg")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def in_turns(*ways: Callable[[], object]) -> list[float]:
    """Return the median seconds of each, run in turns so that the box's other work meets all of them."""
    took: list[list[float]] = [[] for _ in ways]
    for number in range(RUNS + 10):
        for times, way in zip(took, ways, strict=True):
            start = time.perf_counter()
            way()
            if number >= 10:
                times.append(time.perf_counter() - start)
    return [median(times) for times in took]


def load_at(fps: int, work: Callable[[], object]) -> float:
    """Return the share of one core that `work` takes when it is done so often a second."""
    begun, used = time.perf_counter(), time.process_time()
    for number in range(int(SECONDS * fps)):
        work()
        time.sleep(max(0.0, begun + (number + 1) / fps - time.perf_counter()))
    return (time.process_time() - used) / (time.perf_counter() - begun)


async def fetching(port: int) -> float:
    """Return the share of one core that ten snapshots a second over HTTP take, with nothing done with them."""
    async with SnapshotCamera(CameraConfig(url=f"http://127.0.0.1:{port}/0.jpg")) as camera:
        begun, used = time.perf_counter(), time.process_time()
        for number in range(int(SECONDS * FPS)):
            await camera.take(1.0)
            await asyncio.sleep(begun + (number + 1) / FPS - time.perf_counter())
        return (time.process_time() - used) / (time.perf_counter() - begun)


def watching(keyframes: bool) -> float:
    """Return the share of one core that a video of 640 x 480 pixels takes, a key frame a second, while no picture is taken."""
    pictures = [Image.fromarray(part(seed, 640)[:480]) for seed in range(20)]
    with RtspCamera(Film(draw=lambda number: pictures[number % len(pictures)])) as camera:
        config = CameraConfig(url=camera.url, user=USER, password=PASSWORD, keyframes=keyframes)
        reader = VideoReader(source_of(config), 5.0, 60.0, keyframes=keyframes)
        reader.start()
        reader.newest(30.0)

        def used() -> float:
            times = next(each for each in psutil.Process().threads() if each.id == reader.native_id)
            return times.user_time + times.system_time

        begun, before = time.perf_counter(), used()
        time.sleep(SECONDS)
        share = (used() - before) / (time.perf_counter() - begun)
        reader.stop()
        reader.join()
    return share


async def two_cameras(folder: Path, trust: str, port: int) -> tuple[dict[str, int], dict[str, int], float]:
    """Return what each of two stations counted, its pictures judged among it, and the share of one core both took."""
    head = '[agent]\nname = "bench"\n[cloud]\nurl = "http://127.0.0.1:1"\n'
    stations = "".join(
        STATION.format(number=number, bundle=folder / "bundle", trust=json.dumps([trust]), port=port, period=1 / FPS)
        for number in (1, 2)
    )
    config = parse_config(head + stations, folder / "agent.toml")
    config.agent.state_dir.mkdir()
    buffer = Buffer(config.agent.state_dir, config.buffer, "en")
    await buffer.open()
    async with Outlets(buffer, config.agent.state_dir) as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        while any(report.state != "up" for report in parts.reports()):  # noqa: ASYNC110 - a station does not call
            await asyncio.sleep(0.1)
        begun, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(SECONDS)
        share = (time.process_time() - used) / (time.perf_counter() - begun)
        judged = [{"judged": len(os.listdir(folder / f"pictures-{number}" / "done"))} for number in (1, 2)]
        first, second = (
            {key: count for key, count in report.counters.items() if key != "drift_reference"} | done
            for report, done in zip(parts.reports(), judged, strict=True)
        )
    await buffer.close()
    return first, second, share


def main() -> int:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        recipe = Recipe("bench")
        key = Ed25519PrivateKey.generate()
        release = fit(
            [part(seed, recipe.size) for seed in range(60)],
            PicturedParts("listed", [str(n) for n in range(60)]),
            recipe,
        )
        write_bundle(folder / "bundle", release.card, release.onnx, key)
        bundle = read_bundle(folder / "bundle", [public_key(key)])
        chosen = probe(bundle, folder)
        way = Way(chosen.provider, chosen.threads)
        detector, session = Detector(bundle, way), open_session(bundle.onnx, way)
        grey = part(1, recipe.size)
        file = BytesIO()
        Image.fromarray(part(1, 1280)[:960]).save(file, "JPEG", quality=85)
        content = file.getvalue()
        outputs = [tensor.name for tensor in bundle.card.output]
        ours, bare, whole = in_turns(
            lambda: detector.inspect(grey),
            lambda: session.run(outputs, {"picture": grey}),
            lambda: judge(detector, content, "part"),
        )
        load = load_at(FPS, lambda: detector.inspect(grey))
        command = [sys.executable, "-m", "tests.benchmarks.inspection", "camera"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as camera:
            assert camera.stdout
            port = int(camera.stdout.readline())
            first, second, share = asyncio.run(two_cameras(folder, public_key(key), port))
            fetched = asyncio.run(fetching(port))
            camera.kill()
    if has_server():
        shares = " / ".join(f"{watching(keyframes=only):.1%}" for only in (False, True))
    else:
        shares = "not measured: no RTSP server"
    table = Table("inspection", "figure", box=None, header_style="bold")
    for name, figure in (
        ("cores, and how the model runs", f"{os.cpu_count()}; {chosen.sentence().en}"),
        ("our run of the model, median", f"{ours * 1e3:.2f} ms"),
        ("bare ONNX Runtime, median", f"{bare * 1e3:.2f} ms"),
        ("ratio", f"{ours / bare:.3f}"),
        ("JPEG of 1280 x 960 to verdict with evidence, median", f"{whole * 1e3:.1f} ms"),
        (f"the model at {FPS} pictures a second, share of one core", f"{load:.1%}"),
        (f"two cameras at {FPS} pictures a second each, share of one core", f"{share:.1%}"),
        (f"fetching {FPS} snapshots a second, share of one core", f"{fetched:.1%}"),
        (f"watching one video at {FPS} pictures a second, every picture / key frames only", shares),
        (f"first camera in {SECONDS:g} s", str(first)),
        (f"second camera in {SECONDS:g} s", str(second)),
    ):
        table.add_row(name, figure)
    console.print(table)
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["camera"]:
        serve_camera()
    sys.exit(main())
