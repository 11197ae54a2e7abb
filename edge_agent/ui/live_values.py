"""Reads a machine again and again while a page shows it, so that values stand beside what they are taken for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_agent.ui.draft_device import device_config
from edge_agent.ui.drafts import DraftPoint, Machine
from protocols.errors import SunmaoError
from protocols.reading import Reading

PERIOD_S = 1.0
AGAIN_S = 3.0
"""How long it rests after a failure."""


class LiveValues:
    """The latest reading of each point that a draft collects, as long as somebody looks.

    Attributes:
        readings: by point name, in the unit the machine delivers; of one point alone, before its codes are applied.
        problem: why there are none at present; None while all is well.
    """

    def __init__(self, machine: Machine, folder: Path, *, only: DraftPoint | None = None) -> None:
        self.readings: dict[str, Reading] = {}
        self.problem: SunmaoError | None = None
        self._machine = machine
        self._folder = folder
        self._only = only
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read, if that has not been done."""
        if self._task is None:
            self._task = asyncio.create_task(self._read_on(), name=f"live {self._machine.place}")

    def stop(self) -> None:
        """Let go of the machine."""
        if self._task is not None:
            self._task.cancel()

    def point_changed(self) -> None:
        """Read by the draft as it is now: an address, an order or a name is another one."""
        self._changed.set()

    def raw(self, point: DraftPoint) -> int | None:
        """Return the number that the machine itself sends for the only point; None if it is no whole number."""
        reading = self.readings.get(point.name)
        value = reading.value if reading is not None else None
        if value is None or isinstance(value, str) or (isinstance(value, float) and not value.is_integer()):
            return None
        return int(value)

    async def _read_on(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._read_until_changed()
            except SunmaoError as error:
                self.problem = error
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), AGAIN_S)

    async def _read_until_changed(self) -> None:
        wanted = (
            [_without_codes(self._only)] if self._only else [point for point in self._machine.points if point.included]
        )
        if not wanted:
            self.readings = {}
            await self._changed.wait()
            return
        device = device_config(self._machine, self._folder, wanted)
        driver = device.driver()
        try:
            await driver.open()
            while not self._changed.is_set():
                self.readings = {reading.point: reading for reading in await driver.read(device.points)}
                self.problem = None
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), PERIOD_S)
        finally:
            await driver.close()


def _without_codes(point: DraftPoint) -> DraftPoint:
    """Return `point` read as the machine sends it: a number that no code is named for is a number all the same."""
    fields = {key: value for key, value in point.fields.items() if key != "codes"}
    return msgspec.structs.replace(point, fields=fields)
