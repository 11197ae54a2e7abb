"""When a point that is collected anyway says that a part is there, and which part it is."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.config_inspection import TriggerConfig
from protocols.reading import Reading, Value
from protocols.uplink.messages import PointRef


class PointTrigger:
    """Finds the edges of a point in its readings.

    `passed`: parts that a counter says went by between two readings and that nobody could take a picture of.
    """

    def __init__(self, config: TriggerConfig) -> None:
        self._config = config
        self._last: Value = None
        self._part: Value = None
        self.passed = 0

    def heard(self, rows: Iterable[tuple[PointRef, Reading]]) -> list[str | None]:
        """Return the part (None: unnamed) of each trigger in `rows`, the device's live readings in their order.

        The first good value triggers nothing: the part before the camera may have been inspected. Readings that are not
        good are passed over. A part's name counts if it comes in the same rows as its trigger or before.
        """
        edges = 0
        for ref, reading in rows:
            if not reading.quality.good or reading.value is None:
                continue
            if ref.name == self._config.part_point:
                self._part = reading.value
            if ref.name == self._config.point:
                edges += self._is_edge(self._last, reading.value)
                self._last = reading.value
        part = None if self._part is None else str(self._part)
        return [part] * edges

    def _is_edge(self, before: Value, now: Value) -> bool:
        if before is None:
            return False
        if self._config.on == "rise":
            return bool(now) and not before
        if type(before) is int and type(now) is int and now > before:
            self.passed += now - before - 1
        return now != before
