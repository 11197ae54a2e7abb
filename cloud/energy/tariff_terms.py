"""The terms of a tariff: prices by band, when each band holds, and the charges of a month."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Band = Literal["sharp", "peak", "flat", "valley", "deep_valley"]
"""尖峰, 高峰, 平段, 低谷, 深谷."""
BANDS: tuple[Band, ...] = ("sharp", "peak", "flat", "valley", "deep_valley")
DayKind = Literal["workdays", "restdays", "holidays"]


class BandStart(BaseModel):
    """From `minute` of the day on, `band` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minute: int = Field(ge=0, lt=1440, multiple_of=15, description="Minutes since midnight on the site's clock.")
    band: Band


class DaySchedule(BaseModel):
    """The bands of a day: in these months, on this kind of day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    months: list[int] = Field(min_length=1, max_length=12)
    days: Literal["all", "workdays", "restdays", "holidays"] = "all"
    bands: list[BandStart] = Field(min_length=1, max_length=96)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not set(self.months) <= set(range(1, 13)):
            raise _wrong("months are numbers from 1 to 12", "月份应为 1 至 12")
        minutes = [begin.minute for begin in self.bands]
        if minutes[0] != 0 or any(later <= earlier for earlier, later in pairwise(minutes)):
            raise _wrong(
                "the bands of a day begin at minute 0 and follow each other", "一天的时段须从 0 分开始并依次递增"
            )
        return self


class DemandCharge(BaseModel):
    """The charge of a month: by maximum demand (需量电费) or by transformer capacity (容量电费).

    By demand: what was contracted is paid at least; what lies above `tolerance` times the contract is charged
    `excess_factor` times (发改办价格〔2016〕1583号). Without a contract, what was drawn is paid.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["maximum_demand", "capacity"]
    price: float = Field(ge=0, le=1e6, description="Per kW, or per kVA, and month.")
    contract: float | None = Field(None, gt=0, le=1e7, description="kW of demand, or kVA of transformers.")
    tolerance: float = Field(1.05, ge=1, le=2)
    excess_factor: float = Field(2.0, ge=1, le=10)

    @model_validator(mode="after")
    def _capacity_is_known(self) -> Self:
        if self.kind == "capacity" and self.contract is None:
            raise _wrong("a charge by capacity needs the kVA", "容量电费须填写变压器容量 (kVA)")
        return self


class TariffTerms(BaseModel):
    """What a carrier costs. Prices are with tax, per unit of energy, without `surcharge`, which comes on top of each.

    The first schedule that fits a day counts; between them they fit every day of the year.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field("CNY", pattern=r"^[A-Z]{3}$")
    prices: dict[Band, float] = Field(min_length=1)
    surcharge: float = Field(0.0, ge=0, le=1000, description="Funds and surcharges, not subject to the adjustment.")
    schedules: list[DaySchedule] = Field(min_length=1, max_length=48)
    holidays: list[date] = Field([], max_length=400)
    working_days: list[date] = Field([], max_length=400, description="Saturdays and Sundays that are worked.")
    demand: DemandCharge | None = None
    power_factor: Literal["0.90", "0.85", "0.80"] | None = Field(None, description="Standard of the adjustment.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if any(not 0 <= price <= 1000 for price in self.prices.values()):
            raise _wrong("prices lie between 0 and 1000", "电价应在 0 至 1000 之间")
        missing = {begin.band for day in self.schedules for begin in day.bands} - set(self.prices)
        if missing:
            raise _wrong(
                f"no price for: {', '.join(sorted(missing))}", f"以下时段没有价格：{', '.join(sorted(missing))}"
            )
        for month in range(1, 13):
            for kind in ("workdays", "restdays", "holidays"):
                if not any(month in day.months and day.days in ("all", kind) for day in self.schedules):
                    raise _wrong(f"no schedule for month {month}, {kind}", f"{month} 月的 {kind} 没有时段安排")
        return self


def _wrong(en: str, zh: str) -> PydanticCustomError:
    return PydanticCustomError("energy", "{en} / {zh}", {"en": en, "zh": zh})
