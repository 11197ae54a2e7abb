"""What a version says of any picture: chosen or taken here, shown with its heat map, and kept nowhere."""

from __future__ import annotations

import json
from typing import Any

from cloud.training.schemas import Trial, Version
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice
from cloud.web.gallery import model_says
from cloud.web.language import number
from cloud.web.plate import show_plate
from cloud.web.visit import Visit
from cloud.web.words import VERDICTS
from protocols.text import Text

_WITH, _CHOOSE = Text("With", "使用"), Text("Try a picture", "选择图片试用")
_VERSION = Text("Version {number}", "版本 {number}")
_WHAT = Text("It is shown here and kept nowhere.", "仅在此显示，不会保存。")
_SCORE = Text(
    "Score {score}: from {review} on a part goes to review, from {reject} on it is rejected.",
    "分值 {score}；达到 {review} 送复核，达到 {reject} 判为不合格。",
)

_ASK = """async event => {
    const file = event.target.files[0];
    event.target.value = '';
    if (!file) return;
    const query = new URLSearchParams({version_id: getHtmlElement(%(which)d).querySelector('select').value});
    const answer = await fetch('/api/v1/training/trials?' + query,
        {method: 'POST', body: file, headers: {'Content-Type': file.type, 'Accept-Language': %(language)s}});
    emit([answer.ok, await answer.json(), URL.createObjectURL(file)]);
}"""


class TrialView:
    """The choice of a version and a picture, and the answer."""

    def __init__(self, visit: Visit, versions: list[Version]) -> None:
        self._visit = visit
        say = visit.say
        with box("form-row") as which:
            options = {str(each.id): say(_VERSION, number=each.number) for each in versions}
            Choice(say(_WITH), options, str(versions[0].id))
            with box("button quiet file-chooser", "label"):
                Words(say(_CHOOSE))
                chooser = box("", "input", type="file", accept="image/jpeg,image/png", aria_label=say(_CHOOSE))
        Words(say(_WHAT), "muted small")
        self._answer = box("stack wide")
        handler = _ASK % {"which": which.id, "language": json.dumps(visit.language)}
        chooser.on("change", self._show, js_handler=handler)

    def _show(self, event: Any) -> None:
        done, body, picture = event.args
        self._answer.clear()
        with self._answer:
            if not done:
                Words(str(body.get("detail", "")), "notice bad", tag="p").props["role"] = "alert"
                return
            trial = Trial.model_validate(body)
            with box("judge"):
                with box():
                    heatmap = f"data:image/png;base64,{trial.heatmap}"
                    show_plate(self._visit, str(picture), heatmap, self._visit.say(_CHOOSE), trial.region)
                with box("stack"):
                    MarkView(VERDICTS[trial.verdict], self._visit.language)
                    said = self._visit.say(
                        _SCORE,
                        score=number(trial.score),
                        review=number(trial.review_limit),
                        reject=number(trial.reject_limit),
                    )
                    Words(said, tag="p")
                    model_says(self._visit, defect=trial.defect, chance=trial.chance, aligned=trial.aligned)
