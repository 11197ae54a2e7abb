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
_SENT = Text("The file is being read …", "正在读取文件……")

_SEND = """async event => {
    event.preventDefault();
    const given = event.dataTransfer || event.target;
    if (given.files) window.chosenFile = given.files[0];
    const file = window.chosenFile;
    if (given.type === 'file') given.value = '';
    if (!file) return;
    emit([null, '']);
    try {
        const answer = await fetch(%s, {method: 'POST', body: file, headers: %s});
        emit([answer.ok, await answer.text()]);
    } catch (error) { emit([false, JSON.stringify({detail: error.message})]); }
}"""

Taken = Callable[[str], Awaitable[None]]


class FileChoice:
    """A button to choose a file with one of the endings `accept`, which is posted to `path`."""

    def __init__(self, visit: Visit, path: str, accept: str, media_type: str = "") -> None:
        self._visit = visit
        self._headers = {"Accept-Language": visit.language} | ({"Content-Type": media_type} if media_type else {})
        self._path = path
        with box("button file-chooser", "label"):
            Words(visit.say(_CHOOSE))
            self._input = box("", "input", type="file", accept=accept, aria_label=visit.say(_CHOOSE))

    def answers_in(self, place: ui.element, taken: Taken) -> None:
        """Hand the answer's text to `taken`, within `place`; a refusal is shown there."""
        self._post(self._input, "change", self._path, place, taken)

    def drops_on(self, area: ui.element, place: ui.element, taken: Taken) -> None:
        """Take a file that is dropped on `area`, too."""
        area.on("dragover", js_handler="event => event.preventDefault()")
        self._post(area, "drop", self._path, place, taken)

    def again(self, button: ui.element, path: str, place: ui.element, taken: Taken) -> None:
        """Post the file that was chosen last to `path` when `button` is pressed."""
        self._post(button, "click", path, place, taken)

    def _post(self, source: ui.element, event: str, path: str, place: ui.element, taken: Taken) -> None:
        async def sent(event: Any) -> None:
            ok, text = event.args
            place.clear()
            with place:
                if ok is None:
                    Words(self._visit.say(_SENT), "muted", tag="p").props["role"] = "status"
                elif ok:
                    await taken(text)
                else:
                    Words(str(json.loads(text).get("detail", text)), "notice bad", tag="p").props["role"] = "alert"

        source.on(event, sent, js_handler=_SEND % (json.dumps(path), json.dumps(self._headers)))
