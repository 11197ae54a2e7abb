"""A span of time as two fields of the browser, on the site's clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nicegui import events, ui

from cloud.web.elements import box
from cloud.web.visit import Visit
from protocols.text import Text

_FROM, _TO = Text("From", "开始时间"), Text("To", "结束时间")
_FORM = "%Y-%m-%dT%H:%M"

Choose = Callable[[datetime, datetime], Awaitable[None]]


class SpanFields:
    """Two fields, from and to; once both hold a time and the first is earlier, `choose` gets them."""

    def __init__(self, visit: Visit, choose: Choose) -> None:
        self._visit = visit
        self._choose = choose
        self._span: list[datetime] = []
        with box("span-fields"):
            self._fields = [self._field(name, place) for place, name in enumerate((_FROM, _TO))]

    def show(self, start: datetime, end: datetime) -> None:
        """Show a span, to the minute."""
        self._span = [start, end]
        for field, instant in zip(self._fields, self._span, strict=True):
            field.props["value"] = instant.astimezone(self._visit.zone).strftime(_FORM)

    def _field(self, name: Text, place: int) -> ui.element:
        field = box("", "input", type="datetime-local", aria_label=self._visit.say(name))
        field.on("change", lambda event: self._changed(event, place), js_handler="event => emit(event.target.value)")
        return field

    async def _changed(self, event: events.GenericEventArguments, place: int) -> None:
        try:
            wall = datetime.strptime(str(event.args), _FORM)  # noqa: DTZ007 - the site's clock, as the next line says
        except ValueError:
            return
        span = [*self._span]
        span[place] = wall.replace(tzinfo=self._visit.zone).astimezone(UTC)
        if span[0] < span[1]:
            await self._choose(*span)
