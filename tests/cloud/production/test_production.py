"""A machine's days through a real cloud: calendars, late data, the same figures everywhere, people's words on stops."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import openpyxl
import psycopg
import pytest

from cloud.core.db import Database
from cloud.core.listen import Listener
from cloud.core.metrics import Metrics
from cloud.production.service import Production, note_readings
from cloud.production.tasks import bring_up_to_date
from cloud.telemetry.ingest import Ingest
from cloud.telemetry.service import Telemetry
from cloud.telemetry.tasks import roll_up_all
from protocols.reading import now_us
from protocols.uplink.messages import PointRef
from protocols.uplink.shifts import ShiftsPlanned, ShiftsRequest
from tests.cloud.conftest import Company
from tests.doubles.agent import frame, readings

ZONE = ZoneInfo("Asia/Shanghai")
STATE = PointRef("press-1", "State", "machine_state", "C62")
TOTAL = PointRef("press-1", "Total", "part_count_total", "C62")
GOOD = PointRef("press-1", "Good", "part_count_good", "C62")
DAY = {"name_en": "Day", "name_zh": "白班", "weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "20:00"}
NIGHT = {"name_en": "Night", "name_zh": "夜班", "weekdays": [1, 2, 3, 4, 5], "start": "20:00", "end": "08:00"}
EVERY_DAY = {**DAY, "weekdays": [1, 2, 3, 4, 5, 6, 7], "breaks": [{"start": "12:00", "end": "13:00"}]}
RUNNING, IDLE, FAULT = 3, 2, 1
# The day, in minutes since 08:00: what the machine does. From 480 to 540 the box is offline while it goes on producing.
PLAN = [(0, RUNNING), (120, FAULT), (150, RUNNING), (240, IDLE), (300, RUNNING), (720, IDLE)]
OFFLINE = range(480, 540)


def calendar(company: Company, *shifts: dict[str, Any], valid_from: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    return {"site_id": str(company.site_id), "valid_from": valid_from, "shifts": list(shifts), **more}


async def settle(db: Database, owner_dsn: str) -> None:
    """Have everything rolled up and all records made."""
    telemetry = Telemetry(db, Listener(db.dsn), Ingest(db, (), Metrics()))
    while True:
        await roll_up_all(db, Metrics(), followers=(note_readings,))
        await bring_up_to_date(db, telemetry)
        with psycopg.connect(owner_dsn) as connection:
            waiting = connection.execute(
                "SELECT (SELECT count(*) FROM production_change)"
                " + (SELECT count(*) FROM telemetry_change WHERE NOT rolled_up)"
            ).fetchone()
        if waiting == (0,):
            return


def dump(owner_dsn: str) -> list[Any]:
    with psycopg.connect(owner_dsn) as connection:
        return [
            connection.execute("SELECT equipment_id, hour, starts, kinds FROM state_hour ORDER BY 1, 2").fetchall(),
            connection.execute(
                "SELECT equipment_id, start, day, body FROM shift_record WHERE until = shift_end ORDER BY 1, 2"
            ).fetchall(),
        ]


def a_day() -> tuple[date, list[Any]]:
    """Return a production day before yesterday and its readings, minute by minute."""
    day = (datetime.now(ZONE) - timedelta(days=2)).date()
    begin = datetime(day.year, day.month, day.day, 8, tzinfo=ZONE)
    rows, total, good = [], 1000.0, 900.0
    for minute in range(-5, 730):
        state = next((state for start, state in reversed(PLAN) if start <= minute), IDLE)
        if state == RUNNING:
            total += 2
            good += 2 if minute % 20 else 1
        at = round((begin + timedelta(minutes=minute)).timestamp()) * 1_000_000
        if minute not in OFFLINE:
            for point, value in ((STATE, float(state)), (TOTAL, total), (GOOD, good)):
                rows += readings(point, [value], at)
    return day, rows


async def a_machine(company: Company, db: Database, owner_dsn: str, frames: Sequence[Any]) -> str:
    """Deliver `frames` to a cloud with a calendar; return the machine's id."""
    answer = await company.http.put("/api/v1/production/calendars", json=calendar(company, EVERY_DAY))
    assert answer.status_code == 200, answer.text
    async with company.agent() as agent:
        for some in frames:
            await agent.deliver(some)
            await settle(db, owner_dsn)
    (machine,) = (await company.http.get("/api/v1/equipment")).json()
    run_time = {"valid_from": "2026-01-01T00:00:00Z", "seconds": 30}
    put = await company.http.put(f"/api/v1/production/equipment/{machine['id']}/run-times", json=run_time)
    assert put.status_code == 200, put.text
    await settle(db, owner_dsn)
    return str(machine["id"])


async def kpis(company: Company, node: str, node_id: str, day: date, **more: str) -> dict[str, Any]:
    days = {"first_day": day.isoformat(), "last_day": day.isoformat()}
    query = {"node": node, "node_id": node_id, **days, **more}
    answer = await company.http.get("/api/v1/production/kpis", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_late_and_replayed_data_give_the_records_of_a_computation_from_scratch(
    company: Company, db: Database, owner_dsn: str
) -> None:
    _, rows = a_day()
    # The fault comes last, and everything comes twice.
    late = [row for row in rows if row[1].source_time > rows[1800][1].source_time]
    pieces = [rows[:900], rows[1200:], rows[900:1200], late, rows]
    await a_machine(company, db, owner_dsn, [frame(seq, some) for seq, some in enumerate(pieces)])
    kept = dump(owner_dsn)
    assert len(kept[0]) >= 13
    assert kept[1]
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("UPDATE telemetry_change SET rolled_up = false")
        connection.execute("TRUNCATE state_hour, shift_record")
    await settle(db, owner_dsn)
    again = dump(owner_dsn)
    assert again[0] == kept[0]
    assert again[1] == kept[1]


async def test_a_day_of_a_machine_is_the_same_on_the_api_and_in_the_files(
    company: Company, db: Database, owner_dsn: str
) -> None:
    day, rows = a_day()
    machine = await a_machine(company, db, owner_dsn, [frame(0, rows)])
    report = await kpis(company, "equipment", machine, day, granularity="shift")
    (row,) = report["rows"]
    assert row["shift_zh"] == "白班"
    # 12 h less an hour's break; heard of until ten minutes after 15:59; 30 min of fault.
    seconds = row["seconds"]
    assert seconds["planned_busy"] == 11 * 3600
    assert seconds["unknown"] == 51 * 60
    assert seconds["failure"] == 30 * 60
    assert seconds["producing"] == (11 * 60 - 51 - 30) * 60
    value = {code: found["value"] for code, found in row["kpis"].items()}
    producing, known = 579, 609
    assert value["availability"] == pytest.approx(producing / known)
    assert row["produced"] == 2 * 630
    # 122 pieces were counted at 17:00, over 61 minutes, of which 51 are unknown: these are in no figure.
    assert row["in_silence"] == pytest.approx(122 * 51 / 61)
    assert value["effectiveness"] == pytest.approx((2 * 630 - row["in_silence"]) / 2 / producing)
    assert value["oee"] == pytest.approx(
        value["availability"] * value["effectiveness"] * value["quality_rate"], abs=1e-12
    )
    (good,) = [one["value"] for one in row["kpis"]["oee"]["inputs"] if one["symbol"] == "PRI x GQ"]
    assert value["oee"] == pytest.approx(good / (known * 60))
    assert row["kpis"]["oee"]["completeness"] == pytest.approx(known / 660)
    assert set(row["kpis"]["oee"]["sources"]) == {"machine_state", "part_count_total", "part_count_good"}
    assert value["time_to_restore"] == 30 * 60
    # What pages and boards say was made on that day, and - without a calendar - since midnight, is the same count.
    production = Production(db, Telemetry(db, Listener(db.dsn), Ingest(db, (), Metrics())))
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE)
    machines = [UUID(machine), uuid4()]
    made = await production.made_today(company.scope, machines, midnight + timedelta(hours=23))
    assert (made.produced, made.good) == (row["produced"], row["good"])
    assert made.quality_rate == value["quality_rate"]
    assert (await production.made_today(company.scope, machines, midnight + timedelta(days=30))).good is None
    (version,) = (await company.http.get("/api/v1/production/calendars")).json()
    await company.http.delete(f"/api/v1/production/calendars/{version['id']}")
    counted = await production.made_today(company.scope, machines, midnight + timedelta(hours=20))
    assert (counted.produced, counted.good) == (made.produced, made.good)
    assert (await company.http.put("/api/v1/production/calendars", json=calendar(company, EVERY_DAY))).is_success
    await settle(db, owner_dsn)
    # A node of one machine, a table for a spreadsheet: to the last digit the same.
    site = await kpis(company, "site", str(company.site_id), day)
    assert {code: found["value"] for code, found in site["total"]["kpis"].items()} == value
    query = {"node": "equipment", "node_id": machine, "first_day": f"{day}", "last_day": f"{day}"}
    plain = await company.http.get("/api/v1/production/kpis/file", params=query)
    assert plain.content.startswith("\ufeff起始日".encode())
    table = list(csv.DictReader(io.StringIO(plain.content.decode("utf-8-sig"))))
    assert float(table[0]["设备综合效率 OEE"]) == value["oee"]
    book = await company.http.get("/api/v1/production/kpis/file", params={**query, "format": "xlsx", "language": "en"})
    heads, first, *_ = openpyxl.load_workbook(io.BytesIO(book.content)).active.values
    assert dict(zip(heads, first, strict=True))["OEE index"] == pytest.approx(value["oee"], rel=1e-15)


async def test_people_say_why_a_machine_stood(company: Company, db: Database, owner_dsn: str) -> None:
    day, rows = a_day()
    machine = await a_machine(company, db, owner_dsn, [frame(0, rows)])
    begin = datetime(day.year, day.month, day.day, 8, tzinfo=ZONE)
    span = {"start": begin.isoformat(), "end": (begin + timedelta(hours=12)).isoformat()}
    stops = f"/api/v1/production/equipment/{machine}/stops"

    async def listed(**asked: str) -> list[tuple[int, str, str | None]]:
        query = {"node": "equipment", "node_id": machine, **span, **asked}
        page = (await company.http.get("/api/v1/production/stops", params=query)).json()
        found = []
        for stop in reversed(page["items"]):
            at = (datetime.fromisoformat(stop["start"]) - begin) // timedelta(minutes=1)
            found.append((at, stop["element"], stop["reason_id"]))
        return found

    # The break is no stop: nothing was planned.
    assert await listed() == [(120, "failure", None), (489, "unknown", None)]
    reasons = {one["name_en"]: one["id"] for one in (await company.http.get("/api/v1/production/stop-reasons")).json()}
    fault = (begin + timedelta(minutes=120)).astimezone(UTC)
    later = fault + timedelta(minutes=10)

    async def say(at: datetime, reason: str, status: int = 204) -> None:
        answer = await company.http.put(f"{stops}/{at.isoformat()}", json={"reason_id": reasons[reason]})
        assert answer.status_code == status, answer.text

    await say(fault, "Mechanical")
    await say(later, "Planned maintenance")
    found = await listed()
    assert found[:2] == [(120, "failure", reasons["Mechanical"]), (130, "planned_stop", reasons["Planned maintenance"])]
    parents = {
        one["id"]: one["parent_id"] for one in (await company.http.get("/api/v1/production/stop-reasons")).json()
    }
    for asked, those in (
        ({"reason_id": reasons["Mechanical"]}, found[:1]),
        ({"reason_id": parents[reasons["Mechanical"]]}, found[:1]),
        ({"loss": "planned_stop"}, found[1:2]),
        ({"unexplained": "true"}, found[2:]),
        ({"loss": "failure", "least_s": "3600"}, []),
    ):
        assert await listed(**asked) == those, asked
    # At once, without waiting for any task: the planned part is no planned busy time any more.
    (row,) = (await kpis(company, "equipment", machine, day, granularity="shift"))["rows"]
    assert row["seconds"]["failure"] == 600
    assert row["seconds"]["planned_busy"] == 11 * 3600 - 1200
    assert [(loss["name_en"], loss["seconds"], loss["stops"]) for loss in row["losses"] if loss["reason_id"]] == [
        ("Planned stop: Planned maintenance", 1200, 1),
        ("Breakdown: Mechanical", 600, 1),
    ]
    assert (await company.http.delete(f"{stops}/{later.isoformat()}")).status_code == 204
    assert (await listed())[0] == (120, "failure", reasons["Mechanical"])
    await say(begin + timedelta(minutes=60), "Mechanical", 422)
    await say(datetime.now(UTC) + timedelta(hours=1), "Mechanical", 422)
    # A reason that is counted otherwise from now on leaves the past as it was; back-dated, it changes what it was said of.
    changed = {"name_en": "Mechanical", "name_zh": "机械故障", "loss": "no_order", "parent_id": reasons["Breakdown"]}
    url = f"/api/v1/production/stop-reasons/{reasons['Mechanical']}"

    async def counted() -> tuple[float, float, list[str]]:
        await settle(db, owner_dsn)
        (row,) = (await kpis(company, "equipment", machine, day, granularity="shift"))["rows"]
        told = [loss["element"] for loss in row["losses"] if loss["reason_id"]]
        return row["seconds"]["failure"], row["seconds"]["no_order"], told

    assert (await company.http.put(url, json=changed)).json()["loss"] == "no_order"
    assert await counted() == (1800, 0, ["failure"])
    hour = fault.replace(minute=0).isoformat()
    (await company.http.put(url, json=changed, params={"valid_from": hour})).raise_for_status()
    assert await counted() == (0, 1800, ["no_order"])
    versions = (await company.http.get(f"{url}/losses")).json()
    assert [one["loss"] for one in versions] == ["no_order", "no_order", "failure"]
    assert (await company.http.delete(f"{url}/losses", params={"valid_from": hour})).status_code == 204
    assert await counted() == (1800, 0, ["failure"])
    for at, status in ((versions[-1]["valid_from"], 422), (hour, 404)):
        assert (await company.http.delete(f"{url}/losses", params={"valid_from": at})).status_code == status
    past = {"valid_from": (fault + timedelta(minutes=1)).isoformat()}
    assert (await company.http.put(url, json=changed, params=past)).status_code == 422


async def _put(company: Company, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await company.http.put("/api/v1/production/calendars", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_box_is_told_the_shifts_of_its_stations_lines_as_instants(company: Company) -> None:
    await _put(company, calendar(company, EVERY_DAY))
    line = (await company.http.post("/api/v1/lines", json={"site_id": str(company.site_id), "name": "L1"})).json()
    night = {**NIGHT, "weekdays": [1, 2, 3, 4, 5, 6, 7], "start": "22:00", "end": "06:00"}
    await _put(company, calendar(company, night, line_id=line["id"]))
    today = datetime.now(UTC).date()
    holiday = {"site_id": str(company.site_id), "day": (today + timedelta(days=3)).isoformat(), "name": "Stock-taking"}
    assert (await company.http.put("/api/v1/production/calendar-exceptions", json=holiday)).status_code == 200
    async with company.agent() as agent:
        points = [PointRef(name, "p", "", "C62") for name in ("camera-1", "camera-2")]
        await agent.deliver(frame(1, [row for point in points for row in readings(point, [1.0], now_us())]))
        places = {each["name"]: each["id"] for each in (await company.http.get("/api/v1/equipment")).json()}
        moved = await company.http.patch(f"/api/v1/equipment/{places['camera-2']}", json={"line_id": line["id"]})
        assert moved.is_success, moved.text
        asked = ShiftsRequest(["camera-1", "camera-2", "nobody"])
        answer = await agent.post("/uplink/shifts", asked, token=True)
        too_many = await agent.post("/uplink/shifts", ShiftsRequest(["x"] * 201), token=True)
    assert too_many.status_code == 400
    told = msgspec.msgpack.decode(answer.content, type=ShiftsPlanned).stations
    assert set(told) == {"camera-1", "camera-2"}
    node = {"node": "line", "node_id": line["id"]}
    days = {"first_day": (today - timedelta(days=3)).isoformat(), "last_day": (today + timedelta(days=17)).isoformat()}
    shown = (await company.http.get("/api/v1/production/shifts", params={**node, **days})).json()
    same = {
        tuple(round(datetime.fromisoformat(one[end]).timestamp() * 1e6) for end in ("start", "end")) for one in shown
    }
    assert {(shift.start, shift.end) for shift in told["camera-2"]} <= same, "box and cloud say the same"
    assert len(told["camera-2"]) == len(told["camera-1"]) == 15, "16 production days, and one is a holiday"


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
