"""One picture inspected on another machine: what the way adds to the work, p50 in ms on the loopback; the bar: 2 ms.

The same signed model by the served command and in this process; asked by turns over a connection that lasts, 64 x 64 pixels.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.bundle import read_bundle, write_bundle
from models.signing import public_key
from models.vision.detector import Detector
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import decode, fit_to
from models.vision.recipe import Recipe
from tests.benchmarks.comparison import Comparison
from tests.cloud.compute.test_remote_inspection import TOKEN, served
from tests.edge_agent.inspect.conftest import SIDE, SignedBundle, drop, small_picture

ASKED, LIMIT_MS = 500, 2.0


def measure() -> Comparison:
    with tempfile.TemporaryDirectory(prefix="sunmao-bench-") as name:
        folder = Path(name)
        bundle = _bundle(folder / "bundle")
        drop(folder, "part.png", 1)
        content = (folder / "part.png").read_bytes()
        detector = Detector(read_bundle(bundle.folder, bundle.trust))
        with (
            served(bundle, folder) as (url, _),
            httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        ):
            here, there = [], []
            for _ in range(ASKED):
                here.append(_ms(lambda: detector.inspect(fit_to(decode(content, "part"), detector.side))))
                there.append(_ms(lambda: http.post("/inspect", content=content).raise_for_status()))
    added = sorted(far - near for far, near in zip(there, here, strict=True))
    p50, p99 = statistics.median(added), added[int(len(added) * 0.99)]
    what = f"the bar; the work itself {statistics.median(here):.2f} ms, the way p99 {p99:.2f} ms (bar 8)"
    return Comparison("remote", what, "ms", round(p50, 2), LIMIT_MS, round(LIMIT_MS / p50, 3))


def _ms(do: Callable[[], object]) -> float:
    begin = time.perf_counter()
    do()
    return (time.perf_counter() - begin) * 1000


def _bundle(folder: Path) -> SignedBundle:
    greys = [small_picture(1000 + number) for number in range(120)]
    parts = Parts("listed", [str(number) for number in range(120)])
    release = fit(greys, parts, Recipe("ramp", size=SIDE, scales=2, grid=8, planted=120))
    key = Ed25519PrivateKey.generate()
    write_bundle(folder, release.card, release.onnx, key)
    return SignedBundle(folder, [public_key(key)])
