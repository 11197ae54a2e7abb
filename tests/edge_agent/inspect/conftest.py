"""What the tests of inspection share: a signed bundle, a running station, pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from edge_agent.buffer import Buffer
from edge_agent.config import InspectionConfig, parse_config
from edge_agent.inspect.station import Station
from models.bundle import write_bundle
from models.signing import public_key
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import Grey
from models.vision.recipe import Recipe
from protocols.uplink.codec import decode
from protocols.uplink.messages import Batch
from tests.edge_agent.conftest import OpenBuffer
from tests.made_once import made_once

SIDE = 64


@dataclass
class SignedBundle:
    folder: Path
    trust: list[str]


def small_picture(seed: int, flawed: bool = False) -> Grey:
    """A plain grey ramp with noise; a flawed one has a black square."""
    rng = np.random.default_rng(seed)
    grey = np.linspace(40, 200, SIDE)[:, None] + rng.normal(0, 8, (SIDE, SIDE))
    if flawed:
        grey[20:32, 20:32] = 0
    return np.clip(grey, 0, 255).astype(np.uint8)


def drop(folder: Path, name: str, seed: int, flawed: bool = False, *, times: int = 1) -> None:
    """Leave a picture, `times` as wide and high, as a good camera does: written elsewhere, then renamed."""
    image = Image.fromarray(small_picture(seed, flawed))
    larger = image.resize((times * SIDE, times * SIDE), Image.Resampling.NEAREST)
    larger.save(folder / f".{name}.part", "PNG")
    (folder / f".{name}.part").replace(folder / name)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> SignedBundle:
    """A model of plain ramps; whoever changes its files copies them first."""

    def make(folder: Path) -> None:
        greys = [small_picture(1000 + number) for number in range(120)]
        recipe = Recipe("ramp", size=SIDE, scales=2, grid=8, planted=120)
        release = fit(greys, Parts("listed", [str(n) for n in range(120)]), recipe)
        key = Ed25519PrivateKey.generate()
        write_bundle(folder / "ramp", release.card, release.onnx, key)
        (folder / "trust").write_text(public_key(key))

    made = made_once(tmp_path_factory, "ramp-bundle", make)
    return SignedBundle(made / "ramp", [(made / "trust").read_text()])


@dataclass
class Bench:
    """A station at work on a buffer of its own."""

    station: Station
    buffer: Buffer
    folder: Path
    bundle: SignedBundle

    async def until(self, holds: Callable[[], bool], deadline_s: float = 20.0) -> None:
        """Wait until `holds()`; fails after the deadline."""
        async with asyncio.timeout(deadline_s):
            while not holds():  # noqa: ASYNC110 - what is waited for happens on the disk
                await asyncio.sleep(0.02)

    async def until_judged(self, count: int) -> None:
        await self.until(lambda: len(self.names("done")) >= count)

    def names(self, where: str) -> list[str]:
        place = self.folder / where
        return sorted(path.name for path in place.iterdir() if path.is_file()) if place.is_dir() else []

    async def batches(self) -> list[Batch]:
        """Everything durable in the buffer, oldest first within each lane."""
        await self.buffer.flush()
        delivery = await self.buffer.take(10**9)
        return [decode(frame.payload) for frame in delivery.frames] if delivery else []


StartBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def start_bench(tmp_path: Path, small_bundle: SignedBundle, open_buffer: OpenBuffer) -> AsyncIterator[StartBench]:
    """Starts stations on `tmp_path/pictures` and ends them afterwards."""
    tasks: list[asyncio.Task[None]] = []

    async def start(bundle: SignedBundle = small_bundle, keep: int = 200, **more: object) -> Bench:
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        buffer = await open_buffer()
        where = {"folder": folder, "bundle": bundle.folder, "trust": bundle.trust}
        config = InspectionConfig.model_validate({"device": "camera-1", "keep": keep, **where, **more})
        whole = parse_config('[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"', tmp_path / "agent.toml")
        station = Station(config, buffer, lambda: whole)
        tasks.append(asyncio.create_task(station.run()))
        return Bench(station, buffer, folder, bundle)

    yield start
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
