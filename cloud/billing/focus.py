"""A bill as a table of FOCUS 1.2 (FinOps Open Cost and Usage Specification): its 21 mandatory columns, those of use, and ours.

Ours begin with x_: FOCUS has no energy and no carbon. ContractedCost is PricingQuantity x ContractedUnitPrice rounded to
micro-yuan, as every amount here; quantities are hours with twelve decimals. BilledCost of an invoice adds up to it exactly.
Prepaid hours are a commitment discount: their purchase is billed and has no effective cost, what they pay later the other way round.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from cloud.billing.money import YUAN
from cloud.core.rows import Row

CURRENCY = "CNY"
ISSUER = "Sunmao"
MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
)  # fmt: skip
MORE = (
    "BillingAccountType", "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "InvoiceId",
    "ListUnitPrice", "PricingCategory", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType",
    "ServiceSubcategory", "SkuId", "SkuPriceId", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountStatus", "CommitmentDiscountType",
)  # fmt: skip
OWN = (
    "x_ChargeId", "x_CorrectsChargeId", "x_Attempt", "x_ChipRequested", "x_ChipUsed", "x_ComputeCode", "x_EnergyKwh",
    "x_EnergyMethod", "x_PUE", "x_CarbonLocationG", "x_CarbonMarketG", "x_GreenShare", "x_LostSeconds", "x_QueueSeconds",
    "x_VoucherProgramme",
)  # fmt: skip
COLUMNS = (*MANDATORY, *MORE, *OWN)
Line = dict[str, str | int | float]
_HOUR_MS = Decimal(3_600_000)
_QUANTUM = Decimal("0.000000000001")


class Account(NamedTuple):
    """Whose table it is."""

    id: str
    name: str


def table(lines: Sequence[Line]) -> str:
    """Return lines as CSV; null is an empty cell."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def yuan(micro: int) -> str:
    """Return an amount of micro-yuan in yuan, exactly."""
    return format(Decimal(micro) / YUAN, "f")


def hours(ms: int) -> str:
    """Return milliseconds as hours with twelve decimals."""
    return format((Decimal(ms) / _HOUR_MS).quantize(_QUANTUM).normalize(), "f")


def line(row: Row, account: Account, invoice: Row | None, period: tuple[datetime, datetime]) -> Line:
    """Return a row of a month's bill as a line of the table; `invoice` is the one it is on, if it is on any."""
    facts, usage = row["facts"], row["category"] == "Usage"
    line: Line = {
        "BilledCost": yuan(row["billed"]),
        "BillingAccountId": account.id,
        "BillingAccountName": account.name,
        "BillingAccountType": "Company",
        "BillingCurrency": CURRENCY,
        "BillingPeriodStart": _at(period[0]),
        "BillingPeriodEnd": _at(period[1]),
        "ChargeCategory": row["category"],
        "ChargeClass": "Correction" if row["correction"] else "",
        "ChargeDescription": row["description"],
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _at(row["start_at"]),
        "ChargePeriodEnd": _at(row["end_at"]),
        "ContractedCost": yuan(row["cost"]),
        "EffectiveCost": "0" if row["category"] == "Purchase" else yuan(row["billed"]),
        "InvoiceIssuerName": invoice["supplier"] if invoice else ISSUER,
        "InvoiceId": f"{invoice['supplier_id']}-{invoice['year']}-{invoice['number']:05}" if invoice else "",
        "ListCost": yuan(row["list_cost"]),
        "ProviderName": facts.get("provider", ""),
        "PublisherName": facts.get("provider", ""),
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Rented computing",
        "ServiceSubcategory": "Other (AI and Machine Learning)",
        "ResourceId": str(row["job_id"] or row["lot_id"]),
        "ResourceName": facts.get("job", ""),
        "ResourceType": "Endpoint" if "opinions" in facts else "Job" if row["job_id"] else "Prepaid hours",
        "x_ChargeId": str(row["id"]),
        "x_CorrectsChargeId": str(row["corrects"] or ""),
        "x_Attempt": row["attempt"],
        "x_VoucherProgramme": facts.get("programme", ""),
    }
    if row["lot_id"]:
        line |= _of_hours(row)
    elif usage:
        line |= {
            "PricingCategory": "Standard",
            "PricingQuantity": hours(row["quantity_ms"]),
            "PricingUnit": "Hours",
            "ListUnitPrice": yuan(row["list_price"]),
            "ContractedUnitPrice": yuan(row["price"]),
            "SkuId": facts.get("code", ""),
            "SkuPriceId": f"{facts.get('code', '')}@{row['price']}",
            "RegionId": facts.get("region", ""),
            "RegionName": facts.get("region", ""),
            "x_ChipRequested": facts.get("chip_requested", ""),
            "x_ChipUsed": facts.get("chip_used", ""),
            "x_ComputeCode": facts.get("code", ""),
            "x_PUE": facts.get("pue", ""),
            "x_GreenShare": facts.get("green_share", ""),
            "x_EnergyMethod": facts.get("energy_method", ""),
        }
        if not row["correction"]:
            line |= {"ConsumedQuantity": hours(row["quantity_ms"]), "ConsumedUnit": "Hours"}
        whole = facts.get("ms") or 0  # what of the attempt's energy falls on this row
        if whole:
            part = row["quantity_ms"] / whole
            for column, fact in _OF_ENERGY.items():
                line[column] = round(facts.get(fact, 0.0) * part, 9)
            line["x_QueueSeconds"] = facts.get("queue_s", "")
    if "lost_s" in facts:
        line["x_LostSeconds"] = facts["lost_s"]
    return line


def _of_hours(row: Row) -> dict[str, str]:
    """Return the columns of a row about prepaid hours: bought, used by a job, or gone unused."""
    usage, facts = row["category"] == "Usage", row["facts"]
    line = {
        "CommitmentDiscountId": str(row["lot_id"]),
        "CommitmentDiscountCategory": "Usage",
        "CommitmentDiscountType": "Prepaid hours",
    }
    if row["category"] == "Credit":
        return line
    taken = facts.get("lot_hours", 0)
    unit = "Core-Hours" if facts.get("lot_chip") == "cpu" else "Card-Hours"
    quantity, unit = (hours(taken), unit) if taken else ("1", "Units")
    price = format((Decimal(row["cost"]) / YUAN / Decimal(quantity)).quantize(_QUANTUM), "f")
    line |= {
        "PricingCategory": "Committed",
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ListUnitPrice": price,
        "ContractedUnitPrice": price,
        "SkuId": facts.get("lot_chip", ""),
    }
    if not usage:
        return line | {"ChargeFrequency": "One-Time"}
    line |= {"EffectiveCost": yuan(row["cost"]), "CommitmentDiscountStatus": "Used" if row["job_id"] else "Unused"}
    if not row["correction"]:
        line |= {"ConsumedQuantity": quantity, "ConsumedUnit": unit}
    return line


_OF_ENERGY = {
    "x_EnergyKwh": "energy_kwh",
    "x_CarbonLocationG": "carbon_location_g",
    "x_CarbonMarketG": "carbon_market_g",
}


def _at(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
