"""Vibration that a device holds as arrays of samples, an array a channel: read over a session of its own, judged once renewed.

A driver collects single values (`protocols.driver`), and an array of thousands of samples is none: nothing of it is stored or
sent. So the watch asks the driver for arrays by itself, beside the collector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import numpy as np

from edge_agent.config import Config, DeviceConfig
from edge_agent.config_machine_health import ArrayConfig, ArrayPoints, array_points
from models.errors import InputError
from models.series.monitor import Block
from models.series.waveform import Doubles, check_rate, cut
from protocols.catalogue import driver_class
from protocols.driver import Driver, Samples, Sampling
from protocols.errors import Malformed, SunmaoError
from protocols.text import Text

SOONER = 0.5
"""After arrays that are still the old ones it is looked again in this share of a period, and from the new ones on once a period:
so the looks keep behind the renewals, whichever of the two clocks is slower."""
HELD_S = 30.0
"""A session is given back between two looks that are further apart: small controllers have few."""


class WaveArrays(NamedTuple):
    """Arrays that were renewed together: of each channel its samples, their rate (Hz), and when they arose, microseconds UTC."""

    device: str
    channels: Mapping[str, Doubles]
    rate: float
    taken: int

    def blocks(self, block: Block) -> Doubles:
        """Return the blocks (rows x samples); raises InputError where the arrays do not go with the model."""
        check_rate(self.rate, self.device, block)
        names = block.channels or tuple(self.channels)
        if set(names) != set(self.channels) or (not block.channels and len(names) > 1):
            have, wanted = ", ".join(self.channels), ", ".join(block.channels) or "1"
            raise InputError(
                "series",
                f"{self.device}: its channels are {have}, those of the model {wanted}",
                f"{self.device}：通道为 {have}，模型的通道为 {wanted}",
            )
        length = min(len(each) for each in self.channels.values())
        return cut(np.array([self.channels[name][:length] for name in names]), self.device, block)


class ArraySource:
    """Reads one [machine_health.array].

    Args:
        array: its table.
        period_s: how far apart new arrays come.
        config: returns the configuration in force, with the device's connection.
    """

    def __init__(self, array: ArrayConfig, period_s: float, config: Callable[[], Config]) -> None:
        self.look_s = self._period_s = period_s
        """Seconds until the next look."""
        self._array = array
        self._config = config
        self._opened: tuple[DeviceConfig, Driver] | None = None
        self._last: dict[str, Doubles] = {}

    async def next(self) -> WaveArrays | None:
        """Return the arrays once all of them are others than before; raises Unreachable, Refused or Malformed."""
        device = self._config().device(self._array.device)
        points = array_points(self._array, [device], "array")
        try:
            driver = await self._driver(device, points)
            found = await cast("Sampling", driver).read_arrays(points.channels)
            rate = self._array.rate
            if points.rate:
                (reading,) = await driver.read([points.rate])
                rate = reading.value if isinstance(reading.value, int | float) else None
            if self.look_s > HELD_S:
                await self.close()
        except SunmaoError:
            await self.close()
            raise
        arrays = {
            point.name: _numbers(device.name, point.name, each)
            for point, each in zip(points.channels, found, strict=True)
        }
        if rate is None:
            raise Malformed(
                Text(f"{device.name}: does not say its sampling rate", f"{device.name}：未给出采样率"), key=device.name
            )
        # Noise never repeats, so equal samples are the old ones, whatever a server says of their time.
        if any(name in self._last and np.array_equal(each, self._last[name]) for name, each in arrays.items()):
            self.look_s = SOONER * self._period_s
            return None
        self._last, self.look_s = arrays, self._period_s
        return WaveArrays(device.name, arrays, float(rate), max(each.source_time for each in found))

    async def judged(self) -> None:
        """Nothing is left to be done."""

    async def refuse(self, why: InputError) -> None:
        """Raise Malformed with the reason, since there is nothing to be set aside."""
        raise Malformed(Text(why.en, why.zh))

    async def close(self) -> None:
        """Let go of the device."""
        if self._opened:
            (_, driver), self._opened = self._opened, None
            await driver.close()

    async def _driver(self, device: DeviceConfig, points: ArrayPoints) -> Driver:
        """Return an open driver of the device as it is configured now."""
        if self._opened and self._opened[0] != device:
            await self.close()
        if not self._opened:
            wanted = [*points.channels, *([points.rate] if points.rate else [])]
            driver = driver_class(device.protocol)(device.name, device.connection, wanted)
            self._opened = device, driver
            await driver.open()
        return self._opened[1]


def _numbers(device: str, channel: str, samples: Samples) -> Doubles:
    if samples.values is None or samples.quality < 0:
        why = samples.quality.cause
        raise Malformed(
            Text(f"{device}: {channel} is no array of numbers ({why})", f"{device}：{channel} 不是数字数组({why})"),
            key=device,
        )
    return np.array(samples.values, np.float64)
