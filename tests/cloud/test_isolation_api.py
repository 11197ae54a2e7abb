"""Every operation of the API, asked by another tenant and by nobody. Generated from the OpenAPI document."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from cloud.core.principal import Scope
from protocols.reading import now_us
from tests.cloud.conftest import PASSWORD, Company, NewCompany
from tests.doubles.agent import POWER, frame, readings

RULE = {
    "name": "ours",
    "selection": {"property": "active_power_total"},
    "condition": {"kind": "threshold", "high": 40},
}
BODIES: dict[str, Any] = {
    "POST /api/v1/sites": {"name": "another"},
    "PATCH /api/v1/sites/{site_id}": {"name": "otherwise"},
    "POST /api/v1/lines": {"site_id": "{site_id}", "name": "line"},
    "PATCH /api/v1/lines/{line_id}": {"name": "otherwise"},
    "PATCH /api/v1/equipment/{equipment_id}": {"display_name": "otherwise"},
    "POST /api/v1/users": {"email": "somebody@example.com", "password": "x" * 12},
    "PUT /api/v1/me/language": {"language": "zh"},
    "PUT /api/v1/me/password": {"current": PASSWORD, "new": PASSWORD},
    "PUT /api/v1/users/{user_id}/role": {"role": "operator"},
    "PUT /api/v1/users/{user_id}/grants": {"grants": []},
    "POST /api/v1/invitations": {"role": "engineer", "note": "a fitter"},
    "POST /api/v1/tokens": {"name": "mine"},
    "POST /api/v1/boards": {"name": "above the gate", "site_id": "{site_id}"},
    "POST /api/v1/enrolment-codes": {"site_id": "{site_id}"},
    "POST /api/v1/agents/{agent_id}/diagnostics": {"kind": "report"},
    "PUT /api/v1/agents/{agent_id}/configuration": {"text": "[buffer]\nlimit_mb = 7\n"},
    "POST /api/v1/notify/channels": {"kind": "feishu", "name": "ours", "url": "https://example.com/hook"},
    "PUT /api/v1/notify/channels/{channel_id}": {"name": "renamed", "recipients": ["somebody@example.com"]},
    "POST /api/v1/reports/schedules": {
        "kind": "day",
        "node": {"kind": "site", "id": "{site_id}"},
        "channel_id": "{channel_id}",
    },
    "POST /api/v1/alarms/rules": RULE,
    "PUT /api/v1/alarms/rules/{rule_id}": RULE | {"name": "renamed"},
    "POST /api/v1/alarms/rules/test": {"rule": RULE},
    "POST /api/v1/alarms/{alarm_id}/acknowledgement": {"comment": "seen"},
    "PUT /api/v1/alarms/{alarm_id}/shelf": {"reason": "sensor"},
    "PUT /api/v1/retention": {"rules": []},
    "PUT /api/v1/points/{series_id}/meaning": {"entry": ""},
    "POST /api/v1/dictionary/company-entries": {
        "code": "own:ours",
        "name_zh": "行程",
        "name_en": "ours",
        "definition_zh": "行程的次数",
        "definition_en": "how often",
        "aggregation": "sum",
    },
    "POST /api/v1/dictionary/company-entries/{entry_code}/review": {"approve": True},
    "POST /api/v1/dictionary/company-entries/{entry_code}/withdrawal": {"note": "ours"},
    "POST /api/v1/dictionary:import": None,
    "POST /api/v1/inspections/{inspection_id}/judgement": {"judgement": "defect"},
    "PUT /api/v1/spc/plans/{series_id}": {"subgroup": 3},
    "POST /api/v1/spc/lots": {"product": "theirs", "lot": "1", "lot_size": 90, "aql": 2.5, "found": 0},
    "POST /api/v1/assessment/results": {"scenes": {"energy": 2}},
    "POST /api/v1/trace/capture": {
        "type": "ObjectEvent",
        "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+08:00",
        "action": "ADD",
        "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
    },
    "POST /api/v1/programmes": {
        "name": "ours",
        "purpose": "ours",
        "deadline": "2027-01-01",
        "terms": {"items": [{"entry": "active_power_total", "granularity": "hour"}]},
    },
    "POST /api/v1/programmes/{programme_id}/suppliers": None,
    "POST /api/v1/equipment": {"site_id": "{site_id}", "name": "ours", "equipment_class": "cnc"},
    "POST /api/v1/uploads": None,
    "POST /api/v1/uploads/check": None,
    "POST /api/v1/trend-views": {"name": "ours", "entries": ["active_power_total"]},
    "POST /api/v1/shelf/packages": {
        "id": "ours",
        "version": "1.0.0",
        "title": {"en": "ours", "zh": "ours"},
        "description": {"en": "ours", "zh": "ours"},
        "licence": "MIT",
        "rules": ["{rule_id}"],
    },
    "POST /api/v1/shelf/packages/{package_id}/installation": {"plan": "0" * 64},
    "POST /api/v1/sharing/requests": {
        "credit_code": "91350100M000100Y43",
        "supplier": "ours",
        "purpose": "ours",
        "terms": {"items": [{"entry": "active_power_total", "granularity": "hour"}]},
    },
    "POST /api/v1/sharing/requests/{request_id}/acceptance": {},
    "PUT /api/v1/sharing/grants/{grant_id}/terms": {
        "terms": {
            "items": [{"entry": "active_power_total", "granularity": "day"}],
            "since": "2026-01-01T00:00:00Z",
            "until": "2026-02-01T00:00:00Z",
        }
    },
    "POST /api/v1/sharing/grants/{grant_id}/end": {"reason": "over"},
    "POST /api/v1/sharing/recalls": {
        "things": ["urn:epc:id:sgtin:0614141.107346.9"],
        "kind": "alert",
        "reason": "theirs alone",
    },
    "POST /api/v1/sharing/recalls/{recall_id}/answer": {"answer": "contained"},
    "POST /api/v1/models": None,
    "POST /api/v1/models/from-training": {"training_version_id": "{version_id}"},
    "POST /api/v1/models/keys": {"public_key": "A" * 43 + "=", "name": "ours"},
    "POST /api/v1/rollouts": {"version_id": "{version_id}", "stations": ["{equipment_id}"]},
    "POST /api/v1/training/sets": {"name": "ours"},
    "PATCH /api/v1/training/sets/{set_id}": {"keep_days": 7},
    "POST /api/v1/training/machines": {
        "name": "pump",
        "equipment_id": "{equipment_id}",
        "sensors": {"power": "{series_id}"},
    },
    "POST /api/v1/training/sets/{set_id}/machine-fits": {
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-01-02T00:00:00Z",
    },
    "POST /api/v1/training/pictures": None,
    "POST /api/v1/training/trials": None,
    "PATCH /api/v1/training/sets/{set_id}/pictures/{digest}": {"kind": "good"},
    "POST /api/v1/billing/applications/{voucher_id}/decision": {"approve": True},
    "PUT /api/v1/billing/budget": {"monthly": 100},
    "POST /api/v1/billing/invoices": {"month": "2026-01"},
    "PUT /api/v1/billing/bank/rates": {"chip": "cpu", "yuan_per_hour": 2},
    "POST /api/v1/billing/bank/deposits": {"chip": "cpu", "amount": 5},
    "POST /api/v1/billing/bank/conversions": {"chip": "cpu", "into": "cuda-a10", "hours": 0.5},
    "POST /api/v1/billing/deposits": {"credit_code": "91350100M000100Y43", "amount": 5, "reference": "slip 1"},
    "POST /api/v1/billing/payouts": {"credit_code": "91350100M000100Y43", "amount": 5, "reference": "slip 1"},
    "POST /api/v1/billing/pools": {"programme": "wuhan", "amount": 100, "closes_at": "2030-01-01T00:00:00Z"},
    "POST /api/v1/billing/refunds": {"job_id": "{job_id}", "share": 0.5, "reason": "ours"},
    "POST /api/v1/billing/vouchers": {"programme": "wuhan", "fee": 9, "purpose": "ours", "contact": "us"},
    "POST /api/v1/compute/offers": {"region": "CN-JS", "prices": [{"from_hour": 0, "yuan_per_hour": 1}]},
    "PATCH /api/v1/compute/offers/{offer_id}": {"paused": True},
    "PUT /api/v1/compute/quotas": {"credit_code": "91350100M000100Y43", "open_jobs": 5},
    "POST /api/v1/compute/uploads": None,
    "POST /api/v1/compute/servings": {"offer": "CN-JS-cpu-00000000", "budget": 1},
    "POST /api/v1/compute/quotes": {
        "kind": "fit",
        "set_id": "{set_id}",
        "deadline": "2030-01-01T00:00:00Z",
        "budget": 5,
    },
    "POST /api/v1/compute/jobs": {
        "kind": "fit",
        "set_id": "{set_id}",
        "deadline": "2030-01-01T00:00:00Z",
        "budget": 5,
    },
    "POST /api/v1/production/stop-reasons": {
        "parent_id": "{reason_id}",
        "name_en": "n",
        "name_zh": "n",
        "loss": "delay",
    },
    "PUT /api/v1/production/stop-reasons/{reason_id}": {"name_en": "other", "name_zh": "n", "loss": "delay"},
    "PUT /api/v1/production/equipment/{equipment_id}/settings": {"hold_s": 777},
    "PUT /api/v1/production/equipment/{equipment_id}/run-times": {"valid_from": "2026-01-01T00:00:00Z", "seconds": 7},
    "PUT /api/v1/production/equipment/{equipment_id}/product-runs": {"start": "2026-01-01T00:00:00Z", "item": "i"},
    "PUT /api/v1/production/equipment/{equipment_id}/stops/{at}": {"reason_id": "{reason_id}"},
    "PUT /api/v1/production/calendars": {"site_id": "{site_id}", "valid_from": "2026-01-01", "shifts": []},
    "PUT /api/v1/production/calendar-exceptions": {"site_id": "{site_id}", "day": "2026-01-01", "name": "New Year"},
    "POST /api/v1/energy/meters": {
        "site_id": "{site_id}",
        "series_id": "{series_id}",
        "name": "M",
        "carrier": "electricity",
    },
    "PUT /api/v1/energy/renewal/{equipment_id}": {"price": 1},
    "PUT /api/v1/energy/meters/{meter_id}": {"name": "M", "carrier": "electricity"},
    "POST /api/v1/energy/tariffs": {
        "site_id": "{site_id}",
        "name": "T",
        "valid_from": "2026-01-01",
        "terms": {
            "prices": {"flat": 1},
            "schedules": [{"months": list(range(1, 13)), "bands": [{"minute": 0, "band": "flat"}]}],
        },
    },
    "POST /api/v1/energy/factors": {
        "site_id": "{site_id}",
        "carrier": "electricity",
        "valid_from": "2026-01-01",
        "value": "1",
        "source": "theirs alone",
    },
}
SAME = {
    "at": "2026-01-01T00:00:00Z",
    "valid_from": "2026-01-01T00:00:00Z",
    "point": "P",
    "plan": "0" * 64,
    "template": "press-works-meter",
    "action": "read",
    "node": "site",
    "product": "theirs alone",
    "lot_size": "100",
    "kind": "site",
    "period": "day",
    "first_day": "2026-01-01",
    "last_day": "2026-01-02",
    "start": "2026-02-01T00:00:00Z",
    "end": "2026-02-03T00:00:00Z",
    "day": "2026-02-02",
    "month": "2026-02",
    "name": "card.toml",
    "attempt": "1",
    "digest": "0" * 64,
    "entry": "active_power_total",
    "direction": "up",
    "thing": "urn:epc:id:sgtin:0614141.107346.9",
}
"""What paths and queries take that belongs to nobody."""
# Ends the very session the walk uses.
LAST = "DELETE /api/v1/sessions/current"
BY_AGENTS = {
    "/api/v1/uplink/batches",
    "/api/v1/uplink/health",
    "/api/v1/uplink/configuration",
    "/api/v1/uplink/configuration/desired",
    "/api/v1/uplink/diagnostics",
    "/api/v1/uplink/diagnostics/answer",
    "/api/v1/uplink/models",
    "/api/v1/uplink/models/part",
    "/api/v1/uplink/shifts",
}
BY_WORKERS = {
    f"/api/v1/compute/worker/{name}"
    for name in ("hello", "lease", "beats", "records", "report", "files", "end", "opinions")
}
NUMBERS = ("series_id", "version", "before", "after", "notice_id")


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    found = [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    return sorted(found, key=lambda one: f"{one[0]} {one[1]}" == LAST)


async def _document(company: Company) -> dict[str, Any]:
    document: dict[str, Any] = (await company.http.get("/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    return document


async def test_every_operation_declares_one_scope(company: Company) -> None:
    known = {scope.value for scope in Scope}
    for method, path, operation in operations(await _document(company)):
        assert "security" in operation, f"{method} {path} declares no scope"
        scopes = {scope for way in operation["security"] for scopes in way.values() for scope in scopes}
        if operation["security"]:
            assert len(scopes) == 1, (method, path, operation["security"])
        assert scopes <= known, (method, path)


async def test_without_a_credential_every_operation_but_the_public_ones_answers_401(company: Company) -> None:
    asked = 0
    async with httpx.AsyncClient(base_url=company.http.base_url) as nobody:
        for method, path, operation in operations(await _document(company)):
            if operation["security"] == []:
                continue
            asked += 1
            for headers in ({}, {"Authorization": "Bearer forged"}, {"Cookie": "sunmao_session=forged"}):
                answer = await nobody.request(method, re.sub(r"{\w+}", "1", path), headers=headers)
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
    assert asked > 20


async def _ids(company: Company) -> dict[str, str]:
    """Return an id of each kind that belongs to `company`, by the names paths and queries use."""
    async with company.agent() as agent:
        await agent.configured("# theirs alone\n[buffer]\nlimit_mb = 42\n")
        await agent.deliver(frame(1, readings(POWER, [4225.125], now_us())))
    get = company.http.get
    (point,) = (await get("/api/v1/points")).json()
    token = await company.http.post("/api/v1/tokens", json={"name": "theirs"})
    at = {"site_id": str(company.site_id), "line_id": None}
    calendar = await company.http.put(
        "/api/v1/production/calendars", json={**at, "valid_from": "2026-01-01", "shifts": []}
    )
    holiday = await company.http.put(
        "/api/v1/production/calendar-exceptions", json={**at, "day": "2026-01-01", "name": "theirs alone"}
    )
    rule = await company.http.post("/api/v1/alarms/rules", json=RULE | {"name": "theirs alone"})
    alarm = await first_alarm(company)
    channel = {"kind": "email", "name": "theirs alone", "recipients": [company.email]}
    channel_id = (await company.http.post("/api/v1/notify/channels", json=channel)).json()["id"]
    notice = await company.http.post(f"/api/v1/notify/channels/{channel_id}/test")
    site = (await get("/api/v1/sites")).json()[0]["id"]
    series = {"site_id": site, "series_id": str(point["series_id"])}
    for thing in ("meters", "tariffs", "factors"):
        body = BODIES[f"POST /api/v1/energy/{thing}"]
        made = await company.http.post(f"/api/v1/energy/{thing}", json=_filled(body, series))
        assert made.status_code == 201 or thing == "meters", made.text  # the cloud may have made the meter by itself
    energy = {
        thing: (await get(f"/api/v1/energy/{thing}")).json()[0]["id"] for thing in ("meters", "tariffs", "factors")
    }
    line = await company.http.post("/api/v1/lines", json={"site_id": str(company.site_id), "name": "theirs alone"})
    event = BODIES["POST /api/v1/trace/capture"] | {"epcList": [SAME["thing"]]}
    (await company.http.post("/api/v1/trace/capture", json=event)).raise_for_status()
    recall = await company.http.post("/api/v1/sharing/recalls", json=BODIES["POST /api/v1/sharing/recalls"])
    share = BODIES["POST /api/v1/sharing/requests"] | {"purpose": "theirs alone"}
    entry = BODIES["POST /api/v1/dictionary/company-entries"] | {"code": "own:theirs", "name_en": "theirs alone"}
    schedule = _filled(BODIES["POST /api/v1/reports/schedules"], {"site_id": site, "channel_id": channel_id})
    return {
        "line_id": line.json()["id"],
        "entry_code": (await company.http.post("/api/v1/dictionary/company-entries", json=entry)).json()["code"],
        "equipment_id": point["equipment_id"],
        "series_id": str(point["series_id"]),
        "agent_id": next(each["id"] for each in (await get("/api/v1/agents")).json() if each["name"] == "workshop-1"),
        "user_id": (await get("/api/v1/users")).json()[0]["id"],
        "token_id": token.json()["id"],
        "invitation_id": (await company.http.post("/api/v1/invitations", json={})).json()["id"],
        "board_id": (await company.http.post("/api/v1/boards", json={"name": "theirs alone"})).json()["id"],
        "site_id": site,
        "node_id": site,
        "reason_id": (await get("/api/v1/production/stop-reasons")).json()[0]["id"],
        "calendar_id": calendar.json()["id"],
        "exception_id": holiday.json()["id"],
        "channel_id": channel_id,
        "notice_id": str(notice.json()["id"]),
        "schedule_id": (await company.http.post("/api/v1/reports/schedules", json=schedule)).json()["id"],
        "diagnostic_id": await _asked(company),
        "meter_id": energy["meters"],
        "tariff_id": energy["tariffs"],
        "factor_id": energy["factors"],
        "rule_id": rule.json()["id"],
        "alarm_id": alarm["id"],
        "inspection_id": "01999999-0000-7000-8000-000000000000",
        "set_id": (await company.http.post("/api/v1/training/sets", json={"name": "theirs-alone"})).json()["id"],
        "fit_id": "01999999-0000-7000-8000-000000000000",  # what a fit made is kept from others in training/test_training
        "version_id": "01999999-0000-7000-8000-000000000000",
        "assessment_id": (
            await company.http.post("/api/v1/assessment/results", json=BODIES["POST /api/v1/assessment/results"])
        ).json()["id"],
        "programme_id": await _programme(company),
        "view_id": await _kept_view(company),
        "package_id": "01999999-0000-7000-8000-000000000000",  # what is published is for all; kept apart in shelf/
        "installation_id": await _installation(company),
        "supplier_id": "01999999-0000-7000-8000-000000000000",  # kept from others in suppliers/test_suppliers_api
        "request_id": (await company.http.post("/api/v1/sharing/requests", json=share)).json()["id"],
        "recall_id": recall.json()["id"],
        "grant_id": "01999999-0000-7000-8000-000000000000",  # grants are kept from others in sharing/test_sharing_api
        # Kept from others in compute/test_jobs, compute/test_opinions and billing/test_market:
        **dict.fromkeys(
            ("offer_id", "job_id", "serving_id", "voucher_id", "invoice_id"), "01999999-0000-7000-8000-000000000000"
        ),
        "rollout_id": "01999999-0000-7000-8000-000000000000",  # roll-outs are kept from others in registry/test_rollouts
        **dict.fromkeys(("version", "before", "after"), "0"),
    }


async def _programme(company: Company) -> str:
    """Return the id of a programme of `company`."""
    body = BODIES["POST /api/v1/programmes"] | {"name": "theirs alone"}
    return str((await company.http.post("/api/v1/programmes", json=body)).json()["id"])


async def _kept_view(company: Company) -> str:
    """Return the id of a kept view of `company`."""
    body = BODIES["POST /api/v1/trend-views"] | {"name": "theirs alone"}
    return str((await company.http.post("/api/v1/trend-views", json=body)).json()["id"])


async def _installation(company: Company) -> str:
    """Return the id of what `company` has installed of a package of the platform's."""
    shelf = "/api/v1/shelf/packages"
    package = next(one for one in (await company.http.get(shelf)).json() if one["code"] == "compressor-energy-watch")
    plan = (await company.http.get(f"{shelf}/{package['id']}/plan")).json()["digest"]
    done = await company.http.post(f"{shelf}/{package['id']}/installation", json={"plan": plan})
    return str(done.json()["id"])


async def _asked(company: Company) -> str:
    """Return the id of a question to an agent of `company`."""
    async with company.agent("asked") as agent:
        await agent.report()
        asked = await company.http.post(f"/api/v1/agents/{agent.agent_id}/diagnostics", json={"kind": "report"})
    return str(asked.json()["id"])


async def first_alarm(company: Company) -> dict[str, Any]:
    """Wait for the evaluation to raise the company's first alarm."""
    async with asyncio.timeout(30):
        while True:
            items = (await company.http.get("/api/v1/alarms")).json()["items"]
            if items:
                return dict(items[0])
            await asyncio.sleep(0.1)


async def test_anothers_ids_answer_like_missing_ones(new_company: NewCompany) -> None:
    theirs, ours = await new_company(), await new_company()
    ids = await _ids(theirs)
    missing = {name: "2147483647" if name in NUMBERS else "01999999-0000-7000-8000-00000000ffff" for name in ids}
    ids, missing = ids | SAME, missing | SAME
    before = await _everything(theirs)
    for method, path, operation in operations(await _document(ours)):
        if (
            operation["security"] == []
            or path in BY_AGENTS | BY_WORKERS
            or path.endswith("/changes")
            or f"{method} {path}" == LAST
        ):
            continue
        parameters = re.findall(r"{(\w+)}", path) + [
            parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"
        ]
        unknown = [name for name in re.findall(r"{(\w+)}", path) if name not in ids and name != "code"]
        assert not unknown, f"{method} {path}: tell this test an id for {unknown}"
        if "requestBody" in operation:
            assert f"{method} {path}" in BODIES, f"{method} {path}: tell this test a body"
        answers = []
        for these in (ids, missing):
            body = BODIES.get(f"{method} {path}")
            answer = await ours.http.request(
                method,
                path.format_map(these),
                params={name: these[name] for name in parameters if name in these and f"{{{name}}}" not in path},
                json=_filled(body, these),
            )
            answers.append(answer)
            assert answer.status_code < 500, (method, path, answer.text)
            for secret in (
                "4225.125",
                "theirs alone",
                "theirs-alone",
                theirs.email,
                str(theirs.scope.tenant_id),
                "workshop-1",
            ):
                assert secret not in answer.text, (method, path, answer.text)
        assert answers[0].status_code == answers[1].status_code or method == "POST", (method, path, answers)
        if "{" in path:
            assert [answer.status_code for answer in answers] == [404, 404], (method, path, answers[0].text)
            assert answers[0].json() == answers[1].json()
    assert await _everything(theirs) == before, "nothing of theirs has changed"


def _filled(body: Any, these: dict[str, str]) -> Any:
    """Return `body` with ids in the place of their names, at any depth."""
    if isinstance(body, dict):
        return {key: _filled(value, these) for key, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, these) for value in body]
    return body.format_map(these) if isinstance(body, str) else body


async def _everything(company: Company) -> list[Any]:
    paths = (
        "alarms",
        "alarms/rules",
        "notify/channels",
        "reports/schedules",
        "production/calendars",
        "production/calendar-exceptions",
        "production/stop-reasons",
        "equipment",
        "points",
        "dictionary/company-entries",
        "latest",
        "agents",
        "users",
        "sites",
        "lines",
        "tokens",
        "me",
        "energy/tariffs",
        "energy/factors",
        "training/sets",
        "sharing/requests",
        "sharing/recalls",
        "programmes",
        "uploads",
        "trend-views",
        "shelf/installations",
        "billing/wallet",
        "billing/bank",
        "billing/vouchers",
        "compute/jobs",
        "compute/uploads",
        "compute/servings",
    )
    found = [(await company.http.get(f"/api/v1/{path}")).json() for path in paths]
    versions = [
        (await company.http.get(f"/api/v1/agents/{agent['id']}/configuration/versions")).json()
        for agent in found[paths.index("agents")]
    ]
    return [*found, versions]


async def test_a_stream_of_changes_shows_ones_own_only(new_company: NewCompany) -> None:
    theirs, ours = await new_company(), await new_company()
    ids = await _ids(theirs)
    async with ours.http.stream("GET", "/api/v1/changes", params={"equipment_id": ids["equipment_id"]}) as stream:
        async for line in stream.aiter_lines():
            assert line.startswith(":"), line
            break


@pytest.mark.parametrize("scope", ["read", "operate", "engineer", "admin"])
async def test_a_viewer_and_a_narrow_token_may_not_administrate(company: Company, scope: str) -> None:
    made = await company.http.post("/api/v1/tokens", json={"name": "n", "scopes": [scope]})
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    reading = await company.http.get("/api/v1/equipment", headers=headers)
    administrating = await company.http.get("/api/v1/users", headers=headers)
    allowed = {"read": (200, 403), "admin": (403, 200)}.get(scope, (403, 403))
    assert (reading.status_code, administrating.status_code) == allowed
