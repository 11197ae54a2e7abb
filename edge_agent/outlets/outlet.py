"""What every outlet promises, what waits for it, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from edge_agent.events import Announce
from protocols.errors import SunmaoError
from protocols.reading import Reading, now_us
from protocols.text import Text
from protocols.uplink.messages import PointRef

QUIET_S = 3600.0
"""Dropping is announced again when there was none for so long."""

Pair = tuple[PointRef, Reading]
State = Literal["waiting", "up", "down"]


class OutletState(msgspec.Struct, frozen=True):
    """An outlet as it is now. `queued` readings wait, `dropped` ones were lost, `written` ones are safe where they go.

    `since`: microseconds UTC of the last change of `state`; the reason is the last failure's, kept when it is over.
    """

    name: str
    kind: str
    state: State
    since: int
    queued: int
    dropped: int
    written: int
    reason_en: str = ""
    reason_zh: str = ""


class Outlet(Protocol):
    """Takes what the buffer takes, and has it go elsewhere. Slow or dead, it costs nobody else anything."""

    def add(self, readings: Sequence[Pair], *, past: bool = False) -> None:
        """Take normalised readings; never blocks and never fails. What finds no place is dropped and counted.

        `past` ones were fetched from a device's own history: they are not what is present now.
        """

    def forget(self, device: str) -> None:
        """Take note that `device` is not part of the configuration any more."""

    async def run(self) -> None:
        """Work until cancelled, then leave nothing half done."""

    def state(self) -> OutletState:
        """Return the outlet as it is now."""


class Waiting:
    """Readings that wait for an outlet, the oldest first; beyond `limit` the oldest are dropped and counted.

    Attributes:
        dropped: how many were lost so far.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._readings: deque[Pair] = deque()

    def __len__(self) -> int:
        return len(self._readings)

    def add(self, readings: Iterable[Pair]) -> None:
        """Add `readings` behind the others."""
        self._readings.extend(readings)
        self._bound()

    def take(self, most: int) -> list[Pair]:
        """Return the first `most` readings, which wait no longer."""
        return [self._readings.popleft() for _ in range(min(most, len(self._readings)))]

    def put_back(self, readings: Sequence[Pair]) -> None:
        """Have `readings`, taken before, wait in front of the others again."""
        self._readings.extendleft(reversed(readings))
        self._bound()

    def _bound(self) -> None:
        while len(self._readings) > self._limit:
            self._readings.popleft()
            self.dropped += 1


class Condition:
    """How an outlet fares; a change is announced once.

    Args:
        name, kind: of the outlet.
        waiting: all that waits for it.
        announce: says it to people.
    """

    def __init__(self, name: str, kind: str, waiting: Sequence[Waiting], announce: Announce) -> None:
        self.written = 0
        self._name = name
        self._kind = kind
        self._waiting = waiting
        self._announce = announce
        self._state: State = "waiting"
        self._since = now_us()
        self._reason = Text("", "")
        self._dropped = 0
        self._dropped_at = -QUIET_S

    def up(self) -> None:
        """Take note that the outlet works."""
        if self._state == "down":
            self._say("outlet_back", Text("takes readings again", "恢复接收读数"))
        self._become("up")

    def down(self, error: SunmaoError) -> None:
        """Take note that the outlet does not work, and why."""
        where = None if error.key == self._name else error.key
        said = SunmaoError(error.what, error.mend, key=where)
        self._reason = Text(said.explain("en"), said.explain("zh"))
        if self._state != "down":
            self._say("outlet_down", self._reason)
        self._become("down")

    def look_at_drops(self) -> None:
        """Announce once that readings are being dropped, if they are."""
        dropped = self._count_dropped()
        if dropped == self._dropped:
            return
        now = asyncio.get_running_loop().time()
        if now - self._dropped_at > QUIET_S:
            self._say(
                "outlet_dropped",
                Text(
                    "more readings wait than there is place for; the oldest are being dropped and counted",
                    "等待的读数超过上限，正在丢弃最早的读数并计数",
                ),
            )
        self._dropped, self._dropped_at = dropped, now

    def note(self, kind: str, text: Text) -> None:
        """Announce something that is no change of state."""
        self._say(kind, text)

    def note_lost(self) -> None:
        """Announce what is lost with the end of the outlet, if anything still waits."""
        if lost := sum(len(waiting) for waiting in self._waiting):
            self._say(
                "outlet_lost",
                Text(f"{lost} readings in memory are lost with its end", f"内存中的 {lost} 条读数随停止而丢失"),
            )

    def state(self) -> OutletState:
        """Return what there is to say."""
        return OutletState(
            self._name,
            self._kind,
            self._state,
            self._since,
            sum(len(waiting) for waiting in self._waiting),
            self._count_dropped(),
            self.written,
            self._reason.en,
            self._reason.zh,
        )

    def _count_dropped(self) -> int:
        return sum(waiting.dropped for waiting in self._waiting)

    def _say(self, kind: str, text: Text) -> None:
        name = self._name
        self._announce("", kind, Text(f"outlet {name}: {text.en}", f"出口 {name}：{text.zh}"))

    def _become(self, state: State) -> None:
        if state != self._state:
            self._state, self._since = state, now_us()
