"""A motor watched by files of its vibration: judged, moved, told by the bearing's part that strays, and what is no such file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.config import parse_config
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from models.bundle import write_bundle
from models.series.health_fit import fit_vibration
from models.signing import public_key
from protocols.errors import ConfigError
from protocols.uplink.codec import decode
from tests.benchmarks.vibration import RECIPE, Machine, recorded
from tests.edge_agent.conftest import OpenBuffer, until
from tests.models.series.test_vibration import SCALE, healthy, record

CONFIG = """
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
[[machine_health]]
device = "motor-health"
bundle = "motor"
trust = {trust}
period_s = 0.1
[machine_health.waveform]
folder = "vibration"
"""


async def test_files_are_judged_in_turn_and_a_worn_bearing_is_told_by_its_frequency(
    tmp_path: Path, open_buffer: OpenBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.inspect.wave_folder.PATIENCE_S", 0.2)
    key, folder = Ed25519PrivateKey.generate(), tmp_path / "vibration"
    release = fit_vibration(healthy(1, 120) * SCALE, RECIPE)
    write_bundle(tmp_path / "motor", release.card, release.onnx, key)
    (tmp_path / "state").mkdir()
    record(folder / "1.wav", healthy(2, 30).ravel())
    worn = recorded(Machine(np.random.default_rng(3), "outer race", 1.5), 20).ravel()
    record(folder / "3.wav", worn, rate=8000)
    record(folder / "4.wav", worn)
    (folder / "2.csv").write_text("a\n1\n2\n", encoding="utf-8")
    for name in os.listdir(folder):
        os.utime(folder / name, (time.time() - 60 + int(name[0]),) * 2)
    config = parse_config(CONFIG.format(trust=json.dumps([public_key(key)])), tmp_path / "agent.toml")
    buffer = await open_buffer()
    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        await until(lambda: (folder / "done").is_dir() and len(os.listdir(folder / "done")) == 2)
        assert sorted(name[-5:] for name in os.listdir(folder / "bad")) == ["2.csv", "3.wav"]
    delivery = await buffer.take(10**9)
    assert delivery
    batches = [decode(frame.payload) for frame in delivery.frames]
    said: dict[str, list[float]] = {}
    for batch in batches:
        if columns := batch.columns:
            rows = zip(memoryview(columns.point).cast("I"), memoryview(columns.value).cast("d"), strict=True)
            for index, value in rows:
                said.setdefault(columns.points[index].name, []).append(value)
    assert said["verdict"] == [0, 2]
    assert said["score"][1] > 2 * said["score"][0]
    assert said["part of BPFO"][-1] > 1
    events = [event for batch in batches for event in batch.events]
    assert [event.kind for event in events if "set_aside" in event.kind] == ["waveform_set_aside"] * 2
    told = " ".join(event.text_en for event in events)
    assert "a block takes 8192" in told
    assert "recorded at 8000 Hz, the model is of 12800 Hz" in told


def test_sensors_and_a_folder_of_vibration_exclude_each_other(tmp_path: Path) -> None:
    text = CONFIG.format(trust='["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]').replace(
        '[machine_health.waveform]\nfolder = "vibration"', ""
    )
    with pytest.raises(ConfigError, match="either sensors or waveform"):
        parse_config(text, tmp_path / "agent.toml")
