"""What the buffer counts, and the group of things it commits together, in the portions of its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edge_agent.normalise import Mark
from protocols.uplink.messages import Event, Inspection, LateOpinion, PointRef, Verdict
from protocols.uplink.rows import Gathered, Row, ScanRows

ROWS_PER_FRAME = 5_000
PICTURE_BYTES_PER_FRAME = 512 * 1024


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


class Gap(msgspec.Struct):
    """What an outage left out of a device's series: by point, source times (microseconds) that bound it.

    `since`: of the last reading before what is missing, which moves on as it is fetched; `until`: of the first one behind
    it. `attempts`: connections in which it was tried.
    """

    since: dict[str, int]
    until: dict[str, int] = {}
    attempts: int = 0


class Settled(msgspec.Struct, frozen=True):
    """What the cloud said of the frames it was sent out of one epoch: numbers of those stored, and of those refused."""

    epoch: str
    stored: list[int]
    refused: list[Verdict]

    def __len__(self) -> int:
        return len(self.stored) + len(self.refused)


class Group(msgspec.Struct):
    """What is committed together, with the latest mark of each point and what is left to fetch of each device's history.

    `rows` holds readings in the order they came, scans as they are. `settled` are frames to forget. `lost` counts rows given
    up before they could be committed (disk full).
    """

    rows: list[Sequence[Row]] = []
    marks: dict[PointRef, Mark] = {}
    gaps: dict[str, Sequence[Gap]] = {}
    inspections: list[tuple[Inspection, Sequence[Row]]] = []
    events: list[Event] = []
    opinions: list[LateOpinion] = []
    settled: list[Settled] = []
    lost: int = 0

    def __bool__(self) -> bool:
        return any((self.rows, self.gaps, self.inspections, self.events, self.opinions, self.settled, self.lost))

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


def by_count(parts: Sequence[Sequence[Row]]) -> Iterator[tuple[int, Gathered]]:
    """Yield the rows of `parts`, as many together as a frame takes, and how many they are."""
    gathered, count = Gathered(), 0
    for rows in parts:
        rest = rows
        while len(rest) > (room := ROWS_PER_FRAME - count):
            gathered.add(rest[:room])
            yield ROWS_PER_FRAME, gathered
            rest, gathered, count = rest[room:], Gathered(), 0
        gathered.add(rest)
        count += len(rest)
    if count:
        yield count, gathered


def by_size(
    inspections: list[tuple[Inspection, Sequence[Row]]],
) -> Iterator[list[tuple[Inspection, Sequence[Row]]]]:
    """Yield inspections with their readings, as many together as the pictures of one frame may be large."""
    part, size = [], 0
    for item in inspections:
        part.append(item)
        size += len(item[0].picture) + len(item[0].heatmap)
        if size >= PICTURE_BYTES_PER_FRAME:
            yield part
            part, size = [], 0
    if part:
        yield part
