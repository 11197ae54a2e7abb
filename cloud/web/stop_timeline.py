"""A machine's day as one strip of colours, drawn as SVG: thousands of intervals weigh nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from cloud.production.schemas import Shift, StateSpan
from cloud.web.production_charts import COLOURS
from protocols.text import Language, Text

_WIDTH = 1000.0


def strip(
    spans: Sequence[StateSpan],
    shifts: Sequence[Shift],
    day: tuple[datetime, datetime],
    zone: ZoneInfo,
    *,
    names: Mapping[str, Text],
    language: Language,
) -> str:
    """Return what a machine did in `day`, [start, end), with what is not planned veiled; each colour says what it is."""
    start, end = day
    whole = (end - start).total_seconds()

    def x(time: datetime) -> float:
        return _WIDTH * (time - start).total_seconds() / whole

    parts = [f'<svg class="strip" viewBox="0 0 {_WIDTH:.0f} 40" preserveAspectRatio="none" role="img">']
    for span in spans:
        left, right = x(max(span.start, start)), x(min(span.end, end))
        if right - left < 0.02:
            continue
        words = f"{_clock(span.start, zone)}–{_clock(span.end, zone)} {names[span.element].to(language)}"
        parts.append(
            f'<rect x="{left:.2f}" y="0" width="{right - left:.2f}" height="40" fill="{COLOURS[span.element]}">'
            f"<title>{escape(words)}</title></rect>"
        )
    for begin, until in _unplanned(shifts, start, end):
        parts.append(
            f'<rect x="{x(begin):.2f}" y="0" width="{x(until) - x(begin):.2f}" height="40" fill="#fffefb" opacity=".72"'
            ' pointer-events="none"/>'
        )
    return "".join(parts) + "</svg>"


def _unplanned(shifts: Sequence[Shift], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Return the times of [start, end) that lie in no shift, or in a break."""
    gaps, at = [], start
    for one in (span for shift in shifts for span in shift.working):
        if one.start > at:
            gaps.append((at, min(one.start, end)))
        at = max(at, one.end)
    if at < end:
        gaps.append((at, end))
    return [gap for gap in gaps if gap[0] < gap[1]]


def hours(day: tuple[datetime, datetime], zone: ZoneInfo, every: int = 4) -> list[tuple[float, str]]:
    """Return (place in percent, clock) of every few hours of `day`, on the site's clock."""
    start, end = day
    marks, at = [], start
    while at < end:
        local = at.astimezone(zone)
        if local.hour % every == 0 and local.minute == 0:
            marks.append((100 * (at - start) / (end - start), f"{local:%H:%M}"))
        at += timedelta(hours=1)
    return marks


def _clock(time: datetime, zone: ZoneInfo) -> str:
    return f"{time.astimezone(zone):%H:%M:%S}"
