"""A field for a defect that nobody has named yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

_OTHER = Text("another defect", "其他缺陷")
_NAME_IT = Text("Save", "保存")


def name_another(visit: Visit, name: Callable[[str], Awaitable[None]]) -> None:
    """Draw the field; `name` is called with what was typed, without what surrounds it."""
    typed = {"": ""}
    with box("line"):
        with box("field"):
            field = box("", "input", maxlength="80", placeholder=visit.say(_OTHER), aria_label=visit.say(_OTHER))
        field.on(
            "input",
            lambda event: typed.update({"": str(event.args or "")[:80]}),
            js_handler="event => emit(event.target.value)",
        )
        with box("button quiet", "button", type="button") as save:
            Words(visit.say(_NAME_IT))
        save.on("click", lambda _: name(typed[""].strip()))
