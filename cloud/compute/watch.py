"""What is amiss with a job that runs or waits, in words and with its evidence. Pure.

    idle   the accelerator is used less than 10 % - where none is seen, less than 5 % of one core - for two minutes on end
    stuck  nothing more is done for ten times what an item has taken until then, and for a minute at the least
    queue  it waits for more than twice what was planned, and a minute, after its begin

Nothing is done about any of it here: what is to be done - ending a job that is idle for longer than its owner allows - is a rule of
the job's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from protocols.text import Text

Kind = Literal["idle", "stuck", "queue", "chip"]
IDLE_S, IDLE_CORES, IDLE_PERCENT = 120.0, 0.05, 10.0
STUCK_TIMES, STUCK_LEAST_S = 10.0, 60.0
QUEUE_TIMES, QUEUE_LEAST_S = 2.0, 60.0


class Use(NamedTuple):
    """What an attempt has used when: its own seconds, cores at work since the sample before, memory, the accelerator's share."""

    used_s: float
    cores: float
    memory_mb: int
    accelerator: float | None
    done: int


class Finding(NamedTuple):
    """Something amiss, and for how many seconds."""

    kind: Kind
    words: Text
    lasts_s: float


def chip(requested: str, used: str) -> Finding:
    """Return the finding that an attempt computes by another chip than its offer names."""
    return Finding(
        "chip",
        Text(
            f"The offer names {requested}, the worker computes by {used}: that attempt is ended and not billed.",
            f"报价芯片为 {requested}，实际使用 {used}：本次运行已终止且不计费。",
        ),
        0.0,
    )


def findings(series: Sequence[Use], total: int) -> list[Finding]:
    """Return what is amiss with an attempt whose samples are `series`, oldest first; `total` items are to be done."""
    found = []
    if lasts := _idle_s(series):
        last = series[-1]
        if last.accelerator is not None:
            words = Text(
                f"Idle: the accelerator has been used less than {IDLE_PERCENT:g} % for {lasts:.0f} s (now {last.accelerator:.0f} %).",
                f"空闲：加速卡利用率低于 {IDLE_PERCENT:g} % 已 {lasts:.0f} 秒(当前 {last.accelerator:.0f} %)。",
            )
        else:
            words = Text(
                f"Idle: less than {IDLE_CORES:g} of a core has been at work for {lasts:.0f} s (now {last.cores:.2f}).",
                f"空闲：CPU 使用低于 {IDLE_CORES:g} 核已 {lasts:.0f} 秒(当前 {last.cores:.2f} 核)。",
            )
        found.append(Finding("idle", words, lasts))
    if stuck := _stuck(series, total):
        found.append(stuck)
    return found


def waiting(begins: datetime, planned_s: float, now: datetime) -> Finding | None:
    """Return the finding that a job waits longer than planned, if it does."""
    late = (now - begins).total_seconds()
    if late <= QUEUE_TIMES * planned_s + QUEUE_LEAST_S:
        return None
    words = Text(
        f"It has waited for {late:.0f} s since its begin; {planned_s:.0f} s were planned.",
        f"自计划开始已等待 {late:.0f} 秒，计划为 {planned_s:.0f} 秒。",
    )
    return Finding("queue", words, late)


def _idle_s(series: Sequence[Use]) -> float:
    """Return for how long the last samples on end have been idle; 0 if not for long enough."""
    begin = None
    for sample in reversed(series):
        idle = sample.cores < IDLE_CORES if sample.accelerator is None else sample.accelerator < IDLE_PERCENT
        if not idle:
            break
        begin = sample.used_s
    lasts = series[-1].used_s - begin if begin is not None else 0.0
    return lasts if lasts >= IDLE_S else 0.0


def _stuck(series: Sequence[Use], total: int) -> Finding | None:
    if not series or not 0 < series[-1].done < total:
        return None
    done, now_s = series[-1].done, series[-1].used_s
    since_s = next(sample.used_s for sample in series if sample.done == done)
    first = next(sample for sample in series if sample.done > 0)
    before = next((sample for sample in reversed(series) if sample.done == 0 and sample.used_s <= first.used_s), None)
    step_s = (since_s - (before.used_s if before else 0.0)) / done
    lasts = now_s - since_s
    if lasts < max(STUCK_TIMES * step_s, STUCK_LEAST_S):
        return None
    words = Text(
        f"Stuck: {done} of {total} have been done for {lasts:.0f} s; an item took {step_s:.1f} s until then.",
        f"停滞：完成数停留在 {done}/{total} 已 {lasts:.0f} 秒，此前每件约 {step_s:.1f} 秒。",
    )
    return Finding("stuck", words, lasts)
