"""Inspections from the batch to the API, on a real database: exactly once, in pages, and never another tenant's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from cloud.core import errors
from cloud.core.access import Resolvers
from cloud.core.db import Database
from cloud.core.limits import API_BURST, API_PERIOD_S, RateLimit
from cloud.core.principal import AgentPrincipal, Principal, Role, TenantScope
from cloud.core.settings import Secrets
from cloud.fleet.schemas import CodeRequest
from cloud.fleet.service import Fleet
from cloud.identity.schemas import SiteRequest
from cloud.identity.service import Identity
from cloud.quality import routes
from cloud.quality.schemas import Filter
from cloud.quality.service import MAX_IMAGE_BYTES, Quality, store_inspections
from protocols.errors import Malformed
from protocols.uplink.messages import Batch, LateOpinion, SecondOpinion
from protocols.uplink.messages import Inspection as Delivered
from tests.doubles.plant import Plant

SECRETS = Secrets(signing_key="s" * 43, lookup_key="l" * 43, database_password="d" * 43)
START = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
JPEG, PNG = b"\xff\xd8\xff\xe0 a picture", b"\x89PNG\r\n\x1a\n a heat map"


@dataclass
class Company:
    """One tenant with an agent that may deliver."""

    agent: AgentPrincipal

    @property
    def scope(self) -> TenantScope:
        return self.agent.scope

    def principal(self, role: Role = Role.OWNER) -> Principal:
        scopes = role.scopes
        return Principal(
            self.scope,
            uuid4(),
            uuid4(),
            f"{role}@{self.scope.tenant_id.hex[-6:]}.example",
            role,
            None,
            frozenset(scopes),
        )


async def found(db: Database, name: str) -> Company:
    scope = await Identity(db, SECRETS).create_tenant(name)
    site = await Identity(db, SECRETS).create_site(scope, SiteRequest(name="plant"), "test")
    fleet = Fleet(db, SECRETS)
    code = (await fleet.create_code(scope, CodeRequest(site_id=site.id), "test")).code
    reply = await fleet.enrol(Plant(httpx.Client()).enrol_request(code, "box"), "127.0.0.1")
    return Company(AgentPrincipal(scope, UUID(reply.agent_id), "box", site.id))


@pytest.fixture
async def company(db: Database) -> Company:
    return await found(db, "ours")


@pytest.fixture
async def stranger(db: Database) -> Company:
    return await found(db, "theirs")


@pytest.fixture
def quality(db: Database) -> Quality:
    return Quality(db)


def part(number: int, verdict: str = "pass", *, minutes: float | None = None, **more: object) -> Delivered:
    time = START + timedelta(minutes=number if minutes is None else minutes)
    plain = Delivered(
        id=str(uuid7()), device="camera-1", time=int(time.timestamp() * 1e6), part=f"P-{number:03d}", verdict=verdict,
        score=1.25, review_limit=3.0, reject_limit=4.5, model="part-surface", model_version="1.0.0", latency_us=21_000,
        picture=JPEG, heatmap=PNG,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **more)


async def deliver(db: Database, company: Company, *inspections: Delivered) -> None:
    async with db.tenant(company.scope) as connection:
        await store_inspections(connection, company.agent, Batch(inspections=list(inspections)))


async def test_all_that_was_delivered_comes_back(db: Database, company: Company, quality: Quality) -> None:
    sent = part(7, "reject", score=5.5)
    await deliver(db, company, sent)
    item = await quality.inspection(company.scope, UUID(sent.id))
    assert (item.part, item.verdict, item.score, item.review_limit, item.reject_limit) == (
        "P-007",
        "reject",
        5.5,
        3.0,
        4.5,
    )
    assert (item.model, item.model_version, item.latency_us) == ("part-surface", "1.0.0", 21_000)
    assert item.time == START + timedelta(minutes=7)
    assert (item.picture, item.heatmap, item.oversize, item.judgement) == (True, True, [], None)
    assert (await quality.image(company.scope, item.id, "picture")).content == JPEG
    assert (await quality.image(company.scope, item.id, "heatmap")).content == PNG


async def test_a_replay_changes_nothing(db: Database, company: Company, quality: Quality) -> None:
    sent = part(1)
    await deliver(db, company, sent)
    await quality.judge(company.principal(), UUID(sent.id), "defect")
    await deliver(db, company, sent, msgspec.structs.replace(sent, verdict="reject", picture=b"other"))
    page = await quality.inspections(company.scope, Filter(), limit=10)
    assert [(item.verdict, item.judgement) for item in page.items] == [("pass", "defect")]
    assert (await quality.image(company.scope, UUID(sent.id), "picture")).content == JPEG


async def test_a_late_opinion_is_noted_once_and_only_on_the_agents_own(
    db: Database, company: Company, stranger: Company, quality: Quality
) -> None:
    sent = part(1, "review")
    await deliver(db, company, sent)
    late = LateOpinion(sent.id, SecondOpinion("heavy", "3", "reject", 7.5, 45_000))
    other = LateOpinion(sent.id, SecondOpinion("other", "1", "pass", 0.5, 1))
    for teller, opinion in ((stranger, other), (company, late), (company, other)):
        async with db.tenant(teller.scope) as connection:
            await store_inspections(connection, teller.agent, Batch(opinions=[opinion]))
    item = await quality.inspection(company.scope, UUID(sent.id))
    assert item.second is not None
    assert (item.second.model, item.second.verdict, item.second.score) == ("heavy", "reject", 7.5)
    assert item.verdict == "review"
    wrong = LateOpinion(sent.id, SecondOpinion("heavy", "3", "perhaps", 7.5, 45_000))
    with pytest.raises(Malformed):
        async with db.tenant(company.scope) as connection:
            await store_inspections(connection, company.agent, Batch(opinions=[wrong]))


async def test_an_oversize_picture_is_said_and_blocks_nothing(db: Database, company: Company, quality: Quality) -> None:
    large = part(1, picture=bytes(MAX_IMAGE_BYTES + 1))
    bare = part(2, picture=b"", heatmap=b"")
    await deliver(db, company, large, bare)
    item = await quality.inspection(company.scope, UUID(large.id))
    assert (item.picture, item.heatmap, item.oversize) == (False, True, ["picture"])
    item = await quality.inspection(company.scope, UUID(bare.id))
    assert (item.picture, item.heatmap, item.oversize) == (False, False, [])
    with pytest.raises(errors.NotFound):
        await quality.image(company.scope, UUID(large.id), "picture")


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "7"},
        {"verdict": "maybe"},
        {"score": float("nan")},
        {"reject_limit": float("inf")},
        {"time": -1},
        {"time": 2**62},
        {"latency_us": -5},
        {"part": "x\0y"},
        {"model": "m" * 500},
        {"defect": "d" * 81, "chance": 0.5},
        {"defect": "a\nb", "chance": 0.5},
        {"defect": "scratch", "chance": 1.5},
    ],
    ids=str,
)
async def test_what_no_agent_would_send_is_refused_whole(
    db: Database, company: Company, quality: Quality, wrong: dict[str, object]
) -> None:
    with pytest.raises(Malformed):
        await deliver(db, company, part(1), part(2, **wrong))
    assert (await quality.inspections(company.scope, Filter(), limit=10)).items == []


async def test_pages_are_complete_whatever_arrives_meanwhile(db: Database, company: Company, quality: Quality) -> None:
    """Several parts share an instant; newer ones arrive between two pages."""
    sent = [part(number, minutes=number // 3) for number in range(10)]
    await deliver(db, company, *sent)
    seen: list[UUID] = []
    before = None
    for turn in range(4):
        page = await quality.inspections(company.scope, Filter(), limit=3, before=before)
        seen += [item.id for item in page.items]
        before = page.next
        await deliver(db, company, part(100 + turn))
    assert before is None
    wanted = sorted(sent, key=lambda one: (one.time, UUID(one.id).bytes), reverse=True)
    assert seen == [UUID(one.id) for one in wanted]


async def test_filters(db: Database, company: Company, quality: Quality) -> None:
    sent = [part(0), part(1, "reject"), part(2, "review", device="camera-2"), part(3, "reject", device="camera-2")]
    await deliver(db, company, *sent)
    second = (await quality.inspection(company.scope, UUID(sent[3].id))).equipment_id

    async def parts(wanted: Filter) -> list[str]:
        return [item.part for item in (await quality.inspections(company.scope, wanted, limit=10)).items]

    assert await parts(Filter(verdict="reject")) == ["P-003", "P-001"]
    assert await parts(Filter(equipment_id=second)) == ["P-003", "P-002"]
    assert await parts(Filter(start=START + timedelta(minutes=1), end=START + timedelta(minutes=3))) == [
        "P-002",
        "P-001",
    ]
    await deliver(db, company, *(part(9, part=name) for name in ("L7-0042", "L7-0043", "L70-1", "l7-1", "批7-1")))
    assert set(await parts(Filter(part="L7-"))) == {"L7-0042", "L7-0043"}
    assert await parts(Filter(part="L7-0042")) == ["L7-0042"]
    assert await parts(Filter(part="批7")) == ["批7-1"]
    told = part(10, part="4711/L7", lot="L7", serial="4711")
    await deliver(db, company, told)
    assert await parts(Filter(lot="L7")) == await parts(Filter(serial="4711")) == ["4711/L7"]
    await deliver(db, company, part(11, model="other", device="camera-2"))
    assert await quality.models(company.scope) == sorted({sent[0].model, "other"})
    assert await parts(Filter(model="other")) == ["P-011"]
    site, line = company.agent.site_id, uuid4()
    async with db.tenant(company.scope) as connection:
        await connection.execute(
            "INSERT INTO line (id, tenant_id, site_id, name) VALUES (%s, current_tenant(), %s, 'B')", [line, site]
        )
        await connection.execute("UPDATE equipment SET line_id = %s WHERE id = %s", [line, second])
    assert await parts(Filter(line_id=line, site_id=site)) == ["P-011", "P-003", "P-002"]
    assert await parts(Filter(line_id=line, verdict="review")) == ["P-002"]
    assert await parts(Filter(site_id=site)) == await parts(Filter())
    assert await parts(Filter(site_id=uuid4())) == []
    item = await quality.inspection(company.scope, UUID(told.id))
    assert (item.lot, item.serial) == ("L7", "4711")
    assert await parts(Filter(part="P-00", verdict="reject")) == ["P-003", "P-001"]
    assert await parts(Filter(part="%")) == []


async def test_the_summary_counts_every_inspection_once(db: Database, company: Company, quality: Quality) -> None:
    verdicts = ["pass"] * 5 + ["review"] * 2 + ["reject"]
    await deliver(db, company, *(part(n, verdict, minutes=20 * n) for n, verdict in enumerate(verdicts)))
    summary = await quality.summary(company.scope, START, START + timedelta(minutes=140))
    assert (summary.passed, summary.review, summary.reject) == (5, 2, 0)  # the eighth is at the half-open end
    assert [(hour.hour.hour, hour.passed, hour.review) for hour in summary.hours] == [(6, 2, 0), (7, 3, 0), (8, 0, 2)]


@pytest.fixture
async def ask(db: Database) -> AsyncIterator[Callable[[Principal, str, str], Awaitable[httpx.Response]]]:
    """Ask the API as a principal."""
    app = FastAPI()
    errors.install(app)
    app.include_router(routes.router)
    app.state.quality = Quality(db)
    app.state.api_rate = RateLimit(API_BURST, API_PERIOD_S)
    known: dict[str, Principal] = {}

    async def principal(token: str) -> Principal | None:
        return known.get(token)

    async def nobody(token: str) -> None:
        return None

    app.state.resolvers = Resolvers(principal, nobody, nobody)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cloud") as client:

        async def request(who: Principal, method: str, path: str, **more: object) -> httpx.Response:
            known[str(who.token_id)] = who
            return await client.request(method, path, headers={"Authorization": f"Bearer {who.token_id}"}, **more)

        yield request


Ask = Callable[..., Awaitable[httpx.Response]]


async def test_the_api_gives_items_images_and_counts(db: Database, company: Company, ask: Ask) -> None:
    sent = [part(number, "reject" if number == 1 else "pass") for number in range(3)]
    await deliver(db, company, *sent)
    who, root = company.principal(Role.VIEWER), "/api/v1/inspections"
    first = (await ask(who, "GET", f"{root}?limit=2")).json()
    rest = (await ask(who, "GET", f"{root}?limit=2&before={first['next']}")).json()
    assert [item["part"] for item in first["items"] + rest["items"]] == ["P-002", "P-001", "P-000"]
    assert rest["next"] is None
    picture = await ask(who, "GET", f"{root}/{sent[1].id}/picture")
    assert (picture.content, picture.headers["content-type"]) == (JPEG, "image/jpeg")
    assert picture.headers["x-content-type-options"] == "nosniff"
    heatmap = await ask(who, "GET", f"{root}/{sent[1].id}/heatmap")
    assert (heatmap.content, heatmap.headers["content-type"]) == (PNG, "image/png")
    day = {"start": START.isoformat(), "end": (START + timedelta(days=1)).isoformat()}
    summary = (await ask(who, "GET", f"{root}/summary", params=day)).json()
    assert (summary["passed"], summary["review"], summary["reject"]) == (2, 0, 1)


async def test_only_an_operator_or_above_has_the_last_word(db: Database, company: Company, ask: Ask) -> None:
    sent = part(1, "reject")
    await deliver(db, company, sent)
    path = f"/api/v1/inspections/{sent.id}/judgement"
    viewer, operator = company.principal(Role.VIEWER), company.principal(Role.OPERATOR)
    assert (await ask(viewer, "POST", path, json={"judgement": "good"})).status_code == 403
    judged = (await ask(operator, "POST", path, json={"judgement": "good"})).json()
    assert (judged["verdict"], judged["judgement"], judged["judged_by"]) == ("reject", "good", operator.email)
    again = (await ask(operator, "POST", path, json={"judgement": "defect"})).json()
    assert again["judgement"] == "defect"
    assert (await ask(operator, "POST", path, json={"judgement": "perhaps"})).status_code == 422


async def test_defects_are_counted_by_what_people_call_them(db: Database, company: Company, ask: Ask) -> None:
    """Judged defective, or rejected and not judged; a word of "good" takes a part out, a new word replaces the last."""
    parts = [
        part(number, verdict, minutes=number)
        for number, verdict in enumerate(("reject",) * 4 + ("pass",) * 3 + ("review",))
    ]
    await deliver(db, company, *parts)
    operator = company.principal(Role.OPERATOR)

    async def say(number: int, judgement: str, defect: str = "") -> httpx.Response:
        path = f"/api/v1/inspections/{parts[number].id}/judgement"
        return await ask(operator, "POST", path, json={"judgement": judgement, "defect": defect})

    for number, defect in ((0, "划痕"), (1, "缺料"), (4, " 划痕 "), (7, "")):
        assert (await say(number, "defect", defect)).is_success
    assert (await say(1, "defect", "划痕")).json()["defect"] == "划痕"
    assert (await say(2, "good")).json()["defect"] is None
    assert (await say(5, "good", "划痕")).status_code == 422
    span = {"start": START.isoformat(), "end": (START + timedelta(hours=1)).isoformat()}
    found = (await ask(operator, "GET", "/api/v1/inspections/defects", params=span)).json()
    assert found["items"] == [
        {"defect": "划痕", "count": 3},
        {"defect": "", "count": 2},
    ]  # 3 rejected, unjudged; 7 unnamed
    assert (found["judged"], found["to_good"], found["to_defect"]) == (5, 1, 1)
    assert await Quality(db).defect_names(company.scope) == ["划痕"]


async def test_the_models_name_for_a_defect_counts_until_a_person_has_one(
    db: Database, company: Company, quality: Quality
) -> None:
    named = part(1, "reject", defect="scratch", chance=0.93)
    lost = part(2, "review", aligned=False)
    await deliver(db, company, named, lost)
    item = await quality.inspection(company.scope, UUID(named.id))
    assert (item.model_defect, round(item.model_chance or 0, 2), item.aligned) == ("scratch", 0.93, True)
    assert not (await quality.inspection(company.scope, UUID(lost.id))).aligned

    async def counted() -> list[tuple[str, int]]:
        found = await quality.defects(company.scope, START, START + timedelta(hours=1))
        return [(each.defect, each.count) for each in found.items]

    assert await counted() == [("scratch", 1)]
    await quality.judge(company.principal(), item.id, "defect", "dent")
    assert await counted() == [("dent", 1)]
    await quality.judge(company.principal(), item.id, "good")
    assert await counted() == []


async def test_another_tenant_learns_nothing(db: Database, company: Company, stranger: Company, ask: Ask) -> None:
    sent = part(1, "reject")
    await deliver(db, company, sent)
    unknown = uuid7()
    spy = stranger.principal()
    for path in ("", "/picture", "/heatmap"):
        theirs = await ask(spy, "GET", f"/api/v1/inspections/{sent.id}{path}")
        absent = await ask(spy, "GET", f"/api/v1/inspections/{unknown}{path}")
        assert (theirs.status_code, theirs.content) == (404, absent.content)
    judged = await ask(spy, "POST", f"/api/v1/inspections/{sent.id}/judgement", json={"judgement": "good"})
    assert judged.status_code == 404
    assert (await ask(spy, "GET", "/api/v1/inspections")).json()["items"] == []
    # The same id from another tenant is another inspection, and neither is in the other's way.
    await deliver(db, stranger, msgspec.structs.replace(sent, part="theirs"))
    assert (await ask(spy, "GET", f"/api/v1/inspections/{sent.id}")).json()["part"] == "theirs"
    assert (await ask(company.principal(), "GET", f"/api/v1/inspections/{sent.id}")).json()["part"] == "P-001"


async def test_outside_a_tenant_there_is_nothing(db: Database, company: Company) -> None:
    await deliver(db, company, part(1))
    async with db.door() as connection:
        for query in ("SELECT count(*) FROM inspection", "SELECT count(*) FROM inspection_image"):
            assert await (await connection.execute(query)).fetchone() == (0,)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1000", "verdict=maybe", "before=no-mark", "before=MTIz", "start=yesterday", "unknown=1"],
)
async def test_a_wrong_question_is_explained(company: Company, ask: Ask, query: str) -> None:
    answer = await ask(company.principal(), "GET", f"/api/v1/inspections?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_a_summary_has_bounds(company: Company, ask: Ask) -> None:
    query = {"start": "2020-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
    assert (await ask(company.principal(), "GET", "/api/v1/inspections/summary", params=query)).status_code == 422
