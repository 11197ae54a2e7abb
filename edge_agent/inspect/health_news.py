"""What people are told of a watched machine, each thing once: that it strays or nears its end, is well again, has changed for good."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from edge_agent.events import Announce
from models.series.change import Change, ChangeWatch, watch_of
from models.series.monitor import Attended, HealthFinding
from protocols.text import Text

STRAYS_AFTER = 3
"""Steps above the limit, without one below, until people are told."""
NAMED = 3
"""How many sensors are named."""


class Known(msgspec.Struct, frozen=True):
    """What survives a restart: whether people know that the machine strays, and what is known of the score of one model."""

    strays: bool = False
    model: str = ""
    changes: ChangeWatch | None = None


class HealthNews:
    """Tells of one machine.

    Args:
        device: the watch's name.
        period_s: seconds between two readings.
        announce: takes the events.
    """

    def __init__(self, device: str, period_s: float, announce: Announce) -> None:
        self._device, self._period_s, self._announce = device, period_s, announce
        self._above = self._below = 0
        self.known = Known()

    def hours(self, readings: Iterable[float]) -> list[float]:
        """Return how long so many readings take."""
        return [each * self._period_s / 3600 for each in readings]

    def pause(self) -> None:
        """Begin to count steps anew: at rest, or with another model."""
        self._above = self._below = 0

    def follow(self, attended: Attended, finding: HealthFinding, at: int) -> None:
        """Take the next verdict, of a reading at `at` (microseconds UTC)."""
        self._tell_straying(finding, attended.monitor.warm_after)
        changes = self.known.changes
        if changes is None or self.known.model != attended.monitor.digest:
            changes = watch_of(float(attended.card.fit.recipe["half_life"]))
            self.known = Known(self.known.strays, attended.monitor.digest, changes)
        if (change := changes.follow(finding.score, at)) and not finding.remaining:
            self._tell_change(change)

    def _tell_straying(self, finding: HealthFinding, calm_after: float) -> None:
        """Announce that the machine strays, and that it is back when it has been well for as long as warming up takes."""
        self._above = (self._above + 1) * (finding.verdict == "reject")
        self._below = (self._below + 1) * (finding.verdict == "pass")
        if not self.known.strays and self._above >= STRAYS_AFTER:
            self.known = msgspec.structs.replace(self.known, strays=True)
            if finding.remaining:
                self._announce(self._device, "life_short", self._life(finding.remaining))
            else:
                self._announce(self._device, "machine_strays", _straying(finding))
        elif self.known.strays and self._below > calm_after:
            self.known = msgspec.structs.replace(self.known, strays=False)
            self._announce(self._device, "machine_well", Text("is as usual again", "已恢复正常"))

    def _life(self, remaining: Iterable[float]) -> Text:
        left, low, high = (f"{hours:.3g}" for hours in self.hours(remaining))
        return Text(
            f"about {left} hours of running are left, probably {low} to {high}",
            f"预计还能运行约 {left} 小时，大概率在 {low} 至 {high} 小时之间",
        )

    def _tell_change(self, change: Change) -> None:
        since = f"{datetime.fromtimestamp(change.since / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
        times = f"{change.factor:.2g}"
        text = Text(
            f"has changed for good since {since}: its health score is {times} times what it was",
            f"自 {since} 起发生持续变化：健康分值为此前的 {times} 倍",
        )
        self._announce(self._device, "machine_changed", text)


def _straying(finding: HealthFinding) -> Text:
    named = [f"{name} {part / finding.reject:+.1f}" for name, part in finding.contributions[:NAMED]]
    how = f"{finding.score / finding.reject:.1f}"
    listed_en, listed_zh = ", ".join(named), "、".join(named)
    return Text(
        f"strays from its healthy state, {how} times the limit; most of all: {listed_en}",
        f"偏离健康状态，为限值的 {how} 倍；主要来自：{listed_zh}",
    )
