"""What the energy domain takes and gives. Times are UTC, days the site's, money in the tariff's currency."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.core.since import Version
from cloud.energy.tariff_terms import Band, TariffTerms

CarrierCode = Literal["electricity", "reactive", "natural_gas", "water", "compressed_air", "steam", "heat"]
Name = Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]+$")
Basis = Literal["counter", "power", "virtual"]
"""A counter's growth; a power integrated over time; computed from other meters."""
FactorKind = Literal["co2", "coal"]
Granularity = Literal["hour", "shift", "day", "month"]


class Window(NamedTuple):
    """A span of time [start, end), UTC."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()


class Figure(BaseModel):
    """One figure with what it is made of.

    Attributes:
        value: None where there is none; `why_en` and `why_zh` then say why.
        completeness: share of the time it is about that was measured, 0 to 1.
        inputs: meters, dictionary entries and factors it is computed from.
    """

    model_config = ConfigDict(frozen=True)

    value: float | None
    unit: str
    completeness: float
    inputs: list[str]
    formula: str
    why_en: str = ""
    why_zh: str = ""


class MeterPart(BaseModel):
    """A meter that a virtual one is computed from, added (1) or taken away (-1)."""

    model_config = ConfigDict(extra="forbid")

    meter_id: UUID
    factor: Literal[-1, 1]


class Meter(BaseModel):
    """A place where a carrier is measured, or computed from other meters.

    Attributes:
        parent_id: the meter it is measured behind; its energy is part of that one's.
        equipment_id, line_id: what it measures; with neither, the site.
        point: the measured point's name, with `source_equipment_id`, the device that has it.
        confirmed: False while its place is what the cloud assumes; a person's word confirms it.
        ignored: counted nowhere, by a person's word.
    """

    id: UUID
    site_id: UUID
    site: str
    name: str
    carrier: CarrierCode
    unit: str
    basis: Basis
    series_id: int | None
    point: str | None
    property: str | None
    source_equipment_id: UUID | None
    equipment_id: UUID | None
    line_id: UUID | None
    parent_id: UUID | None
    rollover: float | None
    parts: list[MeterPart]
    confirmed: bool
    ignored: bool


class PlaceVersion(Version):
    """What a meter measures, and from when on; with neither machine nor line, the site. `parent_id`: the meter it stands behind."""

    equipment_id: UUID | None
    line_id: UUID | None
    parent_id: UUID | None


class MeterChange(BaseModel):
    """What a person says of a meter. `parts` are of virtual meters only."""

    model_config = ConfigDict(extra="forbid")

    name: str = Name
    carrier: CarrierCode
    equipment_id: UUID | None = None
    line_id: UUID | None = Field(None, description="Instead of equipment: the line it measures.")
    parent_id: UUID | None = Field(None, description="The meter it is measured behind.")
    rollover: float | None = Field(None, gt=0, le=1e12, description="Where the counter begins again at 0.")
    ignored: bool = False
    parts: list[MeterPart] = Field([], max_length=200)


class MeterRequest(MeterChange):
    """A new meter: of a series, or virtual where there is none. A series in a unit of power is integrated over time."""

    site_id: UUID
    series_id: int | None = None


class TariffRequest(BaseModel):
    """A new version of a site's tariff for a carrier, valid from the begin of a day until the next version."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    carrier: CarrierCode = "electricity"
    name: str = Name
    valid_from: date = Field(ge=date(2000, 1, 1), lt=date(2100, 1, 1))
    terms: TariffTerms


class Tariff(TariffRequest):
    """A version of a tariff."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    created_by: str
    created_at: datetime


class FactorRequest(BaseModel):
    """A factor of a site: kg of CO2, or of standard coal, per unit of a carrier."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    carrier: CarrierCode
    kind: FactorKind = "co2"
    valid_from: date = Field(ge=date(2000, 1, 1), lt=date(2100, 1, 1))
    value: float = Field(ge=0, le=1e6)
    source: str = Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f]+$")


class Factor(BaseModel):
    """A factor in use. `id` is None for those that come with the product, which the site's own go before."""

    id: UUID | None
    site_id: UUID | None
    carrier: CarrierCode
    kind: FactorKind
    valid_from: date
    value: float
    unit: str
    source: str
    source_en: str = Field("", description="The source in English, where it is known; `source` is as it was entered.")


class UsageRow(BaseModel):
    """What a node used in [start, end). `good` counts good parts; None where none are counted."""

    start: datetime
    end: datetime
    name_en: str = ""
    name_zh: str = ""
    energy: Figure
    cost: Figure
    co2: Figure
    specific: Figure
    good: float | None


class Usage(BaseModel):
    """What a node used, window by window and in total."""

    carrier: CarrierCode
    granularity: Granularity
    time_zone: str
    rows: list[UsageRow]
    total: UsageRow


class TreeNode(BaseModel):
    """A meter, or what it has measured beyond the meters behind it, in the tree from the grid to the machines.

    `share` is of the root's energy. A rest below 0 says that the meters behind one measure more than it does.
    """

    kind: Literal["meter", "equipment", "line", "rest"]
    id: UUID | None
    name: str
    basis: Basis | None = None
    confirmed: bool = True
    energy: Figure
    share: float | None
    children: list[TreeNode]


class BandUse(BaseModel):
    """Energy of one band of the tariff and its cost without surcharges."""

    band: Band
    energy: float
    cost: float


class Contribution(BaseModel):
    """A machine's mean load during a demand period."""

    equipment_id: UUID
    name: str
    load: float


class DemandPeak(BaseModel):
    """The maximum demand: when it was, and each machine's load at that time, the largest first."""

    load: float
    start: datetime
    end: datetime
    contract: float | None
    contributors: list[Contribution]


class MachineUse(BaseModel):
    """One machine's part, with what it drew while it made nothing."""

    equipment_id: UUID
    name: str
    line: str | None
    energy: Figure
    cost: Figure
    idle: Figure
    idle_share: Figure
    idle_cost: Figure
    standby: Figure
    specific: Figure
    good: float | None


class Summary(BaseModel):
    """What a site used of a carrier in [start, end), and how."""

    site_id: UUID
    carrier: CarrierCode
    unit: str
    rate: str
    currency: str
    time_zone: str
    start: datetime
    end: datetime
    energy: Figure
    cost: Figure
    co2: Figure
    coal: Figure
    co2_factor: Factor | None
    coal_factor: Factor | None
    bands: list[BandUse]
    valley_saving: Figure
    peak: DemandPeak | None
    maximum_demand: Figure
    mean_load: Figure
    base_load: Figure
    load_factor: Figure
    night: Figure
    weekend: Figure
    idle: Figure
    idle_cost: Figure
    course: list[float | None] = Field(description="Mean load of each quarter of an hour of the day, site's clock.")
    tree: list[TreeNode]
    machines: list[MachineUse]
    unconfirmed: int = Field(description="Meters whose place in the tree is assumed.")


class LoadPoint(BaseModel):
    """Mean load of the quarter of an hour, hour or day that begins at `start`; None where it was not measured."""

    start: datetime
    load: float | None
    band: Band | None


class LoadCurve(BaseModel):
    """The course of a node's load."""

    carrier: CarrierCode
    rate: str
    time_zone: str
    step_s: int
    points: list[LoadPoint]


class BillLine(BaseModel):
    """A line of a bill: quantity x price = amount, or why there is no amount."""

    name_en: str
    name_zh: str
    quantity: float | None
    unit: str
    price: float | None
    amount: float | None
    note_en: str = ""
    note_zh: str = ""


class Bill(BaseModel):
    """What a month of electricity costs by the tariff of its first day, so far if it is not over."""

    site_id: UUID
    start: datetime
    end: datetime
    currency: str
    tariff: str | None
    completeness: float
    lines: list[BillLine]
    total: float | None


class Assumptions(BaseModel):
    """What people expect of a machine that replaces another; None is not known. Money in the tariff's currency."""

    model_config = ConfigDict(extra="forbid")

    price: float | None = Field(None, gt=0, le=1e10, description="Of the new machine, installed.")
    resale: float | None = Field(None, ge=0, le=1e10, description="What the old one still brings.")
    saving_percent: float | None = Field(None, ge=0, le=100, description="Less energy for the same work, %.")
    maintenance_now: float | None = Field(None, ge=0, le=1e10, description="Of a year.")
    maintenance_then: float | None = Field(None, ge=0, le=1e10, description="Of a year.")
    discount_percent: float | None = Field(None, ge=0, le=100)
    life_years: int | None = Field(None, ge=1, le=50)


class AdviceLine(BaseModel):
    """One line of the arithmetic, and how it comes about."""

    name_en: str
    name_zh: str
    value: float
    unit_en: str
    unit_zh: str
    how_en: str
    how_zh: str


class Advice(BaseModel):
    """What is known for and against renewing a machine, and what is missing to say more."""

    equipment_id: UUID
    name: str
    path: str
    currency: str
    year_cost: float | None
    saving: float | None
    payback_years: float | None
    net_present_value: float | None
    lines: list[AdviceLine]
    missing_en: list[str]
    missing_zh: list[str]
    assumptions: Assumptions
