"""Reads vibration from files: WAV, or CSV with one column of numbers, cut into blocks of equal length."""

from __future__ import annotations

import wave
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from models.series.table import columns_of, numbers

Doubles = npt.NDArray[np.float64]

SUFFIXES = frozenset({".wav", ".csv"})
MAX_BYTES = 256 * 1024 * 1024
RATE_OFF = 0.01
"""By so much the rate of a file may differ from the model's."""


def read_folder(folder: Path, samples: int, rate: float) -> Doubles:
    """Return the blocks (rows x samples) of all files in `folder`, by their names; raises InputError naming what is wrong."""
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise InputError(
            "series", f"{folder}: holds no .wav or .csv files of vibration", f"{folder}：没有振动文件(.wav 或 .csv)"
        )
    return np.concatenate([blocks_of(_content(path), str(path), samples, rate) for path in paths])


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError("series", f"{path}: {error.strerror}", f"{path}：无法读取：{error.strerror}") from error


def blocks_of(content: bytes, name: str, samples: int, rate: float) -> Doubles:
    """Return the whole blocks (rows x samples) of a file's bytes, called `name` in errors; of a WAV file its first channel.

    PCM samples are shares of full scale; numbers of a CSV file are taken as they are, at the model's `rate` (Hz).
    Raises InputError where the file is no such file, too short for one block, or of another rate.
    """
    if len(content) > MAX_BYTES:
        raise InputError("series", f"{name}: larger than {MAX_BYTES >> 20} MiB", f"{name}：超过 {MAX_BYTES >> 20} MiB")
    signal = _wav(content, name, rate) if content[:4] == b"RIFF" else _csv(content, name)
    if len(signal) < samples:
        raise InputError(
            "series",
            f"{name}: has {len(signal)} samples, a block takes {samples}; record {samples / rate:.2f} s or more",
            f"{name}：只有 {len(signal)} 个采样，一段需要 {samples} 个；请至少记录 {samples / rate:.2f} 秒",
        )
    return signal[: len(signal) // samples * samples].reshape(-1, samples)


def _wav(content: bytes, name: str, rate: float) -> Doubles:
    try:
        with wave.open(BytesIO(content)) as file:
            width, channels, own_rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise InputError(
            "series",
            f"{name}: is no WAV file of PCM samples ({error}); save it as 16, 24 or 32 bit PCM",
            f"{name}：不是 PCM 格式的 WAV 文件；请保存为 16、24 或 32 位 PCM",
        ) from error
    if abs(own_rate - rate) > RATE_OFF * rate:
        raise InputError(
            "series",
            f"{name}: was recorded at {own_rate} Hz, the model is of {rate:g} Hz",
            f"{name}：采样率为 {own_rate} Hz，模型为 {rate:g} Hz",
        )
    frames = np.frombuffer(data[: len(data) // (width * channels) * width * channels], np.uint8)
    first = frames.reshape(-1, channels, width)[:, 0]
    if width == 1:  # unsigned, as WAV has it
        return (first[:, 0].astype(np.float64) - 128) / 128
    whole = np.zeros((len(first), 4), np.uint8)
    whole[:, 4 - width :] = first
    return whole.view("<i4")[:, 0] / 2.0**31


def _csv(content: bytes, name: str) -> Doubles:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            "series", f"{name}: is neither a WAV nor a CSV file", f"{name}：既不是 WAV 也不是 CSV 文件"
        ) from error
    columns = columns_of(StringIO(text, newline=""), name)
    signal = numbers(columns, list(columns)[-1], name)
    if np.isnan(signal).any():
        row = int(np.flatnonzero(np.isnan(signal))[0]) + 2
        raise InputError("series", f"{name}: row {row} has no number", f"{name}：第 {row} 行没有数字")
    return signal
