"""A health model over a stored stretch of time, row after row, as a box would have followed it; broken off, it goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.errors import InputError
from models.series.monitor import Attended, Memory, Monitor
from models.verdict import VERDICTS


class Kept(msgspec.Struct, frozen=True):
    """What is known after a row: averages (None: never read), rows read, rows at rest, and for how long each sensor is missing."""

    averages: list[float | None]
    read: int
    idle: int
    missing: list[int]


class Followed(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row's finding: nothing while the model warms up or nothing is read; `lost`: without some of the sensors.

    Attributes:
        at: microseconds since 1970 UTC.
        score: 1 is the limit in healthy time; `verdict` the place in `models.verdict.VERDICTS`.
        kept: now and then what is known after this row, to go on from.
    """

    at: int
    score: float | None = None
    verdict: int | None = None
    lost: bool = False
    kept: Kept | None = None


class Follower:
    """Follows rows by a model's bundle, by the rules of the watch on the box (`edge_agent.inspect.machine_health`)."""

    def __init__(self, bundle: Bundle, sensors: Sequence[str]) -> None:
        """Open the model; raises InputError if it is no health model, or has other sensors."""
        self._monitor = Monitor(bundle)
        if self._monitor.block:
            raise InputError(
                "sensors",
                "a model of vibration judges files at the box, not stored readings",
                "振动模型在网关上判断文件，不适用于已存储的读数",
            )
        if self._monitor.sensors != tuple(sensors):
            names = ", ".join(self._monitor.sensors)
            raise InputError("sensors", f"the model's sensors are {names}", f"模型的传感器为 {names}")
        self._attended = Attended(self._monitor)

    @property
    def kept(self) -> Kept:
        """What is known now."""
        memory = self._monitor.memory
        averages = [None if np.isnan(each) else each for each in memory.averages]
        return Kept(averages, memory.read, self._attended.idle, [*self._attended.missing])

    def resume(self, kept: Kept) -> None:
        """Go on from what was known."""
        averages = [float("nan") if each is None else each for each in kept.averages]
        self._monitor.resume(Memory(averages, kept.read))
        self._attended.idle, self._attended.missing = kept.idle, [*kept.missing]

    def follow(self, at: int, row: npt.NDArray[np.float32]) -> Followed:
        """Return the finding on the next row."""
        lost = np.isnan(row)
        if lost.all():
            self._attended.rest()
            return Followed(at)
        finding = self._attended.follow(row)
        if finding.verdict is None:
            return Followed(at)
        return Followed(at, finding.score, VERDICTS.index(finding.verdict), bool(lost.any()))
