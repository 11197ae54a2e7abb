"""Which language a browser is answered in, and how numbers, times and durations are written in it."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import Request

from cloud.core.errors import language_of as asked_for
from protocols.text import LANGUAGES, Language, Text

COOKIE = "sunmao_language"
"""Remembers the choice made with the switch; it overrides what the browser asks for."""

NOTHING = "–"
"""Stands where there is no value."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def language_of(request: Request) -> Language:
    """Return the language chosen with the switch, else the one the browser prefers, else English."""
    chosen = request.cookies.get(COOKIE)
    for language in LANGUAGES:
        if chosen == language:
            return language
    return asked_for(request)


def number(value: float | None, *, whole: bool = False) -> str:
    """Return `value` for a reader: three to four significant digits, thousands apart; the same in both languages.

    The number of decimals depends on the size only, so that a live value does not jump about.
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    decimals = 0 if whole or size >= 1000 or size == 0 else 1 if size >= 100 else 2 if size >= 1 else 3
    return f"{value:,.{decimals}f}"


def moment(instant: datetime, zone: ZoneInfo, language: Language, *, now: datetime, seconds: bool = True) -> str:
    """Return `instant` on the site's clock; the date is left out on the site's present day."""
    local = instant.astimezone(zone)
    clock = local.strftime("%H:%M:%S" if seconds else "%H:%M")
    today = now.astimezone(zone)
    if local.date() == today.date():
        return clock
    if language == "zh":
        day = f"{local.month}月{local.day}日"
        return f"{day} {clock}" if local.year == today.year else f"{local.year}年{day} {clock}"
    day = f"{local.day} {local:%b}"
    return f"{day}, {clock}" if local.year == today.year else f"{day} {local.year}, {clock}"


def duration(seconds: float) -> Text:
    """Return a length of time in its largest fitting unit, rounded down."""
    count = max(int(seconds), 0)
    if count < _MINUTE:
        return Text(f"{count} s", f"{count} 秒")
    if count < _HOUR:
        return Text(f"{count // _MINUTE} min", f"{count // _MINUTE} 分钟")
    if count < _DAY:
        return Text(f"{count // _HOUR} h", f"{count // _HOUR} 小时")
    return Text(f"{count // _DAY} d", f"{count // _DAY} 天")


def age(seconds: float) -> Text:
    """Return how long ago something was."""
    if seconds < 2:
        return Text("just now", "刚刚")
    length = duration(seconds)
    return Text(f"{length.en} ago", f"{length.zh}前")
