"""Calendars over the API: versions in place of each other, refusals that say how to mend it, and the audit."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.cloud.conftest import Company

DAY = {"name_en": "Day", "name_zh": "白班", "weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "20:00"}
NIGHT = {"name_en": "Night", "name_zh": "夜班", "weekdays": [1, 2, 3, 4, 5], "start": "20:00", "end": "08:00"}


def calendar(company: Company, *shifts: dict[str, Any], valid_from: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    return {"site_id": str(company.site_id), "valid_from": valid_from, "shifts": list(shifts), **more}


async def _put(company: Company, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await company.http.put("/api/v1/production/calendars", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_site_has_shifts_and_a_line_its_own(company: Company) -> None:
    get, put = company.http.get, company.http.put
    first = await _put(company, calendar(company, DAY))
    again = await _put(company, calendar(company, DAY, {**NIGHT, "breaks": [{"start": "00:00", "end": "00:30"}]}))
    assert again["id"] == first["id"], "the same day and place: in place of the one before"
    line = (await company.http.post("/api/v1/lines", json={"site_id": str(company.site_id), "name": "L1"})).json()
    await _put(company, calendar(company, DAY, valid_from="2026-03-10", line_id=line["id"]))
    holiday = {"site_id": str(company.site_id), "day": "2026-03-12", "name": "Stock-taking"}
    assert (await put("/api/v1/production/calendar-exceptions", json=holiday)).status_code == 200

    async def shifts(node: str, node_id: str) -> list[tuple[str, str]]:
        days = {"first_day": "2026-03-09", "last_day": "2026-03-13"}
        answer = await get("/api/v1/production/shifts", params={"node": node, "node_id": node_id, **days})
        return [(shift["day"][-2:], shift["name_zh"]) for shift in answer.json()]

    both = [(day, name) for day in ("09", "10", "11", "13") for name in ("白班", "夜班")]
    assert await shifts("site", str(company.site_id)) == both
    assert await shifts("line", line["id"]) == [*both[:2], ("10", "白班"), ("11", "白班"), ("13", "白班")]
    # A removed line takes its calendar with it.
    assert (await company.http.delete(f"/api/v1/lines/{line['id']}")).status_code == 204
    assert len((await get("/api/v1/production/calendars")).json()) == 1


async def test_a_calendar_that_cannot_be_is_refused_in_words(company: Company) -> None:
    overlap = await _put(company, calendar(company, DAY, {**NIGHT, "start": "19:00"}), 422)
    assert "'Day' and 'Night' overlap" in overlap["detail"]
    outside = {**DAY, "breaks": [{"start": "19:30", "end": "20:30"}]}
    assert "not inside" in (await _put(company, calendar(company, outside), 422))["detail"]
    assert (await _put(company, calendar(company, {**DAY, "start": "08:00:30"}), 422))["errors"]
    await _put(company, {**calendar(company, DAY), "site_id": str(uuid4())}, 404)
    await _put(company, calendar(company, DAY, line_id=str(uuid4())), 404)
