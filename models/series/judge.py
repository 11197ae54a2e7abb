"""How good a health model is on labelled rows it never saw, beside the trivial rival that always cries wolf."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from models.errors import InputError
from models.evaluate import auroc
from models.series.monitor import Monitor
from models.series.table import Table


class SeriesEvaluation(msgspec.Struct, frozen=True):
    """Figures of one model on one labelled table; a row is alarmed if it is rejected.

    Attributes:
        rows: judged, those of the warm-up left out.
        anomalous: share of them that is labelled so.
        f1: 2 hits / (2 hits + false alarms + misses); `always_f1` that of alarming every row.
        false_alarm_rate: share of the healthy rows that is alarmed.
        missed_alarm_rate: share of the anomalous rows that is not.
        auroc: probability that an anomalous row scores above a healthy one, ties half; None where one kind is missing.
    """

    rows: int
    anomalous: float
    f1: float
    always_f1: float
    false_alarm_rate: float
    missed_alarm_rate: float
    auroc: float | None


def judge(
    monitor: Monitor, table: Table, warm_up: Table | None = None, advance: Callable[[int, int], None] | None = None
) -> SeriesEvaluation:
    """Return the figures of `monitor` on `table`, fed from its first row on, after the rows of `warm_up` if given.

    Raises InputError if the table has no labels or ends before the model is warm.
    """
    if table.label is None:
        raise InputError(
            "no_label",
            "the series have no column of labels; name it with --label",
            "数据没有标注列；请用 --label 指定",
        )
    if warm_up is not None:
        list(monitor.follow_all(warm_up.values))
    score, alarm, judged = [], [], []
    for row, finding in enumerate(monitor.follow_all(table.values)):
        score.append(finding.score)
        alarm.append(finding.verdict == "reject")
        judged.append(finding.verdict is not None)
        if advance:
            advance(row + 1, len(table.values))
    keep = np.array(judged)
    if not keep.any():
        raise InputError("no_rows", "the series end before the model is warm", "数据太短：模型预热尚未完成就已结束")
    truth, alarmed, scores = table.label[keep], np.array(alarm)[keep], np.array(score)[keep]
    hits, false = int((alarmed & truth).sum()), int((alarmed & ~truth).sum())
    bad, good = int(truth.sum()), int((~truth).sum())
    return SeriesEvaluation(
        rows=len(truth),
        anomalous=bad / len(truth),
        f1=_f1(hits, false, bad - hits),
        always_f1=_f1(bad, good, 0),
        false_alarm_rate=false / good if good else 0.0,
        missed_alarm_rate=(bad - hits) / bad if bad else 0.0,
        auroc=auroc(scores[~truth], scores[truth]) if bad and good else None,
    )


def _f1(hits: int, false: int, missed: int) -> float:
    return 2 * hits / (2 * hits + false + missed) if hits else 0.0
