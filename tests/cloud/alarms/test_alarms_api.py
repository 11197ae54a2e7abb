"""Alarms over HTTP: the cloud evaluates by itself, and a stream tells what changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from protocols.reading import now_us
from tests.cloud.conftest import Company
from tests.doubles.agent import POWER, frame, readings

RULE = {"name": "load", "selection": {"property": "active_power_total"}, "condition": {"kind": "threshold", "high": 50}}


@asynccontextmanager
async def stream(company: Company, last_id: str = "") -> AsyncIterator[AsyncIterator[tuple[str, list[dict[str, Any]]]]]:
    """Yield (id, alarms) of each event."""
    headers = {"Last-Event-ID": last_id} if last_id else {}

    async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
        identity = ""
        async for line in lines:
            name, _, value = line.partition(": ")
            identity = value if name == "id" else identity
            if name == "data":
                yield identity, json.loads(value)["alarms"]

    async with company.http.stream("GET", "/api/v1/alarms/changes", headers=headers) as answer:
        yield events(answer.aiter_lines())


async def test_the_cloud_evaluates_by_itself_and_a_stream_tells_and_resumes(company: Company) -> None:
    made = await company.http.post("/api/v1/alarms/rules", json=RULE)
    assert made.status_code == 201, made.text
    async with asyncio.timeout(60), company.agent() as agent:
        await agent.report()
        async with stream(company) as events:
            await agent.deliver(frame(1, readings(POWER, [40.0, 60.0], now_us())))
            last, (alarm,) = await anext(events)
            assert (alarm["state"], alarm["value"], alarm["source"]) == ("unacknowledged", 60, "main / meter-1 · P")
        path = f"/api/v1/alarms/{alarm['id']}"
        seen = await company.http.post(f"{path}/acknowledgement", json={"comment": "on my way"})
        assert seen.json()["state"] == "acknowledged"
        async with stream(company, last) as events:
            _, (alarm,) = await anext(events)
            assert (alarm["state"], alarm["comment"]) == ("acknowledged", "on my way")
            shelved = await company.http.put(f"{path}/shelf", json={"minutes": 5, "reason": "the meter is tested"})
            assert shelved.json()["shelved_by"] == company.email
            _, (alarm,) = await anext(events)
            assert alarm["shelved_reason"] == "the meter is tested"
            assert (await company.http.delete(f"{path}/shelf")).json()["shelved_until"] is None
            await agent.deliver(frame(2, readings(POWER, [40.0], now_us() + 2_000_000)))
            async for _, (alarm,) in events:
                if alarm["state"] == "closed":
                    break
    assert (await company.http.post(f"{path}/acknowledgement", json={})).status_code == 409
    nowhere, begun = "01999999-0000-7000-8000-00000000ffff", alarm["noticed_at"]
    for narrowed, count in (
        ({"site_id": str(company.site_id), "text": "METER-1", "start": begun}, 1),
        ({"priority": alarm["priority"], "equipment_id": alarm["equipment_id"]}, 1),
        *(({name: value}, 0) for name, value in (("site_id", nowhere), ("line_id", nowhere), ("text", "press"))),
        ({"end": begun}, 0),
    ):
        page = (await company.http.get("/api/v1/alarms", params={"state": "closed", **narrowed})).json()
        assert len(page["items"]) == count, narrowed
    figures = (await company.http.get("/api/v1/alarms/statistics")).json()
    assert (figures["raised"], figures["bad_actors"][0]["raised"], figures["peak_ten_minutes"]) == (1, 1, 1)
    assert figures["acknowledged_after_s"] >= 0
    acts = [entry["act"] for entry in (await company.http.get("/api/v1/audit")).json()["items"]]
    assert [act for act in reversed(acts) if act.startswith("alarm")] == [
        *("alarm_rule.create", "alarm.acknowledge", "alarm.shelve", "alarm.unshelve"),
    ]


async def test_pages_go_on_where_they_ended_and_default_rules_come_once(company: Company) -> None:
    added = (await company.http.post("/api/v1/alarms/rules/defaults", params={"equipment_class": "compressor"})).json()
    assert {rule["origin"] for rule in added} == {
        "default:compressor_discharge_temperature",
        "default:compressor_pressure",
    }
    assert not any(rule["enabled"] for rule in added)
    again = await company.http.post("/api/v1/alarms/rules/defaults", params={"equipment_class": "compressor"})
    assert (again.status_code, again.json()) == (201, [])
    nothing = await company.http.post("/api/v1/alarms/rules/defaults", params={"equipment_class": "toaster"})
    assert nothing.status_code == 404
    unknown = RULE | {"channels": ["01999999-0000-7000-8000-00000000ffff"]}
    assert (await company.http.post("/api/v1/alarms/rules", json=unknown)).status_code == 422
    body = RULE | {"selection": {"property": "no_such_entry"}}
    assert (await company.http.post("/api/v1/alarms/rules", json=body)).status_code == 422
    assert (await company.http.get("/api/v1/alarms", params={"before": "rubbish"})).status_code == 422
