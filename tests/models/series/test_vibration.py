"""Vibration: the formulas, files as recorders write them, and a bearing's fault found and named by the released graph."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from models.bundle import Bundle
from models.cli import app
from models.errors import InputError
from models.series.health_fit import fit_vibration
from models.series.monitor import Block, Monitor
from models.series.recipe import check
from models.series.spectrum import fault_frequencies, features, spectrum_of
from models.series.waveform import blocks_of, cut, read_folder
from models.signing import create_key
from tests.benchmarks.vibration import RECIPE, Doubles, Machine, recorded

SCALE = 0.05
"""Of full scale, so that hits do not clip."""
RUN = CliRunner()


def record(path: Path, signal: Doubles, rate: int = 12_800, width: int = 2) -> Path:
    """Write a WAV file of one channel as a recorder does."""
    whole = np.round(np.clip(signal * SCALE, -1, 1) * (2 ** (8 * width - 1) - 1)).astype("<i4")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes())
    return path


def healthy(seed: int, count: int) -> Doubles:
    return recorded(Machine(np.random.default_rng(seed)), count)


def test_fault_frequencies_are_those_published_of_a_6205() -> None:
    # Case Western Reserve University's bearing data center gives them in multiples of the running speed.
    turns = {name: hz / (RECIPE.rpm / 60) for name, hz in fault_frequencies(RECIPE).items()}
    assert turns == pytest.approx({"BPFO": 3.5848, "BPFI": 5.4152, "BSF": 4.7135 / 2, "FTF": 0.39828}, rel=1e-3)


def test_each_feature_measures_what_its_name_says() -> None:
    at = np.arange(RECIPE.samples) / RECIPE.rate
    tone = 2 * np.sin(2 * np.pi * 1000 * at)
    spectrum = spectrum_of(RECIPE, tone[None])
    found = dict(zip(spectrum.names, np.exp(features(spectrum, tone + 5)), strict=True))
    assert found["rms"] == pytest.approx(1, rel=1e-3)
    assert found["crest"] == pytest.approx(np.sqrt(2), rel=1e-3)
    assert found["kurtosis"] == pytest.approx(1.5, rel=1e-3)
    assert found["800-1600 Hz"] == pytest.approx(1, rel=1e-2)
    assert max(energy for name, energy in found.items() if name.endswith("Hz") and name != "800-1600 Hz") < 1e-4
    turning = dict(
        zip(spectrum.names, np.exp(features(spectrum, np.sin(2 * np.pi * RECIPE.rpm / 60 * at))), strict=True)
    )
    assert turning["1x"] > 1000 * turning["2x"]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_a_wav_file_are_shares_of_full_scale(tmp_path: Path, width: int) -> None:
    signal = np.linspace(-10, 10, 5000)
    if width == 1:
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 1, 12_800, 0, "NONE", ""))
            file.writeframes(np.round(signal * SCALE * 127 + 128).astype(np.uint8).tobytes())
    else:
        record(tmp_path / "a.wav", signal, width=width)
    (blocks,) = read_folder(tmp_path, Block(5000, 12_800))
    assert np.abs(blocks - signal * SCALE).max() < 2.0 ** (2 - 8 * width)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"RIFFxxxx", "is no WAV file of PCM"),
        (b"\xff\xfe\x00", "neither a WAV nor a CSV"),
        (b"t;a\n0;1\n1;x\n", "row 3, column 'a': 'x' is no number"),
        (b"a\n1\n2\n", "has 2 samples, a block takes 4000"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(content: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        blocks_of(content, "a", Block(4000, 12_800))


def test_two_ends_of_a_motor_are_two_groups_of_features_in_one_graph(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(RECIPE, samples=2048, channels="drive end, fan end")
    block = Block(2048, 12_800, ("drive end", "fan end"))
    ends = np.stack([healthy(5, 46).ravel(), 3 * healthy(6, 46).ravel()])
    release = fit_vibration(cut(ends * SCALE, "healthy", block), recipe)
    assert release.card.input[0].shape == [2 * 2048]
    worn = np.stack(
        [3 * recorded(Machine(np.random.default_rng(7), "outer race", 2.0), 6).ravel(), ends[1, : 6 * 8192]]
    )
    # As a recorder with two channels writes them, fan end second; and as columns in another order.
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 4, 12_800, 0, "NONE", ""))
        file.writeframes(np.round(worn[::-1].T * SCALE / 4 * (2**31 - 1)).astype("<i4").tobytes())
    lines = [f"{fan},{drive}" for drive, fan in zip(*(worn * SCALE / 4), strict=True)]
    (tmp_path / "b.csv").write_text("\n".join(["fan end,drive end", *lines]), encoding="utf-8")
    by_wav, by_csv = (
        blocks_of((tmp_path / name).read_bytes(), name, each)
        for name, each in (("a.wav", block._replace(channels=("fan end", "drive end"))), ("b.csv", block))
    )
    assert np.abs(by_csv - np.concatenate(np.split(by_wav, 2, axis=1)[::-1], axis=1)).max() < 1e-6
    monitor = Monitor(Bundle(release.card, release.onnx, "", ""))
    *_, finding = monitor.follow_all(by_csv * 4)
    assert finding.verdict == "reject"
    assert finding.contributions[0][0].startswith("drive end ")
    parts = dict(monitor.by_channel(finding.contributions))
    assert abs(parts["drive end"]) > 3 * abs(parts["fan end"])
    with pytest.raises(InputError, match="has 2 channels, the model is of 3: x, y, z"):
        blocks_of((tmp_path / "a.wav").read_bytes(), "a.wav", block._replace(channels=("x", "y", "z")))
    with pytest.raises(InputError, match="names with commas"):
        check(msgspec.structs.replace(RECIPE, channels="x,,x"), "recipe")


def test_a_bearing_whose_fault_lies_above_what_is_recorded_is_refused() -> None:
    with pytest.raises(InputError, match="rpm must be 0"):
        check(msgspec.structs.replace(RECIPE, rate=1000), "recipe")


def test_from_files_to_a_model_that_names_the_fault(tmp_path: Path) -> None:
    key, out, recipe = tmp_path / "key.pem", tmp_path / "bundle", tmp_path / "motor.toml"
    trust = create_key(key)
    recipe.write_text('name = "motor"\nrpm = 1480\nballs = 9\nball_mm = 7.94\npitch_mm = 39.04\n', encoding="utf-8")
    for number, seed in enumerate((1, 2)):  # two long recordings, each many blocks
        record(tmp_path / "healthy" / f"{number}.wav", healthy(seed, 60).ravel())
    record(tmp_path / "later" / "a.wav", healthy(3, 25).ravel())
    record(tmp_path / "worn" / "a.wav", recorded(Machine(np.random.default_rng(4), "outer race", 1.0), 25).ravel())
    fit = ["fit", "series", str(tmp_path / "healthy"), "--kind", "vibration", "--recipe", str(recipe)]
    made = RUN.invoke(app, [*fit, "--out", str(out), "--key", str(key), "--json"])
    assert made.exit_code == 0, made.output
    folders = ["--good", str(tmp_path / "later"), "--bad", str(tmp_path / "worn")]
    judged = RUN.invoke(app, ["evaluate", str(out), *folders, "--trust", trust, "--json"])
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.output)["auroc"] > 0.9
    other = RUN.invoke(app, [*fit[:2], str(tmp_path), *fit[3:], "--out", str(out), "--key", str(key)])
    assert (other.exit_code, "no .wav or .csv files" in " ".join(other.output.split())) == (2, True)
