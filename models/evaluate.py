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


def auroc(good: npt.ArrayLike, bad: npt.ArrayLike) -> float:
    """Return the area under the ROC curve as the Mann-Whitney statistic over all pairs, ties counted half."""
    lower, upper = np.sort(np.asarray(good)), np.asarray(bad)
    wins = np.searchsorted(lower, upper, "left") + np.searchsorted(lower, upper, "right")
    return float(wins.sum() / (2 * len(lower) * len(upper)))


def evaluate(
    good: Sequence[Grey], bad: Sequence[Grey], on_good: Sequence[Finding], on_bad: Sequence[Finding]
) -> Evaluation:
    """Return the figures for findings on good and defective pictures; neither may be empty."""
    usual, odd = _brightness(good), _brightness(bad)
    middle = np.median(usual)
    return Evaluation(
        auroc=auroc([finding.score for finding in on_good], [finding.score for finding in on_bad]),
        trivial_auroc=auroc(np.abs(usual - middle), np.abs(odd - middle)),
        recall_review=_share([finding.verdict != "pass" for finding in on_bad]),
        recall_reject=_share([finding.verdict == "reject" for finding in on_bad]),
        false_review=_share([finding.verdict != "pass" for finding in on_good]),
        false_reject=_share([finding.verdict == "reject" for finding in on_good]),
    )


def _brightness(greys: Sequence[Grey]) -> Doubles:
    return np.array([float(grey.mean()) for grey in greys])


def _share(hits: Sequence[bool]) -> Share:
    return Share(sum(hits) / len(hits), *wilson_interval(sum(hits), len(hits)), len(hits))
