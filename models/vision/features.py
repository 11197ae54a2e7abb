"""Gabor features of a grey picture: how much structure of each size and direction every cell of a grid holds.

The bank follows Jain and Farrokhnia, "Unsupervised texture segmentation using Gabor filters" (1991): pairs of even and
odd kernels one octave apart, their energy, pooled. Octaves are made by halving the picture instead of doubling the
kernel. The picture is standardised first, so that exposure does not count. Here is the definition in numpy; `export`
states the same in ONNX, and a release needs both to agree.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.vision.recipe import Recipe

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

CONTRAST_FLOOR = 0.02
"""Smallest standard deviation a picture is divided by, in parts of full scale: an empty picture stays quiet."""

ENERGY_FLOOR = 0.05
"""Added to an energy before its logarithm: structure fainter than sensor noise does not count."""


def gabor_bank(recipe: Recipe) -> Floats:
    """Return the kernels, shape (2 * orientations, 1, kernel, kernel): even and odd of each direction in turn.

    Each kernel has zero mean and unit L2 norm; the wavelength is half the kernel's side, the envelope's standard
    deviation a fifth of it.
    """
    half = recipe.kernel // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    envelope = np.exp(-(x**2 + y**2) / (2 * (recipe.kernel / 5) ** 2))
    kernels = []
    for angle in np.arange(recipe.orientations) * np.pi / recipe.orientations:
        phase = 4 * np.pi / recipe.kernel * (x * np.cos(angle) + y * np.sin(angle))
        for wave in (np.cos(phase), np.sin(phase)):
            kernel = envelope * wave
            kernel -= envelope * kernel.sum() / envelope.sum()
            kernels.append(kernel / np.linalg.norm(kernel))
    return np.asarray(kernels, dtype=np.float32)[:, None]


def dimensions(recipe: Recipe) -> int:
    """Return the number of features per cell: mean and peak energy of each filter, and brightness."""
    return 2 * recipe.scales * recipe.orientations + 1


def features(picture: npt.NDArray[np.uint8], recipe: Recipe) -> Doubles:
    """Return the features of `picture` (size x size, grey), shape (grid * grid, dimensions), in double precision."""
    level = picture.astype(np.float64) / 255
    return features_of((level - level.mean()) / (level.std() + CONTRAST_FLOOR), recipe)


def features_of(level: Doubles, recipe: Recipe) -> Doubles:
    """Return the features of a plane (size x size) that is standardised already."""
    bank = gabor_bank(recipe)[:, 0].astype(np.float64)
    columns = [_pool(level, recipe.grid, "mean")]
    for scale in range(recipe.scales):
        if scale:
            level = _pool(level, level.shape[0] // 2, "mean")
        answer = _correlate(level, bank)
        energy = np.sqrt(answer[0::2] ** 2 + answer[1::2] ** 2)
        for kind in ("mean", "peak"):
            columns.extend(np.log(_pool(channel, recipe.grid, kind) + ENERGY_FLOOR) for channel in energy)
    return np.stack([column.ravel() for column in columns], axis=1)


def _correlate(plane: Doubles, bank: Doubles) -> Doubles:
    """Cross-correlate with every kernel, edges mirrored; by FFT, unlike the graph's direct sums."""
    side = bank.shape[-1]
    padded = np.pad(plane, side // 2, mode="reflect")
    shape = (padded.shape[0], padded.shape[1])
    spectrum = np.conj(np.fft.rfft2(bank, shape)) * np.fft.rfft2(padded)
    answer: Doubles = np.fft.irfft2(spectrum, shape)[:, : plane.shape[0], : plane.shape[1]]
    return answer


def _pool(plane: Doubles, cells: int, kind: str) -> Doubles:
    side = plane.shape[0] // cells
    blocks = plane.reshape(cells, side, cells, side)
    pooled: Doubles = blocks.mean(axis=(1, 3)) if kind == "mean" else blocks.max(axis=(1, 3))
    return pooled
