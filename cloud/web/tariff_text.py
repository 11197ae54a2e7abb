"""The times of a tariff as people type them: `00:00 谷, 08:00 峰`, months as `1,7-8`, dates one after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from cloud.web.energy_words import BANDS
from protocols.text import Language, Text

_ALIASES = {
    "尖": "sharp", "峰": "peak", "高峰": "peak", "平": "flat", "谷": "valley", "深": "deep_valley", "sharp": "sharp",
    **{name.lower(): band for band, (words, _) in BANDS.items() for name in (*words, band)},
}  # fmt: skip
_PART = re.compile(r"^(\d{1,2})[:：](\d{2})\s*(.+)$")


class NotUnderstood(Exception):
    """What was typed says nothing that can be used; `text` says what and how to mend it."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


def bands_text(bands: Sequence[tuple[int, str]], language: Language) -> str:
    """Return (minute, band) pairs as people type them."""
    return ", ".join(f"{minute // 60:02}:{minute % 60:02} {BANDS[band][0].to(language)}" for minute, band in bands)


def read_bands(text: str) -> list[dict[str, object]]:
    """Return the bands of a day; raises NotUnderstood."""
    found: list[dict[str, object]] = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[,，;；\n]", text))):
        match = _PART.match(part)
        band = _ALIASES.get(match[3].strip().lower()) if match else None
        if match is None or band is None or not int(match[1]) * 60 + int(match[2]) < 1440:
            raise NotUnderstood(
                Text(
                    f"“{part}” is no begin of a band; write it as 08:00 Peak.",
                    f"“{part}”不是有效的时段起点，格式示例：08:00 高峰。",
                )
            )
        found.append({"minute": int(match[1]) * 60 + int(match[2]), "band": band})
    return found


def months_text(months: Sequence[int]) -> str:
    """Return months as people type them: 1,7-8."""
    runs: list[list[int]] = []
    for month in sorted(months):
        if runs and month == runs[-1][-1] + 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def read_months(text: str) -> list[int]:
    """Return the months named; raises NotUnderstood."""
    found: set[int] = set()
    for part in filter(None, re.split(r"[,，、\s]+", text.strip())):
        match = re.fullmatch(r"(\d{1,2})(?:[-–~](\d{1,2}))?月?", part)
        begin, end = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= begin <= end <= 12:
            raise NotUnderstood(
                Text(f"“{part}” names no months; write them as 1,7-8.", f"“{part}”不是有效的月份，格式示例：1,7-8。")
            )
        found.update(range(begin, end + 1))
    return sorted(found)


def read_dates(text: str) -> list[date]:
    """Return the dates named, as 2026-02-17; raises NotUnderstood."""
    found = []
    for part in filter(None, re.split(r"[,，、;；\s]+", text.strip())):
        try:
            found.append(date.fromisoformat(part.replace("/", "-")))
        except ValueError:
            raise NotUnderstood(
                Text(f"“{part}” is no date; write it as 2026-02-17.", f"“{part}”不是有效日期，格式示例：2026-02-17。")
            ) from None
    return found


def read_number(text: object, name: str) -> float | None:
    """Return a number, None where nothing was typed; raises NotUnderstood."""
    typed = str(text if text is not None else "").strip().replace(",", "")
    if not typed:
        return None
    try:
        return float(typed)
    except ValueError:
        raise NotUnderstood(Text(f"{name}: “{typed}” is no number.", f"{name}：“{typed}”不是数字。")) from None
