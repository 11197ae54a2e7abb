"""What people type and choose on pages: plain HTML fields, so that a phone shows its own keyboard and lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui
from pydantic import ValidationError

from cloud.core.errors import Problem, field_faults
from cloud.core.principal import Principal, Scope
from cloud.web.elements import Words, box, chooser, option_markup
from cloud.web.visit import Visit
from protocols.errors import SunmaoError

_SENDS_VALUE = "event => emit(event.target.value)"


class Field:
    """A labelled input; `value` is what stands in it. `attributes` are the input's HTML attributes."""

    def __init__(self, label: str, value: str = "", *, tag: str = "input", **attributes: str) -> None:
        self.value = value
        with box("field", "label"):
            Words(label)
            self._input = box("", tag, value=value, **attributes)
            self._input.on("change", self._take, js_handler=_SENDS_VALUE)

    def _take(self, event: Any) -> None:
        self.value = self._input.props["value"] = str(event.args)

    def clear(self) -> None:
        """Empty it."""
        self.value = self._input.props["value"] = ""
        self._input.update()


class Choice:
    """A labelled list to choose from: `options` by their values; `value` is the chosen one."""

    def __init__(
        self,
        label: str,
        options: Mapping[str, str],
        value: str,
        on_choice: Callable[[str], Awaitable[None]] | None = None,
        *,
        shown: bool = True,
    ) -> None:
        self.value = value
        self._on_choice = on_choice
        with box("field", "label"):
            if shown:
                Words(label)
            self._select = chooser(option_markup(options, value), aria_label=label)
            self._select.on("change", self._take, js_handler=_SENDS_VALUE)

    async def _take(self, event: Any) -> None:
        self.value = str(event.args)
        if self._on_choice is not None:
            await self._on_choice(self.value)

    def mark(self, name: str) -> Choice:
        """Name the list for tests."""
        self._select.mark(name)
        return self


def button(name: str, act: Callable[[], Awaitable[None]], classes: str = "button") -> ui.element:
    """Add a button that does `act`."""
    element = box(classes, "button", type="button").on("click", lambda _: act())
    with element:
        Words(name)
    return element


async def attempt(visit: Visit, answer: ui.element, demand: Scope, act: Callable[[Principal], Awaitable[None]]) -> bool:
    """Do `act` if the reader still may, as one who reaches what `demand` allows; True if it was done.

    What a domain refuses is shown in `answer`.
    """
    answer.clear()
    if not await visit.may_still(demand):
        return False
    try:
        await act(visit.acting(demand))
    except (Problem, SunmaoError, ValidationError) as error:
        with answer:
            Words(_why(visit, error), "notice bad", tag="p").props["role"] = "alert"
        return False
    return True


def _why(visit: Visit, error: Problem | SunmaoError | ValidationError) -> str:
    if isinstance(error, Problem):
        return error.detail.to(visit.language)
    if isinstance(error, SunmaoError):
        return error.explain(visit.language)
    faults = field_faults([dict(fault) for fault in error.errors()], visit.language)
    return "; ".join(f"{fault['where']}: {fault['message']}" for fault in faults)


def done(answer: ui.element, words: str) -> None:
    """Say in `answer` that an act is done."""
    answer.clear()
    with answer:
        Words(words, "notice good", tag="p").props["role"] = "status"
