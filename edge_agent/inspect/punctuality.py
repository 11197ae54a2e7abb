"""Whether verdicts come in time: every late or missing one counted, a run of them told once and its end once."""

from __future__ import annotations

from collections import Counter

from edge_agent.events import Announce
from protocols.text import Text

CALM = 10
"""So many verdicts in time, one after the other, end a run of late or missing ones."""


class Punctuality:
    """The punctuality of one station. `counted`: "late" verdicts."""

    def __init__(self, station: str, announce: Announce) -> None:
        self._station = station
        self._announce = announce
        self._run = 0
        self._in_time = 0
        self.counted: Counter[str] = Counter()

    def late(self, part: str, after_s: float, deadline_s: float) -> None:
        """Take note of a verdict that came too late."""
        self.counted["late"] += 1
        text = Text(
            f"{part}: the verdict came after {after_s:.2f} s, allowed are {deadline_s:g} s",
            f"{part}：{after_s:.2f} 秒后才得出结论，限时 {deadline_s:g} 秒",
        )
        self._fell_short("verdict_late", text)

    def missing(self, part: str, why: Text) -> None:
        """Take note of a part that nobody took a picture of."""
        self._fell_short("part_not_inspected", Text(f"{part}: not inspected: {why.en}", f"{part}：未检测：{why.zh}"))

    def in_time(self) -> None:
        """Take note of a verdict in time."""
        self._in_time += 1
        if self._run and self._in_time >= CALM:
            count, self._run = self._run, 0
            text = Text(
                f"verdicts come in time again; {count} were late or missing",
                f"检测已恢复及时；期间 {count} 个工件结论迟到或未检测",
            )
            self._announce(self._station, "verdicts_in_time", text)

    def _fell_short(self, kind: str, text: Text) -> None:
        self._run += 1
        self._in_time = 0
        if self._run == 1:
            self._announce(self._station, kind, text)
