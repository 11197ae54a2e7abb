"""What a station keeps of models over ends at any moment, and what it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config import InspectionConfig, parse_config
from edge_agent.inspect.model_switch import ModelSwitch
from edge_agent.inspect.slots import MOST_STARTS, TRIAL_PARTS, Slots
from models.bundle import LIMITS, read_bundle
from models.errors import BundleRefused
from models.vision.detector import Detector
from protocols.uplink.models import ModelOrder
from tests.cloud.registry.bundles import Shelf, shelf
from tests.edge_agent.inspect.conftest import Bench, SignedBundle, StartBench, drop


@pytest.fixture
def models(tmp_path: Path, small_bundle: SignedBundle) -> Shelf:
    return shelf(tmp_path / "shelf", small_bundle)


def station(folder: Path, models: Shelf, configured: str = "1") -> InspectionConfig:
    return InspectionConfig(
        device="camera-1", folder=folder / "pictures", bundle=models.folder / configured, trust=[models.trust]
    )


def opened(folder: Path, models: Shelf, configured: str = "1") -> Slots:
    return Slots(station(folder, models, configured), folder / "state")


def arrive(slots: Slots, models: Shelf, version: str, piece: int = 50_000) -> None:
    digest = models.digests[version]
    for name, content in models.files(version).items():
        for offset in range(slots.written(digest, name), len(content), piece):
            slots.write(digest, name, offset, content[offset : offset + piece])
    slots.complete(digest)


def test_a_download_goes_on_where_it_stopped_and_is_nothing_until_it_is_whole(tmp_path: Path, models: Shelf) -> None:
    slots, digest = opened(tmp_path, models), models.digests["2"]
    content = models.files("2")["model.onnx"]
    slots.write(digest, "model.onnx", 0, content[:1000])
    again = opened(tmp_path, models)
    assert (again.written(digest, "model.onnx"), again.has(digest)) == (1000, False)
    arrive(again, models, "2")
    assert again.has(digest)
    assert (again.folder(digest) / "model.onnx").read_bytes() == content


def test_a_bundle_that_came_damaged_or_too_large_is_dropped(tmp_path: Path, models: Shelf) -> None:
    slots, digest = opened(tmp_path, models), models.digests["2"]
    for name, content in models.files("2").items():
        slots.write(digest, name, 0, content[:-1] + b"x" if name == "checksums.txt" else content)
    with pytest.raises(BundleRefused, match="damaged"):
        slots.complete(digest)
    assert slots.written(digest, "model.onnx") == 0
    with pytest.raises(BundleRefused, match="above"):
        slots.write(digest, "signature", 0, bytes(LIMITS["signature"] + 1))


def test_a_model_that_ends_the_station_is_gone_after_three_starts(tmp_path: Path, models: Shelf) -> None:
    slots = opened(tmp_path, models)
    slots.begin()
    arrive(slots, models, "2")
    slots.put(ModelOrder("camera-1", 1, run=models.digests["2"]))
    for _ in range(MOST_STARTS - 1):
        slots = opened(tmp_path, models)
        assert slots.begin() == slots.folder(models.digests["2"])
    slots = opened(tmp_path, models)
    assert slots.begin() == models.folder / "1"
    report = slots.report()
    assert (report.running, report.outcome, report.order) == (models.digests["1"], "returned", 1)
    assert "started 3 times" in report.reason_en


def test_what_passed_its_trial_stays_and_one_before_it_and_nothing_else(tmp_path: Path, models: Shelf) -> None:
    slots = opened(tmp_path, models)
    slots.begin()
    for number, version in enumerate(("2", "3"), 1):
        arrive(slots, models, version)
        slots.put(ModelOrder("camera-1", number, run=models.digests[version], latency_us=9_000))
        assert [slots.judged(5_000) for _ in range(TRIAL_PARTS)] == [None] * TRIAL_PARTS
        slots.keep()
    slots = opened(tmp_path, models)
    slots.begin()
    report = slots.report()
    assert (report.running, report.previous, report.outcome) == (models.digests["3"], models.digests["2"], "done")
    slots.put(ModelOrder("camera-1", 3, run=models.digests["1"]))
    assert slots.begin() == models.folder / "1"
    assert not slots.has(models.digests["2"])
    # Another bundle configured at the box takes back what the cloud has ordered.
    assert opened(tmp_path, models, configured="2").begin() == models.folder / "2"


async def test_the_model_changes_between_two_pictures_and_none_is_lost(start_bench: StartBench, models: Shelf) -> None:
    trusted = SignedBundle(models.folder / "1", [models.trust])
    bench: Bench = await start_bench(trusted)
    await bench.until(lambda: bool(bench.station.models.report().running))
    slots = bench.station.models.slots
    arrive(slots, models, "2")
    for number in range(30):
        drop(bench.folder, f"p-{number:02}.png", number)
        if number == 10:
            await bench.station.models.obey(
                ModelOrder("camera-1", 1, run=models.digests["2"], shadow=models.digests["1"])
            )
    await bench.until_judged(30)
    seen = [part for batch in await bench.batches() for part in batch.inspections]
    assert sorted(part.part for part in seen) == [f"p-{number:02}" for number in range(30)]
    versions = [part.model_version for part in sorted(seen, key=lambda part: part.id)]
    assert versions == sorted(versions)
    assert set(versions) == {"1", "2"}
    assert {part.shadow.model_version if part.shadow else "" for part in seen} == {"", "1"}


async def test_a_model_of_a_foreign_key_is_refused_and_the_station_goes_on(
    start_bench: StartBench, models: Shelf, small_bundle: SignedBundle, tmp_path: Path
) -> None:
    foreign = shelf(tmp_path / "foreign", small_bundle)
    bench: Bench = await start_bench(SignedBundle(models.folder / "1", [models.trust]))
    await bench.until(lambda: bool(bench.station.models.report().running))
    arrive(bench.station.models.slots, foreign, "2")
    await bench.station.models.obey(ModelOrder("camera-1", 7, run=foreign.digests["2"]))
    report = bench.station.models.report()
    assert (report.running, report.order, report.outcome) == (models.digests["1"], 7, "failed")
    assert "not by a trusted key" in report.reason_en
    drop(bench.folder, "p.png", 1)
    await bench.until_judged(1)


async def test_a_model_beside_that_is_damaged_takes_nothing_from_the_one_that_decides(
    tmp_path: Path, models: Shelf
) -> None:
    slots = opened(tmp_path, models)
    slots.begin()
    for version in ("2", "3"):
        arrive(slots, models, version)
    slots.put(ModelOrder("camera-1", 1, run=models.digests["2"], shadow=models.digests["3"]))
    (slots.folder(models.digests["3"]) / "model.onnx").write_bytes(b"damaged")
    whole = parse_config('[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"', tmp_path / "agent.toml")
    told: list[str] = []
    switch = ModelSwitch(
        station(tmp_path, models),
        lambda: whole,
        lambda *said: told.append(said[1]),
        lambda: None,
        lambda at: Detector(read_bundle(at, [models.trust])),
    )
    assert (await switch.begin()).digest == models.digests["2"]
    assert told == ["model_refused"]
    assert switch.shadow is None
