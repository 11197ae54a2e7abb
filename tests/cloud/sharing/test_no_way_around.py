"""No sequence of grants, narrowings and reads yields a value outside of the live grant - nor withholds one inside it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from cloud.core.db import Database
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.sharing.pair import asked, registered
from tests.cloud.sharing.test_sharing_api import us
from tests.doubles.agent import frame, readings

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOURS = 4
BEGUN = NOW - timedelta(hours=HOURS)
ENTRIES = ("active_power_total", "current_l1")
GRANULARITIES = ("raw", "minute", "hour", "pass_fail")
LIMITS = {"low": 1000.0, "high": 200_000.0}
FINER = {"raw": 0, "minute": 1, "hour": 2, "pass_fail": 3}


def truth(machine: int, entry: str, minute: int) -> list[float]:
    """Return the readings of a minute: no two in the whole test are alike."""
    return [100_000.0 * machine + 50_000.0 * ENTRIES.index(entry) + 3 * minute + third for third in range(3)]


def expected(terms: dict[str, Any], machine: int, entry: str, start: datetime, end: datetime) -> dict[datetime, Any]:
    """Return what the terms show in [start, end), from the rules as people are told them."""
    granularity = next((item["granularity"] for item in terms["items"] if item["entry"] == entry), None)
    first, last = max(start, terms["since"]), min(end, terms["until"], NOW)
    if granularity is None:
        return {}
    step = 60 if granularity in ("hour", "pass_fail") else 1
    found: dict[datetime, Any] = {}
    for minute in range(0, HOURS * 60, step):
        begin = BEGUN + timedelta(minutes=minute)
        every = [value for each in range(step) for value in truth(machine, entry, minute + each)]
        if granularity == "raw":
            times = [begin + timedelta(seconds=20 * third) for third in range(3)]
            found |= {at: value for at, value in zip(times, every, strict=True) if first <= at < last}
        elif first <= begin and begin + timedelta(minutes=step) <= last:
            mean = sum(every) / len(every)
            found[begin] = LIMITS["low"] <= mean <= LIMITS["high"] if granularity == "pass_fail" else mean
    return found


ITEMS = st.dictionaries(st.sampled_from(ENTRIES), st.sampled_from(GRANULARITIES), min_size=1).map(
    lambda chosen: [
        {"entry": entry, "granularity": granularity} | (LIMITS if granularity == "pass_fail" else {})
        for entry, granularity in chosen.items()
    ]
)
MACHINES = st.sampled_from([None, [0], [1], [0, 1]])
MINUTES = st.integers(-30, HOURS * 60 + 30)


class World:
    """Two companies on a cloud, the supplier's with two machines."""

    leader: httpx.Client
    supplier: httpx.Client
    code: str
    machines: list[str]


class Sharing(RuleBasedStateMachine):
    """One grant at a time, and what the test believes of it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.grant: dict[str, Any] | None = None
        self.ended: list[str] = []

    def believe(self, grant: dict[str, Any]) -> None:
        terms = grant["terms"]
        times = {name: datetime.fromisoformat(terms[name]) for name in ("since", "until")}
        self.grant = grant | {"terms": terms | times}

    @rule(items=ITEMS, machines=MACHINES, history=st.integers(0, 2))
    def ask_and_accept(self, items: list[dict[str, Any]], machines: list[int] | None, history: int) -> None:
        if self.grant and self.grant["terms"]["until"] <= datetime.now(UTC):
            self.ended.append(self.grant["id"])
            self.grant = None
        change = {"grant_id": self.grant["id"]} if self.grant else {}
        body = asked(self.world.code, *items, history_days=history, **change)
        made = self.world.leader.post("/api/v1/sharing/requests", json=body)
        chosen = {"machines": [self.world.machines[each] for each in machines]} if machines else {}
        path = f"/api/v1/sharing/requests/{made.json()['id']}/acceptance"
        answer = self.world.supplier.post(path, json=chosen)
        assert answer.status_code == 200, answer.text
        self.believe(answer.json())

    @precondition(lambda self: self.grant)
    @rule(items=ITEMS, machines=MACHINES, since=MINUTES, until=st.one_of(MINUTES, st.just(7 * 24 * 60)))
    def narrow(self, items: list[dict[str, Any]], machines: list[int] | None, since: int, until: int) -> None:
        assert self.grant
        before = self.grant["terms"]
        begin = BEGUN + timedelta(minutes=since)
        end = max(BEGUN + timedelta(minutes=until), begin + timedelta(minutes=1))
        wished = {
            "items": items,
            "machines": [self.world.machines[each] for each in machines] if machines else None,
            "since": begin.isoformat(),
            "until": end.isoformat(),
        }
        path = f"/api/v1/sharing/grants/{self.grant['id']}/terms"
        answer = self.world.supplier.put(path, json={"terms": wished})
        had = {item["entry"]: FINER[item["granularity"]] for item in before["items"]}
        less = (
            all(item["entry"] in had and FINER[item["granularity"]] >= had[item["entry"]] for item in items)
            and (before["machines"] is None or (machines and set(wished["machines"]) <= set(before["machines"])))
            and begin >= before["since"]
            and end <= before["until"]
        )
        live = before["until"] > datetime.now(UTC)
        assert answer.status_code == ((200 if less else 422) if live else 409), answer.text
        if less and live:
            self.believe(answer.json())

    @precondition(lambda self: self.grant)
    @rule(by=st.sampled_from(["leader", "supplier"]))
    def end(self, by: str) -> None:
        assert self.grant
        answer = getattr(self.world, by).post(f"/api/v1/sharing/grants/{self.grant['id']}/end", json={})
        assert answer.status_code == (200 if self.grant["terms"]["until"] > datetime.now(UTC) else 409)
        self.ended.append(self.grant["id"])
        self.grant = None

    @rule(entry=st.sampled_from(ENTRIES), machine=st.sampled_from([None, 0, 1]), start=MINUTES, end=MINUTES)
    def read(self, entry: str, machine: int | None, start: int, end: int) -> None:
        if start >= end:
            return
        begin, until = BEGUN + timedelta(minutes=start), BEGUN + timedelta(minutes=end)
        query = {"entry": entry, "start": begin.isoformat(), "end": until.isoformat()}
        if machine is not None:
            query["equipment_id"] = self.world.machines[machine]
        for dead in self.ended[-2:]:
            answer = self.world.leader.get(f"/api/v1/sharing/grants/{dead}/values", params=query)
            assert answer.status_code == 404
        if not self.grant:
            return
        terms = self.grant["terms"]
        answer = self.world.leader.get(f"/api/v1/sharing/grants/{self.grant['id']}/values", params=query)
        shown = [
            index
            for index, each in enumerate(self.world.machines)
            if (terms["machines"] is None or each in terms["machines"]) and machine in (None, index)
        ]
        visible = any(item["entry"] == entry for item in terms["items"]) and (shown or machine is None)
        if not visible or terms["until"] <= datetime.now(UTC):
            assert answer.status_code == 404, answer.text
            return
        found = {
            self.world.machines.index(one["equipment_id"]): {
                datetime.fromisoformat(value["time"]): value["value"] for value in one["values"]
            }
            for one in answer.json()["series"]
        }
        right = {each: expected(terms, each, entry, begin, until) for each in shown}
        assert {each: values for each, values in found.items() if values} == {
            each: pytest.approx(values) for each, values in right.items() if values
        }


async def ready(new_company: NewCompany, db: Database) -> tuple[World, list[httpx.Client]]:
    leader, supplier = await new_company(), await new_company()
    world = World()
    world.code = await registered(supplier, db)
    for number in range(2):
        async with supplier.agent(f"machine-{number}") as agent:
            rows = []
            for entry in ENTRIES:
                point = PointRef("m", entry, entry, {"active_power_total": "KWT"}.get(entry, "AMP"))
                values = [value for minute in range(HOURS * 60) for value in truth(number, entry, minute)]
                rows += readings(point, values, us(BEGUN), 20_000_000)
            await agent.deliver(frame(1, rows))
    await _rolled_up(supplier)
    equipment = {each["agent"]: each["id"] for each in (await supplier.http.get("/api/v1/equipment")).json()}
    world.machines = [equipment["machine-0"], equipment["machine-1"]]
    clients = [
        httpx.Client(base_url=one.http.base_url, headers=one.http.headers, timeout=30) for one in (leader, supplier)
    ]
    world.leader, world.supplier = clients
    return world, clients


async def _rolled_up(supplier: Company) -> None:
    points = (await supplier.http.get("/api/v1/points")).json()
    query: dict[str, Any] = {"series_id": [point["series_id"] for point in points], "resolution": "1h"}
    query |= {"start": BEGUN.isoformat(), "end": NOW.isoformat()}
    async with asyncio.timeout(30):
        while True:
            curves = (await supplier.http.get("/api/v1/history", params=query)).json()["curves"]
            if len(curves) == 4 and all(
                len(curve["samples"]) == HOURS and all(one["n"] == 180 for one in curve["samples"]) for curve in curves
            ):
                return
            await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def test_no_way_around(new_company: NewCompany, db: Database) -> None:
    world, clients = await ready(new_company, db)
    Sharing.world = world
    calm = settings(
        max_examples=25,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    try:
        run_state_machine_as_test(Sharing, settings=calm)
    finally:
        for client in clients:
            client.close()
