"""Whether the parts before a camera are still those a model was learnt from, and if not, what has changed.

Four signs of each part are compared with those of the first parts that passed: the score, and three that no model is
needed for - brightness; sharpness, which dimming leaves alone; likeness, how much the coarse picture is like the mean of
the reference, which neither brightness nor contrast changes. Which of them stray names the cause:

    likeness                  "variant"   other parts, or the camera was moved
    brightness or sharpness   "lighting"  lamp, exposure, focus or lens
    nothing but the score     "model"     the parts changed within what the model looks at, or it was learnt from too few
"""

from __future__ import annotations

from math import exp, lgamma, log, sqrt
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Cause = Literal["lighting", "variant", "model"]
Floats = npt.NDArray[np.float64]

COARSE = 8
REFERENCE = 200
"""Passing parts that the others are compared with."""

RECENT = 40
"""Least parts that a cause is looked for in."""

CHANCE = 1e-4
"""How often a comparison of parts that are alike may find a difference."""

LEAST_PSI = 0.25
"""Population stability index from which a change counts as large (Siddiqi, "Credit Risk Scorecards", 2006)."""

LEAST_CHANGE = {"brightness": 0.05, "sharpness": 0.10}
"""Relative changes of the median below which a difference is real, perhaps, and no reason to act."""

LEAST_UNLIKE = 0.02
"""Fall of the correlation, of the tenth least alike, that is one."""

EWMA_WEIGHT, PH_SLACK, PH_LIMIT, PH_CLIP = 0.05, 0.35, 30.0, 4.0
"""Of the Page-Hinkley test, in standard deviations of the reference's scores.

The sum wanders with variance 1 a part and falls by the slack, so that it reaches the limit with a chance of about
exp(-2 x slack x limit) = 1e-9 from each place where it starts; a lasting shift by one deviation takes some 50 parts.
"""


class Signs(NamedTuple):
    """What is kept of one picture: brightness 0..1; sharpness; the coarse picture, `COARSE` x `COARSE`, flat."""

    brightness: float
    sharpness: float
    coarse: npt.NDArray[np.float32]


_Part = tuple[float, float, float, float, bool]
"""Score, brightness, sharpness, likeness, and whether it was rejected."""

SHIFT_PARTS = 20_000
"""Of a shift the last so many parts are compared."""


class Watch(msgspec.Struct):
    """What is known so far; plain data, so that it can be kept over a restart.

    Attributes:
        model: identity of the model; another one begins anew.
        parts: how many parts a comparison takes.
        score, brightness, sharpness, coarse: of the reference, in the order the parts came.
        shift: which shift the parts come from; "" where nobody tells shifts.
        of_shift: the same as `recent`, of each part of the shift.
        recent: (score, brightness, sharpness, likeness, rejected) of each part since the last comparison.
        ewma, sum, least: of the Page-Hinkley test.
        cause: what is wrong at present.
    """

    model: str
    parts: int
    score: list[float] = []
    brightness: list[float] = []
    sharpness: list[float] = []
    coarse: list[bytes] = []
    recent: list[_Part] = []
    shift: str = ""
    of_shift: list[_Part] = []
    ewma: float = 0.0
    sum: float = 0.0
    least: float = 0.0
    cause: Cause | None = None


class Comparison(NamedTuple):
    """What one comparison gave.

    Attributes:
        psi, distance: population stability index, and Kolmogorov-Smirnov statistic, by sign.
        rejects: interval of the reject rate.
        cause: None if all is as it was.
    """

    psi: dict[str, float]
    distance: dict[str, float]
    rejects: tuple[float, float]
    cause: Cause | None


class ShiftEnd(NamedTuple):
    """How a shift was that has ended: which, its parts and how many of them were rejected, beside the reference."""

    shift: str
    parts: int
    rejected: int
    comparison: Comparison


def signs_of(grey: npt.NDArray[np.uint8]) -> Signs:
    """Return the signs of a square picture of at least `COARSE` pixels a side.

    Sharpness is the mean absolute Laplacian over the mean grey.
    """
    whole = grey.astype(np.int16)
    inner = whole[1:-1, 1:-1]
    edges = 4 * inner - whole[:-2, 1:-1] - whole[2:, 1:-1] - whole[1:-1, :-2] - whole[1:-1, 2:]
    mean = float(grey.mean())
    step = grey.shape[0] // COARSE
    blocks = grey[: step * COARSE, : step * COARSE].reshape(COARSE, step, COARSE, step)
    coarse = blocks.mean(axis=(1, 3), dtype=np.float32).ravel()
    return Signs(mean / 255, float(np.abs(edges).mean()) / max(mean, 1.0), coarse)


class Drift:
    """Compares parts with the reference as they come; `watch` is all that it knows."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._template: Floats | None = None

    def begin(self, shift: str, rejects_wanted: float) -> ShiftEnd | None:
        """Say which shift the next part belongs to; returns how the one before was, if it has ended with parts enough to tell.

        No comparison mixes two shifts.
        """
        watch = self.watch
        if shift == watch.shift:
            return None
        ended, rows = watch.shift, watch.of_shift
        watch.shift, watch.of_shift, watch.recent = shift, [], []
        if not ended or len(rows) < RECENT:
            return None
        comparison = self._compare(rows, rejects_wanted)
        watch.cause = comparison.cause
        return ShiftEnd(ended, len(rows), sum(row[-1] for row in rows), comparison)

    def add(self, score: float, signs: Signs, verdict: str, rejects_wanted: float) -> Comparison | None:
        """Take the next part and return a comparison when one is due.

        `rejects_wanted` is the share of good parts that the model's reject limit was meant to exceed.
        """
        watch = self.watch
        if len(watch.score) < REFERENCE:
            if verdict == "pass":
                watch.score.append(score)
                watch.brightness.append(signs.brightness)
                watch.sharpness.append(signs.sharpness)
                watch.coarse.append(signs.coarse.tobytes())
            return None
        likeness = _correlation(self._mean_picture(), signs.coarse.astype(np.float64))
        watch.recent.append((score, signs.brightness, signs.sharpness, likeness, verdict == "reject"))
        if watch.shift:
            watch.of_shift.append(watch.recent[-1])
            del watch.of_shift[:-SHIFT_PARTS]
        strays = self._page_hinkley(score)
        if len(watch.recent) < (RECENT if strays else watch.parts):
            return None
        # After a sudden rise of the score only the last parts are surely of what came after.
        comparison = self._compare(watch.recent[-RECENT:] if strays else watch.recent, rejects_wanted, strays=strays)
        watch.recent = []
        watch.sum = watch.least = 0.0
        watch.cause = comparison.cause
        return comparison

    def _page_hinkley(self, score: float) -> bool:
        """Return whether the smoothed score has risen for good (Page, Biometrika 41, 1954; Hinkley, Biometrika 58, 1971)."""
        watch = self.watch
        mean, deviation = float(np.mean(watch.score)), max(float(np.std(watch.score)), 1e-6)
        standard = min(max((score - mean) / deviation, -PH_CLIP), PH_CLIP)
        watch.ewma += EWMA_WEIGHT * (standard - watch.ewma)
        watch.sum += watch.ewma - PH_SLACK
        watch.least = min(watch.least, watch.sum)
        return watch.sum - watch.least > PH_LIMIT

    def _compare(self, recent: list[_Part], rejects_wanted: float, *, strays: bool = False) -> Comparison:
        watch = self.watch
        score, brightness, sharpness, likeness, rejected = (np.asarray(column) for column in zip(*recent, strict=True))
        reference = {name: np.asarray(getattr(watch, name)) for name in ("score", "brightness", "sharpness")}
        now = {"score": score, "brightness": brightness, "sharpness": sharpness}
        psi = {name: stability_index(reference[name], now[name]) for name in now}
        changed = {name for name in now if psi[name] > LEAST_PSI and _differ(reference[name], now[name])}
        low, high = exact_interval(int(rejected.sum()), len(rejected), 2 * CHANCE)
        template = self._mean_picture()
        alike = [_correlation(template, np.frombuffer(one, np.float32).astype(np.float64)) for one in watch.coarse]
        cause: Cause | None = None
        if np.quantile(alike, 0.1) - np.quantile(likeness, 0.1) > LEAST_UNLIKE:
            cause = "variant"
        elif any(
            name in changed and _moved(reference[name], now[name]) > least for name, least in LEAST_CHANGE.items()
        ):
            cause = "lighting"
        elif (
            strays or low > rejects_wanted or ("score" in changed and np.median(score) > np.median(reference["score"]))
        ):
            cause = "model"
        apart = {name: distance(reference[name], now[name]) for name in now}
        return Comparison(psi, apart, (low, high), cause)

    def _mean_picture(self) -> Floats:
        if self._template is None:
            pictures = [np.frombuffer(one, np.float32) for one in self.watch.coarse]
            self._template = np.mean(pictures, axis=0, dtype=np.float64)
        return self._template


def stability_index(reference: Floats, now: Floats, bins: int = 10) -> float:
    """Return the population stability index: sum of (p - q) ln(p / q) over the reference's deciles, half a part added to each."""
    edges = np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1])
    p, q = (
        (np.bincount(np.searchsorted(edges, sample, side="right"), minlength=bins) + 0.5) / (len(sample) + bins / 2)
        for sample in (reference, now)
    )
    return float(np.sum((q - p) * np.log(q / p)))


def distance(one: Floats, other: Floats) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic: the largest distance of the two cumulative shares."""
    places = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(sample), places, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def exact_interval(hits: int, count: int, chance: float) -> tuple[float, float]:
    """Return the interval of a share that misses it with at most `chance` (Clopper and Pearson, Biometrika 26, 1934)."""

    def at_least(share: float, least: int) -> float:
        """Probability of `least` hits or more."""
        if share <= 0 or share >= 1:
            return float(share >= 1 or least == 0)
        ways = lgamma(count + 1)
        return sum(
            exp(ways - lgamma(k + 1) - lgamma(count - k + 1) + k * log(share) + (count - k) * log(1 - share))
            for k in range(least, count + 1)
        )

    def solve(least: int, wanted: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(middle, least) < wanted else (low, middle)
        return low

    low = solve(hits, chance / 2) if hits else 0.0
    return low, solve(hits + 1, 1 - chance / 2) if hits < count else 1.0


def _differ(reference: Floats, now: Floats) -> bool:
    """Whether the distance is beyond what parts that are alike reach with `CHANCE` (Smirnov's limit, asymptotic)."""
    n, m = len(reference), len(now)
    return distance(reference, now) > sqrt(-log(CHANCE / 2) / 2) * sqrt((n + m) / (n * m))


def _moved(reference: Floats, now: Floats) -> float:
    before = float(np.median(reference))
    return abs(float(np.median(now)) - before) / max(abs(before), 1e-9)


def _correlation(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale > 1e-9 else 1.0
