"""The wall and the comparison: pure figures, and the whole way through the API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from cloud.core.db import Database
from cloud.sharing.service import Terms
from cloud.suppliers.risk import availability_sign, quality_sign, risk_of, silence_sign
from cloud.suppliers.schemas import ItemConformance, Programme, Supplier
from cloud.suppliers.scorecards import K, Standing, standings
from cloud.suppliers.wall import wall_row
from protocols.reading import now_us
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.sharing.pair import registered
from tests.cloud.suppliers.test_suppliers_api import POWER_RAW, imported, programme, states
from tests.doubles.agent import POWER, frame, readings

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)  # a Wednesday
OEE, FPY = {"entry": "kpi:oee", "granularity": "shift"}, {"entry": "kpi:first_pass_yield", "granularity": "shift"}
ENERGY, PARTS = (
    {"entry": "energy_active_import", "granularity": "hour"},
    {"entry": "part_count_good", "granularity": "hour"},
)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


def asks(*items: dict[str, Any], **more: Any) -> Programme:
    fields = {"id": uuid4(), "name": "2026", "purpose": "risk", "deadline": date(2026, 12, 31), "created_by": "t"}
    return Programme.model_validate(fields | {"created_at": NOW, "terms": {"items": list(items), **more}})


def terms(*items: dict[str, Any], **more: Any) -> Terms:
    return Terms.model_validate(
        {"items": items, "since": NOW - timedelta(days=90), "until": NOW + timedelta(90), **more}
    )


def seen(entry: str, mean: float, values: int = 24, machines: int = 1, newest: datetime = NOW) -> ItemConformance:
    return ItemConformance(
        entry=entry,
        granted=True,
        machines=machines,
        missing=[],
        values=values,
        completeness=1,
        newest=newest,
        outside=0,
        mean=mean,
    )


def supplier(*items: ItemConformance) -> Supplier:
    fields: dict[str, Any] = dict.fromkeys(("reminded_at", "checked_at", "grant_id"))
    fields |= {"id": uuid4(), "credit_code": "c", "name": "S", "contact": "", "stage": "live", "since": NOW}
    return Supplier(**fields, items=list(items))


def days(entry: str, *means: float, drifting: bool = False) -> dict[str, list[dict[str, Any]]]:
    return {entry: [{"mean": mean, "drifting": drifting and mean == means[-1]} for mean in means]}


def test_what_is_not_shown_says_so_and_is_never_zero() -> None:
    one = asks(OEE, FPY, ENERGY, maturity=True)
    row = wall_row(supplier(), None, one, {}, now=NOW, maturity=None)
    assert {row.oee.state, row.quality.state, row.energy.state, row.maturity.state} == {"not_granted"}
    assert (row.risk.value, [sign.value for sign in row.risk.signs]) == (None, [None, None, None])
    row = wall_row(supplier(), terms(OEE, maturity=True), one, {}, now=NOW, maturity=None)
    assert (row.oee.state, row.quality.state, row.maturity.state) == ("nothing_yet", "not_granted", "nothing_yet")
    row = wall_row(supplier(seen("kpi:oee", 0.62)), terms(OEE, maturity=True), one, {}, now=NOW, maturity=0)
    assert (row.oee.value, row.maturity.state, row.maturity.value) == (0.62, "shown", 0)
    assert wall_row(supplier(), terms(OEE), asks(OEE), {}, now=NOW, maturity=3).maturity.state == "not_asked"
    passed = {"entry": "kpi:oee", "granularity": "pass_fail", "low": 0.5}
    row = wall_row(supplier(seen("kpi:oee", 1.0)), terms(passed), one, {}, now=NOW, maturity=None)
    assert row.oee.state == "not_granted", "whether it passed is no OEE"


def test_energy_is_by_part_where_both_are_shown() -> None:
    one = asks(ENERGY, PARTS)
    press, plant = uuid4(), uuid4()
    both = supplier(
        seen("energy_active_import", 5.0).model_copy(update={"totals": {press: 120.0, plant: 9000.0}}),
        seen("part_count_good", 20.0).model_copy(update={"totals": {press: 480.0}}),
    )
    row = wall_row(both, terms(ENERGY, PARTS), one, {}, now=NOW, maturity=None)
    assert (row.energy.entry, row.energy.value) == ("energy_per_part", 0.25)
    alone = wall_row(both, terms(ENERGY), one, {}, now=NOW, maturity=None)
    assert (alone.energy.entry, alone.energy.value) == ("energy_active_import", 120.0)
    raw = ENERGY | {"granularity": "raw"}
    assert wall_row(both, terms(raw), one, {}, now=NOW, maturity=None).energy.state == "readings"


def test_the_risk_is_the_mean_of_the_signs_that_are_known() -> None:
    assert [availability_sign(now, 0.8) for now in (0.9, 0.8, 0.72, 0.64, 0.1)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert availability_sign(0.5, None) is None
    assert [quality_sign(0.97, 0.98, drifting=on) for on in (False, True)] == pytest.approx([0.2041, 1], abs=1e-4)
    assert quality_sign(0.99, 0.98, drifting=True) == 0, "better is no risk"
    assert [silence_sign(late) for late in (-1, 12, 48)] == [0, 0.5, 1]
    risk = risk_of({"availability": 1.0, "quality": None, "silence": 0.0})
    assert (risk.value, risk.level) == (pytest.approx(0.4 / 0.7, abs=1e-4), "high")
    assert risk_of({"availability": None, "quality": None, "silence": 1.0}).level is None
    one = asks(OEE, FPY)
    shown = supplier(seen("kpi:oee", 0.6), seen("kpi:first_pass_yield", 0.9, newest=NOW - timedelta(days=3)))
    history = days("kpi:oee", 0.8, 0.8, 0.6) | days("kpi:first_pass_yield", 0.98, 0.98, 0.9, drifting=True)
    row = wall_row(shown, terms(OEE, FPY), one, history, now=NOW, maturity=None)
    assert ([sign.value for sign in row.risk.signs], row.risk.value) == ([1.0, 1.0, 0.0], 0.7)


def scored(company: str, mean: float, day: date, *, named: bool = False, entry: str = "kpi:oee") -> dict[str, Any]:
    return {"credit_code": company, "entry": entry, "day": day, "mean": mean, "named": named, "passes": False}


def test_a_comparison_is_of_a_week_that_is_over_and_of_five() -> None:
    today, last = NOW.date(), date(2026, 7, 8)
    five = [scored(f"c{n}", n, last) for n in range(K)]
    found = standings(five, today)
    assert [found[f"c{n}", "kpi:oee", False].place for n in range(K)] == [
        "lowest",
        "middle",
        "middle",
        "middle",
        "highest",
    ]
    assert standings(five[:-1], today) == {}
    # What comes or goes this week changes nothing of it: no two comparisons are of the same values.
    joined = [*five, scored("c9", 99, today), scored("c0", 99, date(2026, 7, 13))]
    assert standings(joined, today) == found
    assert standings(five, today + timedelta(days=7)) == {}
    shares = [scored("c5", 0.9, last) | {"passes": True}]
    assert standings([*five[:-1], *shares], today) == {}, "a share of what passed is compared with its like alone"
    # A company in two programmes is one company: neither the sixth of five, nor a second comparison.
    assert standings([*five[:-1], scored("c0", 0, last)], today) == {}


def test_who_is_named_is_taken_out_before_five_are_counted() -> None:
    today, last = NOW.date(), date(2026, 7, 8)
    named = [scored(f"n{n}", n, last, named=True) for n in range(3)]
    four = [scored(f"c{n}", n, last) for n in range(K - 1)]
    found = standings([*named, *four], today)
    assert found == {
        ("n2", "kpi:oee", False): Standing(None, 1, 3),
        ("n1", "kpi:oee", False): Standing(None, 2, 3),
        ("n0", "kpi:oee", False): Standing(None, 3, 3),
    }
    fifth = scored("c9", 9, last)
    before = standings([*four, fifth], today)
    assert {key: one for key, one in standings([*named, *four, fifth], today).items() if key[0][0] == "c"} == before
    # Who agreed for part of the week only, or in one programme of two, is not named.
    half = [scored("h", 1, last, named=True), scored("h", 1, last + timedelta(days=1))]
    assert ("h", "kpi:oee", False) not in standings([*half, *named], today)


async def test_the_level_alone_is_shown_and_every_look_is_receipted(
    company: Company, db: Database, new_company: NewCompany
) -> None:
    supplier = await new_company()
    code = await registered(supplier, db)
    asked = {"items": [POWER_RAW], "days": 90, "history_days": 1, "maturity": True, "compare": "named"}
    identity = await programme(company, terms=asked)
    await imported(company, identity, f"credit_code,name\n{code},There\n".encode())
    request = (await supplier.http.get("/api/v1/sharing/requests")).json()[0]
    assert (request["terms"]["maturity"], request["terms"]["compare"]) == (True, "named")
    answer = f"/api/v1/sharing/requests/{request['id']}/acceptance"
    assert (await supplier.http.post(answer, json={"items": [], "maturity": False})).status_code == 422, "nothing"
    grant = (await supplier.http.post(answer, json={"compare": "anonymous"})).json()
    assert (grant["terms"]["maturity"], grant["terms"]["compare"]) == (True, None)
    path = f"/api/v1/sharing/grants/{grant['id']}/maturity"
    assert (await supplier.http.get(path)).status_code == 404, "its own is no one else's"
    assert (await company.http.get(path)).json()["level"] is None
    made = await supplier.http.post("/api/v1/assessment/results", json={"scenes": {"energy": 2}})
    shown = (await company.http.get(path)).json()
    assert shown["level"] == made.json()["level"]
    assert set(shown) == {"grant_id", "version", "level", "digest", "receipt"}, "the level alone"
    (receipt, *_) = (await supplier.http.get(f"/api/v1/sharing/grants/{grant['id']}/receipts")).json()["items"]
    assert (receipt["kind"], receipt["body"]["maturity"], receipt["body"]["digest"]) == (
        "read",
        "level",
        shown["digest"],
    )

    async with supplier.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [5.0] * 5, now_us() - 5_000_000)))
    one = (await states(company, identity))["There"]["id"]
    await company.http.post(f"/api/v1/suppliers/{one}/check")
    wall = f"/api/v1/programmes/{identity}/wall"
    (row,) = (await company.http.get(wall)).json()
    assert (row["maturity"]["state"], row["maturity"]["value"]) == ("shown", shown["level"])
    assert (row["oee"]["state"], row["conforming"], row["asked"]) == ("not_asked", 1, 1)

    # Narrowed: at once it is not granted, whatever was read before; and more cannot be taken.
    fewer = grant["terms"] | {"maturity": False}
    narrow = f"/api/v1/sharing/grants/{grant['id']}/terms"
    more = await supplier.http.put(narrow, json={"terms": grant["terms"] | {"compare": "named"}})
    assert more.status_code == 422
    assert (await supplier.http.put(narrow, json={"terms": fewer})).status_code == 200
    assert (await company.http.get(path)).status_code == 404
    (row,) = (await company.http.get(wall)).json()
    assert row["maturity"] == {"state": "not_granted", "entry": None, "value": None}
    stranger = await new_company()
    assert (await stranger.http.get(wall)).status_code == 404


def test_terms_from_before_are_still_read() -> None:
    old = {"items": [OEE], "machines": None, "since": NOW.isoformat(), "until": (NOW + timedelta(1)).isoformat()}
    found = Terms.model_validate(old)
    assert (found.trace, found.maturity, found.compare) == (None, False, None)
