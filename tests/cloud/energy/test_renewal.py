"""Advice on renewing machines: its arithmetic, its ranking, and what it says when something is missing."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

import numpy as np
import pytest

from cloud.energy.renewal import Evidence, Month, advise, net_present_value, payback_years
from cloud.energy.schemas import Assumptions
from cloud.energy.trends import trend
from tests.cloud.conftest import Company
from tests.doubles.agent import POWER, frame, readings

TODAY = date(2026, 11, 1)


def machine(name: str, *, growth: float = 0.0, months: int = 12, price: float | None = 0.8) -> Evidence:
    firsts = [date(2025 + (9 + n) // 12, (9 + n) % 12 + 1, 1) for n in range(months)]
    made = [Month(first, 1000 * (1 + growth * n), 1.0, 500.0, 0.9) for n, first in enumerate(firsts)]
    return Evidence(uuid4(), name, name, date(2011, 11, 1), 300_000.0, made, 100_000.0, 365.0, price)


def test_the_trend_is_the_median_slope_and_odd_points_do_not_bend_it() -> None:
    x = [float(n) for n in range(12)]
    y = [2.0 * n + 5 for n in x]
    y[3], y[8] = 400.0, -90.0
    found = trend(x, y)
    assert found is not None
    assert found.slope == pytest.approx(2.0)
    assert found.level == pytest.approx(27.0)
    assert found.certain
    noise = trend(x, list(np.random.default_rng(3).normal(0, 1, 12)))
    assert noise is not None
    assert noise.low < 0 < noise.high
    assert trend(x[:5], y[:5]) is None


def test_the_arithmetic_line_by_line() -> None:
    old = machine("press", growth=0.01)
    assumed = Assumptions(
        price=200_000, resale=20_000, saving_percent=30, maintenance_now=12_000, maintenance_then=6_000,
        discount_percent=5, life_years=10,
    )  # fmt: skip
    (advice,) = advise([old], {old.equipment_id: assumed}, "CNY", TODAY)
    lines = {line.name_en: line.value for line in advice.lines}
    assert lines["Age"] == pytest.approx(15.0, abs=0.01)
    assert lines["Cost of a year's energy"] == pytest.approx(80_000)
    assert lines["Saved on energy"] == pytest.approx(24_000)
    assert lines["Saved on maintenance"] == pytest.approx(6_000)
    assert lines["Net price"] == pytest.approx(180_000)
    assert advice.payback_years == pytest.approx(6.0)
    assert advice.net_present_value == pytest.approx(30_000 * (1 - 1.05**-10) / 0.05 - 180_000)
    assert lines["Energy per good part, trend"] == pytest.approx(100 * 0.12 / 1.11, rel=0.02)
    assert advice.missing_zh == []
    assert all(line.how_zh and line.name_zh for line in advice.lines)


def test_what_pays_back_soonest_comes_first_and_what_is_missing_is_said() -> None:
    slow, fast, unknown = machine("slow"), machine("fast"), machine("unknown", price=None, months=3)
    assumed: dict[UUID, Assumptions] = {
        slow.equipment_id: Assumptions(price=500_000, saving_percent=20),
        fast.equipment_id: Assumptions(price=50_000, saving_percent=20),
    }
    found = advise([slow, unknown, fast], assumed, "CNY", TODAY)
    assert [advice.name for advice in found] == ["fast", "slow", "unknown"]
    missing = " ".join(found[-1].missing_zh)
    for word in ("电价", "新设备价格", "节能比例", "至少需 6 个月"):
        assert word in missing
    assert found[-1].payback_years is None
    assert (payback_years(100.0, 0.0), payback_years(100.0, 50.0)) == (None, 2.0)
    assert net_present_value(100.0, 50.0, 0.0, 3) == pytest.approx(50.0)


async def test_assumptions_are_kept_audited_and_weighed(company: Company) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [40.0], 1_770_000_000_000_000)))
    equipment = (await company.http.get("/api/v1/equipment")).json()[0]["id"]
    put = await company.http.put(f"/api/v1/energy/renewal/{equipment}", json={"price": 1000, "saving_percent": 25})
    assert put.status_code == 204, put.text
    assert (await company.http.put(f"/api/v1/energy/renewal/{equipment}", json={"price": -1})).status_code == 422
    assert (await company.http.put(f"/api/v1/energy/renewal/{uuid4()}", json={})).status_code == 404
    (advice,) = (await company.http.get("/api/v1/energy/renewal", params={"site_id": str(company.site_id)})).json()
    assert advice["assumptions"]["price"] == 1000
    assert advice["payback_years"] is None
    acts = [entry["act"] for entry in (await company.http.get("/api/v1/audit")).json()["items"]]
    assert "renewal.assume" in acts
