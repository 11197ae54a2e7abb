"""The models of a watch over a machine or a value: what they said since the last order, and which of two alarms more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_agent.config import Config, ForecastConfig, MachineHealthConfig
from edge_agent.events import Announce
from edge_agent.inspect.health_record import MOST_COMPARED, HealthRecord
from edge_agent.inspect.model_switch import Model, ModelSwitch
from models.errors import ModelError
from protocols.uplink.models import StationModels


class WatchModels(ModelSwitch[Model]):
    """The models of a watch, and what they said since the last order.

    Args:
        task: of its models; the others are those of `ModelSwitch`.
    """

    def __init__(
        self,
        watch: MachineHealthConfig | ForecastConfig,
        task: str,
        config: Callable[[], Config],
        announce: Announce,
        load: Callable[[Path], Model],
    ) -> None:
        super().__init__(watch, config, announce, lambda: None, load)
        self._task = task
        self.record = HealthRecord()

    @property
    def record_of(self) -> tuple[int, str]:
        """The order and the deciding model that are counted now."""
        report = super().report()
        return report.order, report.running

    @property
    def keeps_before(self) -> bool:
        """Whether the model before is still to be ready to decide again: during the trial, and as long as it is compared with."""
        return super().keeps_before or self.compares

    @property
    def compares(self) -> bool:
        """Whether the model that decides still has to show that it does not alarm more than the one before."""
        compared = self.record.compared.judged if self.record.of == self.record_of else 0
        return self.slots.compared_with is not None and compared < MOST_COMPARED

    async def load_before(self) -> None:
        """After a start: load the model before, if it is still compared with; one that cannot be used is compared no more."""
        folder = self.slots.compared_with
        if folder is not None and self.compares and self.before is None:
            with suppress(ModelError):
                self.before = await self._loaded(folder)

    async def compare(self, period_s: float) -> None:
        """Let the model before decide again where the new one is clearly worse; raises OSError, ModelError."""
        if self.before is None or self.waits:
            return
        if not self.keeps_before:
            self.before = None
        elif self.compares and (why := self.record.worse(period_s)):
            await self.give_back(why)

    def report(self) -> StationModels:
        """Return what runs, what became of the last order, and what the models said since."""
        return msgspec.structs.replace(super().report(), task=self._task, record=self.record.report(self.record_of))
