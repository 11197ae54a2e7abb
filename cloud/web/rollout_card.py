"""One roll-out as people decide on it: its stage, what the new model did beside the old one, what it waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import get_args
from uuid import UUID

from cloud.core.principal import Principal, Scope
from cloud.registry.schemas import Evidence, Rollout, Share, Stage
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import attempt, button
from cloud.web.language import NOTHING
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

STAGES: dict[Stage, Mark] = {
    "shadow": Mark(Text("Beside the old one", "并行判定"), "idle"),
    "canary": Mark(Text("At the first station", "试点工位"), "warn"),
    "full": Mark(Text("At all stations", "全部工位"), "warn"),
    "done": Mark(Text("Done", "完成"), "good"),
    "returned": Mark(Text("Taken back", "已撤回"), "bad"),
}
_FIGURE, _NEW, _OLD = Text("Figure", "指标"), Text("New model", "新模型"), Text("Before", "此前")
_REJECTED, _PARTS = Text("Beyond the reject limit", "超出拒收限的比例"), Text("Judgements", "判定次数")
_DIFFERING = Text("Only one of the two rejects", "仅其中一个拒收的次数")
_LATENCY = Text("Time to the verdict, 95 % within", "判定耗时(95% 以内)")
_WAITS = Text("The next stage waits for: {what}.", "进入下一阶段：{what}。")
_ENDS = Text("It is finished after {what}.", "完成下发：{what}。")
_WHY = Text("Why: {why}", "原因：{why}")
_PROMOTE, _FINISH = Text("Next stage now", "立即进入下一阶段"), Text("Finish it now", "立即完成")
_BACK = Text("Take it back", "撤回")


class RolloutCard:
    """Draws `rollout`; `changed` is called after somebody promoted it or took it back."""

    def __init__(
        self, visit: Visit, rollout: Rollout, names: Mapping[str, str], changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._visit, self._rollout, self._changed = visit, rollout, changed
        say = visit.say
        with box("card stack wide rollout"):
            with box("line spread"):
                with box("line"):
                    Words(f"{rollout.name} {rollout.version}", "strong")
                    MarkView(STAGES[rollout.stage], visit.language)
                Words(", ".join(names.get(str(each.equipment_id), "") for each in rollout.stations), "muted small")
            if rollout.ended_at is None:
                self._show_stages()
            if rollout.evidence:
                self._show_evidence(rollout.evidence)
            why = Text(rollout.reason_en, rollout.reason_zh).to(visit.language)
            if why:
                Words(say(_WHY, why=why), "small", tag="p")
            waits = Text(rollout.next_en, rollout.next_zh).to(visit.language)
            if waits:
                last = rollout.stage == "full"
                Words(say(_ENDS if last else _WAITS, what=waits), "muted small", tag="p")
            if rollout.ended_at is None and visit.may(Scope.ENGINEER):
                with box("line"):
                    button(say(_FINISH if rollout.stage == "full" else _PROMOTE), self._promote)
                    button(say(_BACK), self._take_back, "button quiet")
            self._answer = box("stack")

    def _show_stages(self) -> None:
        stages: list[Stage] = list(get_args(Stage)[:3])
        if not self._rollout.plan.shadow:
            stages.remove("shadow")
        if len({each.canary for each in self._rollout.stations}) < 2:
            stages.remove("canary")
        with box("stages", "ol"):
            for stage in stages:
                Words(
                    STAGES[stage].text.to(self._visit.language),
                    "here" if stage == self._rollout.stage else "",
                    tag="li",
                )

    def _show_evidence(self, evidence: Evidence) -> None:
        say = self._visit.say
        latency = NOTHING if evidence.latency_ms is None else f"{evidence.latency_ms:.1f} ms"
        rows = [
            (say(_PARTS), f"{evidence.rejects.parts:,}", f"{evidence.before.parts:,}"),
            (say(_REJECTED), _share(evidence.rejects), _share(evidence.before)),
            (say(_LATENCY), latency, ""),
        ]
        if evidence.differing is not None:
            rows.append((say(_DIFFERING), f"{evidence.differing:,}", ""))
        with box("version-figures", "table"):
            with box("", "thead"), box("", "tr"):
                for head in (_FIGURE, _NEW, _OLD):
                    Words(say(head), tag="th")
            with box("", "tbody"):
                for name, new, old in rows:
                    with box("", "tr"):
                        Words(name, tag="td")
                        Words(new, "num strong", tag="td")
                        Words(old, "num muted", tag="td")

    async def _promote(self) -> None:
        await self._do(self._visit.domains.registry.rollouts.promote)

    async def _take_back(self) -> None:
        await self._do(self._visit.domains.registry.rollouts.take_back)

    async def _do(self, act: Callable[[Principal, UUID], Awaitable[Rollout]]) -> None:
        async def done(principal: Principal) -> None:
            await act(principal, self._rollout.id)

        if await attempt(self._visit, self._answer, Scope.ENGINEER, done):
            await self._changed()


def _share(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return NOTHING
    return f"{share.value * 100:.1f} % ({share.low * 100:.1f}–{share.high * 100:.1f} %)"
