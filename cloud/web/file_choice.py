"""A file that the browser sends to the API as it is: the page hears what was answered."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

_CHOOSE = Text("Choose the file", "选择文件")

_SEND = """async event => {
    const file = event.target.files[0];
    event.target.value = '';
    if (!file) return;
    try {
        const answer = await fetch(%s, {method: 'POST', body: file, headers: %s});
        emit([answer.ok, await answer.text()]);
    } catch (error) { emit([false, JSON.stringify({detail: error.message})]); }
}"""


class FileChoice:
    """A button to choose a file with one of the endings `accept`, which is posted to `path`."""

    def __init__(self, visit: Visit, path: str, accept: str, media_type: str = "") -> None:
        headers = {"Accept-Language": visit.language} | ({"Content-Type": media_type} if media_type else {})
        self._sends = _SEND % (json.dumps(path), json.dumps(headers))
        with box("button file-chooser", "label"):
            Words(visit.say(_CHOOSE))
            self._input = box("", "input", type="file", accept=accept, aria_label=visit.say(_CHOOSE))

    def answers_in(self, place: ui.element, taken: Callable[[str], Awaitable[None]]) -> None:
        """Hand the answer's text to `taken`, within `place`; a refusal is shown there."""

        async def sent(event: Any) -> None:
            ok, text = event.args
            place.clear()
            with place:
                if ok:
                    await taken(text)
                else:
                    Words(str(json.loads(text).get("detail", text)), "notice bad", tag="p").props["role"] = "alert"

        self._input.on("change", sent, js_handler=self._sends)
