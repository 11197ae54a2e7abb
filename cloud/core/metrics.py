"""What the cloud counts of itself, for Prometheus. Totals only: nothing here names a tenant."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.readings = Counter("sunmao_readings_stored", "Readings stored.", registry=self._registry)
        self.frames = Counter(
            "sunmao_frames", "Frames received, by what became of them.", ["outcome"], registry=self._registry
        )
        self.turned_away = Counter(
            "sunmao_deliveries_turned_away", "Deliveries told to come back later.", registry=self._registry
        )
        self.rollups = Counter("sunmao_changes_rolled_up", "Changes rolled up.", registry=self._registry)

    def exposition(self) -> bytes:
        """Return all counters in Prometheus's text format."""
        return generate_latest(self._registry)
