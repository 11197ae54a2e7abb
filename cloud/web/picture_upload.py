"""Pictures from a folder or a phone's camera into a set: sent by the browser one by one, so that one that is refused stops
no other and a person sees how far it is."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from nicegui import ui

from cloud.training.schemas import PictureKind
from cloud.web.elements import Words, box
from cloud.web.forms import done
from cloud.web.visit import Visit
from protocols.text import Text

KINDS: dict[PictureKind, Text] = {
    "good": Text("Good parts", "良品"),
    "defect": Text("Defective parts", "缺陷品"),
    "unknown": Text("Not known yet", "尚未确定"),
}
_WHAT = Text("What do they show?", "图片内容")
_DEFECT = Text("Kind of defect", "缺陷类型")
_PARTS = Text("Which part does a picture show?", "图片与工件的对应关系")
_EACH = Text("Each picture another part", "每张图片对应不同工件")
_BY_NAME = Text("File names tell: cap17_1, cap17_2 show cap17", "按文件名：cap17_1、cap17_2 为同一工件 cap17")
_ONE = Text("All the same part", "全部为同一工件")
_CHOOSE, _CAMERA = Text("Choose pictures", "选择图片"), Text("Use the camera", "拍照")
_KINDS_OF_FILE = Text("JPEG or PNG, at most 8 MiB each.", "JPEG 或 PNG，每张最大 8 MiB。")
_SENT = Text("{count} pictures are in the set.", "已上传 {count} 张图片。")
_REFUSED = Text("{count} could not be used:", "{count} 张无法使用：")
_FAULTS_SHOWN = 5

_SEND = """async event => {
    const files = [...event.target.files], told = getHtmlElement(%(told)d), faults = [];
    const value = id => getHtmlElement(id).value;
    event.target.value = '';
    const batch = crypto.getRandomValues(new Uint32Array(2)).join('');
    let sent = 0;
    for (const file of files) {
        told.textContent = `${sent + faults.length + 1} / ${files.length}`;
        const query = new URLSearchParams({set_id: '%(set)s', kind: value(%(kind)d)});
        if (query.get('kind') === 'defect') query.set('defect', value(%(defect)d).trim().slice(0, 80));
        const stem = file.name.replace(/\\.[^.]*$/, '');
        if (value(%(parts)d) === 'name') query.set('part', (stem.replace(/_[^_]*$/, '') || stem).slice(0, 80));
        if (value(%(parts)d) === 'one') query.set('part', batch);
        try {
            const answer = await fetch('/api/v1/training/pictures?' + query,
                {method: 'POST', body: file, headers: {'Content-Type': file.type, 'Accept-Language': %(language)s}});
            if (answer.ok) sent += 1; else faults.push(file.name + ': ' + (await answer.json()).detail);
        } catch (error) { faults.push(file.name + ': ' + error.message); }
    }
    told.textContent = '';
    if (files.length) emit([sent, faults]);
}"""


def show_upload(visit: Visit, set_id: UUID, changed: Callable[[], Awaitable[None]]) -> None:
    """Add the form; `changed` is called when a batch is through."""
    say = visit.say
    with box("form-row"):
        kind = _select(say(_WHAT), {each: say(words) for each, words in KINDS.items()})
        with box("field", "label"):
            Words(say(_DEFECT))
            defect = box("", "input", maxlength="80", value="")
        parts = _select(say(_PARTS), {"each": say(_EACH), "name": say(_BY_NAME), "one": say(_ONE)})
    with box("line"):
        choosers = [
            _chooser(say(_CHOOSE), "button", multiple=""),
            _chooser(say(_CAMERA), "button quiet", capture="environment"),
        ]
        told = Words("", "num strong")
        Words(say(_KINDS_OF_FILE), "muted small")
    answer = box("stack")

    async def sent(event: Any) -> None:
        count, faults = int(event.args[0]), [str(each) for each in event.args[1]]
        done(answer, say(_SENT, count=count))
        if faults:
            with answer, box("notice bad", role="alert"), box("stack"):
                Words(say(_REFUSED, count=len(faults)), "strong")
                for fault in faults[:_FAULTS_SHOWN]:
                    Words(fault)
        await changed()

    ids = {"told": told.id, "kind": kind.id, "defect": defect.id, "parts": parts.id}
    handler = _SEND % {**ids, "set": set_id, "language": json.dumps(visit.language)}
    for chooser in choosers:
        chooser.on("change", sent, js_handler=handler)


def _select(label: str, options: dict[Any, str]) -> ui.element:
    with box("field", "label"):
        Words(label)
        with box("", "select", aria_label=label) as select:
            for value, name in options.items():
                with box("", "option", value=value):
                    Words(name)
    return select


def _chooser(name: str, classes: str, **attributes: str) -> ui.element:
    """Add a button that opens the browser's choice of files; return the input behind it."""
    with box(f"{classes} file-chooser", "label"):
        Words(name)
        return box("", "input", type="file", accept="image/jpeg,image/png", aria_label=name, **attributes)
