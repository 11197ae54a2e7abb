"""The kinds of conditions that a rule may have."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cloud.energy.service import Day, WatchedCode
from cloud.production.service import KPIS
from cloud.spc.service import Chart

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Threshold(_Body):
    """A value beyond a limit. The alarm ends when it is back by more than `deadband`."""

    kind: Literal["threshold"] = "threshold"
    high_high: _Finite | None = None
    high: _Finite | None = None
    low: _Finite | None = None
    low_low: _Finite | None = None
    deadband: Annotated[_Finite, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Threshold:
        given = [value for value in (self.low_low, self.low, self.high, self.high_high) if value is not None]
        if not given:
            raise ValueError("give at least one limit")
        if any(before >= after for before, after in pairwise(given)):
            raise ValueError("the limits must be in the order low_low < low < high < high_high")
        return self


class Rate(_Body):
    """A value that changes faster than `per_minute`, over the readings of the last `window_s` seconds."""

    kind: Literal["rate"] = "rate"
    per_minute: _Finite = Field(gt=0)
    direction: Literal["rising", "falling", "either"] = "either"
    window_s: int = Field(60, ge=5, le=3600)


class InState(_Body):
    """A coded value, or a boolean, that is one of `values`; with an on-delay, for longer than that."""

    kind: Literal["state"] = "state"
    values: list[Annotated[int, Field(ge=-(2**31), lt=2**31)]] = Field(min_length=1, max_length=32)


class Stale(_Body):
    """No usable reading newer than `seconds`."""

    kind: Literal["stale"] = "stale"
    seconds: int = Field(300, ge=10, le=30 * 86400)


class BadQuality(_Body):
    """Readings come and their quality is bad."""

    kind: Literal["bad_quality"] = "bad_quality"


class AgentHealth(_Body):
    """An agent that is silent (s), has little left of its buffer (h) or disk (GB), or whose clock is off (s)."""

    kind: Literal["agent"] = "agent"
    measure: Literal["silent_s", "buffer_hours_left", "clock_offset_s", "disk_free_gb"]
    limit: _Finite = Field(gt=0)


class RejectRate(_Body):
    """More than `percent` of the parts an inspection station saw in the last `window_minutes` rejected."""

    kind: Literal["reject_rate"] = "reject_rate"
    percent: _Finite = Field(ge=0, lt=100)
    window_minutes: int = Field(60, ge=5, le=24 * 60)
    least_parts: int = Field(20, ge=1, le=100_000, description="With fewer parts nothing is said.")


def _is_kpi(code: str) -> str:
    if code not in KPIS:
        raise ValueError(f"no such KPI; there are {', '.join(KPIS)}")
    return code


class KpiLimit(_Body):
    """A KPI of a machine's shift (ISO 22400-2) beyond a limit: of the last shift that is over, or of the one that lasts.

    Limits are in percent for ratios, in minutes for times, else per hour. Where too little is known nothing is said.
    """

    kind: Literal["kpi"] = "kpi"
    kpi: Annotated[str, AfterValidator(_is_kpi)] = Field("oee", description="Code of the KPI, as in the KPIs' answer.")
    period: Literal["last_shift", "running_shift"] = "last_shift"
    high: _Finite | None = None
    low: _Finite | None = None
    deadband: Annotated[_Finite, Field(ge=0)] = 0.0
    least_minutes: int = Field(60, ge=1, le=24 * 60, description="With less planned busy time nothing is said.")
    least_completeness: float = Field(
        0.8, ge=0, le=1, description="Nor where the state was known in a smaller share of it."
    )

    @model_validator(mode="after")
    def _limited(self) -> KpiLimit:
        Threshold(high=self.high, low=self.low)
        return self


class EnergyLimit(_Body):
    """An energy figure beyond a limit, in the figure's unit: of machines, or of the sites that the selection reaches into.

    Figures of a day are those of today so far, or of yesterday. Where too little was measured nothing is said.
    """

    kind: Literal["energy"] = "energy"
    figure: WatchedCode = Field(
        "demand_of_contract",
        description="Demands are those of the running quarter of an hour, if the load of the last five minutes lasts.",
    )
    day: Day = "today"
    high: _Finite | None = None
    low: _Finite | None = None
    deadband: Annotated[_Finite, Field(ge=0)] = 0.0
    least_completeness: float = Field(0.8, ge=0, le=1, description="With a smaller share measured nothing is said.")
    least_minutes: int = Field(120, ge=1, le=24 * 60, description="Nor before so much of today is over.")

    @model_validator(mode="after")
    def _limited(self) -> EnergyLimit:
        Threshold(high=self.high, low=self.low)
        return self


class OutOfControl(_Body):
    """A control chart of the point signals, against the limits that its control plan froze; a point without such limits is not watched.

    The alarm ends after `calm_points` points of the chart of which none signals.
    """

    kind: Literal["spc"] = "spc"
    charts: list[Chart] = Field(
        ["western_electric"],
        min_length=1,
        max_length=5,
        description="Which charts count: Western Electric rules, six in a row rising or falling, CUSUM, EWMA, the spread's limits.",
    )
    calm_points: int = Field(8, ge=1, le=1000)


Condition = Annotated[
    Threshold | Rate | InState | Stale | BadQuality | AgentHealth | RejectRate | KpiLimit | EnergyLimit | OutOfControl,
    Field(discriminator="kind"),
]
