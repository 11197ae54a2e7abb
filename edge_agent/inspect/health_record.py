"""What the models of a watch said since an order, counted at judgements independent of each other: evidence of a roll-out.

The model before goes on judging the same readings as a new one, so the box sees by itself, without the cloud, which of the
two alarms more, and never takes a machine that strays for a model that is worse.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from models.drift import exact_interval
from models.series.forecast import SeasonalFinding
from models.series.monitor import HealthFinding
from protocols.text import Text
from protocols.uplink.models import ModelRecord

LATENCIES = 200
"""Of so many last judgements the time is remembered."""
LEAST_COMPARED = 20
"""Of fewer judgements nothing is concluded, as in the cloud."""
MOST_COMPARED = 200
"""After so many judgements of both the model before is not needed any more."""
CHANCE = 0.05
"""How often the interval of a share (Clopper and Pearson) may miss it."""
MUCH_OF_PERIOD = 0.5
"""Share of the time between two readings above which a model that is slower than the one before is too slow."""


class Compared(msgspec.Struct, frozen=True):
    """What a new model and the one before said of the same readings: judgements of both, and the rejects of each."""

    judged: int = 0
    rejects: int = 0
    before_rejects: int = 0


Finding = TypeVar("Finding", bound=HealthFinding | SeasonalFinding)


class Said(NamedTuple, Generic[Finding]):
    """A finding and the microseconds it took."""

    finding: Finding
    latency_us: int


class HealthRecord:
    """Counts for one order and one deciding model; another of either begins anew.

    Attributes:
        of: number of the order, and digest of the model that decides.
        counts: so far, the times left out.
        compared: the deciding model with the one before.
    """

    def __init__(self) -> None:
        self.of = (0, "")
        self.counts, self.compared = ModelRecord(), Compared()
        self._since = 0
        self._decided, self._beside, self._before = (deque[int](maxlen=LATENCIES) for _ in range(3))

    def resume(self, of: tuple[int, str], counts: ModelRecord, compared: Compared) -> None:
        """Go on from what was kept."""
        self.of, self.counts, self.compared = of, counts, compared

    def add(
        self,
        of: tuple[int, str],
        every: int,
        decided: Said[Any],
        beside: Said[Any] | None = None,
        before: Said[Any] | None = None,
    ) -> None:
        """Take what the models say of one reading; one judgement in `every` counts."""
        if of != self.of:
            self.of, self.counts, self.compared, self._since = of, ModelRecord(), Compared(), 0
            for times in (self._decided, self._beside, self._before):
                times.clear()
        self._since += 1
        if decided.finding.verdict is None or self._since % every:
            return
        counts, rejected = self.counts, decided.finding.verdict == "reject"
        self._decided.append(decided.latency_us)
        changed = {"judged": counts.judged + 1, "rejects": counts.rejects + rejected}
        if beside and beside.finding.verdict:
            also = beside.finding.verdict == "reject"
            self._beside.append(beside.latency_us)
            changed |= {
                "beside": counts.beside + 1,
                "beside_rejects": counts.beside_rejects + also,
                "beside_decided": counts.beside_decided + rejected,
                "differing": counts.differing + (also != rejected),
            }
        self.counts = msgspec.structs.replace(counts, **changed)
        if before and before.finding.verdict:
            self._before.append(before.latency_us)
            known = self.compared
            self.compared = Compared(
                known.judged + 1, known.rejects + rejected, known.before_rejects + (before.finding.verdict == "reject")
            )

    def worse(self, period_s: float) -> Text | None:
        """Return why the deciding model has to go, if it is clearly worse than the one before on the same readings.

        It alarms more when the intervals of the two shares do not overlap; it is too slow when 95 % of its times reach
        beyond those of the one before and beyond much of the `period_s` between two readings.
        """
        count, rejects, before = self.compared.judged, self.compared.rejects, self.compared.before_rejects
        if count < LEAST_COMPARED:
            return None
        least, most = exact_interval(rejects, count, CHANCE)[0], exact_interval(before, count, CHANCE)[1]
        if least > most:
            return Text(
                f"it alarms at {rejects / count:.1%} of {count} judgements, at least {least:.1%}; on the same readings the one"
                f" before alarms at {before / count:.1%}, at most {most:.1%}",
                f"{count} 次判定中报警 {rejects / count:.1%}，不低于 {least:.1%}；对相同读数，之前的模型报警 {before / count:.1%}，"
                f"不高于 {most:.1%}",
            )
        p95, usual = _p95_us(self._decided) / 1e6, _p95_us(self._before) / 1e6
        if len(self._decided) >= LEAST_COMPARED and p95 > max(usual, MUCH_OF_PERIOD * period_s):
            return Text(
                f"95 % of its verdicts take up to {p95:.2g} s of the {period_s:g} s between two readings; the one before takes {usual:.2g} s",
                f"95% 的判定耗时达 {p95:.2g} 秒，而读数间隔为 {period_s:g} 秒；之前的模型为 {usual:.2g} 秒",
            )
        return None

    def report(self, of: tuple[int, str]) -> ModelRecord:
        """Return what is counted for an order and a deciding model."""
        if of != self.of:
            return ModelRecord()
        return msgspec.structs.replace(self.counts, p95_us=_p95_us(self._decided), beside_p95_us=_p95_us(self._beside))


def _p95_us(times: deque[int]) -> int:
    return sorted(times)[int(len(times) * 0.95)] if times else 0
