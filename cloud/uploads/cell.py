"""What stands in one cell of a file that people filled in. Pure; whatever is not certain is refused with how to mend it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from unicodedata import normalize
from zoneinfo import ZoneInfo

from cloud.dictionary.service import unit_symbol
from protocols.dictionary.entries import Entry
from protocols.dictionary.units import load_units
from protocols.reading import EARLIEST_US
from protocols.text import Text

Cell = str | int | float | bool | date | None
"""What a reader of files gives for a cell: CSV has texts only, a workbook numbers and dates (a datetime is a date) besides."""

LONGEST_TEXT = 500
_LARGEST = 1e290
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a wall clock's, as all of a workbook
_EXCEL_DAYS = (36_526.0, 73_051.0)  # 2000 to 2100
_CLOCK_AHEAD = timedelta(minutes=1)

_NUMBER = re.compile(r"([-+]?[\d.,]*\d(?:e[-+]?\d+)?)\s*(.*)", re.IGNORECASE)
_THOUSANDS_SPACE = re.compile(r"(?<=\d)[ '’](?=\d{3}(?!\d))")
_TIME = re.compile(
    r"(\d{4})[-/.年]\s?(\d{1,2})[-/.月]\s?(\d{1,2})日?"
    r"(?:[t ]*(上午|下午|am|pm)?\s*(\d{1,2})[:时点](?:(\d{1,2})(?:[:分](\d{1,2})(?:\.(\d{1,6})\d*)?秒?|分)?)?\s*(am|pm)?)?"
    r"\s*(z|[-+]\d{2}:?\d{2})?"
)
_YES = frozenset({"1", "true", "yes", "y", "on", "是", "真", "有", "开"})
_NO = frozenset({"0", "false", "no", "n", "off", "否", "假", "无", "关"})


class WrongCell(Exception):
    """What is wrong with a cell, in words that say how to mend it."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.words = Text(en, zh)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return a text as it is compared: full-width characters as their narrow ones, one space for many, in lower case."""
    return " ".join(normalize("NFKC", text).split()).casefold()


def is_empty(cell: Cell) -> bool:
    """Return whether nothing was entered."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def text_of(cell: Cell) -> str:
    """Return a cell as its reader sees it."""
    return "" if cell is None else str(cell).strip()


def value_in(cell: Cell, entry: Entry) -> float | str:
    """Return the value of an entry in a cell that is not empty, in the entry's unit; raises WrongCell."""
    if entry.data_type == "STRING":
        return _text(cell)
    if entry.values:
        return _coded(cell, entry)
    if entry.data_type == "BOOLEAN":
        return _yes_or_no(cell)
    value = number_in(cell, unit_symbol(entry.unit))
    if entry.data_type == "INTEGER_COUNT" and value != int(value):
        raise WrongCell("a count has to be a whole number", "计数应为整数")
    low, high = entry.typical_min, entry.typical_max
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"{'' if low is None else f'{low:g}'}～{'' if high is None else f'{high:g}'} {unit_symbol(entry.unit)}".rstrip()
        raise WrongCell(
            f"{value:g} is outside {span}; look for a wrong unit or a misplaced decimal point",
            f"{value:g} 超出合理范围 {span}，请检查单位或小数点",
        )
    return value


def number_in(cell: Cell, unit: str = "") -> float:
    """Return the number in a cell, which may be followed by its unit's symbol; raises WrongCell.

    A comma is a decimal comma where it can be nothing else, and separates thousands likewise; 1,234 could be both.
    """
    if isinstance(cell, (bool, date)):
        raise _no_number(cell)
    if isinstance(cell, int | float):
        return _finite(cell, cell)
    said = normalize("NFKC", cell or "").replace("−", "-").strip()
    found = _NUMBER.fullmatch(_THOUSANDS_SPACE.sub("", said))
    if found is None:
        raise _no_number(cell)
    digits, suffix = found.groups()
    if suffix and plain(suffix) != plain(unit):
        if any(plain(suffix) == plain(each.symbol) for each in load_units().values()):
            raise WrongCell(
                f"'{suffix}' is another unit than {unit or 'none'}; convert the value",
                f"单位“{suffix}”不符，应为 {unit or '无单位'}，请换算后填写",
            )
        raise _no_number(cell)
    return _finite(float(_points(digits, cell)), cell)


def _points(digits: str, cell: Cell) -> str:
    """Return digits with a decimal point or none, whatever separates their thousands."""
    sign = digits[0] if digits[0] in "+-" else ""
    whole = digits[len(sign) :]
    body, _, exponent = whole.lower().partition("e")
    commas, points = body.count(","), body.count(".")
    if commas and points:
        decimal = max(",.", key=body.rfind)
        thousands = "." if decimal == "," else ","
        head, _, tail = body.rpartition(decimal)
        if decimal in head or not _grouped(head, thousands):
            raise _no_number(cell)
        body = head.replace(thousands, "") + "." + tail
    elif commas > 1 or points > 1:
        separator = "," if commas else "."
        if not _grouped(body, separator):
            raise _no_number(cell)
        body = body.replace(separator, "")
    elif commas:
        if re.fullmatch(r"[1-9]\d{0,2},\d{3}", body):
            raise WrongCell(
                f"'{text_of(cell)}' may be {body.replace(',', '')} or {body.replace(',', '.')}; write it without a comma",
                f"“{text_of(cell)}”可能是 {body.replace(',', '')} 或 {body.replace(',', '.')}，请不要使用逗号",
            )
        body = body.replace(",", ".")
    return sign + body + (f"e{exponent}" if exponent else "")


def _grouped(digits: str, separator: str) -> bool:
    return re.fullmatch(rf"\d{{1,3}}(?:{re.escape(separator)}\d{{3}})+", digits) is not None


def _finite(value: float, cell: Cell) -> float:
    if not -_LARGEST <= value <= _LARGEST:
        raise _no_number(cell)
    return float(value)


def _no_number(cell: Cell) -> WrongCell:
    said = text_of(cell)[:40]
    return WrongCell(
        f"'{said}' is no number; leave the cell empty where there is none", f"“{said}”不是数字；没有数据时请留空"
    )


def _text(cell: Cell) -> str:
    said = text_of(cell)
    if isinstance(cell, float) and cell.is_integer():
        said = str(int(cell))  # a workbook has all numbers as such, also those that are names
    if len(said) > LONGEST_TEXT or not said.isprintable():
        raise WrongCell(
            f"a text has at most {LONGEST_TEXT} characters on one line", f"文本应为一行，不超过 {LONGEST_TEXT} 个字符"
        )
    return said


def _coded(cell: Cell, entry: Entry) -> float:
    said = plain(text_of(cell))
    for value, name in entry.values.items():
        if said in (plain(name.en), plain(name.zh), plain(f"{name.zh} {name.en}"), str(value), f"{value}.0"):
            return float(value)
    raise WrongCell(
        f"'{text_of(cell)[:40]}' is none of: {', '.join(name.en for name in entry.values.values())}",
        f"“{text_of(cell)[:40]}”不在可选值中：{'、'.join(name.zh for name in entry.values.values())}",
    )


def _yes_or_no(cell: Cell) -> float:
    said = plain(text_of(cell)).removesuffix(".0")
    if said in _YES or said in _NO:
        return float(said in _YES)
    raise WrongCell(f"'{text_of(cell)[:40]}' is neither yes nor no", f"“{text_of(cell)[:40]}”应为“是”或“否”")


def time_in(cell: Cell, zone: ZoneInfo, now: datetime, epoch: datetime = EXCEL_EPOCH) -> int:
    """Return the instant in a cell as microseconds UTC; raises WrongCell.

    Args:
        cell: a date, a number as workbooks count days from `epoch`, or a text that begins with the year.
        zone: whose wall clock it is, unless the text says an offset.
        now: later than this is the future.
        epoch: day 0 of the workbook.
    """
    wall = _wall(cell, epoch)
    if not 1900 <= wall.year < 2200:
        raise _no_time(cell)
    if wall.tzinfo is None:
        wall = _placed(wall, zone)
    instant = (wall.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    if wall > now + _CLOCK_AHEAD:
        raise WrongCell("this time is in the future", "该时间在未来")
    if instant < EARLIEST_US:
        raise WrongCell("this time is before the year 2000", "该时间早于 2000 年")
    return instant


def _wall(cell: Cell, epoch: datetime) -> datetime:
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - placed by the caller
    said = plain(text_of(cell)).replace("：", ":")
    compact = re.fullmatch(r"(\d{4})(\d{2})(\d{2})(?:\.0)?", said)
    if compact:
        said = "-".join(compact.groups())
    elif not isinstance(cell, bool) and re.fullmatch(r"\d{5}(\.\d+)?", said):
        days = float(said)
        if _EXCEL_DAYS[0] <= days + (epoch - EXCEL_EPOCH).days < _EXCEL_DAYS[1]:
            return epoch + timedelta(milliseconds=round(days * 86_400_000))
    found = _TIME.fullmatch(said)
    if found is None:
        raise _no_time(cell)
    year, month, day, before, hour, minute, second, fraction, after, offset = found.groups()
    half = before or after
    hours = int(hour or 0)
    if half:
        if not 1 <= hours <= 12:
            raise _no_time(cell)
        hours = hours % 12 + (12 if half in ("下午", "pm") else 0)
    written = f"{year}-{month:0>2}-{day:0>2}T{hours:02}:{minute or 0:0>2}:{second or 0:0>2}.{fraction or 0:0<6}"
    zoned = "" if offset is None else "+00:00" if offset == "z" else f"{offset[:3]}:{offset[-2:]}"
    try:
        return datetime.fromisoformat(written + zoned)
    except ValueError as error:
        raise _no_time(cell) from error


def _placed(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return a wall clock's time in its zone; raises WrongCell where clocks are changed and it is none or two instants."""
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        raise WrongCell(
            f"there is no such time in {zone.key}: clocks are put forward", f"{zone.key} 因夏令时没有该时刻"
        )
    raise WrongCell(
        f"this time is there twice in {zone.key}: add the offset, as {first:%z}",
        f"{zone.key} 因夏令时有两个该时刻，请注明时差，如 {first:%z}",
    )


def _no_time(cell: Cell) -> WrongCell:
    said = text_of(cell)[:40]
    return WrongCell(
        f"'{said}' is no time; write the year first, as 2026-01-31 08:00",
        f"“{said}”不是时间，请先写年份，如 2026-01-31 08:00 或 2026年1月31日8时",
    )
