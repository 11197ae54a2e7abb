"""What one read of many points brought, by column: a Reading is an object for each value, and a poll has thousands."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from protocols.reading import GOOD, Quality, Reading, Value


class Scan(Sequence[Reading]):
    """The readings of one poll of a device that gives no times of its own; each is made when it is asked for.

    Attributes:
        points: names of the points, in the order they were asked for.
        values: the value of each; None where there is none.
        flaws: place of a point -> its quality, where that is not good.
        times: when each value arrived, microseconds UTC; int64. It counts as the time the value arose.
    """

    __slots__ = ("flaws", "points", "times", "values")

    def __init__(
        self, points: tuple[str, ...], values: list[Value], flaws: dict[int, Quality], times: array[int]
    ) -> None:
        self.points = points
        self.values = values
        self.flaws = flaws
        self.times = times

    @classmethod
    def begun(cls, points: tuple[str, ...], time: int) -> Scan:
        """Return a scan of `points` to which nothing has been put yet."""
        return cls(points, [None] * len(points), {}, array("q", [time]) * len(points))

    def put(self, places: slice | Sequence[int], values: Sequence[Value], flaws: dict[int, Quality], time: int) -> None:
        """Put `values`, which arrived at `time`, at `places`, to which nothing was put before; `flaws` counts within them."""
        if isinstance(places, slice):
            self.values[places] = values
            self.times[places] = array("q", [time]) * len(values)
            places = range(places.start, places.stop)
        else:
            for place, value in zip(places, values, strict=True):
                self.values[place] = value
                self.times[place] = time
        for within, quality in flaws.items():
            self.flaws[places[within]] = quality

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Reading]:
        quality = self.flaws.get
        for place, (point, value, time) in enumerate(zip(self.points, self.values, self.times, strict=True)):
            yield Reading(point, value, quality(place, GOOD), time, time)

    @overload
    def __getitem__(self, place: int) -> Reading: ...

    @overload
    def __getitem__(self, place: slice) -> Scan: ...

    def __getitem__(self, place: int | slice) -> Reading | Scan:
        if isinstance(place, slice):
            chosen = range(len(self))[place]
            flaws = {new: self.flaws[old] for new, old in enumerate(chosen) if old in self.flaws}
            return Scan(self.points[place], self.values[place], flaws, self.times[place])
        place = range(len(self))[place]
        time = self.times[place]
        return Reading(self.points[place], self.values[place], self.flaws.get(place, GOOD), time, time)
