"""A day of a machine as a report: on paper as in the API, sent once by e-mail, nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import openpyxl
import pypdf
import pytest

from cloud.alarms.evaluator import Doors
from cloud.alarms.service import Alarms
from cloud.core.db import Database
from cloud.core.listen import Listener
from cloud.core.metrics import Metrics
from cloud.energy.service import Energy
from cloud.fleet.service import Fleet
from cloud.identity.service import Identity
from cloud.notify.service import Notify
from cloud.notify.settings import NotifySettings, Smtp
from cloud.production.service import Production
from cloud.quality.service import Quality
from cloud.reports.compose import Composer, Sources
from cloud.reports.service import Reports
from cloud.spc.service import Spc
from cloud.telemetry.ingest import Ingest
from cloud.telemetry.service import Telemetry
from tests.cloud.conftest import SECRETS, Company, NewCompany
from tests.cloud.production.test_production import ZONE, a_day, a_machine, kpis
from tests.doubles.agent import frame
from tests.doubles.receivers import Mailbox, mailbox


@pytest.fixture(scope="module")
def mail() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture(scope="module")
def notify_settings(mail: Mailbox) -> NotifySettings:
    smtp = Smtp("127.0.0.1", "Sunmao <alarms@example.com>", port=mail.port, security="none")
    return NotifySettings(smtp=smtp, address="https://sunmao.example.com")


@pytest.fixture
def reports(db: Database, notify_settings: NotifySettings) -> Reports:
    telemetry = Telemetry(db, Listener(db.dsn), Ingest(db, (), Metrics()))
    identity, fleet, production = Identity(db, SECRETS), Fleet(db, SECRETS), Production(db, telemetry)
    energy, notify = Energy(db, identity, fleet, production), Notify(db, SECRETS, notify_settings)
    alarms = Alarms(
        db,
        Listener(db.dsn),
        Doors(fleet, telemetry, Quality(db), production, notify, Spc(db, telemetry, Quality(db)), energy),
    )
    return Reports(db, notify, Composer(Sources(identity, fleet, production, energy, alarms)))


async def asked(company: Company, **query: Any) -> Any:
    return await company.http.get("/api/v1/reports/file", params=query)


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(content)).pages)


async def test_paper_and_workbook_say_what_the_api_says(company: Company, db: Database, owner_dsn: str) -> None:
    day, rows = a_day()
    machine = await a_machine(company, db, owner_dsn, [frame(0, rows)])
    total = (await kpis(company, "equipment", machine, day))["total"]
    at = f"{day}T12:00:00+08:00"
    site = {"node": "site", "node_id": str(company.site_id), "at": at}
    printed = await asked(company, period="day", language="en", **site)
    assert printed.status_code == 200, printed.text
    assert printed.headers["content-type"] == "application/pdf"
    text = text_of(printed.content)
    for word in ("Daily report", f"{100 * total['kpis']['oee']['value']:.1f} %", f"{total['good']:,.0f}", "press-1"):
        assert word in text
    kept = await asked(company, period="shift", format="xlsx", **site)
    sheet = openpyxl.load_workbook(BytesIO(kept.content)).worksheets[0]
    figures = {row[1]: row[2] for row in sheet.iter_rows(values_only=True) if row[1]}
    assert figures["设备综合效率 OEE"] == pytest.approx(100 * total["kpis"]["oee"]["value"])
    assert figures["良品数"] == total["good"]
    assert "白班" in str(sheet["A3"].value)


async def test_a_report_is_sent_once_when_its_day_is_over(company: Company, mail: Mailbox, reports: Reports) -> None:
    sent = len(mail.mails)
    channel = await company.http.post(
        "/api/v1/notify/channels", json={"kind": "email", "name": "boss", "recipients": ["boss@example.com"]}
    )
    body = {"kind": "day", "node": {"kind": "site", "id": str(company.site_id)}, "channel_id": channel.json()["id"]}
    made = await company.http.post("/api/v1/reports/schedules", json=body)
    assert made.status_code == 201, made.text
    now = datetime.now(ZONE)
    await reports.send_due(company.scope, now)
    assert (await company.http.get("/api/v1/notify/deliveries")).json()["items"] == []
    today_is_over = (now + timedelta(days=1)).replace(hour=1)  # a later day has not begun, and is no report
    for _ in range(2):
        await reports.send_due(company.scope, today_is_over)
    async with asyncio.timeout(60):  # what a busy mail server refuses is tried again after 5 s and 15 s
        while len(mail.mails) == sent:  # noqa: ASYNC110 - the mail server runs in a thread of its own
            await asyncio.sleep(0.05)
    (message,) = mail.mails[sent:]
    (file,) = message.iter_attachments()
    assert file.get_content_type() == "application/pdf"
    assert "生产日报" in text_of(file.get_content())
    (schedule,) = (await company.http.get("/api/v1/reports/schedules")).json()
    assert schedule["told_until"] > made.json()["told_until"]
    assert schedule["reason_en"] == ""
    acts = [item["act"] for item in (await company.http.get("/api/v1/audit")).json()["items"]]
    assert "report.schedule" in acts
    gone = await company.http.delete(f"/api/v1/reports/schedules/{schedule['id']}")
    assert gone.status_code == 204
    assert (await company.http.get("/api/v1/reports/schedules")).json() == []


async def test_what_cannot_be_reported_is_said(company: Company, new_company: NewCompany) -> None:
    stranger = await new_company()
    no_shift = await asked(company, period="shift", node="site", node_id=str(company.site_id))
    assert (no_shift.status_code, "shift calendar" in no_shift.json()["detail"]) == (422, True)
    for node in (str(stranger.site_id), str(uuid4())):
        assert (await asked(company, period="day", node="site", node_id=node)).status_code == 404
    hook = {"kind": "webhook", "name": "hook", "url": "https://hooks.example.com/x"}
    channel = (await company.http.post("/api/v1/notify/channels", json=hook)).json()["id"]
    body = {"kind": "day", "node": {"kind": "site", "id": str(company.site_id)}, "channel_id": channel}
    refused = await company.http.post("/api/v1/reports/schedules", json=body)
    assert (refused.status_code, "e-mail" in refused.json()["detail"]) == (422, True)
