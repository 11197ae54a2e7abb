"""How a model does on parts it never learnt from, for whoever decides between two versions of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from models.bundle import Bundle
from models.conformal import wilson_interval
from models.evaluate import Share, auroc
from models.vision.detector import Detector
from models.vision.pictures import Grey


class Figures(msgspec.Struct, frozen=True):
    """What a model does with held-back pictures; None where there are none of the kind.

    Attributes:
        good_parts, bad_parts: how many parts the pictures show.
        false_review, false_reject: share of good pictures that at least go to review, or are rejected.
        found: share of defective pictures that at least go to review.
        auroc: probability that a defective picture scores above a good one, ties half.
    """

    good_parts: int
    bad_parts: int
    false_review: Share | None
    false_reject: Share | None
    found: Share | None
    auroc: float | None


def judge(
    bundle: Bundle, good: Iterable[Grey], good_parts: Sequence[str], bad: Iterable[Grey], bad_parts: Sequence[str]
) -> Figures:
    """Return what the model says of these pictures, of the size it `sees`; part i is what picture i shows."""
    detector = Detector(bundle)
    on_good, on_bad = ([detector.inspect(grey) for grey in greys] for greys in (good, bad))
    ranked = auroc([one.score for one in on_good], [one.score for one in on_bad]) if on_good and on_bad else None
    return Figures(
        good_parts=len(set(good_parts)),
        bad_parts=len(set(bad_parts)),
        false_review=_share([one.verdict != "pass" for one in on_good]),
        false_reject=_share([one.verdict == "reject" for one in on_good]),
        found=_share([one.verdict != "pass" for one in on_bad]),
        auroc=ranked,
    )


def _share(hits: Sequence[bool]) -> Share | None:
    return Share(sum(hits) / len(hits), *wilson_interval(sum(hits), len(hits)), len(hits)) if hits else None
