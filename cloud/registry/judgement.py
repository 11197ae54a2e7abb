"""Whether a stage of a roll-out may go on, has to wait, or has to be taken back: the rule, without a database.

A new model goes back when it rejects more than the one before: when the 95 % intervals (Clopper and Pearson) of the two
shares do not overlap and its own lies above. In shadow both judge the same parts. It also goes back when the p95 of its
time breaks the plan's budget. It goes on when neither holds and the stage has had the parts and the minutes of the plan.
Of a watch over a machine a "part" is a judgement independent of the one before, and rejected is what is beyond the limit.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from cloud.registry.schemas import Evidence, Plan, Share
from models.drift import exact_interval
from protocols.text import Text

LEAST_PARTS = 20
"""Of fewer parts nothing is concluded."""

Act = Literal["wait", "promote", "return"]


class Decision(NamedTuple):
    """What is to be done, and why or for what it waits."""

    act: Act
    why: Text


def share(hits: int, parts: int) -> Share:
    """Return `hits` of `parts` with its interval."""
    if not parts:
        return Share(parts=0, value=None, low=None, high=None)
    low, high = exact_interval(hits, parts, 0.05)
    return Share(parts=parts, value=hits / parts, low=low, high=high)


def decide(evidence: Evidence, plan: Plan, last: bool) -> Decision:
    """Return what is to be done; `last`: no stage follows."""
    new, old = evidence.rejects, evidence.before
    if new.parts >= LEAST_PARTS:
        if old.parts >= LEAST_PARTS and new.low is not None and old.high is not None and new.low > old.high:
            return Decision(
                "return",
                Text(
                    f"it rejects {new.value:.1%} of {new.parts} judgements, at least {new.low:.1%}; before it was {old.value:.1%},"
                    f" at most {old.high:.1%}",
                    f"{new.parts} 次判定中拒收 {new.value:.1%}，不低于 {new.low:.1%}；此前为 {old.value:.1%}，不高于 {old.high:.1%}",
                ),
            )
        if plan.latency_ms and evidence.latency_ms is not None and evidence.latency_ms > plan.latency_ms:
            return Decision(
                "return",
                Text(
                    f"95 % of its verdicts take up to {evidence.latency_ms:.0f} ms, more than the {plan.latency_ms} ms planned",
                    f"95% 的判定耗时达 {evidence.latency_ms:.0f} 毫秒，超过计划的 {plan.latency_ms} 毫秒",
                ),
            )
    if (parts := plan.min_parts - new.parts) > 0:
        return Decision("wait", Text(f"{parts} more judgements", f"还需 {parts} 次判定"))
    if (minutes := plan.min_minutes - evidence.minutes) > 0:
        return Decision("wait", Text(f"{minutes:.0f} more minutes", f"还需 {minutes:.0f} 分钟"))
    if not plan.automatic and not last:
        return Decision("wait", Text("somebody to promote it", "等待人工推进"))
    return Decision("promote", Text("", ""))
