"""How a model is run is measured once for a box, and never at the price of another answer."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_agent.inspect import probe as probed
from edge_agent.inspect.probe import Probe, agree, choose, probe
from models.bundle import read_bundle
from models.session import Way
from tests.edge_agent.inspect.conftest import SignedBundle


def test_the_choice_is_kept_until_model_runtime_or_box_change(small_bundle: SignedBundle, tmp_path: Path) -> None:
    bundle = read_bundle(small_bundle.folder, small_bundle.trust)
    first = probe(bundle, tmp_path)
    (path,) = tmp_path.iterdir()
    assert first.median_ms["CPU x1"] > 0
    assert f"CPU x{first.threads}" in first.sentence().en
    other = msgspec.structs.replace(first, threads=7)
    path.write_bytes(msgspec.json.encode(other))
    assert probe(bundle, tmp_path) == other
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(other, runtime="0.1")))
    assert probe(bundle, tmp_path).threads != 7
    path.write_bytes(b"torn")
    assert probe(bundle, tmp_path).threads != 7
    assert probe(bundle, tmp_path / "absent").model == bundle.digest  # where it cannot be kept it is measured, still


def test_a_way_is_taken_only_if_it_is_there_pays_and_agrees(
    small_bundle: SignedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(small_bundle.folder, small_bundle.trust)
    plain, two, absent = Way(), Way(threads=2), Way("CUDAExecutionProvider")
    monkeypatch.setattr(probed, "PAYS", 0.0)
    chosen, took = choose(bundle, [plain, two, absent])
    assert (chosen, set(took)) == (plain, {plain, two})
    monkeypatch.setattr(probed, "PAYS", 1e9)
    chosen, took = choose(bundle, [plain, two])
    assert chosen == min(took, key=took.__getitem__)
    answers = [np.array([1.0, 2000.0], np.float32)]
    assert agree(answers, [answers[0] * np.float32(1 + 5e-5)])
    assert not agree(answers, [answers[0] + np.array([5e-4, 0], np.float32)])
    assert not agree(answers, [np.array([np.nan, 2000.0], np.float32)])


def test_the_kept_file_is_read_as_it_is_written() -> None:
    found = Probe("d", "1", 2, "CPUExecutionProvider", 2, {"CPU x1": 4.0, "CPU x2": 2.1})
    assert found.sentence().en == "it runs as CPU x2 (CPU x1 4.0 ms, CPU x2 2.1 ms)"
