"""What machines were doing over a stretch of time, as bars of coloured stretches with the time per state beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import NamedTuple

from nicegui import ui

from cloud.telemetry.schemas import Curve
from cloud.web.elements import MarkView, Words, box
from cloud.web.highlights import STATE, state_mark
from cloud.web.plant import Equipment, Point
from cloud.web.visit import Visit
from cloud.web.words import UNKNOWN, Mark
from protocols.text import Text

LENGTH = timedelta(hours=24)
SAMPLES = 1440
"""How many samples a machine's states are asked for: one a minute of a day."""

_TITLE = Text("Last 24 hours", "近 24 小时")
_SHARE = Text("{hours} h · {share} %", "{hours} 小时 · {share}%")
_NO_STATE = Text("No point of this machine tells its state.", "该设备没有状态数据点。")
_TICKS = 8


class Stretch(NamedTuple):
    """A state that lasted over [start, end)."""

    start: datetime
    end: datetime
    mark: Mark


def state_point(equipment: Equipment) -> Point | None:
    """Return the point that tells most about what an equipment is doing, if it has one."""
    by_code = {point.code: point for point in equipment.points.values()}
    return next((by_code[code] for code in STATE if code in by_code and not code.endswith("_active")), None)


def stretches(curve: Curve, code: str, start: datetime, end: datetime) -> list[Stretch]:
    """Return the states over [start, end) without overlaps or holes; what nothing is known of is `UNKNOWN`.

    A state holds until the next reading; an unusable reading ends it.
    """
    found = [Stretch(start, end, UNKNOWN)]
    for sample in curve.samples:
        if sample.time >= end:
            break
        mark = UNKNOWN if sample.value is None else state_mark(code, sample.value)
        last = found[-1]
        if mark == last.mark:
            continue
        at = max(sample.time, start)
        found[-1:] = [last._replace(end=at)] if at > last.start else []
        found.append(Stretch(at if found else start, end, mark))
    return found


def totals(found: Iterable[Stretch]) -> dict[Mark, timedelta]:
    """Return how long each state lasted in all, the longest first."""
    lasted: dict[Mark, timedelta] = {}
    for stretch in found:
        lasted[stretch.mark] = lasted.get(stretch.mark, timedelta()) + (stretch.end - stretch.start)
    return dict(sorted(lasted.items(), key=lambda item: -item[1]))


async def show_timelines(visit: Visit, machines: Sequence[Equipment], now: datetime) -> None:
    """Add a card with a bar for each of `machines` that tells its state; nothing where none does, but for one alone."""
    told = {point.id: (machine, point) for machine in machines if (point := state_point(machine))}
    if not told:
        if len(machines) == 1:
            Words(visit.say(_NO_STATE), "card muted", tag="p")
        return
    start = now - LENGTH
    answer = await visit.domains.telemetry.history(visit.scope, list(told), start, now, SAMPLES)
    with box("card"):
        Words(visit.say(_TITLE), tag="h2")
        with box("timelines"):
            for curve, (machine, point) in zip(answer.curves, told.values(), strict=True):
                _bar(visit, machine, stretches(curve, point.code, start, now), alone=len(machines) == 1)
            box()
            _clock(visit, start)


def _bar(visit: Visit, machine: Equipment, found: Sequence[Stretch], *, alone: bool) -> None:
    whole = found[-1].end - found[0].start
    lasted = totals(found)
    with box("timeline-name"):
        if not alone:
            with box("", "a", href=f"/equipment/{machine.known.id}"):
                Words(machine.known.label)
        for mark, time in list(lasted.items())[: 5 if alone else 1]:
            with box("line"):
                MarkView(mark, visit.language, plain=True)
                Words(
                    visit.say(_SHARE, hours=f"{time.total_seconds() / 3600:.1f}", share=f"{100 * (time / whole):.0f}"),
                    "muted small num",
                )
    ui.html(_drawn(visit, found, whole), sanitize=False).classes("timeline")


def _drawn(visit: Visit, found: Sequence[Stretch], whole: timedelta) -> str:
    """Return the bar as SVG, a thousandth of its width per unit; each stretch says what it is when pointed at."""
    parts = []
    for stretch in found:
        x, width = (1000 * (part / whole) for part in (stretch.start - found[0].start, stretch.end - stretch.start))
        begins, ends = (f"{instant.astimezone(visit.zone):%H:%M}" for instant in (stretch.start, stretch.end))
        said = escape(f"{visit.say(stretch.mark.text)} {begins}–{ends}")
        parts.append(
            f'<rect class="{stretch.mark.tone}" x="{x:.2f}" width="{max(width, 0.8):.2f}" height="20"><title>{said}</title></rect>'
        )
    return f'<svg viewBox="0 0 1000 20" preserveAspectRatio="none" role="img">{"".join(parts)}</svg>'


def _clock(visit: Visit, start: datetime) -> None:
    with box("timeline-clock num muted"):
        for tick in range(_TICKS):
            Words(f"{(start + LENGTH * tick / _TICKS).astimezone(visit.zone):%H:%M}")
