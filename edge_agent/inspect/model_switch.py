"""How one model gives way to another between two pictures, and how the one before comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edge_agent.config import Config, InspectionConfig
from edge_agent.events import Announce
from edge_agent.inspect.runtime import load_detector, second_opinion
from edge_agent.inspect.slots import Slots
from models.errors import ModelError
from models.vision.detector import Detector
from protocols.text import Text
from protocols.uplink.messages import SecondOpinion
from protocols.uplink.models import ModelOrder, StationModels


class _Change(NamedTuple):
    """Models that run from the next picture on, loaded already; without an `order` the one before is back."""

    order: ModelOrder | None
    decides: Detector | None
    shadow: Detector | None


class ModelSwitch:
    """The models of one station.

    Args:
        inspection: the station's configuration.
        config: returns the configuration in force.
        announce: told when another model judges, and when one is refused or sent back.
        wake: called when there is a change to be made.
    """

    def __init__(
        self, inspection: InspectionConfig, config: Callable[[], Config], announce: Announce, wake: Callable[[], None]
    ) -> None:
        self._inspection = inspection
        self._config = config
        self._announce = announce
        self._wake = wake
        self._slots: Slots | None = None
        self._change: _Change | None = None
        self._before: Detector | None = None
        self._shadow: Detector | None = None

    @property
    def slots(self) -> Slots:
        """Where the models are; touches the disk when it is asked for the first time."""
        if self._slots is None:
            self._slots = Slots(self._inspection, self._config().agent.state_dir)
        return self._slots

    @property
    def waits(self) -> bool:
        """Whether there is a change to be made."""
        return self._change is not None

    @property
    def on_trial(self) -> bool:
        """Whether the model that decides has still to prove itself."""
        return self._slots is not None and self._slots.on_trial

    def report(self) -> StationModels:
        """Return what runs and what became of the last order."""
        return self._slots.report() if self._slots else StationModels(self._inspection.device, "")

    async def begin(self) -> Detector:
        """Return the model to decide with; one of the cloud's that cannot be used gives way to the one before.

        Raises ModelError if none can be used, OSError.
        """
        slots = await asyncio.to_thread(lambda: self.slots)
        while True:
            try:
                detector = await self._loaded(await asyncio.to_thread(slots.begin))
            except ModelError as error:
                why = Text(error.en, error.zh)
                if not await asyncio.to_thread(slots.give_back, why):
                    raise
                self._tell_return(why)
            else:
                await self._begin_shadow(slots)
                return detector

    async def _begin_shadow(self, slots: Slots) -> None:
        """Load the model beside; one that cannot be used decides nothing, so nothing else changes for it."""
        self._shadow = None
        if slots.shadow is not None:
            try:
                self._shadow = await self._loaded(slots.folder(slots.shadow))
            except ModelError as error:
                self._announce(self._inspection.device, "model_refused", Text(error.en, error.zh))

    async def obey(self, order: ModelOrder) -> None:
        """Load what `order` wants, all of it here, beside what runs; it runs from the next picture on. Raises OSError."""
        slots = self.slots
        try:
            fresh = order.run not in ("", slots.report().running)
            decides = await self._loaded(slots.folder(order.run)) if fresh else None
            shadow = await self._loaded(slots.folder(order.shadow)) if order.shadow else None
        except ModelError as error:
            await self.refuse(order, Text(error.en, error.zh))
            return
        self._change = _Change(order, decides, shadow)
        self._wake()

    async def refuse(self, order: ModelOrder, why: Text) -> None:
        """Note that an order cannot be followed, and say so; raises OSError."""
        await asyncio.to_thread(self.slots.refuse, order, why)
        self._announce(self._inspection.device, "model_refused", why)

    async def changed(self, detector: Detector | None) -> Detector | None:
        """Put the change that waits into force; return the model that decides now, `detector` if it is the same."""
        change, self._change = self._change, None
        if change is None:
            return detector
        if change.order is not None:
            await asyncio.to_thread(self.slots.put, change.order)
        self._shadow = change.shadow
        if change.decides is None:
            return detector
        if change.order is not None:
            self._before = detector
            name = f"{change.decides.card.name} {change.decides.card.version}"
            said = Text(f"{name} judges from here on, on trial", f"此后由 {name} 判定(试运行)")
            self._announce(self._inspection.device, "model_changed", said)
        return change.decides

    async def judged(self, latency_us: int) -> None:
        """Take the time of a part that a model on trial has judged; raises OSError."""
        if not self.on_trial:
            return
        if why := self.slots.judged(latency_us):
            await self.give_back(why)
        elif self.slots.report().outcome == "done":
            await asyncio.to_thread(self.slots.keep)

    async def give_back(self, why: Text) -> None:
        """Let the model before decide from the next picture on, if there is one; raises OSError, ModelError."""
        if await asyncio.to_thread(self.slots.give_back, why):
            self._tell_return(why)
            before = self._before or await self._loaded(self.slots.folder(self.slots.report().running))
            self._change, self._before = _Change(None, before, None), None

    async def second(self, content: bytes, part: str) -> SecondOpinion | None:
        """Return what the model beside says of a picture, if there is one and it can say anything."""
        if self._shadow is None:
            return None
        return await asyncio.to_thread(second_opinion, self._shadow, content, part)

    async def _loaded(self, folder: Path) -> Detector:
        trust, state_dir = self._inspection.trust, self._config().agent.state_dir
        return (await asyncio.to_thread(load_detector, folder, trust, state_dir)).detector

    def _tell_return(self, why: Text) -> None:
        text = Text(f"the model before judges again: {why.en}", f"已恢复使用之前的模型：{why.zh}")
        self._announce(self._inspection.device, "model_returned", text)
