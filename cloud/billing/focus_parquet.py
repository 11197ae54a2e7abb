"""The same table of FOCUS 1.2 as Parquet: amounts and quantities as decimals, times in UTC, all else as text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import pyarrow
import pyarrow.parquet

from cloud.billing.focus import COLUMNS, Line

_DECIMAL = pyarrow.decimal128(38, 12)
_NUMBERS = frozenset(
    {
        *("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity", "ConsumedQuantity"),
        *("ContractedUnitPrice", "ListUnitPrice", "x_EnergyKwh", "x_PUE", "x_CarbonLocationG", "x_CarbonMarketG"),
        *("x_GreenShare", "x_LostSeconds", "x_QueueSeconds"),
    }
)
_TIMES = frozenset({"BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"})
_TIME = pyarrow.timestamp("us", tz="UTC")


def parquet(lines: Sequence[Line]) -> bytes:
    """Return the lines of a table as a Parquet file; what is empty is null."""
    columns = {name: [_value(name, line.get(name, "")) for line in lines] for name in COLUMNS}
    kinds = {name: _DECIMAL if name in _NUMBERS else _TIME if name in _TIMES else pyarrow.string() for name in COLUMNS}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=pyarrow.schema(list(kinds.items()))), file)
    return file.getvalue()


def _value(name: str, value: str | int | float) -> Decimal | datetime | str | None:
    if value == "":
        return None
    if name in _NUMBERS:
        return Decimal(str(value)).quantize(Decimal("0.000000000001"))
    if name in _TIMES:
        return datetime.fromisoformat(str(value))
    return str(value)
