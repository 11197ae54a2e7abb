"""Points that are collected anyway, named by other tables of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.validation import no_such


class Collected(Protocol):
    """A device of the configuration, as far as its points are concerned."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def protocol(self) -> str:
        """Its protocol."""

    @property
    def points(self) -> Sequence[PointConfig]:
        """Its points."""

    def point(self, name: str) -> PointConfig:
        """Return the point; raises ConfigError naming those there are."""


def find_point(devices: Sequence[Collected], device: str, point: str, key: str, name: str = "point") -> PointConfig:
    """Return the point of `devices`; raises ConfigError for `key`.`name`, or `key`.device if there is no such device."""
    by_name = {each.name: each for each in devices}
    try:
        if device not in by_name:
            name = "device"
            raise no_such("device", "设备", device, list(by_name))
        return by_name[device].point(point)
    except ConfigError as error:
        raise ConfigError(error.what, error.mend, key=f"{key}.{name}") from error
