"""What the alarms domain takes and gives, in the words of IEC 62682 (ISA-18.2). Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from cloud.alarms.condition_kinds import Condition as Condition  # noqa: PLC0414 - other domains speak in it
from cloud.alarms.message import check_template
from protocols.text import Language

Priority = Literal["critical", "high", "medium", "low"]
PRIORITIES: tuple[Priority, ...] = ("critical", "high", "medium", "low")

Level = Literal["", "on", "high", "high_high", "low", "low_low"]
"""How a source stands: normal (""), in the condition ("on"), or beyond which of four limits."""

State = Literal["unacknowledged", "acknowledged", "returned", "latched", "closed"]
"""Of an alarm: active and not seen by anybody; active and seen; back to normal unseen; back to normal and kept until
somebody resets it; over. That it is shelved or suppressed is said beside it."""

Change = Literal["raised", "level", "returned", "acknowledged", "reset", "shelved", "unshelved", "escalated"]
"""What can happen to an alarm."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Remark = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")]
Template = Annotated[Remark, AfterValidator(check_template)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Selection(_Body):
    """What a rule watches: one series, or all of a dictionary entry; each further field narrows that down."""

    series_id: int | None = Field(None, ge=0, lt=2**31)
    property: str | None = Field(None, max_length=200, description="Code of the dictionary entry.")
    equipment_class: str | None = Field(None, max_length=200)
    site_id: UUID | None = None
    line_id: UUID | None = None
    equipment_id: UUID | None = None
    agent_id: UUID | None = Field(None, description="For rules of kind `agent`.")


class Step(_Body):
    """Whom to tell besides when nobody has acknowledged for so long."""

    after_minutes: int = Field(ge=1, le=7 * 24 * 60)
    channels: list[UUID] = Field(min_length=1, max_length=20)


class RuleRequest(_Body):
    """A rule. Templates may hold {equipment} {path} {point} {value} {unit} {limit} {rule}; "" is the usual text."""

    name: Name
    enabled: bool = True
    selection: Selection
    condition: Condition
    priority: Priority = Field("medium", description="Of high and low; high_high and low_low have the next one up.")
    on_delay_s: int = Field(0, ge=0, le=7 * 86400, description="Raised once the condition has held for so long.")
    off_delay_s: int = Field(0, ge=0, le=7 * 86400, description="Back to normal once that has held for so long.")
    latching: bool = Field(False, description="Stays until somebody resets it, even where it was acknowledged before.")
    message_en: Template = ""
    message_zh: Template = ""
    hint_en: Remark = Field("", description="What to do.")
    hint_zh: Remark = ""
    channels: list[UUID] = Field([], max_length=20, description="Who is told when it is raised.")
    tell_return: bool = Field(False, description="They are told, too, when it is back to normal.")
    escalation: list[Step] = Field([], max_length=5)

    @model_validator(mode="after")
    def _fits(self) -> RuleRequest:
        wanted, kind = self.selection, self.condition.kind
        if kind not in ("agent", "reject_rate", "kpi", "energy") and (wanted.series_id is None) == (
            wanted.property is None
        ):
            raise ValueError("a rule on values needs series_id or property, and not both")
        waits = [step.after_minutes for step in self.escalation]
        if waits != sorted(set(waits)):
            raise ValueError("escalation steps must come later and later")
        return self


class Rule(RuleRequest):
    """A rule as it is kept. `sources` is how many series, agents or stations it watches now; `active` how many of them alarm."""

    id: UUID
    origin: str = Field(description='"" or the code of the default rule it was made from.')
    version: int
    changed_by: str
    changed_at: datetime
    active: int


class Alarm(BaseModel):
    """One alarm: a source in a condition, from when it was raised until it is over.

    Attributes:
        level: the limit it is beyond now or was last.
        value, limit: at the moment it was raised.
        raised_at, returned_at: by the source's clock; `noticed_at` by the cloud's.
        raises: how often it came back before anybody had acknowledged it.
        first_out: the alarm of the same equipment that was raised shortly before and has this one for a consequence.
        consequences: how many alarms have this one for their first-out.
        suppressed: not told, because its agent is silent and that is an alarm already.
    """

    id: UUID
    rule_id: UUID
    rule: str
    priority: Priority
    state: State
    level: Level
    series_id: int | None
    equipment_id: UUID | None
    agent_id: UUID | None
    source: str = Field(description="Where it is, in words: path of the equipment and its point.")
    message_en: str
    message_zh: str
    hint_en: str
    hint_zh: str
    value: float | None
    limit: float | None
    unit: str
    raised_at: datetime
    noticed_at: datetime
    returned_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    comment: str
    closed_at: datetime | None
    raises: int
    first_out: UUID | None
    consequences: int
    suppressed: bool
    shelved_until: datetime | None
    shelved_by: str
    shelved_reason: str

    def message(self, language: Language) -> str:
        """Return what is wrong, in `language`."""
        return self.message_zh if language == "zh" else self.message_en

    def hint(self, language: Language) -> str:
        """Return what to do about it."""
        return self.hint_zh if language == "zh" else self.hint_en

    @property
    def active(self) -> bool:
        """Whether the condition holds."""
        return self.state in ("unacknowledged", "acknowledged")


class AlarmEvent(BaseModel):
    """Something that happened to an alarm. `actor` is "" for the system."""

    at: datetime
    change: Change
    level: Level
    value: float | None
    actor: str
    comment: str


class AlarmDetail(Alarm):
    """An alarm with all that happened to it, oldest first."""

    events: list[AlarmEvent]


class AlarmPage(BaseModel):
    """Alarms, newest first. `next` goes into `before`; null on the last page."""

    items: list[Alarm]
    next: str | None


class Counts(BaseModel):
    """Open alarms that are neither shelved nor suppressed: how many nobody has acknowledged, by priority, and all."""

    unacknowledged: int
    open: int
    by_priority: dict[Priority, int]
    shelved: int
    suppressed: int


class AlarmChange(BaseModel):
    """Alarms to which something happened. `position` resumes the stream after this."""

    position: int
    alarms: list[Alarm]


class Comment(_Body):
    """What a person says of an alarm."""

    comment: Remark = ""


class Shelf(_Body):
    """Put an alarm aside for a time: it is not told, and comes back by itself."""

    minutes: int = Field(60, ge=1, le=7 * 24 * 60)
    reason: Annotated[Remark, StringConstraints(min_length=1)]


class BackTest(_Body):
    """A rule to be tried on what is stored of the last days."""

    rule: RuleRequest
    days: int = Field(7, ge=1, le=31)


class Occurrence(BaseModel):
    """One time a tried rule would have been raised; `end` is null where it would still be.

    `series_id` is null for a rule on figures, KPIs or energy, which watches no series.
    """

    series_id: int | None
    source: str
    level: Level
    start: datetime
    end: datetime | None
    value: float | None


class Present(BaseModel):
    """What a figure says now of a place a tried rule watches, and whether that would be beyond its limits.

    `why_en`, `why_zh`: why nothing is said of it; "" where something is.
    """

    source: str
    value: float | None
    unit: str
    completeness: float
    level: Level
    why_en: str
    why_zh: str


class Judged(BaseModel):
    """A figure that a tried rule would have looked at."""

    source: str
    time: datetime
    value: float | None
    unit: str


class BackTestResult(BaseModel):
    """What a tried rule would have done.

    Attributes:
        sources: series, machines or sites it was tried on; `left_out` more than can be tried at once.
        readings: how many were looked at, or how many figures.
        raised: how often it would have been raised; `occurrences` lists the last 500.
        per_day: `raised` by day of the site.
        present: for a rule on energy, what it makes of the present.
        judged: for a rule on figures, those of the first place that would have been raised, or of the first there is.
    """

    start: datetime
    end: datetime
    sources: int
    left_out: int
    readings: int
    raised: int
    active_s: float
    occurrences: list[Occurrence]
    present: list[Present] = []
    judged: list[Judged] = []


class BadActor(BaseModel):
    """A source that is raised more often than others."""

    rule_id: UUID
    rule: str
    source: str
    raised: int
    share: float = Field(description="Of all that were raised, 0 to 1.")


class HourCount(BaseModel):
    """How many alarms were raised in the hour that begins at `hour`."""

    hour: datetime
    raised: int


class Statistics(BaseModel):
    """How the alarm system fares in [start, end), by the figures of IEC 62682 and EEMUA 191.

    Attributes:
        per_hour: raised per hour, on average; EEMUA 191 calls up to 6 an hour (one in ten minutes) acceptable.
        peak_ten_minutes: the most raised in ten minutes; more than 10 is a flood.
        flood_share: share of the ten-minute intervals that were floods, 0 to 1.
        by_priority: raised per priority.
        bad_actors: the ten sources raised most often.
        standing: alarms active for more than 24 hours now.
        chattering: sources raised three times or more within a minute.
        acknowledged_after_s: median time until somebody acknowledged; null where nobody did.
    """

    start: datetime
    end: datetime
    raised: int
    per_hour: float
    peak_ten_minutes: int
    flood_share: float
    by_priority: dict[Priority, int]
    hours: list[HourCount]
    bad_actors: list[BadActor]
    standing: list[Alarm]
    chattering: list[BadActor]
    acknowledged_after_s: float | None


Row = dict[str, Any]
