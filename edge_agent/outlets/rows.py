"""Readings as rows of a table, the columns as configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent.outlets.config import Column, FileConfig
from edge_agent.outlets.outlet import Pair
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.reading import Reading
from protocols.text import Text
from protocols.uplink.messages import PointRef

HEADS: Mapping[Column, Text] = {
    "time": Text("time", "时间(UTC)"),
    "local_time": Text("local_time", "本地时间"),
    "device": Text("device", "设备"),
    "point": Text("point", "点"),
    "property": Text("property", "字典代码"),
    "name_en": Text("name_en", "英文名称"),
    "name_zh": Text("name_zh", "中文名称"),
    "value": Text("value", "数值"),
    "unit": Text("unit", "单位"),
    "unit_code": Text("unit_code", "单位代码"),
    "quality": Text("quality", "质量"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rows:
    """Makes rows of readings.

    Args:
        config: names the columns and the zone of local times.
    """

    def __init__(self, config: FileConfig) -> None:
        self._zone: tzinfo | None = ZoneInfo(config.time_zone) if config.time_zone else None
        self._columns = config.columns
        self._known: dict[PointRef, dict[str, str]] = {}

    def __call__(self, pairs: Sequence[Pair]) -> list[list[Any]]:
        """Return one row for each reading: texts, and the value as it is, None for a bad one."""
        makers = [self._maker(column) for column in self._columns]
        return [[make(ref, reading) for make in makers] for ref, reading in pairs]

    def _maker(self, column: Column) -> Callable[[PointRef, Reading], Any]:
        match column:
            case "time":
                return lambda _, reading: _utc(reading.source_time)
            case "local_time":
                return lambda _, reading: self._local(reading.source_time)
            case "value":
                return lambda _, reading: reading.value if reading.quality >= 0 else None
            case "quality":
                return lambda _, reading: reading.quality.cause
            case _:
                return lambda ref, _: self._said_of(ref)[column]

    def _said_of(self, ref: PointRef) -> dict[str, str]:
        found = self._known.get(ref)
        if found is None:
            entry, unit = load_dictionary().get(ref.property), load_units().get(ref.unit)
            found = self._known[ref] = {
                "device": ref.device,
                "point": ref.name,
                "property": ref.property,
                "name_en": entry.name.en if entry else "",
                "name_zh": entry.name.zh if entry else "",
                "unit": unit.symbol if unit else ref.unit,
                "unit_code": ref.unit,
            }
        return found

    def _local(self, us: int) -> str:
        """Return the time of day on the site's clocks, as spreadsheets take it for one: no T and no offset."""
        local = (_EPOCH + timedelta(microseconds=us)).astimezone(self._zone)
        return local.replace(tzinfo=None).isoformat(" ", "milliseconds")


def _utc(us: int) -> str:
    return f"{(_EPOCH + timedelta(microseconds=us)).replace(tzinfo=None).isoformat('T', 'microseconds')}Z"
