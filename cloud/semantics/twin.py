"""What the platform knows of a machine, put together before it is written down as a shell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cloud.fleet.schemas import Equipment
from cloud.production.schemas import KpiRow
from cloud.telemetry.schemas import Latest, Point
from protocols.dictionary.entries import Entry
from protocols.library.templates import template_ids, whole_tables
from protocols.text import Text


@dataclass(frozen=True)
class DeviceModel:
    """What the library says of a type of device."""

    manufacturer: str
    model: str
    name: Text


@dataclass(frozen=True)
class Twin:
    """One machine.

    Attributes:
        company: whose it is.
        entries: what its points may mean, by code.
        model: of the library's template; None where the machine has none.
        latest: by series id, without points that have no reading yet.
        run_time_s: planned run time per item (PRI); None where nobody has said.
        shift: figures of the last shift that is over; None where no shift is recorded.
    """

    company: UUID
    entries: Mapping[str, Entry]
    equipment: Equipment
    model: DeviceModel | None
    points: Sequence[Point]
    latest: Mapping[int, Latest]
    run_time_s: float | None
    shift: KpiRow | None


def device_model(template: str) -> DeviceModel | None:
    """Return what the library says of the devices of `template`; None for one it does not have."""
    if template not in template_ids():
        return None
    device = whole_tables(template)["device"]
    name = device["name"]
    return DeviceModel(device["manufacturer"], device["model"], Text(name["en"], name["zh"]))
