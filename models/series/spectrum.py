"""What a stretch of vibration shows of a rotating machine, as a few numbers: the definition, in numpy.

Of a block of samples at a known rate: its level (RMS), crest factor and kurtosis; the energy in octaves below half the rate,
by Welch's averaged periodograms ("The use of fast Fourier transform for the estimation of power spectra", 1967); with a known
speed the lines at one, two and three times it; and with a known rolling bearing how much of the envelope repeats at its
fault frequencies: of the squared envelope of what lies above an eighth of the rate, where impacts ring (Randall and Antoni,
"Rolling element bearing diagnostics - a tutorial", 2011, which also has the formulas of the frequencies). All but the
frequencies are logarithms, so that a score counts ratios. Several channels recorded together are as many groups of these
numbers, made alike, so that what strays names the place or the direction as well.
"""

from __future__ import annotations

from itertools import pairwise
from math import cos, radians
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.series.recipe import VibrationRecipe, channel_names

Doubles = npt.NDArray[np.float64]

SEGMENT = 1024
"""Samples of one periodogram; half of them are shared with the next."""
TAPS = 63
"""Length of the filter that leaves what rings."""
HARMONICS = 3
SLIP = 0.02
"""A speed, and the slip of a bearing, may be off by this share: the highest line within it counts."""
FLOOR = 1e-9
"""Smallest energy, in shares of the healthy one; smallest share of a line."""
LEAST_SHARE = 1e-4


class Lines(NamedTuple):
    """Where lines are looked for in a spectrum of `size` samples.

    Attributes:
        names: of the features.
        waves: size x 2t, windowed cosines and sines of t = features x harmonics x candidates, scaled so that the sum of a
            pair's squares is half the squared amplitude of a line.
        shape: features, harmonics that are summed up, candidates of which the highest counts.
    """

    names: tuple[str, ...]
    waves: Doubles
    shape: tuple[int, int, int]


class Spectrum(NamedTuple):
    """How features are made of a block.

    Attributes:
        names: of the features, in their order, channel after channel.
        samples: of one channel of a block.
        levels: of each channel the RMS of the healthy machine, by which blocks are divided.
        waves: 2k x SEGMENT, windowed cosines, then sines, of k frequencies.
        bands: 2k x octaves, which of them belong to which octave.
        ring: the filter.
        turns: lines of the block itself; None without a speed.
        faults: lines of the squared envelope; None without a bearing.
    """

    names: tuple[str, ...]
    samples: int
    levels: tuple[float, ...]
    waves: Doubles
    bands: Doubles
    ring: Doubles
    turns: Lines | None
    faults: Lines | None


def fault_frequencies(recipe: VibrationRecipe) -> dict[str, float]:
    """Return the fault frequencies, Hz, of the recipe's bearing with a standing outer race, by their usual names."""
    turn, ratio = recipe.rpm / 60, recipe.ball_mm / recipe.pitch_mm * cos(radians(recipe.contact_deg))
    return {
        "BPFO": recipe.balls / 2 * turn * (1 - ratio),
        "BPFI": recipe.balls / 2 * turn * (1 + ratio),
        "BSF": recipe.pitch_mm / (2 * recipe.ball_mm) * turn * (1 - ratio**2),
        "FTF": turn / 2 * (1 - ratio),
    }


def spectrum_of(recipe: VibrationRecipe, blocks: Doubles) -> Spectrum:
    """Return how features are made for the machine whose healthy `blocks` (rows x samples, channel after channel) are given."""
    rate, samples = recipe.rate, recipe.samples
    window = np.hanning(SEGMENT + 1)[:-1]
    count = SEGMENT // 2
    angles = 2 * np.pi * np.outer(np.arange(1, count), np.arange(SEGMENT)) / SEGMENT
    scale = np.sqrt(2 / (SEGMENT * (window**2).sum()))
    waves = np.concatenate([np.cos(angles), np.sin(angles)]) * window * scale
    edges = [count >> shift for shift in range(count.bit_length()) if count >> shift >= 4][::-1]
    bins = np.arange(1, count)
    member = [(bins >= low) & (bins < high) for low, high in zip([1, *edges[:-1]], edges, strict=True)]
    bands = np.tile(np.column_stack(member).astype(np.float64), (2, 1))
    hertz = [0.0, *(edge * rate / SEGMENT for edge in edges)]
    names = [
        "rms",
        "crest",
        "kurtosis",
        *(f"{low:.0f}-{high:.0f} Hz" for low, high in pairwise(hertz)),
    ]
    # A windowed sinc that leaves what is above an eighth of the rate.
    at = np.arange(TAPS) - TAPS // 2
    low_pass = np.sinc(at / 4) / 4 * np.hamming(TAPS)
    ring = (at == 0) - low_pass / low_pass.sum()
    turns = faults = None
    if recipe.rpm:
        turns = lines_of({f"{k}x": [k * recipe.rpm / 60] for k in (1, 2, 3)}, rate, samples)
        names += turns.names
    if recipe.rpm and recipe.balls:
        wanted = {name: [k * hz for k in range(1, HARMONICS + 1)] for name, hz in fault_frequencies(recipe).items()}
        faults = lines_of(wanted, rate, samples - TAPS + 1)
        names += faults.names
    channels = channel_names(recipe.channels)
    apart = blocks.reshape(len(blocks), -1, samples)
    levels = np.sqrt(((apart - apart.mean(axis=2, keepdims=True)) ** 2).mean(axis=(0, 2)))
    return Spectrum(
        tuple(f"{channel} {name}" for channel in channels for name in names) if channels else tuple(names),
        samples,
        tuple(max(float(level), 1e-12) for level in levels),
        waves,
        bands,
        ring,
        turns,
        faults,
    )


def lines_of(wanted: dict[str, list[float]], rate: float, size: int) -> Lines:
    """Return where to look for `wanted`, by name the frequencies (Hz) that are summed up, each within SLIP."""
    step = rate / size
    around = [
        [np.arange(np.floor(hz * (1 - SLIP) / step), np.ceil(hz * (1 + SLIP) / step) + 1) * step for hz in each]
        for each in wanted.values()
    ]
    most = max(len(found) for each in around for found in each)
    hertz = np.concatenate([np.pad(found, (0, most - len(found)), mode="edge") for each in around for found in each])
    window = np.hanning(size + 1)[:-1]
    angles = 2 * np.pi * np.outer(np.arange(size), hertz) / rate
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * window[:, None] * (np.sqrt(2) / window.sum())
    return Lines(tuple(wanted), waves, (len(wanted), len(next(iter(wanted.values()))), most))


def features(spectrum: Spectrum, block: Doubles) -> Doubles:
    """Return the features of one block of samples, channel after channel, in the order of `spectrum.names`."""
    channels = block.reshape(-1, spectrum.samples)
    return np.concatenate(
        [
            _of_channel(spectrum, (each - each.mean()) / level)
            for each, level in zip(channels, spectrum.levels, strict=True)
        ]
    )


def _of_channel(spectrum: Spectrum, even: Doubles) -> Doubles:
    """Return the features of one channel, in shares of its healthy RMS."""
    energy = (even**2).mean() + FLOOR
    starts = np.arange(0, spectrum.samples - SEGMENT + 1, SEGMENT // 2)
    frames = np.stack([even[start : start + SEGMENT] for start in starts])
    octaves = ((frames @ spectrum.waves.T) ** 2).mean(axis=0) @ spectrum.bands + FLOOR
    found = [
        np.log([energy]) / 2,
        np.log(np.abs(even).max(keepdims=True) ** 2 / energy + FLOOR) / 2,
        np.log((even**4).mean(keepdims=True) / energy**2 + FLOOR),
        np.log(octaves),
    ]
    if spectrum.turns:
        found.append(np.log(strengths(spectrum.turns, even) + FLOOR))
    if spectrum.faults:
        squared = np.convolve(even, spectrum.ring, mode="valid") ** 2
        beats = squared - squared.mean()
        found.append(np.log(strengths(spectrum.faults, beats) / ((beats**2).mean() + FLOOR) + LEAST_SHARE))
    return np.concatenate(found)


def strengths(lines: Lines, signal: Doubles) -> Doubles:
    """Return the power of each feature's lines in the signal."""
    cosines, sines = (signal @ lines.waves).reshape(2, -1)
    return np.asarray((cosines**2 + sines**2).reshape(lines.shape).max(axis=2).sum(axis=1))
