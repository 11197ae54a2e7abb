"""A list to choose from that searches on the server as one types: however many there are, few are sent to the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import events, ui

from cloud.web.elements import Words
from cloud.web.visit import Visit
from protocols.text import Text

MOST_OFFERED = 50

_NONE = Text(
    "Nothing is called so. Try part of the name, or its pinyin.", "没有匹配项，请换个词，或输入部分名称、拼音。"
)

Find = Callable[[str], Awaitable[Mapping[Any, str]]]
"""Returns what is offered for what was typed, the best first."""


def search_select(visit: Visit, label: str, offered: Mapping[Any, str], value: Any, find: Find) -> ui.select:
    """Add a list that offers `offered`, which has `value`, until somebody types, then what `find` finds."""
    field = ui.select(dict(offered), value=value, label=label, with_input=True, clearable=True)
    with field.add_slot("no-option"):
        Words(visit.say(_NONE), "muted small search-none", tag="div")
    last = ""

    async def typed(event: events.GenericEventArguments) -> None:
        nonlocal last
        last = text = str(event.args or "").strip()
        known: Mapping[Any, str] = field.options if isinstance(field.options, dict) else {}
        chosen = {field.value: known[field.value]} if field.value in known else {}
        if text in chosen.values():  # what the field shows of itself once something is chosen
            return
        found = await find(text) if text else offered
        if text == last and not field.is_deleted:
            field.set_options({**found, **chosen})

    field.on("input-value", typed, throttle=0.2, leading_events=False)
    return field


async def machines_found(visit: Visit, typed: str) -> dict[str, str]:
    """Return paths of the machines somebody may mean, by their ids as text."""
    found = await visit.domains.fleet.find_equipment(visit.scope, typed, MOST_OFFERED)
    return {str(one.id): one.path for one in found}
