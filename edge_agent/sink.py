"""What takes the results of collection and inspection: the seam between those who measure and the buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge_agent.events import Announce
from protocols.reading import Reading
from protocols.uplink.messages import Event, Inspection, LateOpinion, PointRef


class Sink(Protocol):
    """Takes readings, inspections and events for the cloud. Called from the event loop; `add_*` never blocks or fails."""

    def add_readings(self, readings: Sequence[tuple[PointRef, Reading]]) -> None:
        """Take readings in the unit their PointRef names."""

    def add_inspection(self, inspection: Inspection, readings: Sequence[tuple[PointRef, Reading]]) -> None:
        """Take an inspection and the readings that say the same; both become durable together.

        An inspection whose id was taken before, in this run or an earlier one, is skipped with its readings.
        """

    def add_opinion(self, opinion: LateOpinion) -> None:
        """Take what another machine says of a part whose inspection was added before."""

    @property
    def announce(self) -> Announce:
        """Says a sentence to the people who watch: a line in the log here, an event in the cloud."""

    def add_event(self, event: Event) -> None:
        """Take an event."""

    async def flush(self) -> None:
        """Return when all that was added before this call is durable on disk."""
