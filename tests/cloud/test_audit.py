"""The audit log: every change writes an entry, and no entry can be edited, moved, added or lost unnoticed."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from yoyo import get_backend, read_migrations

from cloud.billing.service import YUAN, Billing, Held, Price, Work
from cloud.core import audit, audit_chain
from cloud.core.audit_chain import Verdict
from cloud.core.db import Database, enter, prepare
from cloud.core.migrate import MIGRATIONS
from cloud.core.principal import TenantScope
from cloud.registry.store import FILES
from cloud.training import store as training
from protocols.errors import ConfigError
from protocols.uplink.codec import encode
from protocols.uplink.messages import Batch, Frame, Inspection, PointRef
from protocols.uplink.models import ModelsReport, StationModels
from tests.cloud.billing.market import appoint, paid_in
from tests.cloud.conftest import PASSWORD, SECRETS, Cluster, Company, NewCompany, roles_alone
from tests.cloud.registry.bundles import Shelf, shelf
from tests.cloud.sharing.pair import asked, granted, new_credit_code, registered
from tests.cloud.test_isolation_api import BODIES, LAST, _document, _filled, _ids, operations
from tests.cloud.training.pictures import part, png
from tests.cloud.training.test_training import GOOD, ended, upload
from tests.doubles.agent import AgentDouble, frame, readings
from tests.edge_agent.inspect.conftest import SignedBundle, small_bundle

__all__ = ["small_bundle"]

CONFIGURATION = "[buffer]\nlimit_mb = 42\n"
# Changes that are no acts of a person, with where they are accounted for instead.
NO_ACT = {
    "POST /api/v1/uplink/batches": "readings: the ledger of frames",
    "POST /api/v1/uplink/health": "the agent's last report replaces the one before",
    "POST /api/v1/uplink/configuration": "a version of the configuration, kept with its origin",
    "POST /api/v1/uplink/configuration/desired": "reads",
    "POST /api/v1/uplink/diagnostics": "gives what was recorded when it was asked",
    "POST /api/v1/uplink/diagnostics/answer": "kept with its question",
    "POST /api/v1/alarms/rules/test": "reads what is stored, and leaves nothing behind",
    "POST /api/v1/uplink/models": "what stations run replaces what they ran before",
    "POST /api/v1/uplink/models/part": "reads",
    "POST /api/v1/uplink/shifts": "reads",
    "POST /api/v1/supplier-invitations/open": "reads; when it was first opened is kept with it",
    "POST /api/v1/suppliers/{supplier_id}/check": "reads over a grant, each with its receipt",
    "POST /api/v1/uploads/check": "reads a file, and keeps nothing",
    "POST /api/v1/compute/quotes": "reads",
    "POST /api/v1/compute/worker/hello": "what an offer's probe has found, kept with it",
    "POST /api/v1/compute/worker/lease": "an attempt, kept with its job",
    "POST /api/v1/compute/worker/records": "beats of the same chain, presented later",
    "POST /api/v1/compute/worker/report": "what a job writes and uses, kept with it",
    "POST /api/v1/compute/worker/beats": "a chain of beats signed by both sides",
    "PUT /api/v1/compute/worker/files": "kept with its job, and named by its receipt",
    "POST /api/v1/compute/worker/opinions": "what a server has answered, and on a bill by the hour",
    "POST /api/v1/compute/worker/end": "an attempt, kept with its job, and in its receipt",
    "POST /api/v1/training/pictures": "a picture, kept with who added it",
    "POST /api/v1/training/trials": "judges a picture, and keeps nothing",
    "POST /api/v1/agents/challenge": "a nonce that opens nothing by itself",
    "POST /api/v1/agents/token": "an enrolled agent renews its token every 15 minutes",
}

NEW_YEAR = "2026-01-01T00:00:00Z"
# What is otherwise where `_ids` has done the same before.
ANEW: dict[str, dict[str, Any]] = {
    "PUT /api/v1/notify/channels/{channel_id}": {
        "name": "otherwise",
        "url": None,
        "recipients": ["somebody@example.com"],
    },
    "POST /api/v1/energy/meters": {"series_id": None, "parts": [{"meter_id": "{meter_id}", "factor": 1}]},
    "PUT /api/v1/energy/meters/{meter_id}": {"parts": [{"meter_id": "{part_id}", "factor": 1}]},
    "POST /api/v1/energy/tariffs": {"valid_from": "2027-01-01"},
    "POST /api/v1/energy/factors": {"valid_from": "2027-01-01"},
}


@pytest.fixture
def models(tmp_path: Path, small_bundle: SignedBundle) -> Shelf:
    return shelf(tmp_path, small_bundle)


async def test_every_operation_that_changes_something_writes_an_entry(
    new_company: NewCompany, db: Database, models: Shelf, owner_dsn: str
) -> None:
    company, partner = await new_company(), await new_company()
    ids = await _ids(company) | await _shared(company, partner, db)
    person = {"email": f"p-{company.email}", "password": PASSWORD}
    ids["user_id"] = (await company.http.post("/api/v1/users", json=person)).json()["id"]
    ids |= {"inspection_id": str(uuid4()), "at": "2026-02-02T05:00:00Z"}
    async with db.tenant(company.scope) as connection:  # a fault to give a reason to
        stopped = "INSERT INTO state_hour VALUES (%(equipment_id)s, current_tenant(), %(at)s, '{0}', '{4}')"
        await connection.execute(stopped, ids)
    async with company.agent("inspector") as agent:
        seen = Inspection(
            *(ids["inspection_id"], "camera-1", 1_770_000_000_000_000, "p-1", "pass", 0.1, 0.5, 0.9, "m", "1", 1),
            picture=b"",
            heatmap=b"",
        )
        await agent.deliver(Frame(1, encode(Batch(inspections=[seen]))))
        await agent.configured(CONFIGURATION)
        ids["agent_id"] = agent.agent_id
        for number in range(GOOD):
            ids["digest"] = (await upload(company, ids["set_id"], png(number), part=part(number))).json()["digest"]
        station = ModelsReport([StationModels("camera-1", "0" * 64)])
        await agent.post("/uplink/models", station, token=True)
        await _fitted(company, db, models, UUID(ids["set_id"]), ids)
        ids |= await _market(company, db, owner_dsn)
        walked = sorted(
            operations(await _document(company)),
            # Deletions last, and of what is within something before the thing itself.
            key=lambda one: (f"{one[0]} {one[1]}" == LAST, one[0] == "DELETE" and 99 - one[1].count("/"), one[1]),
        )
        left = dict(NO_ACT)
        for method, path, _ in walked:
            name = f"{method} {path}"
            if method == "GET" or left.pop(name, None):
                continue
            before = await _count(db, company)
            answer = await _act(company, name, path, ids, models)
            assert answer.is_success, f"{name}: tell this test how to do it: {answer.text}"
            assert await _count(db, company) > before, f"{name} writes no entry into the audit log"
    assert not left, "no longer operations"


async def _market(company: Company, db: Database, owner_dsn: str) -> dict[str, str]:
    """Let the company run the market, have money in it, and have been billed for a job."""
    appoint(owner_dsn, company)
    code = await paid_in(company, company, db, 100)
    (await company.http.post("/api/v1/billing/pools", json=BODIES["POST /api/v1/billing/pools"])).raise_for_status()
    job, me = uuid4(), company.scope.tenant_id
    async with db.tenant(company.scope) as connection:
        held = Held(job, me, 10 * YUAN)
        await Billing.reserve(connection, held)
        start = datetime(2026, 2, 2, tzinfo=UTC)
        work = Work(1, me, start, 3_600_000, (Price(0, 5.0),), "a job", {})
        await Billing.settle(connection, held, work, more=False)
    return {"billed_id": str(job), "credit_code": code}


async def _applied(company: Company, ids: dict[str, str]) -> str:
    """Return a new application for a voucher."""
    body = BODIES["POST /api/v1/billing/vouchers"] | {"applicant": "one_person"}
    return str((await company.http.post("/api/v1/billing/vouchers", json=body)).json()["id"])


async def _living(company: Company) -> str:
    """Return the id of an offer whose worker has just greeted."""
    made = (await company.http.post("/api/v1/compute/offers", json=BODIES["POST /api/v1/compute/offers"])).json()
    hello = {"public_key": "A" * 43 + "=", "provider": "CPUExecutionProvider", "speed": 1}
    headers = {"Authorization": f"Bearer {made['token']}"}
    greeted = await company.http.post("/api/v1/compute/worker/hello", json=hello, headers=headers)
    assert greeted.json()["proven"], greeted.text
    return str(made["offer"]["id"])


async def _fitted(company: Company, db: Database, models: Shelf, set_id: UUID, ids: dict[str, str]) -> None:
    """Store version "2" of the shelf as if it had been fitted here."""
    ids["fitted_id"] = str(identity := uuid4())
    files = {column: models.files("2")[name] for name, column in FILES.items()}
    row = {"id": identity, "set_id": set_id, "parent_id": None, "number": 1, "digest": models.digests["2"]}
    row |= {"signer": models.trust, "figures": {}, "created_by": "test"}
    async with db.tenant(company.scope) as connection:
        await training.insert_fit(connection, identity, set_id, {}, "test")
        await connection.execute("UPDATE training_fit SET state = 'done' WHERE id = %s", [identity])
        await training.insert_version(connection, row | files)


async def _shared(company: Company, partner: Company, db: Database) -> dict[str, str]:
    """Let the partner have two grants of the company's and ask for a third, and a fourth, and recall a thing of both."""
    asking = asked(
        await registered(company, db), {"entry": "active_power_total", "granularity": "day"}, history_days=400
    )
    asking["terms"]["trace"] = "products"
    grants = [(await granted(partner, company, asking))["id"] for _ in range(2)]
    requests = [(await partner.http.post("/api/v1/sharing/requests", json=asking)).json()["id"] for _ in range(2)]
    recall = BODIES["POST /api/v1/sharing/recalls"]
    event = BODIES["POST /api/v1/trace/capture"] | {"epcList": recall["things"]}
    (await partner.http.post("/api/v1/trace/capture", json=event)).raise_for_status()
    told = (await partner.http.post("/api/v1/sharing/recalls", json=recall)).json()["id"]
    names = ("grant_id", "narrowed_id", "request_id", "refused_id", "recall_id")
    return dict(zip(names, [*grants, *requests, told], strict=True))


async def _proposed(company: Company, code: str) -> None:
    """Let a colleague propose an entry."""
    who = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    (await company.http.post("/api/v1/users", json=who | {"role": "engineer"})).raise_for_status()
    async with httpx.AsyncClient(base_url=company.http.base_url) as colleague:
        token = (await colleague.post("/api/v1/sessions", json=who)).json()["token"]
        colleague.cookies.clear()
        name = "POST /api/v1/dictionary/company-entries"
        body = BODIES[name] | {"code": code, "name_en": code, "name_zh": f"{code}行程"}
        headers = {"Authorization": f"Bearer {token}"}
        (await colleague.post("/api/v1/dictionary/company-entries", json=body, headers=headers)).raise_for_status()


async def _act(company: Company, name: str, path: str, ids: dict[str, str], models: Shelf) -> httpx.Response:
    match name:
        case "POST /api/v1/models":
            await company.http.post("/api/v1/models/keys", json={"public_key": models.trust, "name": "shelf"})
            answer = await company.http.post(path, content=models.zip("1"), headers={"Content-Type": "application/zip"})
            ids["model_id"] = answer.json()["id"]
            return answer
        case "POST /api/v1/models/from-training":
            return await company.http.post(path, json={"training_version_id": ids["fitted_id"]})
        case "POST /api/v1/rollouts":
            stations = {each["name"]: each["id"] for each in (await company.http.get("/api/v1/equipment")).json()}
            body = {"version_id": ids["model_id"], "stations": [stations["camera-1"]]}
            answer = await company.http.post(path, json=body)
            ids["rollout_id"] = answer.json()["id"]
            return answer
        case "DELETE /api/v1/models/keys":
            return await company.http.delete(path, params={"public_key": models.trust})
        case "POST /api/v1/sessions":
            return await company.http.post(path, json={"email": company.email, "password": PASSWORD})
        case "POST /api/v1/agents/enrol":
            newcomer = AgentDouble(str(company.http.base_url), "newcomer")
            async with newcomer.http:
                return await newcomer.post("/agents/enrol", newcomer.enrol_request(await company.code()))
        case "POST /api/v1/invitations/join":
            made = (await company.http.post("/api/v1/invitations", json={"role": "viewer"})).json()
            joining = {
                "email": f"j-{company.email}",
                "password": PASSWORD,
                "token": made["token"],
                "code": made["code"],
            }
            return await company.http.post(path, json=joining)
        case "POST /api/v1/programmes/{programme_id}/suppliers":
            row = f"credit_code,name\n{new_credit_code()},one\n"
            answer = await company.http.post(path.format_map(ids), content=row)
            ids |= {"supplier_id": answer.json()["invited"][0]["supplier_id"]}
            ids |= {name: answer.json()["invited"][0][name] for name in ("token", "code")}
            return answer
        case "POST /api/v1/uploads":  # at the machine that was just named
            row = "machine,time,active_power_total\nours,2026-01-31 08:00,1\n"
            return await company.http.post(path, params={"site_id": ids["site_id"]}, content=row)
        case "PUT /api/v1/points/{series_id}/meaning":
            async with company.agent("unmapped") as agent:
                await agent.deliver(
                    frame(1, readings(PointRef("meter-2", "?", "", "C62"), [1.0], 1_770_000_000_000_000))
                )
            found = {each["name"]: each for each in (await company.http.get("/api/v1/points")).json()}
            return await company.http.put(path.format(**found["?"]), json={"entry": ""})
        case "POST /api/v1/dictionary:import":
            row = "own:file,文件行程,a file,行程的次数,how often"
            table = f"code,name_zh,name_en,definition_zh,definition_en\n{row}\n"
            return await company.http.post(path, content=table.encode())
        case "POST /api/v1/dictionary/company-entries/{entry_code}/review":
            ids["entry_code"] = "own:reviewed"
            await _proposed(company, ids["entry_code"])
        case "POST /api/v1/dictionary/company-entries/{entry_code}/withdrawal":
            await _proposed(company, "own:withdrawn")
            ids["entry_code"] = "own:withdrawn"
            review = f"/api/v1/dictionary/company-entries/{ids['entry_code']}/review"
            (await company.http.post(review, json={"approve": True})).raise_for_status()
        case "POST /api/v1/supplier-invitations/register":
            key = {name: ids[name] for name in ("token", "code")}
            founded = {"company": "one", "site": "main", "email": f"one-{company.email}", "password": PASSWORD}
            return await company.http.post(path, json=key | founded)
        case "POST /api/v1/shelf/packages":
            answer = await company.http.post(path, json=_filled(BODIES[name], ids))
            ids["package_id"] = answer.json()["id"]
            return answer
        case "POST /api/v1/shelf/packages/{package_id}/installation":
            package = next(
                one
                for one in (await company.http.get("/api/v1/shelf/packages")).json()
                if one["code"] == "cnc-utilisation"
            )
            plan = (await company.http.get(f"/api/v1/shelf/packages/{package['id']}/plan")).json()["digest"]
            return await company.http.post(path.format(package_id=package["id"]), json={"plan": plan})
        case "DELETE /api/v1/shelf/installations/{installation_id}":
            removal = await company.http.get(f"/api/v1/shelf/installations/{ids['installation_id']}/removal")
            return await company.http.delete(path.format_map(ids), params={"plan": removal.json()["digest"]})
        case (
            "DELETE /api/v1/production/equipment/{equipment_id}/settings/versions"
        ):  # the first holds from the beginning
            return await company.http.delete(path.format_map(ids), params={"valid_from": "1970-01-01T00:00:00Z"})
        case "DELETE /api/v1/production/stop-reasons/{reason_id}/losses":
            wanted = {"name_en": "counted", "name_zh": "计", "loss": "no_order"}
            url = f"/api/v1/production/stop-reasons/{ids['reason_id']}"
            await company.http.put(url, params={"valid_from": NEW_YEAR}, json=wanted)
            return await company.http.delete(path.format_map(ids), params={"valid_from": NEW_YEAR})
        case "DELETE /api/v1/energy/meters/{meter_id}/places":
            meters = (await company.http.get("/api/v1/energy/meters")).json()
            moved = next(meter for meter in meters if meter["series_id"] is not None)
            body = {"name": moved["name"], "carrier": moved["carrier"], "line_id": ids["line_id"]}
            url = f"/api/v1/energy/meters/{moved['id']}"
            for place in ({}, {"line_id": None}):  # the first word holds from the beginning
                await company.http.put(url, params={"valid_from": NEW_YEAR}, json=body | place)
            return await company.http.delete(f"{url}/places", params={"valid_from": NEW_YEAR})
        case "PUT /api/v1/sharing/grants/{grant_id}/terms":
            path = path.replace("grant_id", "narrowed_id")
        case "POST /api/v1/sharing/requests/{request_id}/refusal":
            path = path.replace("request_id", "refused_id")
        case (
            "POST /api/v1/billing/applications/{voucher_id}/decision"
            | "POST /api/v1/billing/vouchers/{voucher_id}/withdrawal"
        ):
            ids["voucher_id"] = await _applied(company, ids)
        case "POST /api/v1/billing/vouchers":
            return await company.http.post(path, json=BODIES[name] | {"applicant": "one_person"})
        case "POST /api/v1/billing/bank/deposits" | "POST /api/v1/billing/bank/conversions":
            for more in ({}, {"chip": "cuda-a10"}):  # before the operator's rates are walked over
                rate = BODIES["PUT /api/v1/billing/bank/rates"] | more
                (await company.http.put("/api/v1/billing/bank/rates", json=rate)).raise_for_status()
            if name.endswith("conversions"):
                deposit = BODIES["POST /api/v1/billing/bank/deposits"]
                (await company.http.post("/api/v1/billing/bank/deposits", json=deposit)).raise_for_status()
        case "PUT /api/v1/compute/quotas":
            return await company.http.put(path, json=BODIES[name] | {"credit_code": ids["credit_code"]})
        case "POST /api/v1/billing/deposits" | "POST /api/v1/billing/payouts":
            account = {"credit_code": ids["credit_code"], "account": "cash"}
            return await company.http.post(path, json=BODIES[name] | account)
        case "POST /api/v1/billing/refunds":
            return await company.http.post(path, json=BODIES[name] | {"job_id": ids["billed_id"]})
        case "POST /api/v1/compute/servings":
            ids["offer_id"] = await _living(company)
            offers = (await company.http.get("/api/v1/compute/offers")).json()
            code = next(each["code"] for each in offers if each["id"] == ids["offer_id"])
            answer = await company.http.post(path, json=BODIES[name] | {"offer": code})
            ids["serving_id"] = answer.json()["serving"]["id"]
            return answer
        case "DELETE /api/v1/compute/servings/{serving_id}" if ids["serving_id"].startswith("0199"):
            await _act(company, "POST /api/v1/compute/servings", "/api/v1/compute/servings", ids, models)
        case "POST /api/v1/compute/uploads":
            return await company.http.post(path, content=b"ours")
        case "POST /api/v1/compute/jobs":
            ids["offer_id"] = await _living(company)
            answer = await company.http.post(path, json=_filled(BODIES[name], ids))
            ids["job_id"] = answer.json()["id"]
            return answer
        case "POST /api/v1/compute/jobs/{job_id}/cancellation" if "job_id" not in ids or ids["job_id"].startswith(
            "0199"
        ):
            await _act(company, "POST /api/v1/compute/jobs", "/api/v1/compute/jobs", ids, models)
        case "POST /api/v1/training/sets/{set_id}/machine-fits":
            sets = (await company.http.get("/api/v1/training/sets")).json()
            machine = next(each["id"] for each in sets if each["sensors"])
            return await company.http.post(f"/api/v1/training/sets/{machine}/machine-fits", json=BODIES[name])
        case "POST /api/v1/training/fits/{fit_id}/cancel":
            fits = f"/api/v1/training/sets/{ids['set_id']}/fits"
            ids["fit_id"] = (await company.http.post(fits)).json()["id"]
        case "POST /api/v1/training/sets/{set_id}/fits":  # once the one that was cancelled has ended
            await ended(company, {"id": ids["fit_id"]})
    if name == "PUT /api/v1/energy/meters/{meter_id}":  # of the virtual one that was just made
        meters = (await company.http.get("/api/v1/energy/meters")).json()
        ids["part_id"] = ids["meter_id"]
        ids["meter_id"] = next(meter["id"] for meter in meters if meter["parts"])
    seen = await company.http.get(f"/api/v1/agents/{ids['agent_id']}/configuration")
    body = BODIES[name] | ANEW.get(name, {}) if name in BODIES else None
    return await company.http.request(
        name.split(" ", maxsplit=1)[0],
        re.sub(r"{(\w+)}", lambda found: ids[found[1]], path),
        json=_filled(body, ids),
        params={"start": NEW_YEAR, "valid_from": NEW_YEAR} if name.startswith("DELETE /api/v1/production/") else None,
        headers={"If-Match": seen.headers.get("etag", "")},
    )


async def _count(db: Database, company: Company) -> int:
    async with db.tenant(company.scope) as connection:
        return (await audit_chain.head(connection)).count


# How a log may be harmed, the first row found wrong, and a word of what is said. OURS: of the tenant.
TAMPERED = {
    "edited": ("UPDATE audit SET actor = 'user:somebody else' WHERE OURS seq = 3", 3, "content"),
    "detail edited": ("UPDATE audit SET detail = (detail::text || ' ')::json WHERE OURS seq = 3", 3, "content"),
    "time edited": ("UPDATE audit SET at = at + interval '1 microsecond' WHERE OURS seq = 3", 3, "content"),
    "address edited": ("UPDATE audit SET address = '192.0.2.1' WHERE OURS seq = 3", 3, "content"),
    "hash edited": ("UPDATE audit SET hash = sha256('x') WHERE OURS seq = 3", 3, "content"),
    "missing": ("DELETE FROM audit WHERE OURS seq = 3", 3, "missing"),
    "closed up": (
        "DELETE FROM audit WHERE OURS seq = 3; UPDATE audit SET seq = 3 WHERE OURS seq = 4",
        3,
        "place",
    ),
    "first missing": ("DELETE FROM audit WHERE OURS seq = 1", 1, "missing"),
    "reordered": (
        "UPDATE audit SET seq = -1 WHERE OURS seq = 3; UPDATE audit SET seq = 3 WHERE OURS seq = 4;"
        "UPDATE audit SET seq = 4 WHERE OURS seq = -1",
        3,
        "place",
    ),
    "cut off": ("DELETE FROM audit WHERE OURS seq > 3", 4, "missing"),
    "all gone": ("DELETE FROM audit WHERE OURS true", 1, "missing"),
    "handed to another": (
        "UPDATE audit SET tenant_id = (SELECT max(id::text)::uuid FROM tenant WHERE id <> current_tenant()), seq = 99"
        " WHERE OURS seq = 3",
        3,
        "missing",
    ),
    "added": (
        "INSERT INTO audit (tenant_id, seq, at, actor, act, subject, address, detail, hash)"
        " SELECT tenant_id, seq + 1, at, actor, act, subject, address, detail, hash FROM audit WHERE OURS"
        " seq = (SELECT count FROM audit_head h WHERE h.tenant_id = current_tenant())",
        11,
        "added",
    ),
    "head edited": ("UPDATE audit_head SET hash = sha256('x') WHERE OURS true", 10, "head"),
    "head gone": ("DELETE FROM audit_head WHERE OURS true", 1, "added"),
}


def _ours(statements: str) -> bytes:
    return statements.replace("OURS", "tenant_id = current_tenant() AND").encode()


@pytest.fixture
async def ten(new_company: NewCompany, db: Database) -> Company:
    """A company whose log has ten entries, beside another company."""
    company, _ = await new_company(), await new_company()
    while await _count(db, company) < 10:
        async with db.tenant(company.scope) as connection:
            subject = 'a "quoted" \\ name\n\x01\x7f/ 某某\u2028'
            await audit.record(connection, "operator", "test.act", subject, much=1e22, small=0.1, who=company.site_id)
    return company


async def test_whatever_is_done_to_the_log_is_found_and_the_row_is_named(ten: Company, owner_dsn: str) -> None:
    async with await AsyncConnection.connect(owner_dsn) as owner:
        await enter(owner, ten.scope)
        assert await audit_chain.verify(owner) == Verdict(10)
        for name, (statements, row, words) in TAMPERED.items():
            async with owner.transaction(force_rollback=True):
                await owner.execute(_ours(statements))
                verdict = await audit_chain.verify(owner)
            assert verdict.row == row, (name, verdict)
            assert verdict.fault is not None, name
            assert words in verdict.fault.en, (name, verdict)
        assert await audit_chain.verify(owner) == Verdict(10)


async def test_an_anchor_kept_elsewhere_shows_a_log_written_anew(ten: Company, db: Database, owner_dsn: str) -> None:
    async with db.tenant(ten.scope) as connection:
        kept = audit_chain.read(audit_chain.written([await audit_chain.head(connection)]))
    assert [anchor.count for anchor in kept] == [10]
    async with await AsyncConnection.connect(owner_dsn) as owner:
        for again in (10, 9):
            async with owner.transaction(force_rollback=True):
                await enter(owner, ten.scope)
                await owner.execute(_ours("DELETE FROM audit WHERE OURS true"))
                await owner.execute(_ours("DELETE FROM audit_head WHERE OURS true"))
                for _ in range(again):
                    await audit.record(owner, "operator", "nothing.happen", "")
                assert await audit_chain.verify(owner) == Verdict(again), "the chain by itself is whole"
                verdict = await audit_chain.verify(owner, kept)
                assert verdict.row == 10
    with pytest.raises(ConfigError, match="line 2 is not an anchor"):
        audit_chain.read(audit_chain.written(kept) + "[]\n")


async def test_writers_at_once_make_one_chain_and_what_is_rolled_back_leaves_no_gap(ten: Company, db: Database) -> None:
    async def write(n: int) -> None:
        async with db.tenant(ten.scope) as connection:
            await audit.record(connection, "operator", "test.act", str(n))
            if n % 3 == 0:
                raise RuntimeError

    await asyncio.gather(*(write(n) for n in range(30)), return_exceptions=True)
    async with db.snapshot(ten.scope) as connection:
        assert await audit_chain.verify(connection) == Verdict(30)


async def test_entries_say_who_when_from_where_and_what_was_before(company: Company) -> None:
    for language in ("zh", "en"):
        await company.http.put("/api/v1/me/language", json={"language": language})
    page = (await company.http.get("/api/v1/audit")).json()
    newest = page["items"][0]
    assert (newest["actor"], newest["act"], newest["address"]) == (
        f"user:{company.email}",
        "user.set_language",
        "127.0.0.1",
    )
    assert newest["detail"] == {"before": "zh", "after": "en"}
    assert [item["id"] for item in page["items"]] == list(range(len(page["items"]), 0, -1))
    older = (await company.http.get("/api/v1/audit", params={"before": newest["id"]})).json()["items"]
    assert older == page["items"][1:]


async def test_the_log_is_looked_through_proved_whole_and_taken_along(ten: Company, owner_dsn: str) -> None:
    http = ten.http
    await http.post("/api/v1/sites", json={"name": "=cmd|' /C calc'!A0"})
    found = (await http.get("/api/v1/audit", params={"act": "site.", "actor": ten.email[:9].upper()})).json()["items"]
    assert [entry["act"] for entry in found] == ["site.create"]
    assert (await http.get("/api/v1/audit", params={"end": "2020-01-01T00:00:00Z"})).json()["items"] == []
    answer = await http.get("/api/v1/audit/export", headers={"Accept-Language": "zh"})
    assert answer.content.startswith(b"\xef\xbb\xbf")
    heading, newest, *rest = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert heading[:3] == ["序号", "时间(UTC)", "操作者"]
    assert newest[4].startswith("'=cmd"), "no spreadsheet takes it for a formula"
    verdict = (await http.get("/api/v1/audit/verdict")).json()
    assert (verdict["whole"], verdict["entries"]) == (True, len(rest) + 1)
    with psycopg.connect(owner_dsn) as owner:
        owner.execute("ALTER TABLE audit NO FORCE ROW LEVEL SECURITY")
        owner.execute("UPDATE audit SET subject = 'other' WHERE tenant_id = %s AND seq = 4", [ten.scope.tenant_id])
        owner.execute("ALTER TABLE audit FORCE ROW LEVEL SECURITY")
    verdict = (await http.get("/api/v1/audit/verdict")).json()
    assert (verdict["whole"], verdict["entry"]) == (False, 4)
    assert verdict["fault_zh"]


def test_the_app_role_can_only_append_and_only_to_its_tenants_log(app_dsn: str) -> None:
    with psycopg.connect(app_dsn, autocommit=True) as app:
        for statement in (
            "INSERT INTO audit SELECT * FROM audit",
            "INSERT INTO audit_head SELECT * FROM audit_head",
            "UPDATE audit_head SET count = 0",
            "DELETE FROM audit_head",
            "TRUNCATE audit",
            "SELECT append_audit('a', 'b', 'c', '', '{}')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)


async def test_entries_from_before_the_chain_become_its_first(cluster: Cluster) -> None:
    scope = TenantScope(uuid4())
    dsn = cluster.empty()
    try:
        backend = get_backend(f"postgresql+psycopg:///?{urlencode(conninfo_to_dict(dsn))}")
        earlier = read_migrations(str(MIGRATIONS)).filter(lambda migration: migration.id < "0040_audit_chain")
        with roles_alone():
            backend.apply_migrations(backend.to_apply(earlier))
        backend.connection.close()
        with psycopg.connect(dsn) as owner:
            owner.execute("INSERT INTO tenant (id, name) VALUES (%s, 'T')", [scope.tenant_id])
            for n in range(3):
                detail = '{"n": %d, "某": ["x", 0.10]}' % n  # noqa: UP031 - braces
                owner.execute(
                    "INSERT INTO audit (tenant_id, actor, act, subject, detail) VALUES (%s, 'operator', 'a.b', 'x', %s)",
                    [scope.tenant_id, detail],
                )
        with roles_alone():
            prepared = prepare(dsn, SECRETS.database_password)
        async with Database(prepared) as db:
            async with db.tenant(scope) as connection:
                await audit.record(connection, "operator", "c.d", "y")
            async with db.snapshot(scope) as connection:
                assert await audit_chain.verify(connection) == Verdict(4)
    finally:
        cluster.drop(dsn)
