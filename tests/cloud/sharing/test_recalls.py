"""A recall: who has what is affected is told, what is its own and no more, and answers."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.core.db import Database
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.sharing.test_chain_trace import Chain, captured, chain, made, seen, shows

__all__ = ["chain"]


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def recalled(company: Company, kind: str, *things: str) -> dict[str, Any]:
    body = {"things": list(things), "kind": kind, "reason": "brittle"}
    answer = await company.http.post("/api/v1/sharing/recalls", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def listed(company: Company) -> list[dict[str, Any]]:
    return list((await company.http.get("/api/v1/sharing/recalls")).json())


async def listening(company: Company) -> None:
    channel = {"kind": "email", "name": "all", "recipients": [company.email]}
    (await company.http.post("/api/v1/notify/channels", json=channel)).raise_for_status()


async def told(company: Company) -> list[tuple[str, str]]:
    """Return titles and bodies of what the company has been told on its channel."""
    items = (await company.http.get("/api/v1/notify/deliveries")).json()["items"]
    return [(one["notice"]["title_en"], one["notice"]["body_en"]) for one in items]


async def test_each_company_is_told_its_own_and_answers(chain: Chain, new_company: NewCompany, db: Database) -> None:
    maker, middle, leader = chain.maker, chain.middle, chain.leader
    other, stranger = await new_company(), await new_company()
    # The maker shows the two companies it delivers to what it does; they show it nothing. A third buyer has no grant.
    await shows(maker, middle, db)
    await shows(maker, other, db, "products")
    toy = chain.caps[3] + ":toy"
    await captured(other, made([chain.caps[3]], [toy]))
    await captured(stranger, seen(chain.caps[2]))
    for one in (middle, other, stranger):
        await listening(one)
    recall = await recalled(maker, "block", chain.resin)
    assert (recall["side"], recall["affected"], recall["complete"]) == ("issuer", 5, True)
    assert recall["things"] == [chain.resin, *chain.caps]
    assert [(one["shown"], one["answer"]) for one in recall["companies"]] == [(None, None)] * 2
    assert toy not in str(recall), "what the other made of it is not shown to the maker"
    (mine,), (theirs,) = await listed(middle), await listed(other)
    assert (mine["side"], set(mine["things"])) == ("told", {*chain.caps[:2], chain.module})
    assert theirs["things"] == [chain.caps[3], toy]
    assert [len(one["companies"]) for one in (mine, theirs)] == [1, 1], "who else was told is not told"
    assert await listed(stranger) == await listed(leader) == []
    assert [body for _, body in await told(middle)] == ["brittle - affected: 3"]
    assert "stop it" in (await told(other))[0][0]
    assert await told(stranger) == []

    path = f"/api/v1/sharing/recalls/{recall['id']}"
    await listening(maker)
    for answer in ("acknowledged", "contained"):
        reply = {"answer": answer, "text": "quarantined"}
        assert (await middle.http.post(f"{path}/answer", json=reply)).status_code == 200
    found = (await maker.http.get(path)).json()
    answers = sorted((one["answer"] or "", one["text"]) for one in found["companies"])
    assert answers == [("", ""), ("contained", "quarantined")]
    assert [body for _, body in await told(maker)] == ["quarantined"] * 2
    assert (await other.http.get(path)).json()["companies"][0]["answer"] is None
    for company in (maker, stranger, leader):
        assert (await company.http.post(f"{path}/answer", json={"answer": "contained"})).status_code == 404
    assert [(await one.http.get(path)).status_code for one in (stranger, leader)] == [404, 404]


async def test_an_investigation_goes_up_as_far_as_grants_lead(chain: Chain, db: Database) -> None:
    near = await shows(chain.middle, chain.leader, db)
    await shows(chain.maker, chain.leader, db)
    recall = await recalled(chain.leader, "investigation", chain.car)
    assert recall["things"] == [chain.car, chain.module, *chain.caps[:2], chain.resin]
    assert sorted(one["shown"] for one in recall["companies"]) == [3, 3]
    assert (await listed(chain.maker))[0]["things"] == [*chain.caps[:2], chain.resin]
    assert (await listed(chain.middle))[0]["things"] == [chain.module, *chain.caps[:2]]
    # Over a grant that has ended nobody is told, and nothing is found.
    (await chain.middle.http.post(f"/api/v1/sharing/grants/{near['id']}/end", json={})).raise_for_status()
    again = await recalled(chain.leader, "investigation", chain.car)
    assert (again["things"], again["companies"]) == ([chain.car, chain.module], [])
    assert len(await listed(chain.middle)) == 1


async def test_what_cannot_be_recalled_is_said(chain: Chain) -> None:
    post = chain.leader.http.post
    for body, status in (
        ({"things": ["urn:example:none"], "kind": "alert", "reason": "x"}, 404),
        ({"things": ["none"], "kind": "alert", "reason": "x"}, 422),
        ({"things": [], "kind": "alert", "reason": "x"}, 422),
        ({"things": [chain.car], "kind": "alert", "reason": ""}, 422),
        ({"things": [chain.car], "kind": "panic", "reason": "x"}, 422),
    ):
        assert (await post("/api/v1/sharing/recalls", json=body)).status_code == status, body
    alone = await recalled(chain.leader, "alert", chain.car)
    assert (alone["things"], alone["companies"]) == ([chain.car], [])
