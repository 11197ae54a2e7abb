"""Pictures of brushed metal as a line camera of many pixels sees it, good and with a scratch that is small beside the sheet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]

GRAIN = 48
"""Length of the brush's traces, pixels."""


def picture(seed: int, part: int, size: tuple[int, int], *, scratched: bool = False) -> Grey:
    """Return sheet `part` of the series `seed`, `size` (width, height) pixels; a scratch is 16 to 48 pixels long and 2 wide."""
    shot = np.random.default_rng([seed, part])
    width, height = size
    noise = shot.standard_normal((height, width + GRAIN), np.float32)
    summed = np.cumsum(noise, axis=1)
    traces = (summed[:, GRAIN:] - summed[:, :-GRAIN]) / np.sqrt(GRAIN)
    light = np.linspace(-1, 1, width, dtype=np.float32) * shot.uniform(-12, 12) + shot.uniform(110, 140)
    sheet = light + 14 * traces + 3 * noise[:, :width]
    if scratched:
        length, turn = shot.uniform(16, 48), shot.uniform(0.4, np.pi - 0.4)
        row, column = shot.uniform(60, height - 60), shot.uniform(60, width - 60)
        top, left = int(row) - 60, int(column) - 60
        near = sheet[top : top + 120, left : left + 120]
        y, x = np.mgrid[top : top + near.shape[0], left : left + near.shape[1]]
        along = (x - column) * np.cos(turn) + (y - row) * np.sin(turn)
        across = (y - row) * np.cos(turn) - (x - column) * np.sin(turn)
        near -= shot.uniform(25, 40) * np.exp(-(across**2) / 2) * (np.abs(along) < length / 2)
    return np.clip(sheet, 0, 255).astype(np.uint8)
