"""What the suppliers domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cloud.sharing.schemas import Acceptance, Words
from cloud.sharing.service import Ask
from protocols.text import Language, Text

Stage = Literal["invited", "opened", "registered", "agreed", "device", "conformant", "live", "declined", "ended"]
"""How far a supplier has come; the last two are ways out.

- agreed: a grant is in force
- device: a machine of the grant is there
- conformant: everything that is asked for is granted, there at one machine at least, and within the dictionary's ranges
- live: besides, it is as complete and as fresh as the programme demands
"""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _of_values(terms: Ask) -> Ask:
    if not terms.items:
        raise ValueError("a programme asks for at least one entry / 项目至少需要一个数据项")
    return terms


Cadence = Literal["continuous", "hour", "day", "week", "month"]
"""How often new values are to come: by themselves as they arise, or at least once in each."""


class ProgrammeRequest(_Closed):
    """What every supplier of a programme is asked for, and how good it has to be.

    Attributes:
        terms: the entries, how finely, and for how long.
        completeness: least share of good readings, of the last day or the last three shifts, or of two cadences.
        cadence: how often new values are to come.
        age_minutes: oldest that the newest value may be, beside the cadence and the width of its bucket.
    """

    name: Annotated[str, Field(min_length=1, max_length=120)]
    purpose: Words
    terms: Annotated[Ask, AfterValidator(_of_values)]
    completeness: float = Field(0.9, ge=0, le=1)
    cadence: Cadence = "continuous"
    age_minutes: int = Field(60, ge=1, le=100_000)
    deadline: date


class Programme(ProgrammeRequest):
    """A stored programme."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    created_by: str
    created_at: datetime


class RowFault(BaseModel):
    """What is wrong with a line of an imported file; `row` is its number in the file, `column` as it is headed there."""

    row: int
    column: str
    message_en: str
    message_zh: str

    @property
    def message(self) -> Text:
        """What is wrong, and how to mend it."""
        return Text(self.message_en, self.message_zh)


class NewInvitation(BaseModel):
    """The two halves of a supplier's invitation, shown this once: send the link one way, tell the code another."""

    supplier_id: UUID
    name: str
    credit_code: str
    contact: str
    token: str
    code: str


class ImportReport(BaseModel):
    """What became of a file: all its suppliers are invited, or - where anything is wrong - none."""

    rows: int
    faults: list[RowFault]
    invited: list[NewInvitation]


class ItemConformance(BaseModel):
    """One required entry at one supplier: of the machines of its classes, where the programme names any.

    Attributes:
        granted: whether it is shown as finely as is asked.
        applies: False where it is asked of classes of equipment and the supplier has no machine of them.
        machines: how many machines show it, `by_hand` of them with values that people enter; `missing` are the names of those
            that do not.
        few: figures left out because too few readings stand behind them.
        completeness: share of good readings behind the values; where classes are named, at the machine that has the least.
        newest: time of the newest value; where classes are named, at the machine whose newest is the oldest.
        outside: values beyond what the dictionary takes for plausible.
        mean: of its numbers; of what passes or not, the share that does.
        totals: sum of its numbers by machine.
    """

    entry: str
    granted: bool
    machines: int
    missing: list[str]
    values: int
    completeness: float | None
    newest: datetime | None
    outside: int
    mean: float | None = None
    applies: bool = True
    by_hand: int = 0
    few: int = 0
    totals: dict[UUID, float] = {}


class Supplier(BaseModel):
    """A supplier in a programme, and how far it has come."""

    id: UUID
    credit_code: str
    name: str
    contact: str
    stage: Stage
    since: datetime
    reminded_at: datetime | None
    checked_at: datetime | None
    grant_id: UUID | None
    items: list[ItemConformance]


Place = Literal["highest", "middle", "lowest"]
"""In which quarter of all companies that show an entry a value lies: the highest, the lowest, or between."""


class Score(BaseModel):
    """What one entry came to at a supplier.

    Attributes:
        mean: of the last check's day.
        week: mean of the seven days before it, where there are any.
        drifting: that day is beyond three standard deviations of the days before.
        place: in the last whole week, among all of the company's suppliers that show it and are not compared by name; null
            where those are fewer than five.
        rank, of: in the same week, among those that have agreed to be compared by name, the highest first; null for others.
        days: the mean by day, oldest first, at most 30.
    """

    entry: str
    mean: float
    week: float | None
    drifting: bool
    place: Place | None
    rank: int | None = None
    of: int | None = None
    days: list[tuple[date, float]]


class Scorecard(BaseModel):
    """A supplier that shows something, with what its values come to."""

    supplier_id: UUID
    name: str
    stage: Stage
    grant_id: UUID
    scores: list[Score]


class Cell(BaseModel):
    """One figure of the wall, or why there is none: not asked for, not granted, nothing there yet, or readings only.

    Attributes:
        entry: what it is a figure of.
        value: in the entry's unit; a level of maturity from 0 to 4.
    """

    state: Literal["shown", "not_asked", "not_granted", "nothing_yet", "readings"]
    entry: str | None = None
    value: float | None = None


class RiskSign(BaseModel):
    """One sign of a risk, 0 to 1, and what it weighs; null where the grant shows nothing that it could be read from."""

    sign: Literal["availability", "quality", "silence"]
    value: float | None
    weight: float


class Risk(BaseModel):
    """The weighted mean of the signs that are known; null where too few are."""

    value: float | None
    level: Literal["low", "medium", "high"] | None
    signs: list[RiskSign]


class WallRow(BaseModel):
    """A supplier on the wall.

    Attributes:
        conforming: how many of the `asked` entries are granted, there and plausible.
        energy: kWh per part or, where no parts are shown, kWh a day.
    """

    supplier_id: UUID
    name: str
    stage: Stage
    grant_id: UUID | None
    conforming: int
    asked: int
    oee: Cell
    quality: Cell
    energy: Cell
    maturity: Cell
    risk: Risk


class InvitationKey(_Closed):
    """Both halves of an invitation."""

    token: str = Field(max_length=200)
    code: str = Field(max_length=64)


class Invited(BaseModel):
    """What a supplier sees when it opens its invitation: exactly what is asked of it.

    Attributes:
        here: this company is on the platform already; then its request waits there, under data sharing.
    """

    leader: str
    name: str
    credit_code: str
    programme: str
    purpose: str
    terms: Ask
    deadline: date
    here: bool


class Registration(InvitationKey):
    """A company that is founded by its invitation, with its first site and its owner, and what it says to the request.

    Attributes:
        acceptance: what it grants; None leaves the answer for later.
    """

    company: Annotated[str, Field(min_length=1, max_length=200)]
    site: Annotated[str, Field(min_length=1, max_length=80)]
    time_zone: str = Field("Asia/Shanghai", max_length=64)
    email: str = Field(max_length=254)
    password: str = Field(min_length=10, max_length=128)
    language: Language | None = None
    acceptance: Acceptance | None = None


class Registered(BaseModel):
    """The company has been founded; its owner logs in with the e-mail and password they chose."""

    email: str
    grant_id: UUID | None
