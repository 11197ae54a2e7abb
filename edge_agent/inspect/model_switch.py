"""How one model gives way to another between two pictures, or two readings, and how the one before comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from edge_agent.config import Config, ForecastConfig, InspectionConfig, MachineHealthConfig
from edge_agent.events import Announce
from edge_agent.inspect.slots import Slots
from models.card import Card
from models.errors import ModelError
from protocols.text import Text
from protocols.uplink.models import ModelOrder, StationModels


class Loaded(Protocol):
    """A model that is ready to judge."""

    @property
    def card(self) -> Card:
        """What it is."""


Model = TypeVar("Model", bound=Loaded)


class _Change(NamedTuple, Generic[Model]):
    """Models that run from the next picture on, loaded already; without an `order` the one before is back."""

    order: ModelOrder | None
    decides: Model | None
    shadow: Model | None


class ModelSwitch(Generic[Model]):
    """The models of one station, or of one watch over a machine or a value.

    Args:
        settings: its configuration.
        config: returns the configuration in force.
        announce: told when another model judges, and when one is refused or sent back.
        wake: called when there is a change to be made.
        load: returns the model in a folder, verified; raises ModelError. Called in a thread.
    """

    def __init__(
        self,
        settings: InspectionConfig | MachineHealthConfig | ForecastConfig,
        config: Callable[[], Config],
        announce: Announce,
        wake: Callable[[], None],
        load: Callable[[Path], Model],
    ) -> None:
        self._settings = settings
        self._config = config
        self._announce = announce
        self._wake = wake
        self._load = load
        self._slots: Slots | None = None
        self._change: _Change[Model] | None = None
        self.before: Model | None = None
        """What decided before, if it is loaded."""
        self.shadow: Model | None = None
        """What judges beside the one that decides."""

    @property
    def slots(self) -> Slots:
        """Where the models are; touches the disk when it is asked for the first time."""
        if self._slots is None:
            self._slots = Slots(self._settings, self._config().agent.state_dir)
        return self._slots

    @property
    def waits(self) -> bool:
        """Whether there is a change to be made."""
        return self._change is not None

    @property
    def others(self) -> list[Model]:
        """Return what is loaded and does not decide: beside it, about to decide, or ready to come back during a trial."""
        return [each for each in (self.shadow, self.coming, self.before if self.keeps_before else None) if each]

    @property
    def coming(self) -> Model | None:
        """What is to decide after the change that waits."""
        return self._change and self._change.decides

    @property
    def on_trial(self) -> bool:
        """Whether the model that decides has still to prove itself."""
        return self._slots is not None and self._slots.on_trial

    @property
    def keeps_before(self) -> bool:
        """Whether the model before is still to be ready to decide again."""
        return self.on_trial

    def report(self) -> StationModels:
        """Return what runs and what became of the last order."""
        return self._slots.report() if self._slots else StationModels(self._settings.device, "")

    async def begin(self) -> Model:
        """Return the model to decide with; one of the cloud's that cannot be used gives way to the one before.

        Raises ModelError if none can be used, OSError.
        """
        slots = await asyncio.to_thread(lambda: self.slots)
        while True:
            try:
                model = await self._loaded(await asyncio.to_thread(slots.begin))
            except ModelError as error:
                why = Text(error.en, error.zh)
                if not await asyncio.to_thread(slots.give_back, why):
                    raise
                self._tell_return(why)
            else:
                await self._begin_shadow(slots)
                return model

    async def _begin_shadow(self, slots: Slots) -> None:
        """Load the model beside; one that cannot be used decides nothing, so nothing else changes for it."""
        self.shadow = None
        if slots.shadow is not None:
            try:
                self.shadow = await self._loaded(slots.folder(slots.shadow))
            except ModelError as error:
                self._announce(self._settings.device, "model_refused", Text(error.en, error.zh))

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
        self._announce(self._settings.device, "model_refused", why)

    async def changed(self, model: Model | None) -> Model | None:
        """Put the change that waits into force; return the model that decides now, `model` if it is the same."""
        change, self._change = self._change, None
        if change is None:
            return model
        if change.order is not None:
            await asyncio.to_thread(self.slots.put, change.order)
        self.shadow = change.shadow
        if change.decides is None:
            return model
        if change.order is not None:
            self.before = model
            name = f"{change.decides.card.name} {change.decides.card.version}"
            said = Text(f"{name} judges from here on, on trial", f"此后由 {name} 判定(试运行)")
            self._announce(self._settings.device, "model_changed", said)
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
            before = self.before or await self._loaded(self.slots.folder(self.slots.report().running))
            self._change, self.before = _Change(None, before, None), None

    async def _loaded(self, folder: Path) -> Model:
        return await asyncio.to_thread(self._load, folder)

    def _tell_return(self, why: Text) -> None:
        text = Text(f"the model before judges again: {why.en}", f"已恢复使用之前的模型：{why.zh}")
        self._announce(self._settings.device, "model_returned", text)
