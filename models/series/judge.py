"""How good a health model is on labelled rows it never saw, beside the trivial rival that always cries wolf."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import InputError
from models.evaluate import auroc, auroc_interval
from models.series.change import Change, watch_of
from models.series.monitor import Monitor
from models.series.table import Table

Doubles = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Advance = Callable[[int, int], None]


class SeriesEvaluation(msgspec.Struct, frozen=True):
    """Figures of one model on one labelled table; a row is alarmed if it is rejected.

    Attributes:
        rows: judged, those of the warm-up left out.
        anomalous: share of them that is labelled so.
        f1: 2 hits / (2 hits + false alarms + misses); `always_f1` that of alarming every row.
        false_alarm_rate: share of the healthy rows that is alarmed.
        missed_alarm_rate: share of the anomalous rows that is not.
        auroc: probability that an anomalous row scores above a healthy one, ties half; None where one kind is missing.
        auroc_interval: 95 %, of rows as far apart as the model forgets; None where one kind has not so many.
        changes: where the score has changed for good, by rows of the table from 0.
    """

    rows: int
    anomalous: float
    f1: float
    always_f1: float
    false_alarm_rate: float
    missed_alarm_rate: float
    auroc: float | None
    changes: list[Change] = []
    auroc_interval: tuple[float, float] | None = None


class TwoOpinions(msgspec.Struct, frozen=True):
    """Figures of two models on the same rows, and of alarming where both do, or either does."""

    first: SeriesEvaluation
    second: SeriesEvaluation
    both: SeriesEvaluation
    either: SeriesEvaluation


class Followed(NamedTuple):
    """What a model said of each row: the score in units of its reject limit, alarm or not, and whether it was warm."""

    score: Doubles
    alarm: Truths
    warm: Truths
    changes: list[Change]


def follow(monitor: Monitor, table: Table, warm_up: Table | None = None, advance: Advance | None = None) -> Followed:
    """Return what `monitor` says of `table`, fed from its first row on, after the rows of `warm_up` if given."""
    if warm_up is not None:
        list(monitor.follow_all(warm_up.values))
    watch = watch_of(float(monitor.card.fit.recipe["half_life"]))
    score, alarm, warm, changes = [], [], [], []
    for row, finding in enumerate(monitor.follow_all(table.values)):
        score.append(finding.score / finding.reject)
        alarm.append(finding.verdict == "reject")
        warm.append(finding.verdict is not None)
        if change := watch.follow(finding.score):
            changes.append(change)
        if advance:
            advance(row + 1, len(table.values))
    return Followed(np.array(score), np.array(alarm), np.array(warm), changes)


def judge(
    monitor: Monitor, table: Table, warm_up: Table | None = None, advance: Advance | None = None
) -> SeriesEvaluation:
    """Return the figures of `monitor` on `table`, as `follow` feeds it.

    Raises InputError if the table has no labels or ends before the model is warm.
    """
    label = _label(table)
    found = follow(monitor, table, warm_up, advance)
    return _figures(label, found, monitor.forgets_after)


def judge_two(
    first: Monitor, second: Monitor, table: Table, warm_up: Table | None = None, advance: Advance | None = None
) -> TwoOpinions:
    """Return the figures of two models of the same sensors on `table`; raises InputError as `judge`, or if they are not."""
    if first.sensors != second.sensors:
        raise InputError(
            "sensors",
            f"{first.card.name} and {second.card.name} do not read the same sensors; fit both on the same columns",
            f"{first.card.name} 与 {second.card.name} 的传感器不同；请用相同的列训练",
        )
    label = _label(table)
    one, other = (follow(monitor, table, warm_up, advance) for monitor in (first, second))
    warm, every = one.warm & other.warm, max(first.forgets_after, second.forgets_after)
    both = Followed(np.minimum(one.score, other.score), one.alarm & other.alarm, warm, [])
    either = Followed(np.maximum(one.score, other.score), one.alarm | other.alarm, warm, [])
    return TwoOpinions(
        *(_figures(label, each._replace(warm=warm), every) for each in (one, other, both, either)),
    )


def _label(table: Table) -> Truths:
    if table.label is None:
        raise InputError(
            "no_label",
            "the series have no column of labels; name it with --label",
            "数据没有标注列；请用 --label 指定",
        )
    return table.label


def _figures(label: Truths, found: Followed, every: int) -> SeriesEvaluation:
    """Return the figures of what was said of the rows; one in `every` counts for an interval."""
    warm = found.warm
    if not warm.any():
        raise InputError("no_rows", "the series end before the model is warm", "数据太短：模型预热尚未完成就已结束")
    truth, alarmed, scores = label[warm], found.alarm[warm], found.score[warm]
    hits, false = int((alarmed & truth).sum()), int((alarmed & ~truth).sum())
    bad, good = int(truth.sum()), int((~truth).sum())
    ranked = auroc(scores[~truth], scores[truth]) if bad and good else None
    return SeriesEvaluation(
        rows=len(truth),
        anomalous=bad / len(truth),
        f1=_f1(hits, false, bad - hits),
        always_f1=_f1(bad, good, 0),
        false_alarm_rate=false / good if good else 0.0,
        missed_alarm_rate=(bad - hits) / bad if bad else 0.0,
        auroc=ranked,
        changes=found.changes,
        auroc_interval=None if ranked is None else auroc_interval(ranked, good // every, bad // every),
    )


def _f1(hits: int, false: int, missed: int) -> float:
    return 2 * hits / (2 * hits + false + missed) if hits else 0.0
