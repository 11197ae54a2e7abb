"""The receipt of a job: one signed record of the decision, the time both sides signed, the chip, the money and the carbon.

User, provider and auditor each verify it offline. What is reckoned anew from it: the signatures of the platform and of every
worker under its last beat, the price of every piece of time by the hour it ran in, every sum, energy and carbon.

    energy  kW x share of the cores at work x hours                    (estimated; no meter)
    carbon  energy x PUE x grid factor, location-based; x (1 - green share), market-based
    SCI     location-based carbon per 1,000 items (GSF SCI, operational part; what the machine is made of is not known)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from cloud.billing.service import CHINA, YUAN, Price, by_hour, cost_of, micro
from cloud.compute.metering import chained, holds, read
from cloud.core.audit import canonical
from cloud.core.rows import Row
from protocols.errors import ConfigError
from protocols.text import Text

VERSION = 1
_CLOSE = 1e-6


def energy_of(terms: Mapping[str, Any], used_ms: int, cpu_ms: int, billable_ms: int) -> dict[str, float]:
    """Return energy in kWh and carbon in g of the billable part of an attempt."""
    share = min(cpu_ms / (used_ms * terms["cores"]), 1.0) if used_ms else 0.0
    energy = terms["kw"] * share * billable_ms / 3_600_000
    location = energy * terms["pue"] * terms["grid_kg_per_kwh"] * 1000
    return {
        "energy_kwh": round(energy, 9),
        "carbon_location_g": round(location, 6),
        "carbon_market_g": round(location * (1 - terms["green_share"]), 6),
    }


def compose(job: Row, attempts: Sequence[Row], charges: Sequence[Row], outputs: Mapping[str, str], key: str) -> str:
    """Return the receipt of an ended job as canonical JSON."""
    told = [_attempt(row) for row in attempts]
    green = {
        name: round(sum(each[name] for each in told), 9)
        for name in ("energy_kwh", "carbon_location_g", "carbon_market_g")
    }
    items = sum(len(pictures) for pictures in job["orders"].values() if isinstance(pictures, list))
    credit = -sum(row["billed"] for row in charges if row["category"] == "Credit")
    compensation = -sum(row["billed"] for row in charges if row["category"] == "Adjustment")
    cost = sum(row["cost"] for row in charges)
    prepaid = sum(row["cost"] for row in charges if row["lot_id"])
    content = {
        "version": VERSION,
        "platform_key": key,
        "job": {name: job[name] for name in _JOB} | {"items": items},
        "decisions": job["decision"],
        "attempts": told,
        "charges": [
            {name: row[name] for name in _CHARGE}
            | {name: row["facts"].get(name, "") for name in ("programme", "lot_hours", "units")}
            for row in charges
        ],
        "money": {
            "cap": job["cap"],
            "cost": cost,
            "subsidy": credit,
            "compensation": compensation,
            "prepaid": prepaid,
            "own": cost - credit - compensation - prepaid,
        },
        "green": green
        | {
            "energy_method": "estimated",
            "sci_g_per_1000": round(1000 * green["carbon_location_g"] / items, 6) if items else None,
        },
        "outputs": outputs,
    }
    return canonical(_plain(content))


def verify(text: str, public_key: str | None = None) -> tuple[dict[str, Any], list[Text]]:
    """Return the receipt of a file and what is amiss with it; raises ConfigError for what is no receipt.

    `public_key`: the platform's, as it is known from elsewhere; else the one the receipt names is believed.
    """
    try:
        outer = json.loads(text)
        content, signature = str(outer["receipt"]), str(outer["signature"])
        receipt = json.loads(content)
        found = list(_faults(receipt, content, signature, public_key))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            Text("it is not a receipt of a job", "不是作业凭据"),
            Text("download it from the job's page, or GET .../receipt", "请从作业页面下载，或调用 GET .../receipt"),
            key="FILE",
        ) from error
    return receipt, found


def _faults(receipt: dict[str, Any], content: str, signature: str, public_key: str | None) -> Iterator[Text]:
    if not holds(public_key or receipt["platform_key"], signature, content.encode()):
        yield Text("the platform's signature does not hold", "平台签名无效")
    for attempt in receipt["attempts"]:
        yield from _attempt_faults(receipt, attempt)
    charges, money = receipt["charges"], receipt["money"]
    cost = sum(each["cost"] for each in charges)
    credit = -sum(each["billed"] for each in charges if each["category"] == "Credit")
    compensation = -sum(each["billed"] for each in charges if each["category"] == "Adjustment")
    prepaid = sum(each["cost"] for each in charges if each.get("lot_id"))
    sums = {"cost": cost, "subsidy": credit, "compensation": compensation, "prepaid": prepaid}
    sums["own"] = cost - credit - compensation - prepaid
    for name, value in sums.items():
        said = money.get(name, 0)  # receipts of before there were prepaid hours know none
        if said != value:
            yield Text(
                f"money.{name} is {said / YUAN} yuan, the rows come to {value / YUAN}",
                f"money.{name} 为 {said / YUAN} 元，明细合计为 {value / YUAN} 元",
            )
    if cost - prepaid > money["cap"]:
        yield Text("more was charged than was reserved", "收费超过预留金额")
    for name in ("energy_kwh", "carbon_location_g", "carbon_market_g"):
        value = sum(each[name] for each in receipt["attempts"])
        if abs(receipt["green"][name] - value) > _CLOSE:
            yield Text(f"green.{name} is not the sum of the attempts", f"green.{name} 与各次运行之和不符")


def _attempt_faults(receipt: dict[str, Any], attempt: dict[str, Any]) -> Iterator[Text]:
    number = attempt["number"]
    last = attempt["last"]
    if last is None:
        if attempt["billable_ms"]:
            yield Text(f"attempt {number}: time without a beat", f"第 {number} 次运行：无心跳却有计时")
        return
    head = bytes.fromhex(attempt["head"])
    beat = read(last["body"])
    if chained(bytes.fromhex(last["before"]), last["body"]) != head:
        yield Text(
            f"attempt {number}: the last beat is not the head of its chain", f"第 {number} 次运行：末次心跳与链不符"
        )
    if not holds(attempt["worker_key"], last["signature"], head):
        yield Text(f"attempt {number}: the worker's signature does not hold", f"第 {number} 次运行：节点签名无效")
    if (beat.job, beat.attempt, beat.seq, beat.used_ms) != (
        receipt["job"]["id"],
        number,
        attempt["beats"],
        attempt["used_ms"],
    ):
        yield Text(f"attempt {number}: the beat tells of another time", f"第 {number} 次运行：心跳内容与记录不符")
    if not 0 <= attempt["billable_ms"] <= attempt["used_ms"]:
        yield Text(f"attempt {number}: more is billed than was used", f"第 {number} 次运行：计费时间超过使用时间")
    prices = by_hour([msgspec.convert(each, Price) for each in attempt["terms"]["prices"]])
    billed = 0
    for row in receipt["charges"]:
        if row["attempt"] == number and row["category"] == "Usage":
            billed += row["quantity_ms"]
            if _priced_wrongly(row, prices):
                yield Text(
                    f"attempt {number}: a row from {row['start_at']} on is priced wrongly",
                    f"第 {number} 次运行：{row['start_at']} 起的计费有误",
                )
    if billed > attempt["billable_ms"]:
        yield Text(f"attempt {number}: more time is billed than counts", f"第 {number} 次运行：计费时间过多")
    reckoned = energy_of(attempt["terms"], attempt["used_ms"], attempt["cpu_ms"], attempt["billable_ms"])
    if any(abs(attempt[name] - value) > _CLOSE for name, value in reckoned.items()):
        yield Text(
            f"attempt {number}: energy or carbon is reckoned wrongly", f"第 {number} 次运行：能耗或碳排放计算有误"
        )


def _priced_wrongly(row: dict[str, Any], prices: Sequence[float]) -> bool:
    """Return whether a row is not what its time costs; hours were priced when they were bought, so how many were taken."""
    if row.get("lot_id"):
        return bool(abs(row["lot_hours"] - row["quantity_ms"] * row["units"]) > row["units"])
    price = micro(prices[datetime.fromisoformat(row["start_at"]).astimezone(CHINA).hour])
    return bool(row["price"] != price or row["cost"] != cost_of(row["quantity_ms"], price))


_JOB = (
    "id", "name", "kind", "customer", "customer_id", "subject", "digest", "state", "deadline", "submitted_by",
    "submitted_at", "started_at", "ended_at",
)  # fmt: skip
_CHARGE = ("id", "category", "attempt", "start_at", "end_at", "quantity_ms", "price", "cost", "billed", "lot_id")


def _attempt(row: Row) -> dict[str, Any]:
    kept = {name: row[name] for name in ("number", "code", "provider", "terms", "state", "started_at", "ended_at")}
    kept |= {name: row[name] for name in ("worker_key", "beats", "used_ms", "cpu_ms", "billable_ms", "lost_ms", "last")}
    energy = energy_of(row["terms"], row["used_ms"], row["cpu_ms"], row["billable_ms"])
    return kept | energy | {"head": row["head"].hex(), "chip_used": row["chip"], "checkpoint": row["checkpoint"]}


def _plain(value: Any) -> Any:
    """Return times as ISO 8601 in UTC, and all else as it is."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
