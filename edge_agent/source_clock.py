"""How far the clock of a device is from this box's: the median of what its readings' own times say.

A reading's source time is when the value arose, which may be long ago where a value did not change; the latest of those
that arrive together is the nearest to now. What is left is the offset of the clocks less the way from device to box.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

from protocols.reading import Reading
from protocols.scan import Scan
from protocols.text import Text

LIMIT_S = 10.0
"""A clock further off than this is announced, once until it has been back within half of it."""

WINDOW = 31
"""Deliveries the median is taken of."""

LEAST = 5
"""Deliveries before anything is said."""


class SourceClock:
    """The clock of one device."""

    def __init__(self) -> None:
        self._offsets: deque[int] = deque(maxlen=WINDOW)
        self._said = False

    @property
    def offset_us(self) -> int | None:
        """Device's clock minus this box's, microseconds; None where the device gives no times, or too few so far."""
        return int(median(self._offsets)) if len(self._offsets) >= LEAST else None

    def see(self, readings: Sequence[Reading]) -> Text | None:
        """Take what arrived together; return what to announce, if anything.

        The times are only looked at, never changed. A scan has none of the device's.
        """
        if isinstance(readings, Scan):
            return None
        offsets = [each.source_time - each.arrival_time for each in readings if each.source_time != each.arrival_time]
        if not offsets:
            return None
        self._offsets.append(max(offsets))
        offset_s = (self.offset_us or 0) / 1e6
        if abs(offset_s) < LIMIT_S / 2:
            self._said = False
        if abs(offset_s) <= LIMIT_S or self._said:
            return None
        self._said = True
        return Text(
            f"its clock is {abs(offset_s):,.0f} s {'ahead' if offset_s > 0 else 'behind'} of this box's - set the device's"
            " time, or this box's",
            f"设备时钟比本机{'快' if offset_s > 0 else '慢'} {abs(offset_s):,.0f} 秒 - 请校准设备或本机的时间",
        )
