"""Vibration: the formulas, files as recorders write them, and a bearing's fault found and named by the released graph."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from models.cli import app
from models.errors import InputError
from models.series.recipe import check
from models.series.spectrum import fault_frequencies, features, spectrum_of
from models.series.waveform import blocks_of, read_folder
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
    (blocks,) = read_folder(tmp_path, 5000, 12_800)
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
        blocks_of(content, "a", 4000, 12_800)


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
