"""The risk that a supplier does not deliver, from what it shows: three signs, each 0 to 1, and their weighted mean. Pure.

    availability  how far its availability (else its OEE) of the last day is below its own week before: 0 at none, 1 at 20 %
    quality       1 where a quality figure has drifted, else how far it is below its week before: 0 at none, 1 at 5 %
    silence       how long ago its newest value is beyond what the programme allows: 0 at none, 1 at a day

    risk = (0.4 availability + 0.3 quality + 0.3 silence) / (the weights of the signs that are known)

What is not granted, or has no week before, is no sign and counts as nothing - neither good nor bad; without at least two
signs there is no risk to be told. It is a hint where to look, of machines alone: stock, orders and people are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cloud.suppliers.schemas import Risk, RiskSign

Sign = Literal["availability", "quality", "silence"]

WEIGHTS: Mapping[Sign, float] = {"availability": 0.4, "quality": 0.3, "silence": 0.3}
FEWEST_SIGNS = 2
MEDIUM, HIGH = 0.25, 0.5
_AVAILABILITY_FALL, _QUALITY_FALL, _SILENCE_H = 0.2, 0.05, 24.0


def fall(now: float, before: float | None, worst: float) -> float | None:
    """Return how far `now` is below `before`, 1 at a share of `worst` and beyond; None without a week before."""
    if before is None or before <= 0:
        return None
    return _within((before - now) / before / worst)


def availability_sign(now: float, before: float | None) -> float | None:
    """Return the sign of availability."""
    return fall(now, before, _AVAILABILITY_FALL)


def quality_sign(now: float, before: float | None, *, drifting: bool) -> float | None:
    """Return the sign of quality; a drift upwards is none."""
    found = fall(now, before, _QUALITY_FALL)
    return 1.0 if drifting and found else found


def silence_sign(late_h: float) -> float:
    """Return the sign of silence, `late_h` hours beyond what is allowed."""
    return _within(late_h / _SILENCE_H)


def risk_of(signs: Mapping[Sign, float | None]) -> Risk:
    """Return the risk and the signs it is made of; its value is None where too few are known."""
    known = {name: value for name, value in signs.items() if value is not None}
    weight = sum(WEIGHTS[name] for name in known)
    value = sum(WEIGHTS[name] * sign for name, sign in known.items()) / weight if len(known) >= FEWEST_SIGNS else None
    level: Literal["low", "medium", "high"] | None = None
    if value is not None:
        level = "high" if value >= HIGH else "medium" if value >= MEDIUM else "low"
    told = [
        RiskSign(sign=name, value=None if sign is None else round(sign, 4), weight=WEIGHTS[name])
        for name, sign in signs.items()
    ]
    return Risk(value=None if value is None else round(value, 4), level=level, signs=told)


def _within(value: float) -> float:
    return min(max(value, 0.0), 1.0)
