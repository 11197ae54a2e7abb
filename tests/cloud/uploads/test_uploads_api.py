"""Files of values through the API: told wrong cell by cell, stored wholly or not at all, once, and read like any other values."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import openpyxl
import psycopg
import pytest

from cloud.core.db import Database
from protocols.reading import GOOD_LOCAL_OVERRIDE
from tests.cloud.conftest import PASSWORD, Cluster, Company, NewCompany
from tests.cloud.sharing.pair import asked, granted, registered, values
from tests.doubles.agent import POWER

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = (datetime.now(UTC) - timedelta(hours=6)).replace(minute=0, second=0, microsecond=0)
POWER_HEADING = "总有功功率 Total active power [kW]"


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


def wall(minutes: float = 0) -> str:
    return f"{(START + timedelta(minutes=minutes)).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


async def machine(company: Company, name: str = "press", kind: str = "injection_moulding") -> str:
    body = {"site_id": str(company.site_id), "name": name, "equipment_class": kind}
    answer = await company.http.post("/api/v1/equipment", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "by_hand"
    return str(answer.json()["id"])


def table(*rows: str, heading: str = f"设备,时间,{POWER_HEADING}") -> bytes:
    return "\n".join([heading, *rows]).encode()


async def uploaded(company: Company, content: bytes, *, check: bool = False) -> dict[str, Any]:
    path = "/api/v1/uploads/check" if check else "/api/v1/uploads"
    answer = await company.http.post(path, params={"site_id": str(company.site_id)}, content=content)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def refused(company: Company, content: bytes) -> str:
    answer = await company.http.post("/api/v1/uploads", params={"site_id": str(company.site_id)}, content=content)
    assert answer.status_code == 422, answer.text
    return str(answer.json()["detail"])


async def stats(company: Company) -> dict[str, Any]:
    return dict((await company.http.get("/api/v1/telemetry/stats")).json())


async def template(company: Company, **query: Any) -> httpx.Response:
    return await company.http.get("/api/v1/uploads/template", params={"site_id": str(company.site_id), **query})


async def test_all_that_is_wrong_is_told_and_nothing_is_stored(company: Company) -> None:
    await machine(company)
    tomorrow = f"{datetime.now(SHANGHAI) + timedelta(days=1):%Y-%m-%d %H:%M}"
    report = await uploaded(
        company,
        table(
            f"press,{wall()},5",
            f"press,{wall(1)},five",
            f"press,{tomorrow},5",
            f"press,{wall()},6",
            f"lathe,{wall(2)},5",
            "press,1/2/2026,5 MW",
            f"press,{wall(3)},5,6",
        ),
    )
    assert (report["stored"], report["fault_count"]) == (False, 7)
    told = {fault["cell"]: fault["message_en"] for fault in report["faults"]}
    assert {cell: message[:18] for cell, message in told.items()} == {
        "C3": "'five' is no numbe",
        "B4": "this time is in th",
        "B5": "row 2 is of the sa",
        "A6": "there is no machin",
        "B7": "'1/2/2026' is no t",
        "C7": "'MW' is another un",
        "D8": "this column has no",
    }
    assert all(fault["message_zh"] for fault in report["faults"])
    assert (await stats(company))["readings"] == 0
    assert (await company.http.get("/api/v1/uploads")).json() == []


async def test_headings_are_names_units_and_the_sites_clock(company: Company) -> None:
    await machine(company)
    row = f"press,{wall()},5"
    wrong = {
        f"设备,时间 (Europe/Berlin),{POWER_HEADING}": "Asia/Shanghai",
        "设备,时间,总有功功率 [W]": "the unit is kW, not w",
        "设备,时间,总功率": "unknown column",
        "设备,时间": "no column with values",
        "设备,总有功功率": "Time is missing",
        "设备,时间,总有功功率,active_power_total": "twice",
    }
    for heading, why in wrong.items():
        report = await uploaded(company, table(row, heading=heading), check=True)
        assert why in report["faults"][0]["message_en"], heading
    for heading in (
        "设备 Machine,时间 Time (Asia/Shanghai),总有功功率 Total active power [kW; -100000～100000]",
        "machine;time;active_power_total".replace(";", ","),
        "Equipment,Time,TOTAL ACTIVE POWER".replace("Equipment", "Machine"),
    ):
        report = await uploaded(company, table(row, heading=heading), check=True)
        assert (report["fault_count"], report["values"], report["stored"]) == (0, 1, False), heading
    assert (await stats(company))["readings"] == 0, "a check stores nothing"


async def test_a_file_is_stored_once_and_never_changed(company: Company) -> None:
    await machine(company)
    rows = [f"press,{wall(minutes)},{minutes / 10}" for minutes in range(30)]
    first = await uploaded(company, table(*rows))
    assert (first["stored"], first["values"], first["known"], first["repeated"]) == (True, 30, 0, False)
    # In another order, other clothes and another encoding it is the same.
    again = "\n".join(["设备;时间;总有功功率", *(row.replace(",", ";") for row in reversed(rows))]).encode("gb18030")
    second = await uploaded(company, again)
    assert (second["stored"], second["repeated"]) == (True, True)
    more = await uploaded(company, table(*rows, f"press,{wall(31)},7"))
    assert (more["values"], more["known"], more["repeated"]) == (31, 30, False)
    other = await uploaded(company, table(f"press,{wall(3)},99", f"press,{wall(40)},1"))
    assert (other["stored"], [fault["cell"] for fault in other["faults"]]) == (False, ["C2"])
    assert "0.3 is stored" in other["faults"][0]["message_en"]
    found = await stats(company)
    assert (found["readings"], found["ledger_readings"], found["duplicates"]) == (31, 31, 0)
    listed = (await company.http.get("/api/v1/uploads")).json()
    assert [one["readings"] for one in listed] == [31, 30]
    assert listed[0]["uploaded_by"] == f"user:{company.email}"


async def test_two_at_once_store_it_once(company: Company) -> None:
    await machine(company)
    content = table(*(f"press,{wall(minutes)},1" for minutes in range(50)))
    reports = await asyncio.gather(*(uploaded(company, content) for _ in range(4)))
    assert sorted(one["repeated"] for one in reports) == [False, True, True, True]
    assert (await stats(company))["readings"] == 50


async def test_a_crash_after_the_values_leaves_nothing_to_come_twice(company: Company, owner_dsn: str) -> None:
    await machine(company)
    content = table(f"press,{wall()},1", f"press,{wall(1)},2")
    await uploaded(company, content)
    with psycopg.connect(owner_dsn, autocommit=True) as connection:  # as if the cloud had died between the two commits
        connection.execute("DELETE FROM upload WHERE tenant_id = %s", [company.scope.tenant_id])
    again = await uploaded(company, content)
    assert (again["stored"], again["known"]) == (True, 2)
    assert (await stats(company))["readings"] == 2


async def test_a_delivery_that_fails_leaves_nothing_and_is_made_good(company: Company, owner_dsn: str) -> None:
    await machine(company)
    content = table(*(f"press,{wall(minutes)},1" for minutes in range(100)))
    params = {"site_id": str(company.site_id)}
    with psycopg.connect(owner_dsn, autocommit=True) as connection:  # the disk is full from the 51st value on
        connection.execute(
            """
            CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.ts >= %s THEN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END IF; RETURN NEW;
            END $$
            """.replace("%s", f"'{(START + timedelta(minutes=50)).isoformat()}'")
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON telemetry FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
        try:
            failed = await company.http.post("/api/v1/uploads", params=params, content=content)
        finally:
            connection.execute("DROP FUNCTION full_disk() CASCADE")
    assert failed.status_code == 503, failed.text
    assert (await stats(company))["readings"] == 0, "no half of it"
    assert (await company.http.get("/api/v1/uploads")).json() == []
    again = await uploaded(company, content)
    assert (again["stored"], again["repeated"]) == (True, False)
    found = await stats(company)
    assert (found["readings"], found["ledger_readings"], found["duplicates"]) == (100, 100, 0)


async def test_the_template_is_filled_in_and_comes_back(
    company: Company, db: Database, new_company: NewCompany
) -> None:
    leader = await new_company()
    code = await registered(company, db)
    items = ({"entry": "active_power_total", "granularity": "raw"}, {"entry": "kpi:oee", "granularity": "shift"})
    (await leader.http.post("/api/v1/sharing/requests", json=asked(code, *items))).raise_for_status()
    nothing = await template(company)
    assert nothing.status_code == 422
    await machine(company, "=press 1")
    await machine(company, "车床", "cnc")
    made = await template(company, format="xlsx", language="zh")
    book = openpyxl.load_workbook(io.BytesIO(made.content))
    data, told = book.worksheets
    headings = [cell.value for cell in data[1]]
    assert headings[:2] == ["设备 Machine", "时间 Time (Asia/Shanghai)"]
    assert headings[2].startswith("总有功功率 Total active power [kW; ")
    assert [heading.split(" ")[0] for heading in headings[3:]] == ["设备运行状态", "加工总件数", "良品数"]
    assert (data["A2"].value, data["A3"].value, data["A3"].data_type) == ("示例 Example", "=press 1", "s")
    offered = {str(rule.sqref): rule.formula1 for rule in data.data_validations.dataValidation}
    assert offered["A3:A1048576"] == '"=press 1,车床"'
    assert offered["D3:D1048576"] == '"不可用,停用,待机,运行"'
    assert any("Asia/Shanghai" in str(row[0].value) for row in told.iter_rows())
    assert (await uploaded_or_told(company, made.content)).startswith("The file has no values")
    for row, (minute, state) in enumerate(((0, "运行"), (1, "Not executing"), (2, 3)), 3):
        data.cell(row, 1).value = "=press 1"
        data.cell(row, 1).data_type = "s"
        data.cell(row, 2).value = (START + timedelta(minutes=minute)).astimezone(SHANGHAI).replace(tzinfo=None)
        data.cell(row, 3).value = 5.5
        data.cell(row, 4).value = state
    file = io.BytesIO()
    book.save(file)
    report = await uploaded(company, file.getvalue())
    assert (report["fault_count"], report["values"], report["stored"]) == (0, 6, True), report
    assert {one["entry"]: one["last"] for one in report["series"]} == {"active_power_total": 5.5, "machine_state": 3}

    made = await template(company, format="csv", of_class=True)
    lines = list(csv.reader(io.StringIO(made.content.decode("utf-8-sig"))))
    assert made.content.startswith(b"\xef\xbb\xbf")
    assert lines[2] == ["'=press 1"], "no formula for a spreadsheet"
    assert len(lines[0]) > 30, "all entries of two classes"
    example = await uploaded(company, made.content + f"'=press 1,{wall(9)},,1".encode(), check=True)
    assert (example["rows"], example["fault_count"]) == (1, 0), "the example is no row"
    theirs = await new_company()
    assert (
        await theirs.http.get("/api/v1/uploads/template", params={"site_id": str(company.site_id)})
    ).status_code == 404


async def uploaded_or_told(company: Company, content: bytes) -> str:
    answer = await company.http.post("/api/v1/uploads", params={"site_id": str(company.site_id)}, content=content)
    return str(answer.json().get("detail", answer.json()))


async def test_values_are_read_like_any_others_and_said_to_be_by_hand(
    company: Company, db: Database, new_company: NewCompany
) -> None:
    leader = await new_company()
    code = await registered(company, db)
    identity = await machine(company)
    items = ({"entry": POWER.property, "granularity": "hour"},)
    grant = await granted(leader, company, asked(code, *items))
    await uploaded(company, table(*(f"press,{wall(minutes)},{minutes}" for minutes in range(60))))
    (latest,) = (await company.http.get("/api/v1/latest")).json()
    assert (latest["value"], latest["quality"]) == (59, int(GOOD_LOCAL_OVERRIDE))
    (shown,) = (await leader.http.get(f"/api/v1/sharing/grants/{grant['id']}/machines")).json()
    assert (shown["equipment_id"], shown["by_hand"]) == (identity, True)
    async with asyncio.timeout(30):
        while True:
            read = (await values(leader, grant["id"], POWER.property, START, START + timedelta(hours=1))).json()
            if read["series"] and read["series"][0]["values"]:
                break
            await asyncio.sleep(0.2)
    (series,) = read["series"]
    assert series["by_hand"]
    assert [(one["value"], one["completeness"]) for one in series["values"]] == [(29.5, 1.0)]


async def test_the_desk_is_no_gateway_and_nobody_logs_in_as_it(company: Company) -> None:
    identity = await machine(company)
    assert (await company.http.get("/api/v1/agents")).json() == []
    desk = (await company.http.get(f"/api/v1/equipment/{identity}")).json()["agent_id"]
    assert (await company.http.delete(f"/api/v1/agents/{desk}")).status_code == 404
    again = {"site_id": str(company.site_id), "name": "press", "equipment_class": "cnc"}
    assert (await company.http.post("/api/v1/equipment", json=again)).status_code == 409
    for wrong in ({"equipment_class": "teapot"}, {"name": " "}, {"name": ""}):
        assert (await company.http.post("/api/v1/equipment", json=again | wrong)).status_code == 422


async def test_what_is_too_large_or_no_table_is_refused_by_name(company: Company) -> None:
    await machine(company)
    assert "neither CSV nor XLSX" in await refused(company, b"PK\x03\x04rubbish")
    assert "neither CSV nor XLSX" in await refused(company, b"\xff\xfe\x00")
    assert "old Excel" in await refused(company, b"\xd0\xcf\x11\xe0" + bytes(100))
    assert "no values" in await refused(company, b"")
    assert "1,000,000 cells" in await refused(company, table() + "\n示例,2,3".encode() * 400_000)
    assert "300 columns" in await refused(company, b"," * 400 + b"x\n")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(200_000_000))
    assert "128 MB" in await refused(company, bomb.getvalue())
    # A row that says it is the trillionth: the empty ones before it are not counted up to.
    book, far = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["设备", "时间", "总有功功率"])
    book.active.append(["press", "x", 1])
    book.save(far)
    moved = io.BytesIO()
    with zipfile.ZipFile(far) as source, zipfile.ZipFile(moved, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("sheet1.xml"):
                content = content.replace(b'<row r="2">', b'<row r="999999999999">').replace(
                    b'r="A2"', b'r="A999999999999"'
                )
            target.writestr(name, content)
    assert "rows" in await refused(company, moved.getvalue())
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + level, b"&%c;" % (97 + level) * 10) for level in range(9)
    )
    laughing = io.BytesIO()
    with zipfile.ZipFile(far) as source, zipfile.ZipFile(laughing, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("sheet1.xml"):
                content = laughs + b"]>" + content.replace(b"<v>1</v>", b"<v>&j;</v>")
            target.writestr(name, content)
    assert "neither CSV nor XLSX" in await refused(company, laughing.getvalue())
    params = {"site_id": str(company.site_id)}
    huge = await company.http.post("/api/v1/uploads", params=params, content=bytes(20 * 1024 * 1024 + 1))
    assert huge.status_code == 413


async def test_who_reaches_one_machine_enters_values_of_that_one_only(company: Company) -> None:
    ours, _ = await machine(company), await machine(company, "lathe", "cnc")
    who = {"email": f"o-{company.email}", "password": PASSWORD}
    user = (await company.http.post("/api/v1/users", json=who | {"role": "none"})).raise_for_status().json()["id"]
    grants = {"grants": [{"id": ours, "role": "operator"}]}
    (await company.http.put(f"/api/v1/users/{user}/grants", json=grants)).raise_for_status()
    params = {"site_id": str(company.site_id)}
    async with httpx.AsyncClient(base_url=company.http.base_url, timeout=30) as operator:
        signed = (await operator.post("/api/v1/sessions", json=who)).json()["token"]
        operator.headers["Authorization"] = f"Bearer {signed}"
        told = (await operator.post("/api/v1/uploads", params=params, content=table(f"lathe,{wall()},5"))).json()
        assert (told["stored"], told["faults"][0]["cell"]) == (False, "A2")
        assert "there are: press" in told["faults"][0]["message_en"]
        stored = (await operator.post("/api/v1/uploads", params=params, content=table(f"press,{wall()},5"))).json()
        assert stored["stored"]
        naming = params | {"name": "mill", "equipment_class": "cnc"}
        assert (await operator.post("/api/v1/equipment", json=naming)).status_code == 403
        made = (await operator.get("/api/v1/uploads/template", params=params | {"format": "csv"})).content
        assert "lathe" not in made.decode()


async def test_a_viewer_reads_templates_and_uploads_nothing(company: Company) -> None:
    await machine(company)
    made = await company.http.post("/api/v1/tokens", json={"name": "n", "scopes": ["read"]})
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    params = {"site_id": str(company.site_id)}
    assert (await company.http.get("/api/v1/uploads/template", params=params, headers=headers)).status_code == 200
    answer = await company.http.post("/api/v1/uploads", params=params, content=table(), headers=headers)
    assert answer.status_code == 403
