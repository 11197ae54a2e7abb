"""How green computing is: CUE, the market's carbon, and an index whose parts stand beside it. Pure.

    CUE = PUE x grid factor, kg CO2 per kWh of IT (ISO/IEC 30134-8)
    G   = 100 x (0.30 clip((1.5 - PUE) / 0.4) + 0.30 green share + 0.20 clip(1 - CUE / 0.8) + 0.20 utilisation)

1.5 and 0.8 are where nothing is earned: China's average PUE of 2025 and about the CUE that comes of it.
"""

from __future__ import annotations

from typing import NamedTuple


class Green(NamedTuple):
    """The index (`score`) and what it is made of, each from 0 to 1 before its weight."""

    score: float
    cue: float
    pue_part: float
    share_part: float
    cue_part: float
    utilisation: float


WEIGHTS = {"pue_part": 0.30, "share_part": 0.30, "cue_part": 0.20, "utilisation": 0.20}


def green(pue: float, grid_kg_per_kwh: float, green_share: float, utilisation: float) -> Green:
    """Return the index of a place that computes for `utilisation` of its time."""
    cue = pue * grid_kg_per_kwh
    parts = {
        "pue_part": _clip((1.5 - pue) / 0.4),
        "share_part": _clip(green_share),
        "cue_part": _clip(1 - cue / 0.8),
        "utilisation": _clip(utilisation),
    }
    score = 100 * sum(weight * parts[name] for name, weight in WEIGHTS.items())
    return Green(round(score, 1), round(cue, 4), **{name: round(part, 4) for name, part in parts.items()})


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)
