"""What a value was in each period so far, kept so that a model that comes later follows what its data could not hold."""

from __future__ import annotations

import math
from array import array
from datetime import datetime, timedelta

import msgspec

from models.series.forecast import Forecaster
from protocols.text import Text

MOST_PAST = 8064
"""Periods that are kept: four weeks of five minutes, twelve of a quarter of an hour; 32 KB."""
_WIDTH = 4
"""Bytes of a value: models compute with no more."""


class PastValues(msgspec.Struct):
    """One value a period without a gap, NaN where it is missing.

    Attributes:
        of: the device, its point and what is taken of it.
        period: seconds. end: of the last period, by people's clock. values: float32, the last period's last.
    """

    of: tuple[str, str, str] = ("", "", "")
    period: int = 0
    end: datetime = datetime.min  # noqa: DTZ901 - a wall clock
    values: bytes = b""

    def add(self, period: int, begin: datetime, value: float) -> None:
        """Take the value of the period of so many seconds that began at `begin`."""
        step = timedelta(seconds=period)
        if period != self.period or begin < self.end:
            self.period, self.values = period, b""
        missed = min((begin - self.end) // step, MOST_PAST) if self.values else 0
        self.values = (self.values + array("f", [math.nan] * missed + [value]).tobytes())[-MOST_PAST * _WIDTH :]
        self.end = begin + step

    def teach(self, forecaster: Forecaster) -> Text | None:
        """Let a model follow what it does not know yet; return how far that takes it, if there is anything to be said."""
        since = forecaster.until
        if since is None or (forecaster.period == self.period and self.end <= since):
            return None
        if forecaster.period != self.period:
            return Text(
                f"starts as it was fitted: its data ended on {since:%Y-%m-%d %H:%M}, and nothing read since is kept here",
                f"从训练结束时的状态开始：其数据截止于 {since:%Y-%m-%d %H:%M}，此后的读数本机未保存",
            )
        read, periods = forecaster.catch_up(array("f", self.values), self.end)
        return Text(
            f"has followed {read:,} of {periods:,} periods since its data ended on {since:%Y-%m-%d %H:%M}",
            f"其数据截止于 {since:%Y-%m-%d %H:%M}，此后 {periods:,} 个周期中已跟进 {read:,} 个",
        )
