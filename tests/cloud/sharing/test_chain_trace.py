"""Things followed from company to company over grants: as far as each shows, receipted, and not a step further."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.core.audit import canonical
from cloud.core.db import Database
from cloud.sharing import receipts
from cloud.sharing.terms import Ask, Terms, within
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.sharing.pair import asked, granted, registered
from tests.cloud.traceability.test_traceability import document

NOW = datetime.now(UTC)
POWER = {"entry": "active_power_total", "granularity": "hour"}


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


def made(used: list[str], out: list[str], *, days_ago: float = 1, **more: Any) -> dict[str, Any]:
    """Return the event of making `out` of `used`."""
    return {
        "type": "TransformationEvent",
        "eventTime": (NOW - timedelta(days=days_ago)).isoformat(),
        "eventTimeZoneOffset": "+08:00",
        "inputEPCList": used,
        "outputEPCList": out,
        **more,
    }


def seen(*things: str) -> dict[str, Any]:
    """Return the event of things being seen."""
    at = {"eventTime": NOW.isoformat(), "eventTimeZoneOffset": "+08:00"}
    return {"type": "ObjectEvent", "action": "OBSERVE", "epcList": list(things), **at}


async def captured(company: Company, *events: dict[str, Any]) -> None:
    (await company.http.post("/api/v1/trace/capture", json=document(*events))).raise_for_status()


async def ask(company: Company, direction: str, *things: str) -> httpx.Response:
    return await company.http.get("/api/v1/sharing/trace", params={"thing": list(things), "direction": direction})


async def traced(company: Company, direction: str, *things: str) -> dict[str, Any]:
    answer = await ask(company, direction, *things)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def shows(
    supplier: Company, leader: Company, db: Database, trace: str = "full", *, history_days: int = 5
) -> dict[str, Any]:
    """Let the supplier show the leader its events and nothing else; return the grant."""
    request = asked(await registered(supplier, db), history_days=history_days)
    request["terms"]["trace"] = trace
    return await granted(leader, supplier, request)


class Chain:
    """Resin becomes caps at one company, caps a module at the next, and modules a car at the last."""

    def __init__(self, maker: Company, middle: Company, leader: Company) -> None:
        self.maker, self.middle, self.leader = maker, middle, leader
        urn = f"urn:example:{uuid4().hex}"
        self.resin, self.module, self.car = f"{urn}:resin", f"{urn}:module", f"{urn}:car"
        self.caps = [f"{urn}:cap{number}" for number in range(4)]

    async def happen(self) -> None:
        place = {"readPoint": {"id": "urn:example:line:7"}, "bizStep": "commissioning", "disposition": "active"}
        await captured(self.maker, made([self.resin], self.caps, **place))
        await captured(self.middle, made(self.caps[:2], [self.module], **place), seen(*self.caps[:2]))
        await captured(self.leader, made([self.module], [self.car], **place))


@pytest.fixture
async def chain(new_company: NewCompany) -> Chain:
    chain = Chain(*[await new_company() for _ in range(3)])
    await chain.happen()
    return chain


def edges(trace: dict[str, Any]) -> set[tuple[str, str]]:
    return {(step["used"], step["made"]) for step in trace["steps"]}


async def test_a_thing_is_followed_through_every_company_that_shows_it(chain: Chain, db: Database) -> None:
    alone = await traced(chain.leader, "up", chain.car)
    assert (edges(alone), alone["sources"], alone["ends"]) == ({(chain.module, chain.car)}, [], [chain.module])
    near = await shows(chain.middle, chain.leader, db, "full")
    one = await traced(chain.leader, "up", chain.car)
    assert set(one["ends"]) == set(chain.caps[:2])
    assert [source["grant_id"] for source in one["sources"]] == [near["id"]]
    far = await shows(chain.maker, chain.leader, db, "products")
    two = await traced(chain.leader, "up", chain.car)
    assert (two["ends"], two["complete"]) == ([chain.resin], True)
    assert [(thing["thing"], thing["depth"]) for thing in two["things"]][-1] == (chain.resin, 3)
    by_grant = {step["grant_id"]: step for step in two["steps"]}
    assert by_grant[near["id"]]["read_point"] == "urn:example:line:7"
    assert by_grant[near["id"]]["biz_step"] == "commissioning"
    told = by_grant[far["id"]]
    assert [told[name] for name in ("kind", "biz_step", "read_point", "biz_location", "disposition")] == [None] * 5
    assert told["event_time"]
    assert by_grant[None]["read_point"] == "urn:example:line:7"


async def test_what_came_here_of_a_suppliers_lot_is_shown_and_what_went_elsewhere_is_not(
    chain: Chain, db: Database
) -> None:
    await shows(chain.middle, chain.leader, db)
    await shows(chain.maker, chain.leader, db)
    down = await traced(chain.leader, "down", chain.resin)
    assert edges(down) == {
        *((chain.resin, cap) for cap in chain.caps[:2]),
        *((cap, chain.module) for cap in chain.caps[:2]),
        (chain.module, chain.car),
    }
    assert down["ends"] == [chain.car]
    # What is not connected with anything here is not there: a cap that another company got answers like nothing at all.
    elsewhere, nothing = await ask(chain.leader, "up", chain.caps[3]), await ask(chain.leader, "up", "urn:example:none")
    assert (elsewhere.status_code, nothing.status_code) == (404, 404)
    assert elsewhere.text.replace(chain.caps[3], "") == nothing.text.replace("urn:example:none", "")
    for direction in ("up", "down"):
        assert (await ask(chain.leader, direction, "no uri")).status_code == 422
    assert (await ask(chain.leader, "sideways", chain.car)).status_code == 422


async def test_a_grant_lets_nobody_see_through_it_into_a_third_company(chain: Chain, db: Database) -> None:
    await shows(chain.maker, chain.middle, db)
    await shows(chain.middle, chain.leader, db)
    assert set((await traced(chain.leader, "up", chain.car))["ends"]) == set(chain.caps[:2])
    assert (await traced(chain.middle, "up", chain.module))["ends"] == [chain.resin]
    # The other way round: what became of it downstream is shown by a grant of the one downstream, and by nothing else.
    assert edges(await traced(chain.middle, "down", chain.module)) == set()
    await shows(chain.leader, chain.middle, db)
    assert (await traced(chain.middle, "down", chain.module))["ends"] == [chain.car]
    assert chain.car not in (await ask(chain.maker, "down", chain.resin)).text


async def test_reads_are_receipted_narrowed_and_ended(chain: Chain, db: Database) -> None:
    code = await registered(chain.middle, db)
    request = asked(code, POWER)
    request["terms"]["trace"] = "products"
    more = {**request, "terms": {**request["terms"], "trace": "full"}}
    made = await chain.leader.http.post("/api/v1/sharing/requests", json=request)
    path = f"/api/v1/sharing/requests/{made.json()['id']}/acceptance"
    assert (await chain.middle.http.post(path, json={"trace": "full"})).status_code == 422, "more than was asked"
    assert (await chain.middle.http.post(path, json={"trace": "none", "items": []})).status_code == 422, "nothing"
    none = await granted(chain.leader, chain.middle, more, trace="none")
    assert none["terms"]["trace"] is None
    silent = await traced(chain.leader, "up", chain.car)
    assert edges(silent) == {(chain.module, chain.car)}
    assert [(one["trace"], one["receipt"]) for one in silent["sources"]] == [(None, None)]
    (await chain.middle.http.post(f"/api/v1/sharing/grants/{none['id']}/end", json={})).raise_for_status()
    grant = await granted(chain.leader, chain.middle, more)
    base = f"/api/v1/sharing/grants/{grant['id']}"
    full = await traced(chain.leader, "up", chain.car)
    (source,) = full["sources"]
    (last, *_) = (await chain.middle.http.get(f"{base}/receipts")).json()["items"]
    assert (last["kind"], last["seq"], last["hash"]) == ("read", *source["receipt"].values())
    assert {name: last["body"][name] for name in ("trace", "direction", "things", "steps", "way")} == {
        "trace": "full",
        "direction": "up",
        "things": 3,
        "steps": 2,
        "way": "api",
    }
    assert chain.car not in str(last), "what was asked for is not told"
    given = [{key: step[key] for key in step if key != "depth"} for step in full["steps"] if step["grant_id"]]
    given.sort(key=lambda step: (step["used"], step["made"]))
    assert last["body"]["digest"] == sha256(canonical(given).encode()).hexdigest()
    assert receipts.verify((await chain.middle.http.get(f"{base}/receipts/chain")).text).fault is None
    # Nothing of it is told, so nothing is receipted.
    await traced(chain.leader, "down", chain.car)
    assert (await chain.middle.http.get(base)).json()["receipts"] == last["seq"]
    less = {"terms": grant["terms"] | {"trace": "products"}}
    assert (await chain.middle.http.put(f"{base}/terms", json=less)).status_code == 200
    assert (await chain.middle.http.put(f"{base}/terms", json={"terms": grant["terms"]})).status_code == 422
    narrowed = await traced(chain.leader, "up", chain.car)
    assert {step["read_point"] for step in narrowed["steps"] if step["grant_id"]} == {None}
    (await chain.leader.http.post(f"{base}/end", json={})).raise_for_status()
    assert edges(await traced(chain.leader, "up", chain.car)) == {(chain.module, chain.car)}


def test_terms_without_traces_are_still_read_and_show_none() -> None:
    stored = {"items": [POWER], "since": NOW.isoformat(), "until": (NOW + timedelta(days=1)).isoformat()}
    old = Terms.model_validate(stored)
    assert old.trace is None
    products, full = (Terms.model_validate(stored | {"trace": trace}) for trace in ("products", "full"))
    order = [old, products, full]
    assert all(within(a, b) == (i <= j) for (i, a), (j, b) in itertools.product(enumerate(order), repeat=2))
    with pytest.raises(ValueError, match="nothing is shown"):
        Ask(items=())


COMPANIES, THINGS = 3, 5
"""Of a random world; the first company is who asks."""
NODES = st.integers(0, THINGS - 1)
EVENTS = st.lists(
    st.tuples(st.integers(0, COMPANIES - 1), NODES, NODES, st.sampled_from([1, 20])).filter(
        lambda one: one[1] != one[2]
    ),
    min_size=6,
    max_size=14,
    unique=True,
)
GRANTS = st.lists(
    st.tuples(st.integers(1, COMPANIES - 1), st.sampled_from(["products", "full"]), st.sampled_from([5, 30])), max_size=3
)  # fmt: skip


def right(
    events: list[tuple[int, int, int, int]], shown: list[tuple[int, str, int]], start: int, *, up: bool
) -> set[tuple[int, int, int]] | None:
    """Return what may be told - steps as (company, used, made) - from the rule as people are told it; None: unknown."""
    visible = {
        (company, used, out)
        for company, used, out, age in events
        if company == 0 or any(one == company and age < history for one, _, history in shown)
    }
    on = {(out, used) if up else (used, out) for _, used, out in visible}
    leads = {(node, node) for node in range(THINGS)} | on
    for middle, a, b in itertools.product(range(THINGS), repeat=3):  # a path from a to b by way of `middle`
        if (a, middle) in leads and (middle, b) in leads:
            leads.add((a, b))
    own = {thing for company, *pair, _ in events if company == 0 for thing in pair}
    told = set()
    for company, used, out in visible:
        here, there = (out, used) if up else (used, out)
        connected = any((each, here) in leads or (there, each) in leads for each in own if (start, each) in leads)
        if (start, here) in leads and (company == 0 or connected):
            told.add((company, used, out))
    return told if told or start in own else None


async def test_nothing_outside_of_live_grants_is_told_and_all_inside_is(new_company: NewCompany, db: Database) -> None:
    companies = [await new_company() for _ in range(COMPANIES)]
    codes = [await registered(company, db) for company in companies]
    clients = [
        httpx.Client(base_url=one.http.base_url, headers=one.http.headers, timeout=30) for one in companies
    ]  # hypothesis does not wait
    asker = clients[0]

    @settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(
        events=EVENTS,
        shown=GRANTS,
        ended=st.lists(st.integers(1, COMPANIES - 1), max_size=1),
        start=NODES,
        up=st.booleans(),
    )
    def check(
        events: list[tuple[int, int, int, int]],
        shown: list[tuple[int, str, int]],
        ended: list[int],
        start: int,
        *,
        up: bool,
    ) -> None:
        urn = f"urn:example:{uuid4().hex}"
        names = [f"{urn}:{node}" for node in range(THINGS)]
        for company, used, out, age in events:
            place = {"readPoint": {"id": f"{urn}:place-{company}"}}
            event = made([names[used]], [names[out]], days_ago=age, **place)
            clients[company].post("/api/v1/trace/capture", json=document(event)).raise_for_status()
        grants = []
        for company, trace, history in [*shown, *((company, "full", 30) for company in ended)]:
            request = asked(codes[company], history_days=history)
            request["terms"]["trace"] = trace
            made_ = asker.post("/api/v1/sharing/requests", json=request).raise_for_status().json()["id"]
            path = f"/api/v1/sharing/requests/{made_}/acceptance"
            grants.append((company, clients[company].post(path, json={}).raise_for_status().json()["id"]))
        over = grants[len(shown) :]
        for company, grant in over:
            clients[company].post(f"/api/v1/sharing/grants/{grant}/end", json={}).raise_for_status()
        query = {"thing": names[start], "direction": "up" if up else "down"}
        answer = asker.get("/api/v1/sharing/trace", params=query)
        body = {"things": [names[start]], "kind": "investigation" if up else "alert", "reason": "r"}
        recall = asker.post("/api/v1/sharing/recalls", json=body)
        for company, grant in grants[: len(shown)]:
            clients[company].post(f"/api/v1/sharing/grants/{grant}/end", json={}).raise_for_status()
        expected = right(events, shown, start, up=up)
        if expected is None:
            assert (answer.status_code, recall.status_code) == (404, 404), answer.text
            return
        of = {grant: company for company, grant in grants} | {None: 0}
        told = {
            (of[step["grant_id"]], names.index(step["used"]), names.index(step["made"]))
            for step in answer.json()["steps"]
        }
        assert told == expected
        assert not {grant for _, grant in over} & {step["grant_id"] for step in answer.json()["steps"]}
        places = {step["read_point"] for step in answer.json()["steps"]} - {None}
        wholly = {0} | {company for company, trace, _ in shown if trace == "full"}
        assert places <= {f"{urn}:place-{company}" for company in wholly}
        named = {thing for _, *pair in expected for thing in pair} | {start}
        for node in set(range(THINGS)) - named:
            assert names[node] not in answer.text + recall.text
        assert set(recall.json()["things"]) == {names[node] for node in named}
        for company in range(1, COMPANIES):
            theirs = {thing for one, *pair, _ in events if one == company for thing in pair}
            told = clients[company].get(f"/api/v1/sharing/recalls/{recall.json()['id']}")
            live = any(one == company for one, _, _ in shown)
            assert (told.status_code == 200) == bool(live and theirs & named)
            if told.status_code == 200:
                assert {names[node] for node in theirs & named} <= set(told.json()["things"])
                assert set(told.json()["things"]) <= {names[node] for node in theirs}

    try:
        check()
    finally:
        for client in clients:
            client.close()
