"""A list to choose from that searches on the server as one types: however many there are, few are sent to the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Any

from nicegui import events, ui

from cloud.core.search import Search
from cloud.web.elements import Words
from cloud.web.visit import Visit
from protocols.text import Text

MOST_OFFERED = 50
MOST_POINTS = 500
"""Points offered in one list; with more, the machine is chosen first, by a search."""

_NONE = Text(
    "Nothing is called so. Try part of the name, or its pinyin.", "没有匹配项，请换个词，或输入部分名称、拼音。"
)

Find = Callable[[str], Awaitable[Mapping[Any, str]]]
"""Returns what is offered for what was typed, the best first."""


def search_select(
    visit: Visit, label: str, offered: Mapping[Any, str], value: Any, find: Find, *, multiple: bool = False
) -> ui.select:
    """Add a list that offers `offered`, which has `value`, until somebody types, then what `find` finds."""
    field = ui.select(dict(offered), value=value, label=label, with_input=True, clearable=True, multiple=multiple)
    with field.add_slot("no-option"):
        Words(visit.say(_NONE), "muted small search-none", tag="div")
    last = ""

    async def typed(event: events.GenericEventArguments) -> None:
        nonlocal last
        last = text = str(event.args or "").strip()
        known: Mapping[Any, str] = field.options if isinstance(field.options, dict) else {}
        values = field.value or [] if multiple else [field.value]
        chosen = {one: known[one] for one in values if one in known}
        if text in chosen.values():  # what the field shows of itself once something is chosen
            return
        found = await find(text) if text else offered
        if text == last and not field.is_deleted:
            field.set_options({**found, **chosen})

    field.on("input-value", typed, throttle=0.2, leading_events=False)
    return field


def named_select(
    visit: Visit, label: str, names: Mapping[str, str], value: str | None, *, multiple: bool = False
) -> ui.select:
    """Add a list of `names`; of many it offers the first and that of `value` until somebody types, then what they mean."""
    search = Search((key, (name,)) for key, name in names.items())

    async def find(typed: str) -> Mapping[str, str]:
        return {key: names[key] for key in search.find(typed, MOST_OFFERED)}

    first = dict(islice(names.items(), MOST_OFFERED))
    if value is not None and value in names:
        first[value] = names[value]
    return search_select(visit, label, first, value if value in first else None, find, multiple=multiple)


async def machines_found(visit: Visit, typed: str) -> dict[str, str]:
    """Return paths of the machines somebody may mean, by their ids as text."""
    found = await visit.domains.fleet.find_equipment(visit.scope, typed, MOST_OFFERED)
    return {str(one.id): one.path for one in found}
