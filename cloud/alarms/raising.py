"""What becomes of a source that changes: the alarm people see, who is told, and who is told later."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from cloud.alarms.condition_kinds import BadQuality, Stale
from cloud.alarms.conditions import NORMAL
from cloud.alarms.schemas import PRIORITIES, Level, Priority, Rule
from cloud.alarms.sources import Plan, Watch
from cloud.alarms.store import alarms as store
from cloud.alarms.track import Transition
from cloud.core.db import AsyncConnection
from cloud.notify.schemas import Notice, Tone
from cloud.notify.service import Notify
from protocols.text import Text

FIRST_OUT_S = 60.0
"""What is raised at an equipment within this time after another alarm there counts as its consequence."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTERMOST = ("high_high", "low_low")
_WORDS: Mapping[Priority, Text] = {
    "critical": Text("Critical", "紧急"),
    "high": Text("High", "高"),
    "medium": Text("Medium", "中"),
    "low": Text("Low", "低"),
}
_BACK, _STILL = Text("Back to normal", "已恢复"), Text("Not acknowledged for {minutes} min", "已 {minutes} 分钟未确认")


def moment(time_us: int) -> datetime:
    """Return a time of a track as a datetime."""
    return _EPOCH + timedelta(microseconds=time_us)


def priority_at(rule: Rule, level: Level) -> Priority:
    """Return the priority of a rule's alarm: beyond an outermost limit it is the next one up."""
    at = PRIORITIES.index(rule.priority)
    return PRIORITIES[max(at - 1, 0)] if level in _OUTERMOST else rule.priority


class Raising:
    """Keeps the alarms of the tenant of one transaction; what it tells goes into the outbox of the same transaction."""

    def __init__(self, connection: AsyncConnection, notify: Notify, plan: Plan) -> None:
        self._connection = connection
        self._notify = notify
        self._plan = plan
        self.changed = 0

    async def apply(self, watch: Watch, made: Transition, silent_agents: Sequence[UUID] = ()) -> None:
        """Raise, change or return the alarm of a source; `silent_agents` have an active alarm of their own."""
        self.changed += 1
        found = await store.lock_open(self._connection, watch.rule.id, watch.source.key)
        if made.after == NORMAL:
            await self._return(watch, made, found)
        elif found is None:
            await self._raise(watch, made, silent_agents)
        elif made.raises or found["returned_at"] is not None:
            await self._raise_again(watch, made, found)
        else:
            await store.set_level(self._connection, found["id"], made.after)
            await self._event(found["id"], "level", made)

    async def escalate(self, now: datetime) -> None:
        """Tell those who are next of what nobody has acknowledged."""
        rules = self._plan.rules
        with_steps = [rule.id for rule in rules.values() if rule.escalation]
        if not with_steps:
            return
        for row in await store.select_to_escalate(self._connection, with_steps):
            steps = rules[row["rule_id"]].escalation
            minutes = (now - row["noticed_at"]).total_seconds() / 60
            due = sum(step.after_minutes <= minutes for step in steps)
            for number in range(row["escalated"], due):
                self.changed += 1
                notice = self._notice(row, "escalated")
                still = Text(*(text.format(minutes=steps[number].after_minutes) for text in _STILL))
                notice.title_en, notice.title_zh = f"{still.en}: {notice.title_en}", f"{still.zh}：{notice.title_zh}"
                await self._tell(steps[number].channels, row["id"], row["raises"], f"escalated-{number}", notice)
                await store.insert_event(self._connection, row["id"], "escalated", row["level"])
            if due > row["escalated"]:
                await store.set_escalated(self._connection, row["id"], due)

    async def unshelve(self, rule: UUID, source: str) -> None:
        """Take a source up again that was put aside; if it still alarms and nobody has seen that, it is told now."""
        found = await store.lock_open(self._connection, rule, source)
        if found is None:
            return
        self.changed += 1
        await store.insert_event(self._connection, found["id"], "unshelved", found["level"])
        await store.notice_anew(self._connection, found["id"])
        (row,) = await store.select_alarms(self._connection, [found["id"]])
        if row["state"] == "unacknowledged" and rule in self._plan.rules:
            channels, key = self._plan.rules[rule].channels, f"unshelved-{uuid4()}"
            await self._tell(channels, row["id"], row["raises"], key, self._notice(row, "unshelved"))

    async def _raise(self, watch: Watch, made: Transition, silent_agents: Sequence[UUID]) -> None:
        rule, source = watch.rule, watch.source
        row = self._row(watch, made) | {
            **{"id": uuid4(), "rule_id": rule.id, "source": source.key, "series_id": source.series_id},
            **{"equipment_id": source.equipment_id, "agent_id": source.agent_id, "place": source.place},
            **{"unit": source.unit, "raised_at": moment(made.time_us), "latching": rule.latching, "first_out": None},
        }
        row["suppressed"] = bool(silent_agents) and isinstance(rule.condition, Stale | BadQuality)
        first = None
        if source.equipment_id and not row["suppressed"]:
            first = await store.select_first_out(self._connection, source.equipment_id, row["raised_at"], FIRST_OUT_S)
            row["first_out"] = first and first["id"]
        await store.insert_alarm(self._connection, row)
        await self._event(row["id"], "raised", made)
        follows = first is not None and PRIORITIES.index(first["priority"]) <= PRIORITIES.index(row["priority"])
        if not row["suppressed"] and not follows:
            await self._tell_of(rule, row["id"], "raised")

    async def _raise_again(self, watch: Watch, made: Transition, found: store.Row) -> None:
        again = found["returned_at"] is not None
        await store.raise_again(self._connection, found["id"], self._row(watch, made), again=again)
        await self._event(found["id"], "raised" if again else "level", made)
        # What comes and goes before anybody has looked is told once; what gets worse, or was looked at, is told again.
        if made.raises and (not again or found["acknowledged_at"] is not None) and not found["suppressed"]:
            await self._tell_of(watch.rule, found["id"], f"level-{made.after}-{made.time_us}")

    async def _return(self, watch: Watch, made: Transition, found: store.Row | None) -> None:
        if found is None or found["returned_at"] is not None:
            return
        await store.set_returned(self._connection, found["id"], moment(made.time_us))
        await self._event(found["id"], "returned", made)
        if watch.rule.tell_return and not found["suppressed"] and found["first_out"] is None:
            await self._tell_of(watch.rule, found["id"], "returned")

    async def _tell_of(self, rule: Rule, alarm: UUID, what: str) -> None:
        """Tell the rule's channels of an alarm, unless it is put aside."""
        (row,) = await store.select_alarms(self._connection, [alarm])
        if row["shelved_until"] is None:
            notice = self._notice(row, what.partition("-")[0])
            await self._tell(rule.channels, alarm, row["raises"], what, notice)

    async def _tell(self, channels: Sequence[UUID], alarm: UUID, raises: int, what: str, notice: Notice) -> None:
        if channels:
            await self._notify.tell(self._connection, channels, f"alarm:{alarm}:{raises}:{what}", notice)

    async def _event(self, alarm: UUID, change: str, made: Transition) -> None:
        await store.insert_event(
            self._connection, alarm, change, made.after, at=moment(made.time_us), value=_number(made.value)
        )

    def _notice(self, row: store.Row, what: str) -> Notice:
        watch = self._plan.watches.get((row["rule_id"], row["source_key"]))
        return _notice_at(row, what, ZoneInfo(watch.source.zone if watch else "UTC"))

    @staticmethod
    def _row(watch: Watch, made: Transition) -> store.Row:
        message = watch.message(made.after, made.value)
        return {
            **{"level": made.after, "priority": priority_at(watch.rule, made.after), "value": _number(made.value)},
            **{"limit_value": watch.track.limit(made.after), "message_en": message.en, "message_zh": message.zh},
        }


def _notice_at(row: store.Row, what: str, zone: ZoneInfo) -> Notice:
    """Return what people are told of an alarm; `what` has happened to it."""
    returned = what == "returned"
    tones: Mapping[Priority, Tone] = {"critical": "bad", "high": "bad", "medium": "warn", "low": "info"}
    word = _BACK if returned else _WORDS[row["priority"]]
    at = row["returned_at"] if returned else row["raised_at"]
    data = {
        name: row[name] for name in ("priority", "state", "level", "source", "rule", "value", "limit", "unit", "raises")
    }
    data |= {"change": what, "alarm_id": str(row["id"]), "at": at.isoformat(), "kind": "alarm"}
    clock = f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return Notice(
        title_en=f"[{word.en}] {row['message_en']}",
        title_zh=f"【{word.zh}】{row['message_zh']}",
        body_en="\n".join(filter(None, (row["source"], clock, row["hint_en"]))),
        body_zh="\n".join(filter(None, (row["source"], clock, row["hint_zh"]))),
        link=f"/alarms/{row['id']}",
        tone="good" if returned else tones[row["priority"]],
        data=data,
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
