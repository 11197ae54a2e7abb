"""Whether a version is better than the one before, judged by the same held-back pictures."""

from __future__ import annotations

from cloud.training.schemas import Comparison, Figures, Share

_LEAST = 0.005
"""Smallest difference of AUROC, or of shares of readings, that is told as one."""


def compare(before: Figures | None, after: Figures, *, readings: bool = False) -> Comparison:
    """Return how `after` does beside `before`: "mixed" if better in one figure and worse in another, "first" without one.

    It says what was counted, not what is certain: the intervals tell how far few pictures carry. `readings`: it is a machine's.
    """
    least = _LEAST if readings else 1e-9
    if before is None:
        return "first"
    changes = [
        _change(before.auroc, after.auroc, _LEAST),
        _change(_value(before.found), _value(after.found), least),
        -_change(_value(before.false_review), _value(after.false_review), least),
        -_change(_value(before.false_reject), _value(after.false_reject), least),
    ]
    gained, lost = any(change > 0 for change in changes), any(change < 0 for change in changes)
    return "mixed" if gained and lost else "better" if gained else "worse" if lost else "same"


def _change(before: float | None, after: float | None, least: float) -> float:
    if before is None or after is None or abs(after - before) < least:
        return 0.0
    return after - before


def _value(share: Share | None) -> float | None:
    return share.value if share else None
