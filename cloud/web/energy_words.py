"""How energy is put into words on pages: carriers, bands and their colours, figures with what they lack, spans of time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from cloud.energy.schemas import Figure
from cloud.web.language import NOTHING, number
from cloud.web.visit import Visit
from protocols.text import Language, Text

CARRIERS: Mapping[str, Text] = MappingProxyType(
    {
        "electricity": Text("Electricity", "电"),
        "natural_gas": Text("Natural gas", "天然气"),
        "water": Text("Water", "水"),
        "compressed_air": Text("Compressed air", "压缩空气"),
        "steam": Text("Steam", "蒸汽"),
        "heat": Text("Heat", "热"),
        "reactive": Text("Reactive energy", "无功电能"),
    }
)
BANDS: Mapping[str, tuple[Text, str]] = MappingProxyType(
    {
        "sharp": (Text("Sharp peak", "尖峰"), "#9c2a1f"),
        "peak": (Text("Peak", "高峰"), "#cf6a3a"),
        "flat": (Text("Flat", "平段"), "#d9ab57"),
        "valley": (Text("Valley", "低谷"), "#4d9582"),
        "deep_valley": (Text("Deep valley", "深谷"), "#245f63"),
    }
)
"""Names of the bands, and the colour each has wherever it appears: the dearer, the redder."""
UNPRICED = (Text("Load", "负荷"), "#8799a8")

SPANS: Mapping[str, Text] = MappingProxyType(
    {
        "today": Text("Today", "今天"),
        "yesterday": Text("Yesterday", "昨天"),
        "week": Text("7 days", "近 7 天"),
        "month": Text("This month", "本月"),
        "last_month": Text("Last month", "上月"),
    }
)
_MEASURED = Text("{share} % measured", "已计量 {share}%")
_CURRENCIES = {"CNY": "¥"}


def span_of(name: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """Return [start, end) of a span of `SPANS` on the site's calendar."""
    today = now.astimezone(zone).date()
    first = today.replace(day=1)
    begin, end = {
        "today": (today, today + timedelta(days=1)),
        "yesterday": (today - timedelta(days=1), today),
        "week": (today - timedelta(days=6), today + timedelta(days=1)),
        "month": (first, today + timedelta(days=1)),
        "last_month": ((first - timedelta(days=1)).replace(day=1), first),
    }[name]
    return _midnight(begin, zone), _midnight(end, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def amount(figure: Figure) -> tuple[str, str]:
    """Return a figure's value and unit for a reader; large amounts in the next larger unit."""
    value, unit = figure.value, figure.unit
    if value is None:
        return NOTHING, ""
    if unit in _CURRENCIES or (len(unit) == 3 and unit.isupper()):
        return money(value, unit), ""
    larger = {"kWh": "MWh", "kgCO₂": "tCO₂", "kgce": "tce"}.get(unit)
    if larger and abs(value) >= 100_000:
        return number(value / 1000), larger
    return number(value), unit


def money(value: float, currency: str) -> str:
    """Return an amount of money: whole from 1,000 on, else to the cent."""
    sign = _CURRENCIES.get(currency, f"{currency} ")
    return f"{'−' if value < 0 else ''}{sign}{abs(value):,.{0 if abs(value) >= 1000 else 2}f}"


def note(visit: Visit, figure: Figure) -> str:
    """Return why a figure has no value, or that not all of its time was measured; "" where there is nothing to say."""
    if figure.value is None:
        return why(figure, visit.language)
    if figure.completeness < 0.995:
        return visit.say(_MEASURED, share=f"{100 * figure.completeness:.0f}")
    return ""


def why(figure: Figure, language: Language) -> str:
    """Return why a figure has no value."""
    return figure.why_zh if language == "zh" else figure.why_en
