"""Reads vibration from files: WAV, or CSV with a column of numbers for each channel, cut into blocks of equal length."""

from __future__ import annotations

import wave
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from models.series.monitor import Block
from models.series.table import columns_of, numbers

Doubles = npt.NDArray[np.float64]

SUFFIXES = frozenset({".wav", ".csv"})
MAX_BYTES = 256 * 1024 * 1024
RATE_OFF = 0.01
"""By so much the rate of a file may differ from the model's."""


def read_folder(folder: Path, block: Block) -> Doubles:
    """Return the blocks (rows x samples, channel after channel) of all files in `folder`, by their names; raises InputError naming what is wrong."""
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise InputError(
            "series", f"{folder}: holds no .wav or .csv files of vibration", f"{folder}：没有振动文件(.wav 或 .csv)"
        )
    return np.concatenate([blocks_of(_content(path), str(path), block) for path in paths])


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError("series", f"{path}: {error.strerror}", f"{path}：无法读取：{error.strerror}") from error


def blocks_of(content: bytes, name: str, block: Block) -> Doubles:
    """Return the whole blocks (rows x samples, channel after channel) of a file's bytes, called `name` in errors.

    PCM samples are shares of full scale; numbers of a CSV file are taken as they are, at the model's rate. Without names of
    channels a WAV file's first one is taken, or a CSV file's last column. Raises InputError where the file is no such file, has
    not the channels, is too short for one block, or of another rate.
    """
    if len(content) > MAX_BYTES:
        raise InputError("series", f"{name}: larger than {MAX_BYTES >> 20} MiB", f"{name}：超过 {MAX_BYTES >> 20} MiB")
    return cut(_wav(content, name, block) if content[:4] == b"RIFF" else _csv(content, name, block), name, block)


def cut(signals: Doubles, name: str, block: Block) -> Doubles:
    """Return the whole blocks of `signals` (channels x samples), called `name`; raises InputError if there is none."""
    (channels, length), samples = signals.shape, block.samples
    if length < samples:
        raise InputError(
            "series",
            f"{name}: has {length} samples, a block takes {samples}; record {samples / block.rate:.2f} s or more",
            f"{name}：只有 {length} 个采样，一段需要 {samples} 个；请至少记录 {samples / block.rate:.2f} 秒",
        )
    whole = signals[:, : length // samples * samples].reshape(channels, -1, samples)
    return whole.transpose(1, 0, 2).reshape(-1, channels * samples)


def check_rate(rate: float, name: str, block: Block) -> None:
    """Raise InputError if `name` was recorded at another rate than the model is of."""
    if not abs(rate - block.rate) <= RATE_OFF * block.rate:
        raise InputError(
            "series",
            f"{name}: was recorded at {rate:g} Hz, the model is of {block.rate:g} Hz",
            f"{name}：采样率为 {rate:g} Hz，模型为 {block.rate:g} Hz",
        )


def _wav(content: bytes, name: str, block: Block) -> Doubles:
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
    check_rate(own_rate, name, block)
    wanted = len(block.channels) or 1
    if channels < wanted:
        listed = ", ".join(block.channels)
        raise InputError(
            "series",
            f"{name}: has {channels} channels, the model is of {wanted}: {listed}",
            f"{name}：只有 {channels} 个声道，模型需要 {wanted} 个：{listed}",
        )
    frames = np.frombuffer(data[: len(data) // (width * channels) * width * channels], np.uint8)
    taken = frames.reshape(-1, channels, width)[:, :wanted]
    if width == 1:  # unsigned, as WAV has it
        return (taken[..., 0].T.astype(np.float64) - 128) / 128
    whole = np.zeros((len(taken), wanted, 4), np.uint8)
    whole[..., 4 - width :] = taken
    return whole.view("<i4")[..., 0].T / 2.0**31


def _csv(content: bytes, name: str, block: Block) -> Doubles:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            "series", f"{name}: is neither a WAV nor a CSV file", f"{name}：既不是 WAV 也不是 CSV 文件"
        ) from error
    columns = columns_of(StringIO(text, newline=""), name)
    signals = np.array([numbers(columns, each, name) for each in block.channels or [list(columns)[-1]]])
    if (empty := np.isnan(signals).any(axis=0)).any():
        row = int(np.flatnonzero(empty)[0]) + columns.first
        raise InputError("series", f"{name}: row {row} has no number", f"{name}：第 {row} 行没有数字")
    return signals
