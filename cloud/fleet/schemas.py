"""What the fleet domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.text import Language

State = Literal["up", "down", "waiting", "silent", "removed", "by_hand"]
"""Of equipment: answering, not answering, not tried yet; unknown, because its agent has not been heard of; no longer in its
agent's configuration; or not connected at all: its values are entered by people."""


class CodeRequest(BaseModel):
    """A new one-time enrolment code."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    minutes: int = Field(60, ge=1, le=7 * 24 * 60, description="Minutes until it expires.")


class Code(BaseModel):
    """An enrolment code as listed; the code itself is shown only once, when it is made."""

    id: UUID
    site_id: UUID
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class NewCode(BaseModel):
    """An enrolment code just made, e.g. K7QF-3XWD-9MPA. It is never shown again."""

    id: UUID
    code: str
    expires_at: datetime


class Agent(BaseModel):
    """An edge agent.

    `health` is its latest report (`protocols.uplink.messages.Health` without the devices), `copied_at` when it was last
    noticed that two boxes report by its key.
    """

    id: UUID
    site_id: UUID
    name: str
    agent_version: str
    enrolled_at: datetime
    revoked_at: datetime | None
    last_seen: datetime | None
    health: dict[str, Any] | None
    copied_at: datetime | None = None


Outcome = Literal["", "probation", "applied", "failed", "rolled_back"]
"""What became of a version from the cloud; "" until the agent has said."""


class ConfigurationVersion(BaseModel):
    """One immutable version of an agent's configuration.

    Attributes:
        version: counted per agent; 0 is what it had when it was first heard.
        origin: "cloud" if somebody wanted it here, "box" if it was found at the agent.
        author: who wrote it, "agent:" and a name for the box.
        base: the version it was made from.
        hash: names its content.
        reason_en, reason_zh: why it failed or was rolled back.
    """

    version: int
    origin: Literal["box", "cloud"]
    author: str
    note: str
    base: int | None
    hash: str
    created_at: datetime
    outcome: Outcome
    reason_en: str
    reason_zh: str
    settled_at: datetime | None

    def reason(self, language: Language) -> str:
        """Return why it failed or was rolled back, in `language`."""
        return self.reason_zh if language == "zh" else self.reason_en


class ConfigurationText(ConfigurationVersion):
    """A version with its content: TOML without [agent] and [cloud], `<kept on the box>` in place of secrets."""

    text: str


class Configuration(BaseModel):
    """Where an agent's configuration stands: what is in force there, and the last version wanted from here, if any."""

    in_force: ConfigurationVersion | None
    wanted: ConfigurationVersion | None

    @property
    def etag(self) -> str:
        """Names this state for `If-Match`; another version in force or wanted is another state."""
        parts = (self.in_force.version if self.in_force else "-", self.wanted.version if self.wanted else "-")
        return '"{}.{}"'.format(*parts)


class ConfigurationRequest(BaseModel):
    """A configuration wanted at an agent."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="TOML, without [agent] and [cloud]; `<kept on the box>` stands for a password there.")
    note: str = Field("", max_length=500, description="Why; shown with the version.")


class ConfigurationDifference(BaseModel):
    """What one version has other than another, as a unified diff; empty where they are the same."""

    before: int
    after: int
    difference: str


class Where(NamedTuple):
    """Part of a plant: a site, a line, or with `no_line` what stands in no line; all of it where nothing is told."""

    site: UUID | None = None
    line: UUID | None = None
    no_line: bool = False


ANYWHERE = Where()


class Place(BaseModel):
    """Where equipment stands: a line, or with `line_id` None a site itself.

    Attributes:
        machines: how many pieces of equipment stand there.
        classes: their classes; "" for one whose class is not known.
    """

    site_id: UUID
    site: str
    line_id: UUID | None
    line: str | None
    machines: int
    classes: list[str]


class Equipment(BaseModel):
    """One device of one agent.

    Attributes:
        name: as in the agent's configuration.
        label: what people call it: `display_name`, or `name` where they have not said.
        path: where it stands, e.g. "Suzhou / Line 1 / Press 3".
        line_id, line: the line it stands in, if any.
        equipment_class: of the dictionary; "" until the agent has reported it. `class_override`, where set, is it.
        purchase_price: in the company's own currency.
        state_since: when it came into `state`.
        reason_en, reason_zh: why it is down.
        points, unmapped: how many points it has, and how many of them have no dictionary entry.
    """

    id: UUID
    agent_id: UUID
    agent: str
    site_id: UUID
    site: str
    time_zone: str
    name: str
    display_name: str
    label: str
    path: str
    line_id: UUID | None
    line: str | None
    equipment_class: str
    class_override: str
    asset_number: str
    made_on: date | None
    installed_on: date | None
    rated_power_kw: float | None
    purchase_price: Decimal | None
    protocol: str
    template: str
    state: State
    state_since: datetime | None
    reason_en: str
    reason_zh: str
    points: int
    unmapped: int
    created_at: datetime
    last_seen: datetime | None

    def reason(self, language: Language) -> str:
        """Return why it is down, in `language`."""
        return self.reason_zh if language == "zh" else self.reason_en


_Line = Field(max_length=120, pattern=r"^[^\x00-\x1f]*$")
_Day = Field(ge=date(1900, 1, 1), lt=date(2200, 1, 1))


class MachineRequest(BaseModel):
    """A machine that no gateway reads: people enter its values."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    name: Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$")]
    equipment_class: str = Field(max_length=64, description="Equipment class of the dictionary.")


class EquipmentChange(BaseModel):
    """What people say of a piece of equipment: what is left out stays, null takes it away."""

    model_config = ConfigDict(extra="forbid")

    line_id: UUID | None = Field(None, description="A line of the equipment's site; null: it stands in none.")
    display_name: Annotated[str, _Line] = ""
    class_override: str = Field("", description="Equipment class of the dictionary, where the reported one is wrong.")
    asset_number: Annotated[str, _Line] = ""
    made_on: Annotated[date, _Day] | None = None
    installed_on: Annotated[date, _Day] | None = None
    rated_power_kw: float | None = Field(None, gt=0, lt=1e9, description="kW.")
    purchase_price: Decimal | None = Field(
        None, ge=0, max_digits=14, decimal_places=2, description="In the company's own currency."
    )


class Event(BaseModel):
    """Something that happened at the edge. `device` is "" for the agent itself."""

    id: UUID
    agent_id: UUID
    device: str
    time: datetime
    kind: str
    text_en: str
    text_zh: str


class EventPage(BaseModel):
    """Events, newest first. `next_time` and `next_id` go into `before_time` and `before_id`; null on the last page."""

    items: list[Event]
    next_time: datetime | None
    next_id: UUID | None


DiagnosticKind = Literal["read", "test", "check", "report"]
"""Read points; test one point, with what went over the wire; check one device; the check report of the whole box."""

DiagnosticState = Literal["waiting", "taken", "expired", "answered", "failed", "refused", "unsupported"]
"""Not fetched by the gateway yet; fetched; its time is over; or what the gateway answered: it found something, the device
or the configuration failed, the box does not let itself be asked, its software does not know the question."""


class DiagnosticRequest(BaseModel):
    """Something to look at. Nothing that writes can be asked for."""

    model_config = ConfigDict(extra="forbid")

    kind: DiagnosticKind
    device: str = Field("", max_length=120, description="As in the gateway's configuration; empty for a report.")
    points: list[Annotated[str, Field(max_length=120)]] = Field(
        [], max_length=500, description="Names; none for all of the device. A test takes exactly one."
    )
    expires_s: float = Field(60.0, ge=5, le=3600, description="Seconds after which nobody wants the answer any more.")


class Sentence(BaseModel):
    """One sentence in both languages."""

    en: str
    zh: str

    @model_validator(mode="before")
    @classmethod
    def _of_a_pair(cls, given: Any) -> Any:
        return dict(zip(("en", "zh"), given, strict=True)) if isinstance(given, (list, tuple)) else given

    def to(self, language: Language) -> str:
        """Return it in `language`."""
        return self.zh if language == "zh" else self.en


Answered = float | bool | str | None


class DiagnosticValue(BaseModel):
    """A point as the gateway read it. `quality` is the name of an OPC UA status, `unit` a UN/ECE Rec 20 code."""

    name: str
    property: str
    unit: str
    value: Answered
    quality: str


class DiagnosticExchange(BaseModel):
    """What went over the wire; `hex` is empty where the protocol is encrypted or too long to show."""

    sent: bool
    hex: str
    words: Sentence


class DiagnosticAlternative(BaseModel):
    """Another way of reading the registers: `fields` of the point's configuration, and why it is plausible or not."""

    fields: dict[str, Answered]
    value: Answered
    plausible: bool
    why: Sentence


class DiagnosticFinding(BaseModel):
    """One thing a check looked at, and the next step."""

    title: Sentence
    severity: Literal["ok", "look", "wrong"]
    found: Sentence
    mend: Sentence
    details: list[Sentence]


class DiagnosticAnswer(BaseModel):
    """What a gateway found.

    Attributes:
        took_ms: how long looking took at the gateway.
        round_trip_ms: from request to answer of the device; null where it gave none.
        registers: raw, 16 bits each, as the point's own addresses hold them.
    """

    found: Sentence
    took_ms: float
    round_trip_ms: float | None
    values: list[DiagnosticValue]
    registers: list[Annotated[int, Field(ge=0, le=0xFFFF)]]
    exchanges: list[DiagnosticExchange]
    alternatives: list[DiagnosticAlternative]
    findings: list[DiagnosticFinding]


class Diagnostic(BaseModel):
    """Something a gateway was asked to look at, and its answer where there is one."""

    id: UUID
    agent_id: UUID
    kind: DiagnosticKind
    device: str
    points: list[str]
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    taken_at: datetime | None
    answered_at: datetime | None
    state: DiagnosticState
    answer: DiagnosticAnswer | None


class DiagnosticPage(BaseModel):
    """Questions to a gateway, newest first. `next` goes into `before_id`; null on the last page."""

    items: list[Diagnostic]
    next: UUID | None
