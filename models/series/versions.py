"""What two versions of a machine's health model say of the same readings, for whoever decides between them.

Of healthy time the new one is judged block by block by what the other blocks taught, so no row judges what was learnt from
it; the one before is run over the same rows. How many of these it had learnt from itself flatters it, and is told besides.
A time with a known fault, if there is one, is judged by both as the box would.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.card import Card, LimitCard
from models.conformal import wilson_interval
from models.evaluate import Share, auroc, auroc_interval
from models.series.health import Doubles
from models.series.monitor import HealthFinding, Monitor


class HealthFigures(msgspec.Struct, frozen=True):
    """What a version says of readings of one machine, as `models.judged.Figures` of pictures; None where there are none.

    Attributes:
        good_parts, bad_parts: readings independent of each other, in healthy time and in that with the fault.
        false_review, false_reject: share of healthy readings that at least are to be watched, or are alarmed.
        found: share of the fault's readings that is alarmed.
        auroc: probability that a reading of the fault scores above a healthy one, ties half; `auroc_interval` 95 %.
        learnt_from: of `good_parts`, those the version had learnt from itself.
    """

    good_parts: int
    bad_parts: int
    false_review: Share | None
    false_reject: Share | None
    found: Share | None
    auroc: float | None = None
    auroc_interval: tuple[float, float] | None = None
    learnt_from: int = 0


def judged_new(release: Bundle, healthy: Doubles, faulty: Doubles) -> HealthFigures:
    """Return the figures of a version on the rows it has been fitted on, `healthy` their scores held back block by block, and on
    `faulty` rows.
    """
    monitor, card = Monitor(release), release.card
    fault = _warm(monitor, faulty)
    independent = len(healthy) // monitor.forgets_after
    return HealthFigures(
        independent,
        len(fault) // monitor.forgets_after,
        _measured(card.review, independent),
        _measured(card.reject, independent),
        _share([each.verdict == "reject" for each in fault], monitor.forgets_after),
        *_ranked(healthy, fault, monitor.forgets_after),
    )


def judged_before(
    before: Bundle, sensors: Sequence[str], healthy: Doubles, faulty: Doubles, seen: int
) -> HealthFigures:
    """Return the figures of the version before on the same rows x `sensors`; it had learnt from `seen` healthy ones."""
    columns = [list(sensors).index(name) for name in before.card.sensors]
    monitor = Monitor(before)
    good, bad = (_warm(monitor, rows[:, columns]) for rows in (healthy, faulty))
    every = monitor.forgets_after
    return HealthFigures(
        len(good) // every,
        len(bad) // every,
        _share([each.verdict != "pass" for each in good], every),
        _share([each.verdict == "reject" for each in good], every),
        _share([each.verdict == "reject" for each in bad], every),
        *_ranked([each.score for each in good], bad, every),
        learnt_from=seen // every,
    )


def comparable(card: Card, sensors: Sequence[str]) -> bool:
    """Return whether the version reads no other sensors than these."""
    return set(card.sensors) <= set(sensors)


def _warm(monitor: Monitor, rows: Doubles) -> list[HealthFinding]:
    monitor.restart()
    return [finding for finding in monitor.follow_all(rows.astype(np.float32)) if finding.verdict]


def _measured(limit: LimitCard, independent: int) -> Share:
    return Share(limit.measured, limit.low, limit.high, independent)


def _ranked(
    healthy: npt.ArrayLike, fault: Sequence[HealthFinding], every: int
) -> tuple[float | None, tuple[float, float] | None]:
    """Return the AUROC of the fault's scores and its interval, for which one reading in `every` counts; None without any."""
    scores = np.asarray(healthy)
    if min(len(scores), len(fault)) < every:
        return None, None
    value = auroc(scores, [each.score for each in fault])
    return value, auroc_interval(value, len(scores) // every, len(fault) // every)


def _share(hits: Sequence[bool], every: int) -> Share | None:
    """Return the share of `hits`; one in `every` counts for its interval."""
    if len(hits) < every:
        return None
    share, independent = sum(hits) / len(hits), len(hits) // every
    return Share(share, *wilson_interval(share * independent, independent), independent)
