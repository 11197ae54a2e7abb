"""Lists that search on the server: what they offer of many names, and what stays chosen - without a browser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from nicegui import Client, ui
from nicegui.events import GenericEventArguments

from cloud.web.search_select import MOST_OFFERED, named_select

NAMES = {"": "the whole site", **{str(number): f"press-{number}" for number in range(400)}, "oven": "烘箱"}


async def test_of_many_names_the_first_are_offered_and_what_is_typed_is_found() -> None:
    visit: Any = SimpleNamespace(say=lambda text: text.en)
    with Client(ui.page("/"), request=None):
        one = named_select(visit, "Measures", NAMES, "333")
        several = named_select(visit, "Sum of", NAMES, None, multiple=True)
    assert len(one.options) == MOST_OFFERED + 1
    assert (one.value, one.options["333"]) == ("333", "press-333")
    await typed(one, "hongxiang")
    assert one.options == {"oven": "烘箱", "333": "press-333"}
    await typed(one, "")
    assert "" in one.options
    await typed(several, "press-210")
    several.value = ["210"]
    await typed(several, "oven")
    assert several.options == {"210": "press-210"}, "what is chosen stays; names are looked at, not keys"
    assert several.value == ["210"]


async def typed(field: ui.select, text: str) -> None:
    (listener,) = [each for each in field._event_listeners.values() if each.type == "inputValue"]
    assert listener.handler is not None
    await listener.handler(GenericEventArguments(sender=field, client=field.client, args=text))
