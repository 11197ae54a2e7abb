"""Every list of the API is given in pages, or its bound is stated here."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import Request, Response

from cloud.core.paging import Older
from protocols.reading import now_us
from tests.cloud.conftest import Cluster, Company
from tests.doubles.agent import POWER, frame, readings

_BY_HAND = "what people of the company write by hand, one by one"
_OF_THE_PRODUCT = "comes with the product"
_LATEST = "the latest ones, as many as the description says"
_OLDER = "in pages, too: the next one's `before` is what the last row says, and the Link header has it"
_OF_A_SPAN = "begins in a span the caller names, at most as long as the description says"
BOUNDED = {
    "/assessment/evidence": _OF_THE_PRODUCT,
    "/assessment/results": _LATEST,
    "/billing/applications": "one for each company and programme",
    "/billing/effect": _OF_THE_PRODUCT,
    "/billing/invoices": _LATEST,
    "/billing/movements": _OLDER,
    "/billing/programmes": _OF_THE_PRODUCT,
    "/billing/vouchers": _BY_HAND,
    "/compute/jobs": _OLDER,
    "/compute/jobs/{job_id}/log": "1,000 lines, as many as are kept",
    "/compute/jobs/{job_id}/use": "thinned to as many samples as a curve shows",
    "/compute/offers": "those that are open now, each written by its provider",
    "/compute/quotas": "one for each company that computes",
    "/compute/servings": "the latest 1,000",
    "/compute/uploads": "1 GiB of archives and inputs together, for 30 days unused",
    "/dictionary/company-entries": "2,000, more are refused",
    "/dictionary/company-entries/{entry_code}": _LATEST,
    "/dictionary/entries": _OF_THE_PRODUCT,
    "/energy/factors": _BY_HAND,
    "/energy/meters/{meter_id}/places": _BY_HAND,
    "/energy/renewal": "one for each machine of one site",
    "/energy/tariffs": _BY_HAND,
    "/inspections/uncertain": _LATEST,
    "/models": _LATEST,
    "/models/keys": _BY_HAND,
    "/models/stations": "one for each inspection station",
    "/notify/channels": _BY_HAND,
    "/production/calendar-exceptions": _BY_HAND,
    "/production/calendars": _BY_HAND,
    "/production/equipment/{equipment_id}/product-runs": _OF_A_SPAN,
    "/production/equipment/{equipment_id}/run-times": _BY_HAND,
    "/production/equipment/{equipment_id}/settings/versions": _BY_HAND,
    "/production/machines": "one for each machine of a node; a site or a line bounds it",
    "/production/shifts": _OF_A_SPAN,
    "/production/stop-reasons": _BY_HAND,
    "/production/stop-reasons/{reason_id}/losses": _BY_HAND,
    "/programmes": _LATEST,
    "/programmes/{programme_id}/scorecards": "one for each supplier and day of the span that is compared",
    "/programmes/{programme_id}/suppliers": "each was invited by hand, or by a file of 2,000 rows at most",
    "/programmes/{programme_id}/wall": "one for each supplier",
    "/reports/schedules": "100, more are refused",
    "/rollouts": _LATEST,
    "/sharing/grants": _OLDER,
    "/sharing/grants/{grant_id}/machines": "the machines of one grant",
    "/sharing/recalls": _OLDER,
    "/sharing/requests": _OLDER,
    "/shelf/installations": "one for each package that was installed by hand",
    "/shelf/packages": _BY_HAND,
    "/sites": _BY_HAND,
    "/spc/plans": "1,000, one for each point that a person put under control",
    "/spc/plans/{series_id}": _LATEST,
    "/spc/products": _LATEST,
    "/training/sets": "100, more are refused",
    "/training/sets/{set_id}/fits": _LATEST,
    "/training/sets/{set_id}/pictures": "2,000, more are refused",
    "/training/sets/{set_id}/versions": "one for each fit, which a person asked for",
    "/trend-views": _BY_HAND,
    "/users/{user_id}/grants": _BY_HAND,
}
"""Lists that are plain arrays without a cursor, and why they stay short."""


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """What answers look like is tried here; the plans of the statements are in test_bounded_pages."""
    return embedded_cluster


async def _lists(company: Company) -> dict[str, set[str]]:
    """Return the operations that answer with an array of rows, and what they may be asked."""
    document: dict[str, Any] = (await company.http.get("/api/v1/openapi.json")).json()
    found = {}
    for path, item in document["paths"].items():
        answers = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if answers.get("application/json", {}).get("schema", {}).get("type") == "array":
            asked = {each["name"] for each in item["get"].get("parameters", []) if each["in"] == "query"}
            found[path.removeprefix("/api/v1")] = asked
    return found


async def test_every_list_has_pages_or_a_stated_bound(company: Company) -> None:
    lists = await _lists(company)
    paged = {path for path, asked in lists.items() if {"cursor", "limit"} <= asked}
    assert lists.keys() - paged == BOUNDED.keys()
    assert len(paged) >= 12


async def test_the_pages_of_a_list_are_the_list(company: Company) -> None:
    for name in ("one", "two"):
        async with company.agent(name) as agent:
            await agent.deliver(frame(1, [*readings(POWER, [1.0], now_us())]))
            known = {"agent_id": agent.agent_id}
    series = [point["series_id"] for point in (await company.http.get("/api/v1/points")).json()]
    for number in range(2):
        for path, body in {
            "tokens": {"name": "t"},
            "invitations": {},
            "boards": {"name": "b"},
            "users": {"email": f"{number}-{company.email}", "password": "x" * 12},
            "alarms/rules": {
                "name": f"rule {number}",
                "selection": {"property": "active_power_total"},
                "condition": {"kind": "stale"},
            },
            "energy/meters": {
                "site_id": str(company.site_id),
                "name": "same",
                "carrier": "electricity",
                "series_id": series[number],
            },
        }.items():
            answer = await company.http.post(f"/api/v1/{path}", json=body)
            made_by_the_cloud = path == "energy/meters" and answer.status_code == 409
            assert answer.status_code == 201 or made_by_the_cloud, (path, answer.text)
    several = 0
    for path in (path for path, asked in (await _lists(company)).items() if {"cursor", "limit"} <= asked):
        url = f"/api/v1{path.format(**known)}"
        whole = await company.http.get(url)
        assert "link" not in whole.headers, "an answer that has all needs no next page"
        rows, pages = [], 0
        following: str | None = f"{url}?limit=1"
        while following:
            page = await company.http.get(following)
            rows += page.json()
            following = page.links.get("next", {}).get("url")
            pages += 1
        assert [_lasting(row) for row in rows] == [_lasting(row) for row in whole.json()], path
        assert pages == max(len(rows), 1), path
        several += pages > 1
    assert several >= 10


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what changes while it is looked at."""
    return {name: value for name, value in row.items() if name not in ("last_seen", "state", "health")}


def test_lists_by_what_the_last_row_says_tell_the_next_page_too() -> None:
    scope = {"type": "http", "method": "GET", "server": ("x", 80), "scheme": "http", "headers": []}
    request, response = Request(scope | {"path": "/jobs", "query_string": b"side=provider&before=9"}), Response()
    assert Older(request, response).after([7, 5], 2, int) == [7, 5]
    assert response.headers["Link"] == '</jobs?side=provider&before=5>; rel="next"'
    last = Response()
    assert Older(request, last).after([3], 2, int) == [3]
    assert "link" not in last.headers


async def test_a_page_keeps_what_was_asked_and_a_made_up_cursor_is_refused(company: Company) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, [*readings(POWER, [1.0], now_us())]))
    (machine,) = (await company.http.get("/api/v1/equipment")).json()
    async with company.agent("second") as agent:
        await agent.deliver(frame(1, [*readings(POWER, [1.0], now_us())]))
    page = await company.http.get("/api/v1/equipment", params={"limit": 1})
    cursor = parse_qs(urlsplit(page.links["next"]["url"]).query)["cursor"][0]
    refused: httpx.Response
    for path, made_up in (
        ("equipment", "x"),
        ("users", cursor),
        ("points", cursor),
        ("equipment", "bnVsbA"),
        ("agents", "W10"),
    ):
        refused = await company.http.get(
            f"/api/v1/{path}", params={"cursor": made_up}, headers={"Accept-Language": "zh"}
        )
        assert refused.status_code == 422, (path, made_up)
        assert "Link" in refused.json()["detail"]
    answer = await company.http.get("/api/v1/points", params={"equipment_id": machine["id"], "limit": 1})
    assert len(answer.json()) == 1
    assert "link" not in answer.headers, "the other machine's points are not its next page"
