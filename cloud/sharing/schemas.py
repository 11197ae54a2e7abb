"""What the sharing domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from cloud.identity.service import verified
from cloud.sharing.terms import Ask, Compare, Granularity, Items, Terms, TraceDepth
from protocols.errors import ConfigError

Side = Literal["leader", "supplier"]
"""Who sees, and whose data it is."""

RecallKind = Literal["alert", "investigation", "block"]
"""Beware of what was made of it; look into what it was made of; stop what was made of it."""

RecallAnswer = Literal["acknowledged", "contained", "not_affected"]

Words = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f]*$")]


def _credit_code(code: str) -> str:
    try:
        return verified(code)
    except ConfigError as error:
        raise ValueError(f"{error.explain('en')} / {error.explain('zh')}") from error


CreditCode = Annotated[str, Field(min_length=18, max_length=18), AfterValidator(_credit_code)]

MOST_ASKED = 50
"""Things of one question."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RequestBody(_Closed):
    """Ask a company for data. Whether it is on this platform is not told; it sees the request when it is.

    Attributes:
        supplier: what you call it.
        purpose: what the data is for; shown to it as it stands.
        grant_id: the grant that this is to replace; None asks for a new one.
    """

    credit_code: CreditCode
    supplier: Annotated[Words, Field(max_length=200)]
    purpose: Words
    terms: Ask
    grant_id: UUID | None = None


class ShareRequest(BaseModel):
    """A request as both sides see it."""

    id: UUID
    leader: str
    credit_code: str
    supplier: str
    purpose: str
    terms: Ask
    grant_id: UUID | None
    asked_by: str
    asked_at: datetime
    answer: Literal["accepted", "declined", "withdrawn"] | None
    answered_by: str | None
    answered_at: datetime | None
    side: Side = Field(description="Which of the two you are.")


class Acceptance(_Closed):
    """Say yes, to all that is asked or to less.

    Attributes:
        items: what of it is granted, at most what is asked; None: all.
        trace: what of events, at most what is asked; "none": nothing; None: as asked.
        maturity: whether the level of maturity is shown, where that is asked; None: as asked.
        compare: how the company is compared, where it is asked to be named; None: as asked.
        machines: at which machines; None: all of the company's, those to come too.
        history_days: how far back; None: as asked.
        days: for how long; None: as asked.
    """

    items: Items | None = None
    trace: TraceDepth | Literal["none"] | None = None
    maturity: bool | None = None
    compare: Compare | Literal["anonymous"] | None = None
    machines: list[UUID] | None = Field(None, min_length=1, max_length=1000)
    history_days: int | None = Field(None, ge=0, le=400)
    days: int | None = Field(None, ge=1, le=1830)


class Narrowing(_Closed):
    """Terms that show less than those in force; the supplier alone may put them into force."""

    terms: Terms


class Ending(_Closed):
    """Why a grant ends, in words for the other side."""

    reason: str = Field("", max_length=500)


class Grant(BaseModel):
    """What one company lets another see.

    Attributes:
        version: counts the changes of its terms.
        live: whether anything can be read now.
        receipts: how many acts and reads have been receipted; `head` is the hash of the last, in hex.
    """

    id: UUID
    leader: str
    supplier: str
    purpose: str
    version: int
    terms: Terms
    made_at: datetime
    ended_at: datetime | None
    ended_by: Side | None
    end_reason: str
    live: bool
    receipts: int
    head: str
    side: Side = Field(description="Which of the two you are.")


class Receipt(BaseModel):
    """One link of a grant's chain: an act or a read, with the SHA-256 of the one before and of its own content.

    `body` of a read says what was read: entry, granularity, machines, span, how many values, and the SHA-256 of them;
    a look at the level of maturity has `maturity` in their place, and the SHA-256 of the level;
    where it has `trace` in their place: which way events were followed, how many things were named, and the SHA-256 of the steps.
    """

    seq: int
    at: datetime
    kind: Literal["granted", "changed", "read", "ended"]
    version: int
    actor: str
    body: dict[str, object]
    hash: str


class ReceiptPage(BaseModel):
    """Receipts, newest first. `next` goes into `before`; null on the last page."""

    items: list[Receipt]
    next: int | None


class SharedMachine(BaseModel):
    """A machine of the grant. `by_hand`: no gateway reads it, people enter its values."""

    equipment_id: UUID
    name: str
    equipment_class: str = ""
    by_hand: bool = False
    entries: list[str] = Field(description="Entries of the grant that it has.")


class SharedValue(BaseModel):
    """One value. `value` is null where there was none, or where too few readings stand behind it (`few`)."""

    time: datetime
    value: float | str | bool | dict[str, float] | None
    completeness: float | None = None
    few: bool = False


class SharedSeries(BaseModel):
    """The values of one point of a machine, oldest first; of a KPI, which has no point, of the machine.

    `by_hand`: people entered them.
    """

    equipment_id: UUID
    name: str
    by_hand: bool = False
    point: str
    values: list[SharedValue]


class ReadProof(BaseModel):
    """The receipt of this very read: its place in the chain and its hash."""

    seq: int
    hash: str


class SharedRead(BaseModel):
    """What was read over a grant.

    Attributes:
        start, end: what of the asked span the grant shows.
        digest: SHA-256 over `series` as canonical JSON, as the receipt has it.
        unit: symbol of the entry's unit.
    """

    grant_id: UUID
    version: int
    entry: str
    granularity: Granularity
    unit: str
    start: datetime
    end: datetime
    series: list[SharedSeries]
    digest: str
    receipt: ReadProof


class SharedLevel(BaseModel):
    """A company's level of maturity as its last assessment found it, 0 to 4; null where it has made none."""

    grant_id: UUID
    version: int
    level: int | None
    digest: str
    receipt: ReadProof


class ChainStep(BaseModel):
    """One thing came of another, as the events of a company say: `made` of `used`, or holds it.

    Attributes:
        depth: how many steps it is from the nearest of the things that were asked for.
        company: whose events say so.
        grant_id: the grant that shows it; None for one's own events.
        kind, biz_step, read_point, biz_location, disposition: of the event; null where the grant shows `products` only.
    """

    used: str
    made: str
    depth: int
    company: str
    grant_id: UUID | None
    event_time: datetime
    kind: str | None = None
    biz_step: str | None = None
    read_point: str | None = None
    biz_location: str | None = None
    disposition: str | None = None


class ChainThing(BaseModel):
    """A thing that was met, and in whose events, as far as they are shown."""

    thing: str
    depth: int
    companies: list[str]


class ChainSource(BaseModel):
    """A company with a live grant towards you, and what of its events the grant shows; the same whatever was asked.

    Attributes:
        trace: None where the grant shows values only; its events are not disclosed.
        receipt: of this very read; None where nothing of its events was told. Its digest is the SHA-256 of the grant's steps
            without `depth`, in the order of `used` and `made`, as canonical JSON.
    """

    grant_id: UUID
    company: str
    trace: TraceDepth | None
    since: datetime
    until: datetime
    receipt: ReadProof | None = None


class ChainTrace(BaseModel):
    """What things were made of, or what was made of them, through all companies that show it.

    Attributes:
        asked: the things it starts from.
        things: all others that were met, nearest first.
        ends: those of them that lead nowhere further as far as is shown: what it began with, or the finished goods.
        complete: False where there is more than is told.
    """

    asked: list[str]
    direction: Literal["up", "down"]
    things: list[ChainThing]
    ends: list[str]
    steps: list[ChainStep]
    sources: list[ChainSource]
    complete: bool


class RecallBody(_Closed):
    """Recall things, and tell the companies that have what is affected.

    Attributes:
        things: what is or may be bad.
        kind: `alert` and `block` reach what was made of them, `investigation` what they were made of.
        reason: for the other companies.
    """

    things: list[Annotated[str, StringConstraints(max_length=300)]] = Field(min_length=1, max_length=MOST_ASKED)
    kind: RecallKind
    reason: Words


class RecallReply(_Closed):
    """What a company that was told says: it knows, it has stopped what is affected, or it has none of it."""

    answer: RecallAnswer
    text: str = Field("", max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f]*$")


class RecallTold(BaseModel):
    """A company that was told of a recall, and what it answered last.

    Attributes:
        shown: how many of its things the issuer sees; null where no grant of its shows any.
    """

    company: str
    shown: int | None
    answer: RecallAnswer | None
    text: str
    answered_by: str | None
    answered_at: datetime | None


class Recall(BaseModel):
    """A recall as you see it.

    Attributes:
        issuer: the company that recalls.
        complete: False where there is more than was found.
        side: whether it is yours or you were told.
        things: what is affected, nearest first: of a recall of yours all that you may see, else what of it is yours; in a
            list the first 20.
        affected: how many there are.
        companies: who was told; of another's recall you alone.
    """

    id: UUID
    issuer: str
    kind: RecallKind
    reason: str
    complete: bool
    issued_by: str
    issued_at: datetime
    side: Literal["issuer", "told"]
    things: list[str]
    affected: int
    companies: list[RecallTold]
