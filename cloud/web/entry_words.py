"""Words for what a dictionary entry fixes."""

from __future__ import annotations

from cloud.dictionary.service import unit_symbol
from cloud.web.visit import Visit
from protocols.dictionary.entries import Aggregation, DataType, Entry
from protocols.text import Text

TYPES: dict[DataType, Text] = {
    "REAL_MEASURE": Text("number", "数值"),
    "INTEGER_COUNT": Text("whole number", "整数"),
    "BOOLEAN": Text("yes or no", "是/否"),
    "STRING": Text("text", "文本"),
}
AGGREGATIONS: dict[Aggregation, Text] = {
    "avg": Text("mean", "平均值"),
    "sum": Text("sum", "求和"),
    "last": Text("latest value", "最新值"),
    "counter_delta": Text("increase of a counter", "计数器增量"),
    "duration_by_state": Text("time per state", "各状态时长"),
}


def meant(visit: Visit, entry: Entry) -> str:
    """Return unit, type, aggregation and coded values of an entry in one line."""
    symbol = unit_symbol(entry.unit)
    words = [visit.say(TYPES[entry.data_type]), visit.say(AGGREGATIONS[entry.aggregation])]
    values = ", ".join(f"{value} {visit.say(name)}" for value, name in entry.values.items())
    return " · ".join([*([f"{symbol} ({entry.unit})"] if symbol else []), *words, *([values] if values else [])])
