"""Runs a health model: one reading after the other in, findings out. What the edge runs is what judged the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, isfinite
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.card import Card
from models.errors import InputError
from models.series.health import first_state, independent_after
from models.series.recipe import channel_names
from models.session import open_session
from models.verdict import VERDICTS, Verdict

WARM_HALF_LIVES = 3
"""Until so many half lives have been read, the average is still mostly the first reading, and there is no verdict."""


class Block(NamedTuple):
    """What a model of vibration reads at once: samples of each channel, their rate (Hz), and the channels' names, if several."""

    samples: int
    rate: float
    channels: tuple[str, ...] = ()


class HealthFinding(NamedTuple):
    """What the model says of one reading.

    Attributes:
        verdict: None while the model is warming up.
        score: 1 is the limit in healthy time; `review` and `reject` are the limits in force.
        contributions: sensor and its signed distance, the furthest first.
        remaining: of a model of remaining life: readings until the end, at least, at most.
    """

    verdict: Verdict | None
    score: float
    review: float
    reject: float
    contributions: Sequence[tuple[str, float]]
    remaining: tuple[float, float, float] | None = None


class Memory(msgspec.Struct, frozen=True):
    """What a monitor knows of its machine.

    Attributes:
        averages: of each sensor, standardised; NaN where it has not been read.
        read: readings since the last start.
    """

    averages: list[float]
    read: int


class Monitor:
    """A verified health bundle on one machine. It keeps the machine's state.

    `block`: of a model of vibration, what its reading is. `warm_after`: readings after which there is a verdict; `forgets_after`: after which one hardly remembers the last.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Open the model; raises InputError if it is no health model, BundleRefused if the runtime cannot open it."""
        card = bundle.card
        if card.task != "health":
            raise InputError("task", f"{card.name} is no health model", f"{card.name} 不是设备健康模型")
        self.card = card
        self.digest = bundle.digest
        self.sensors = tuple(card.sensors)
        self._session = open_session(bundle.onnx)
        recipe = card.fit.recipe
        self.block = (
            Block(int(recipe["samples"]), float(recipe["rate"]), channel_names(str(recipe.get("channels", ""))))
            if "rate" in recipe
            else None
        )
        half_life = float(card.fit.recipe["half_life"])
        self.warm_after = WARM_HALF_LIVES * half_life
        self.forgets_after = ceil(independent_after(half_life))
        self._states = next(tensor.shape[0] for tensor in card.input if tensor.name == "state")
        self._asked = ["score", "contributions", "verdict", "next_state", "limits_used"]
        if any(tensor.name == "remaining" for tensor in card.output):
            self._asked.append("remaining")
        self.restart()

    def restart(self) -> None:
        """Forget the machine's state, as after a long standstill."""
        self._state = first_state(self._states)
        self._read = 0

    @property
    def warm(self) -> bool:
        """Whether there is a verdict on the last reading."""
        return self._read > self.warm_after

    @property
    def memory(self) -> Memory:
        """What is to be kept over a restart of the program; give it to `resume`."""
        return Memory([float(average) for average in self._state], self._read)

    def resume(self, memory: Memory) -> None:
        """Go on from `memory`, of the same model."""
        self._state, self._read = np.array(memory.averages, np.float32), memory.read

    def forget(self, sensor: int) -> None:
        """Take a sensor as never read: as in healthy time, until it is read again."""
        self._state[sensor :: len(self.sensors)] = np.nan

    def follow(self, values: npt.ArrayLike) -> HealthFinding:
        """Return the finding on one reading of all sensors, in the card's order and units; NaN for one that is missing.

        Of a model of vibration: on one block of samples, channel after channel.

        Raises InputError if the model has no score for it.
        """
        reading = np.asarray(values, np.float32)
        score, parts, verdict, self._state, limits, *left = self._session.run(
            self._asked, {"values": reading, "state": self._state}
        )
        if not isfinite(score[0]):
            raise InputError("no_score", "the model gives no score", "模型未给出分值")
        self._read += 1
        order = np.argsort(-np.abs(parts))
        return HealthFinding(
            VERDICTS[int(verdict[0])] if self.warm else None,
            float(score[0]),
            float(limits[0]),
            float(limits[1]),
            [(self.sensors[at], float(parts[at])) for at in order],
            (float(left[0][0]), float(left[0][1]), float(left[0][2])) if left else None,
        )

    def by_channel(self, contributions: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
        """Return of each channel with a name its part, that of its furthest feature; `contributions` as a finding has them."""
        channels = self.block.channels if self.block else ()
        return [
            (channel, next(part for name, part in contributions if name.startswith(f"{channel} ")))
            for channel in channels
        ]

    def follow_all(self, values: npt.ArrayLike) -> Iterator[HealthFinding]:
        """Yield the findings on rows x sensors, one after the other."""
        for row in np.asarray(values, np.float32):
            yield self.follow(row)


class Attended:
    """A monitor on a machine that rests, and whose sensors may be lost: what it knew before long enough of that counts no more.

    Attributes:
        monitor: of the machine.
        idle: steps at rest, or without any reading, since the last judged one.
        missing: of each sensor, steps since it was read last.
    """

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.idle, self.missing = 0, [0] * len(monitor.sensors)

    @property
    def card(self) -> Card:
        """Of the model."""
        return self.monitor.card

    @property
    def warm(self) -> bool:
        """Whether it can judge the next reading."""
        return self.monitor.warm and self.idle <= self.monitor.warm_after

    def rest(self) -> None:
        """Let a step pass in which there is nothing to judge."""
        self.idle += 1

    def follow(self, values: npt.ArrayLike) -> HealthFinding:
        """Return the finding on one reading as `Monitor.follow` does; one sensor at least is read."""
        if self.idle > self.monitor.warm_after:
            self.monitor.restart()
        self.idle = 0
        missing = () if self.monitor.block else np.isnan(np.asarray(values, np.float32))
        for sensor, lost in enumerate(missing):
            self.missing[sensor] = (self.missing[sensor] + 1) * int(lost)
            if self.missing[sensor] > self.monitor.warm_after:
                self.monitor.forget(sensor)
        return self.monitor.follow(values)
