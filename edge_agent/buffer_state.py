"""What the buffer counts, and the group of things it commits together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_agent.normalise import Mark
from protocols.uplink.messages import Event, Inspection, LateOpinion, PointRef
from protocols.uplink.rows import Row, ScanRows


class State(msgspec.Struct):
    """Identity and counters, changed in the transaction that makes them true.

    collected = rows the cloud acknowledged + `rows` waiting + `dropped` + `set_aside`. What waits, `frames` and `rows`, is
    counted here because counting frames takes long after a long outage.
    """

    epoch: str
    seq: int = 0
    collected: int = 0
    dropped: int = 0
    set_aside: int = 0
    frames_set_aside: int = 0
    inspections: int = 0
    events: int = 0
    frames: int = 0
    rows: int = 0


class Stats(msgspec.Struct, frozen=True):
    """`State`, and what waits: frames, rows, bytes on disk; `oldest` is when the oldest was collected, 0 for none.

    `bytes_per_row`: what a row has taken on disk since the file was opened, 0 while unknown.
    """

    state: State
    frames: int
    rows: int
    bytes: int
    limit: int
    oldest: int
    bytes_per_row: float = 0.0


class Group(msgspec.Struct):
    """What is committed together, with the latest mark of each point.

    `rows` holds readings in the order they came, scans as they are. `lost` counts rows given up before they could be
    committed (disk full).
    """

    rows: list[Sequence[Row]] = []
    marks: dict[PointRef, Mark] = {}
    inspections: list[tuple[Inspection, Sequence[Row]]] = []
    events: list[Event] = []
    opinions: list[LateOpinion] = []
    lost: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self.inspections or self.events or self.opinions or self.lost)

    def add(self, rows: Sequence[Row]) -> None:
        """Add readings behind the others."""
        if isinstance(rows, ScanRows):
            self.rows.append(rows)
        elif self.rows and isinstance(last := self.rows[-1], list):
            last += rows
        elif rows:
            self.rows.append(list(rows))

    def give_up(self, count: int) -> None:
        """Drop the first `count` readings, of which there are more, and count them."""
        self.lost += count
        while count >= len(self.rows[0]):
            count -= len(self.rows.pop(0))
        self.rows[0] = self.rows[0][count:]

    def count(self) -> int:
        """Return the number of readings, those of inspections not among them."""
        return sum(map(len, self.rows))
