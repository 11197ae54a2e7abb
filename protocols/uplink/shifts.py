"""Wire schema of the plant's shifts on their way to boxes; MessagePack as in `uplink.messages`.

    POST /api/v1/uplink/shifts  ShiftsRequest -> ShiftsPlanned  stations -> the shifts of their lines, from yesterday on

Shifts travel as instants: holidays, days worked as others and the change to summer time are in them already, and a box needs
neither the site's calendar nor its time zone to say the same as the cloud.
"""

from __future__ import annotations

import msgspec

SHIFTS = "/api/v1/uplink/shifts"
DAYS_BEFORE, DAYS_AHEAD = 1, 14
"""What is sent: so many production days before and after today. A box that hears nothing for longer goes by its own."""


class ShiftsRequest(msgspec.Struct, frozen=True):
    """Ask for the shifts of inspection stations, by their names in the configuration."""

    stations: list[str]


class PlannedShift(msgspec.Struct, frozen=True, array_like=True):
    """A shift from `start` to `end`, microseconds UTC."""

    start: int
    end: int


class ShiftsPlanned(msgspec.Struct, frozen=True):
    """The planned shifts of each station, by their begin and disjoint; a station without a calendar has none."""

    stations: dict[str, list[PlannedShift]] = {}
