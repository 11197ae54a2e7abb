"""What the models of a watch said since an order, counted at judgements independent of each other: evidence of a roll-out."""

from __future__ import annotations

from collections import deque

import msgspec

from models.series.monitor import HealthFinding
from protocols.uplink.models import ModelRecord

LATENCIES = 200
"""Of so many last judgements the time is remembered."""


class Said(msgspec.Struct, frozen=True):
    """A finding and the microseconds it took."""

    finding: HealthFinding
    latency_us: int


class HealthRecord:
    """Counts for one order and one deciding model; another of either begins anew.

    Attributes:
        of: number of the order, and digest of the model that decides.
        counts: so far, the times left out.
    """

    def __init__(self) -> None:
        self.of = (0, "")
        self.counts = ModelRecord()
        self._since = 0
        self._times: tuple[deque[int], deque[int]] = (deque(maxlen=LATENCIES), deque(maxlen=LATENCIES))

    def resume(self, of: tuple[int, str], counts: ModelRecord) -> None:
        """Go on from what was kept."""
        self.of, self.counts = of, counts

    def add(self, of: tuple[int, str], every: int, decided: Said, beside: Said | None) -> None:
        """Take what the models say of one reading; one judgement in `every` counts."""
        if of != self.of:
            self.of, self.counts, self._since = of, ModelRecord(), 0
            for times in self._times:
                times.clear()
        self._since += 1
        if decided.finding.verdict is None or self._since % every:
            return
        counts, rejected = self.counts, decided.finding.verdict == "reject"
        self._times[0].append(decided.latency_us)
        changed = {"judged": counts.judged + 1, "rejects": counts.rejects + rejected}
        if beside and beside.finding.verdict:
            also = beside.finding.verdict == "reject"
            self._times[1].append(beside.latency_us)
            changed |= {
                "beside": counts.beside + 1,
                "beside_rejects": counts.beside_rejects + also,
                "beside_decided": counts.beside_decided + rejected,
                "differing": counts.differing + (also != rejected),
            }
        self.counts = msgspec.structs.replace(counts, **changed)

    def report(self, of: tuple[int, str]) -> ModelRecord:
        """Return what is counted for an order and a deciding model."""
        if of != self.of:
            return ModelRecord()
        p95, beside = (sorted(times)[int(len(times) * 0.95)] if times else 0 for times in self._times)
        return msgspec.structs.replace(self.counts, p95_us=p95, beside_p95_us=beside)
