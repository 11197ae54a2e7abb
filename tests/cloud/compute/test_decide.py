"""Which offer a task goes to: each filter with its reason, time, price by the hour, vouchers by the published rules."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cloud.billing.service import Price, programmes
from cloud.cli import app
from cloud.compute.decide import DETECT_S, RESTORE_S, decide
from cloud.compute.task import ApplicantOfVouchers, Limits, Needs, Offer, Task, Weights, read_offers, read_task
from protocols.errors import ConfigError

NOW = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)  # 10:00 in China


def task(**more: Any) -> Task:
    limits = {"deadline": NOW + timedelta(hours=10), "budget": 1000.0} | more.pop("limits", {})
    needs = {"work_s": 3600.0} | more.pop("needs", {})
    return Task(name="fit", kind="fit", needs=Needs(**needs), limits=Limits(**limits), **more)


def offer(code: str = "a", price: float = 10.0, **more: Any) -> Offer:
    given = {"provider": code, "region": "CN-JS", "chip": "cpu", "chip_origin": "domestic", "speed": 1.0}
    return Offer(code=code, **given | {"prices": (Price(0, price),), "mbps": 1000.0} | more)


def only_reason(one: Task, given: Offer) -> str:
    decision = decide(one, [given], NOW)
    assert decision.plans == []
    assert decision.nearest is decision.rejected[0]
    return decision.rejected[0].reason.en


@pytest.mark.parametrize(
    ("wanted", "given", "reason"),
    [
        ({}, {"alive": False}, "does not answer"),
        ({"limits": {"privacy": "stays"}}, {}, "may not leave"),
        ({"limits": {"privacy": "derived"}}, {}, "may not leave"),
        ({"limits": {"regions": ("CN-BJ",)}}, {}, "it is in CN-JS"),
        ({"needs": {"chips": ("ascend-910b",)}}, {}, "its chip is cpu"),
        ({}, {"proven": False}, "no probe"),
        ({"needs": {"memory_gb": 8}}, {"memory_gb": 4}, "4 GB"),
        ({"limits": {"budget": 9}}, {}, "1.00 more than the budget"),
        ({"limits": {"deadline": NOW + timedelta(minutes=30)}}, {}, "30 minutes more"),
    ],
)
def test_each_filter_says_why(wanted: dict[str, Any], given: dict[str, Any], reason: str) -> None:
    assert reason in only_reason(task(**wanted), offer(**given))


def test_filters_come_in_their_order_and_the_nearest_is_named() -> None:
    dead = offer("dead", alive=False, region="CN-BJ", proven=False)
    dear = offer("dear", price=5000)
    wrong = offer("wrong", chip="gpu")
    decision = decide(task(needs={"chips": ("cpu",)}, limits={"regions": ("CN-JS",)}), [dead, dear, wrong], NOW)
    assert [one.code for one in decision.rejected] == ["dead", "dear", "wrong"]
    assert "does not answer" in decision.rejected[0].reason.en
    assert decision.nearest
    assert decision.nearest.code == "dear", "it fails at the last filter but one; the others never had a chance"
    assert decide(task(), [], NOW) == ([], [], None)


def test_what_stays_runs_on_the_own_site() -> None:
    own = offer("own", price=1.0, own=True, region="", speed=0.5)
    decision = decide(task(limits={"privacy": "stays", "regions": ("CN-BJ",)}), [own], NOW)
    assert decision.plans[0].run_s == 7200
    features = task(limits={"privacy": "derived", "derived_input": True})
    assert decide(features, [offer()], NOW).plans


def test_time_has_all_its_parts() -> None:
    slow = offer(queue_s=60, start_s=40, rtt_ms=20, mbps=8, failures_per_hour=1.0)
    one = task(needs={"work_s": 3600.0, "input_bytes": 5e6, "output_bytes": 1e6, "checkpoint_s": 2.0})
    (plan,) = decide(one, [slow], NOW).plans
    tau = math.sqrt(2 * 2 * 3600)
    again = DETECT_S + 40 + tau + RESTORE_S
    # A Poisson of mean 1 stays at or below 3 in 98 % of cases, at or below 2 in 92 %.
    assert plan.time_s == pytest.approx(60 + 40 + 0.02 + 8 * 6e6 / 8e6 + 3600 + 3 * again)
    assert plan.run_s == 3600, "what failures cost is not billed"


def test_the_price_is_that_of_the_hours_it_runs_in() -> None:
    prices = (Price(8, 10.0), Price(22, 2.0))  # by day and by night, in China
    (plan,) = decide(task(limits={"deadline": NOW + timedelta(hours=11)}), [offer(prices=prices)], NOW).plans
    assert (plan.begin, plan.cost) == (NOW, pytest.approx(10)), "the night begins in twelve hours: too late"
    long = task(limits={"deadline": NOW + timedelta(hours=24)})
    (plan,) = decide(long, [offer(prices=prices)], NOW).plans
    assert plan.begin == NOW + timedelta(hours=12)
    assert plan.cost == pytest.approx(2)
    straddling = task(needs={"work_s": 13 * 3600.0}, limits={"deadline": NOW + timedelta(hours=13, minutes=1)})
    (plan,) = decide(straddling, [offer(prices=prices)], NOW).plans
    assert plan.cost == pytest.approx(12 * 10 + 1 * 2)
    half_past = NOW + timedelta(minutes=30)
    soon = task(limits={"deadline": half_past + timedelta(hours=2)})
    (plan,) = decide(soon, [offer(prices=prices)], half_past).plans
    assert plan.cost == pytest.approx(10)


def test_nobody_waits_where_waiting_saves_nothing() -> None:
    for minutes in range(0, 1440, 7):
        now = NOW + timedelta(minutes=minutes, seconds=minutes % 60, microseconds=minutes * 37)
        wanted = task(needs={"work_s": 33.14}, limits={"deadline": now + timedelta(hours=5)})
        (plan,) = decide(wanted, [offer(prices=(Price(0, 36.0),))], now).plans
        assert plan.begin == now


def test_carbon_counts_as_much_as_the_plant_says() -> None:
    dirty = offer("dirty", price=10.0, kw=1.0, pue=1.5, grid_kg_per_kwh=0.55)
    green = offer("green", price=10.5, kw=1.0, pue=1.2, grid_kg_per_kwh=0.55, green_share=0.8)
    assert [plan.code for plan in decide(task(), [green, dirty], NOW).plans] == ["dirty", "green"]
    plans = decide(task(weights=Weights(carbon=10)), [dirty, green], NOW).plans
    assert [plan.code for plan in plans] == ["green", "dirty"]
    assert plans[0].carbon_kg == pytest.approx(1.2 * 0.55)
    assert plans[0].market_kg == pytest.approx(1.2 * 0.55 * 0.2)
    assert plans[0].energy_kwh == pytest.approx(1.0)
    near, far = offer("near", rtt_ms=1), offer("far", rtt_ms=50)
    assert [plan.code for plan in decide(task(), [far, near], NOW).plans] == ["near", "far"]


# (city, kind of task, chip, applicant, fee, had this year, what the published rule pays)
@pytest.mark.parametrize(
    ("city", "kind", "chip", "applicant", "fee", "used", "paid"),
    [
        ("beijing", "fit", "other", "enterprise", 1000, 0, 200),
        ("beijing", "fit", "domestic", "enterprise", 1000, 1_999_900, 100),
        ("beijing", "fit", "domestic", "enterprise", 1000, 2_000_000, 0),
        ("shanghai", "inspect", "other", "enterprise", 1000, 0, 300),
        ("shenzhen", "fit", "other", "enterprise", 1000, 0, 500),
        ("shenzhen", "fit", "other", "startup", 1000, 0, 600),
        ("shenzhen", "inspect", "other", "startup", 1000, 0, 0),
        ("shenzhen", "fit", "other", "startup", 1000, 9_999_500, 500),
        ("hangzhou", "fit", "domestic", "enterprise", 1000, 0, 300),
        ("hangzhou", "fit", "other", "enterprise", 1000, 0, 200),
        ("hangzhou", "fit", "domestic", "enterprise", 1000, 8_000_000, 0),
        ("wuhan", "fit", "other", "one_person", 1000, 0, 500),
        ("wuhan", "fit", "other", "one_person", 1000, 199_900, 100),
        ("wuhan", "fit", "other", "enterprise", 1000, 0, 0),
    ],
)
def test_vouchers_pay_by_the_published_rules(
    city: str, kind: Any, chip: Any, applicant: Any, fee: float, used: float, paid: float
) -> None:
    who = ApplicantOfVouchers(kind=applicant, programmes={city: used})
    one = Task(
        name="t", kind=kind, needs=Needs(work_s=3600), applicant=who,
        limits=Limits(deadline=NOW + timedelta(hours=2), budget=1e6),
    )  # fmt: skip
    (plan,) = decide(one, [offer(price=fee, chip_origin=chip)], NOW).plans
    assert plan.subsidy == pytest.approx(paid)
    assert plan.own == pytest.approx(fee - paid)
    assert plan.programme == (city if paid else "")


def test_an_affiliate_gets_no_voucher_and_the_best_programme_is_taken() -> None:
    who = ApplicantOfVouchers(programmes={"beijing": 0, "hangzhou": 0}, affiliates=("a",))
    (plan,) = decide(task(applicant=who), [offer(chip_origin="other")], NOW).plans
    assert (plan.programme, plan.subsidy) == ("hangzhou", pytest.approx(2)), "Beijing bans affiliates"
    both = ApplicantOfVouchers(programmes={"beijing": 0, "hangzhou": 0})
    (plan,) = decide(task(applicant=both), [offer()], NOW).plans
    assert (plan.programme, plan.subsidy) == ("hangzhou", pytest.approx(3))
    assert set(programmes()) == {"beijing", "shanghai", "shenzhen", "hangzhou", "wuhan"}
    assert all(one.source for one in programmes().values())


OFFERS = st.builds(
    offer,
    code=st.uuids().map(str),
    price=st.floats(0, 500),
    speed=st.floats(0.1, 50),
    failures_per_hour=st.floats(0, 20),
    queue_s=st.floats(0, 5000),
    kw=st.floats(0, 5),
    own=st.booleans(),
    alive=st.booleans(),
    fee=st.floats(0, 50),
    chip_origin=st.sampled_from(["domestic", "other"]),
)


@given(
    offers=st.lists(OFFERS, max_size=12, unique_by=lambda one: one.code),
    hours=st.floats(0.1, 100),
    budget=st.floats(0, 500),
    used=st.floats(0, 3e6),
    work=st.floats(1, 1e6),
)
def test_whatever_is_offered_no_plan_breaks_a_limit(
    offers: list[Offer], hours: float, budget: float, used: float, work: float
) -> None:
    limits = {"deadline": NOW + timedelta(hours=hours), "budget": budget}
    one = task(needs={"work_s": work}, limits=limits, applicant=ApplicantOfVouchers(programmes={"beijing": used}))
    decision = decide(one, offers, NOW)
    assert sorted([plan.code for plan in decision.plans] + [each.code for each in decision.rejected]) == sorted(
        each.code for each in offers
    )
    for plan in decision.plans:
        assert plan.cost <= budget
        assert plan.begin >= NOW
        assert plan.time_s <= hours * 3600 + 1e-6
        assert 0 <= plan.subsidy <= plan.cost + 1e-9
        assert plan.own == pytest.approx(plan.cost - plan.subsidy)
    objectives = [plan.objective for plan in decision.plans]
    assert np.all(np.diff(objectives) >= -1e-6)
    assert (decision.nearest is None) == (bool(decision.plans) or not offers)


TASK = """
name = "refit bottle cap"
kind = "fit"
[needs]
work_s = 7200
memory_gb = 4
[limits]
deadline = 2026-11-28T06:00:00+08:00
budget = 100
[applicant]
programmes = { hangzhou = 0 }
"""
OFFER = """
[[offer]]
code = "91.1.1/{code}"
provider = "{code}"
region = "CN-ZJ"
chip = "cpu"
chip_origin = "domestic"
speed = {speed}
memory_gb = 16
prices = [{{ from_hour = 0, yuan_per_hour = {price} }}]
"""


def test_the_command_shows_the_plan(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text(TASK, "utf-8")
    given = OFFER.format(code="slow", speed=1, price=4) + OFFER.format(code="fast", speed=4, price=30)
    (tmp_path / "offers.toml").write_text(given + OFFER.format(code="never", speed=0.01, price=0.1), "utf-8")
    command = ["compute", "plan", str(tmp_path / "task.toml"), "--offers", str(tmp_path / "offers.toml")]
    at = ["--at", "2026-11-27T02:00:00"]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command, *at, "--lang", "zh"])
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[1].split()[:2] == ["91.1.1/slow", "slow"]
    assert "5.60" in lines[1], "8 yuan less 30 %"
    assert "分钟" in lines[-1]
    machine = json.loads(CliRunner().invoke(app, [*command, *at, "--json"]).output)
    assert machine["plans"][0]["begin"].startswith("2026-11-27T02:00")
    assert CliRunner().invoke(app, [*command, "--at", "2026-11-28T00:00:00", "--lang", "en"]).exit_code == 1
    (tmp_path / "task.toml").write_text(TASK.replace("work_s = 7200", "work_s = -1"), "utf-8")
    wrong = CliRunner().invoke(app, [*command, "--lang", "en"])
    assert wrong.exit_code == 2
    assert "needs.work_s" in wrong.output


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("+08:00", "", "no offset"), ('kind = "fit"', 'kind = "mine"', "kind"), ("budget = 100", "budet = 100", "budet"),
        ("hangzhou", "atlantis", "no programme 'atlantis'"), ("[needs]", "[needs", "line"),
    ],
)  # fmt: skip
def test_a_wrong_task_is_explained(before: str, after: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "task.toml"
    file.write_text(TASK.replace(before, after), "utf-8")
    with pytest.raises(ConfigError, match=says):
        read_task(file)


def test_a_code_stands_once(tmp_path: Path) -> None:
    file = tmp_path / "offers.toml"
    file.write_text(OFFER.format(code="a", speed=1, price=1) * 2, "utf-8")
    with pytest.raises(ConfigError, match="twice"):
        read_offers(file)
