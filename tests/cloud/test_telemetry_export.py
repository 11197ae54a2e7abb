"""Files of readings: everything in them once, as Excel and others open it, in memory that does not grow."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openpyxl
import psycopg
import pyarrow.parquet as pq
import pytest

from cloud.core.db import Database
from cloud.telemetry.export import Export
from cloud.telemetry.retained import Retained
from cloud.telemetry.workbook import Workbook
from protocols.reading import BAD
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import SECRETS, Company, NewCompany
from tests.doubles.agent import ENERGY, POWER, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000  # 2026-02-02T02:40:00Z, 10:40 in Shanghai
START = datetime.fromtimestamp(START_US / 1e6, UTC)
PROGRAMME = PointRef("meter-1", "Prog", "", "C62")


async def _filled(company: Company) -> dict[str, int]:
    """Three numbers, one bad; a meter at other times and one twice; a text that would be a formula."""
    rows = readings(POWER, [1.5, 2.5], START_US) + readings(POWER, [9.0], START_US + 2_000_000, quality=BAD)
    rows += readings(ENERGY, [100.0], START_US + 1_000_000) + readings(ENERGY, [7.0, 8.0], START_US + 5_000_000, 0)
    rows += readings(PROGRAMME, ["=1+1", '"齿轮", A'], START_US)
    async with company.agent() as agent:
        await agent.deliver(frame(1, rows))
    return {point["name"]: point["series_id"] for point in (await company.http.get("/api/v1/points")).json()}


async def _export(company: Company, series: list[int], kind: str, **more: Any) -> httpx.Response:
    end = (START + timedelta(days=30)).isoformat()
    params = {"series_id": series, "start": START.isoformat(), "end": end, "format": kind, **more}
    answer = await company.http.get("/api/v1/export", params=params)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_csv_opens_in_a_spreadsheet_with_a_row_per_instant(company: Company) -> None:
    ids = await _filled(company)
    answer = await _export(company, [ids["P"], ids["EPI"], ids["Prog"]], "csv", lang="zh")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="sunmao-20260202-20260304.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows == [
        [
            "时间 (Asia/Shanghai)",
            "时间 (UTC)",
            "meter-1 总有功功率 [P] (kW)",
            "meter-1 正向有功电能 [EPI] (kW·h)",
            "meter-1 Prog",
        ],
        ["2026-02-02 10:40:00.000000", "2026-02-02T02:40:00.000000Z", "1.5", "", "'=1+1"],
        ["2026-02-02 10:40:01.000000", "2026-02-02T02:40:01.000000Z", "2.5", "100.0", '"齿轮", A'],
        ["2026-02-02 10:40:02.000000", "2026-02-02T02:40:02.000000Z", "", "", ""],
        ["2026-02-02 10:40:05.000000", "2026-02-02T02:40:05.000000Z", "", "7.0", ""],
        ["2026-02-02 10:40:05.000000", "2026-02-02T02:40:05.000000Z", "", "8.0", ""],
    ]


async def test_a_parquet_file_has_every_reading_with_its_quality(company: Company) -> None:
    ids = await _filled(company)
    answer = await _export(company, list(ids.values()), "parquet")
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.num_rows == 8
    rows = sorted(table.to_pylist(), key=lambda row: (row["point"], row["time"], row["value"] or 0))
    assert [(row["point"], row["value"], row["text"], row["quality"] < 0) for row in rows] == [
        ("EPI", 100.0, None, False),
        ("EPI", 7.0, None, False),
        ("EPI", 8.0, None, False),
        ("P", 1.5, None, False),
        ("P", 2.5, None, False),
        ("P", 9.0, None, True),
        ("Prog", None, "=1+1", False),
        ("Prog", None, '"齿轮", A', False),
    ]
    assert rows[3]["time"] == START
    assert (rows[3]["equipment"], rows[3]["property"], rows[3]["unit"]) == ("meter-1", "active_power_total", "kW")


async def test_a_workbook_goes_on_in_a_new_sheet(company: Company, db: Database) -> None:
    ids = await _filled(company)
    export = Export(db, company.scope, Retained(None))
    plan = await export.plan([ids["P"], ids["Prog"]], START, START + timedelta(days=1), "zh")
    writer = Workbook(plan, sheet_rows=3)
    async for page in export.pages(plan):
        assert list(writer.write(page)) == []
    book = openpyxl.load_workbook(io.BytesIO(b"".join(writer.finish())))
    writer.close()
    sheets = [[tuple(cell.value for cell in row) for row in sheet.rows] for sheet in book.worksheets]
    heading = ("时间 (Asia/Shanghai)", "时间 (UTC)", "meter-1 总有功功率 [P] (kW)", "meter-1 Prog")
    local, utc = datetime(2026, 2, 2, 10, 40), datetime(2026, 2, 2, 2, 40)  # noqa: DTZ001
    second = timedelta(seconds=1)
    assert sheets == [
        [heading, (local, utc, 1.5, "'=1+1"), (local + second, utc + second, 2.5, '"齿轮", A')],
        [heading, (local + 2 * second, utc + 2 * second, None, None)],
    ]
    answer = await _export(company, [ids["P"]], "xlsx")
    assert openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets[0].max_row == 4


async def test_pages_join_without_loss_whatever_their_size(
    company: Company, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = readings(POWER, [float(i) for i in range(2500)], START_US, 500_000)
    rows += readings(ENERGY, [float(i) for i in range(2500)], START_US, 500_000)
    rows += readings(PROGRAMME, [str(i) for i in range(1500)], START_US + 86_400_000_000, 1_000_000)
    async with company.agent() as agent:
        await agent.deliver(frame(1, rows))
    monkeypatch.setattr("cloud.telemetry.export._PAGE", 1000)
    ids = [point["series_id"] for point in (await company.http.get("/api/v1/points")).json()]
    export = Export(db, company.scope, Retained(None))
    plan = await export.plan(ids, START, START + timedelta(days=60), "en")
    shares: list[float] = []
    content = b"".join([piece async for piece in export.file(plan, "parquet", shares.append)])
    table = pq.read_table(io.BytesIO(content))
    kept = {(row["series_id"], row["time"]) for row in table.select(["series_id", "time"]).to_pylist()}
    assert (table.num_rows, len(kept)) == (6500, 6500)
    assert shares == sorted(shares)
    assert shares[-1] == 1


async def test_memory_does_not_grow_with_the_export(company: Company, db: Database, owner_dsn: str) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US)))
    (point,) = (await company.http.get("/api/v1/points")).json()
    with psycopg.connect(owner_dsn) as connection:
        for day in (0, 1, 2, 7):
            connection.execute("SELECT ensure_telemetry_partition(%s)", [START + timedelta(days=day)])
        connection.execute(
            "INSERT INTO telemetry SELECT %s, %s + i * interval '1 second', i, 0 FROM generate_series(1, 300000) i",
            [point["series_id"], START],
        )
    export = Export(db, company.scope, Retained(None))
    peaks = []
    for hours in (14, 84):
        plan = await export.plan([point["series_id"]], START, START + timedelta(hours=hours), "en")
        tracemalloc.start()
        size = 0
        async for piece in export.file(plan, "csv"):
            size += len(piece)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert size > 15_000_000
    assert peaks[1] < peaks[0] * 1.5


async def test_what_is_not_there_or_too_much_is_refused(new_company: NewCompany) -> None:
    theirs, ours = await new_company(), await new_company()
    ids = await _filled(theirs)
    get = ours.http.get
    assert (await get("/api/v1/export", params={"series_id": ids["P"]})).status_code == 404
    mine = await theirs.http.get(
        "/api/v1/export", params={"series_id": ids["P"], "start": START.isoformat(), "end": START.isoformat()}
    )
    assert mine.status_code == 422
    assert (await theirs.http.get("/api/v1/export", params={"series_id": [ids["P"]] * 201})).status_code == 422


async def test_the_command_writes_the_same_file_or_one_line(
    company: Company, app_dsn: str, owner_dsn: str, tmp_path: Path
) -> None:
    ids = await _filled(company)
    (tmp_path / "secrets.json").write_bytes(msgspec.json.encode(SECRETS))
    (tmp_path / "secrets.json").chmod(0o600)
    out = tmp_path / "out.csv"
    span = ("--start", "2026-02-02T00:00:00+00:00", "--end", "2026-02-03T00:00:00+08:00")
    where = ("--data", tmp_path, "--dsn", owner_dsn, "--tenant", str(company.scope.tenant_id))

    def run(*options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from cloud.cli import main; main()", "export", *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("--out", out, *span, "--series", ids["P"], "--lang", "zh", "--json", *where)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"file": str(out), "bytes": out.stat().st_size}
    params = {"series_id": ids["P"], "start": span[1], "end": span[3], "lang": "zh"}
    assert out.read_bytes() == (await company.http.get("/api/v1/export", params=params)).content
    for options, said in (
        (("--out", tmp_path / "out.txt", *span), ".parquet"),
        (("--out", out, "--start", "2026-02-02", "--end", span[3]), "--start"),
        (("--out", tmp_path / "no" / "out.csv", *span, *where), "--out"),
    ):
        wrong = run(*options, "--lang", "en", "--data", tmp_path)
        assert (wrong.returncode, said in wrong.stderr, wrong.stderr.count("\n")) == (2, True, 1), wrong.stderr
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "secrets.json"]
