"""How good a model is on pictures it never saw: ranking, recall, false rejects with their interval, beside a trivial rival."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.conformal import wilson_interval
from models.vision.detector import Finding
from models.vision.pictures import Grey

Doubles = npt.NDArray[np.float64]


class Share(msgspec.Struct, frozen=True):
    """A share with its 95 % interval (Wilson, pictures counted singly) and the number of pictures it rests on."""

    value: float
    low: float
    high: float
    pictures: int


class Evaluation(msgspec.Struct, frozen=True):
    """Figures of one model on one set of good and one of defective pictures.

    Attributes:
        auroc: probability that a defective picture scores above a good one, ties half.
        trivial_auroc: the same for the distance of a picture's mean brightness from that of the median good picture.
        recall_review, recall_reject: share of defective pictures that at least go to review, or are rejected.
        false_review, false_reject: the same shares of the good pictures.
    """

    auroc: float
    trivial_auroc: float
    recall_review: Share
    recall_reject: Share
    false_review: Share
    false_reject: Share


class Judged(msgspec.Struct, frozen=True):
    """What a model said of a picture, and the picture's mean brightness."""

    verdict: str
    score: float
    brightness: float


def auroc(good: npt.ArrayLike, bad: npt.ArrayLike) -> float:
    """Return the area under the ROC curve as the Mann-Whitney statistic over all pairs, ties counted half."""
    lower, upper = np.sort(np.asarray(good)), np.asarray(bad)
    wins = np.searchsorted(lower, upper, "left") + np.searchsorted(lower, upper, "right")
    return float(wins.sum() / (2 * len(lower) * len(upper)))


def auroc_interval(value: float, good: int, bad: int) -> tuple[float, float] | None:
    """Return the 95 % interval of an AUROC over so many samples independent of each other; None without one of each kind.

    It varies no more than a share of as many samples as the rarer kind has (Birnbaum and Klose, "Bounds for the variance
    of the Mann-Whitney statistic", 1957), so the interval (Wilson) is never too narrow, also where all are told apart.
    """
    return wilson_interval(value * min(good, bad), min(good, bad)) if good and bad else None


def evaluate(
    good: Sequence[Grey], bad: Sequence[Grey], on_good: Sequence[Finding], on_bad: Sequence[Finding]
) -> Evaluation:
    """Return the figures for findings on good and defective pictures; neither may be empty."""
    judged = [
        [Judged(one.verdict, one.score, float(grey.mean())) for grey, one in zip(greys, found, strict=True)]
        for greys, found in ((good, on_good), (bad, on_bad))
    ]
    return figures(*judged)


def figures(good: Sequence[Judged], bad: Sequence[Judged]) -> Evaluation:
    """Return the same of what was said of pictures that are not at hand any more."""
    usual, odd = _brightness(good), _brightness(bad)
    middle = np.median(usual)
    return Evaluation(
        auroc=auroc([one.score for one in good], [one.score for one in bad]),
        trivial_auroc=auroc(np.abs(usual - middle), np.abs(odd - middle)),
        recall_review=_share([one.verdict != "pass" for one in bad]),
        recall_reject=_share([one.verdict == "reject" for one in bad]),
        false_review=_share([one.verdict != "pass" for one in good]),
        false_reject=_share([one.verdict == "reject" for one in good]),
    )


def _brightness(judged: Sequence[Judged]) -> Doubles:
    return np.array([one.brightness for one in judged])


def _share(hits: Sequence[bool]) -> Share:
    return Share(sum(hits) / len(hits), *wilson_interval(sum(hits), len(hits)), len(hits))
