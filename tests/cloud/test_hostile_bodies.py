"""Bodies no honest client sends: answered with a clear 4xx, never with a 5xx, never with a tenant's data harmed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import zstandard
from fastapi import FastAPI, Request
from starlette.types import Message

from cloud.core import errors
from cloud.core.body import read_message
from protocols.uplink.codec import MAX_BATCH_BYTES, encode
from protocols.uplink.messages import Batch, Delivery, DeviceReport, Frame, Health, Inspection
from tests.cloud.conftest import Company
from tests.doubles.agent import POWER, frame, readings

DEEP = b"[" * 100_000
JSON_BODIES = {
    "deep": DEEP,
    "garbage": b"\xff\x00{",
    "nul": json.dumps({"name": "a\0b"}).encode(),
    "nan": b'{"name": NaN}',
    "huge number": b'{"name": 1e400}',
    "list": b"[]",
    "too big": b'{"name": "' + b"x" * (1024 * 1024) + b'"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "bidi": '{"name": "\u202e\u0000"}'.encode(),
    "many keys": json.dumps({str(i): i for i in range(50_000)}).encode(),
    "empty": b"",
}


@pytest.mark.parametrize("name", JSON_BODIES)
async def test_json_bodies(company: Company, name: str) -> None:
    for path in ("/api/v1/sites", "/api/v1/sessions", "/api/v1/enrolment-codes", "/api/v1/users"):
        answer = await company.http.post(path, content=JSON_BODIES[name], headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text[:200])
        assert answer.headers["content-type"] == "application/problem+json"


def _bomb() -> bytes:
    return zstandard.compress(bytes(MAX_BATCH_BYTES + 1))


PAYLOADS = {
    "bomb": _bomb(),
    "bomb of unknown size": zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1_000_000)),
    "zeros": zstandard.compress(bytes(1_000_000)),
    "garbage": b"\x28\xb5\x2f\xfd garbage",
    "empty": b"",
    "deep": zstandard.compress(b"\x91" * 100_000),
}


@pytest.mark.parametrize("name", PAYLOADS)
async def test_frames_are_refused_by_number(company: Company, name: str) -> None:
    async with company.agent() as agent:
        receipt = await agent.deliver(Frame(7, PAYLOADS[name]))
    assert (receipt.stored, [verdict.seq for verdict in receipt.refused]) == ([], [7])


BODIES = {
    "garbage": b"\xc1",
    "deep": b"\x91" * 100_000,
    "json": b'{"epoch": "x"}',
    "epoch is no uuid": msgspec.msgpack.encode(Delivery("x", [])),
    "empty": b"",
    "text that is no text": b"\x81\xa4code\xa4\xff\xfe\xfd\xfc",
    "too big": bytes(16 * 1024 * 1024 + 1),
}


@pytest.mark.parametrize("name", BODIES)
async def test_message_bodies(company: Company, name: str) -> None:
    async with company.agent() as agent:
        for path in ("/uplink/batches", "/uplink/health", "/agents/enrol", "/agents/challenge", "/agents/token"):
            answer = await agent.post(path, BODIES[name], token=True)
            assert answer.status_code in {400, 413}, (path, answer.status_code, answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/dictionary/entries/%00",
        "/api/v1/dictionary/entries?equipment_class=%00%ff",
        "/api/v1/series/99999999999999999999/readings",
        "/api/v1/series/-1/readings",
        "/api/v1/history?series_id=99999999999",
        "/api/v1/audit?before=99999999999999999999",
        "/api/v1/inspections?before=%00",
        "/api/v1/latest?equipment_id=%00",
        "/api/v1/history?series_id=1&start=0001-01-01T00:00:00%2B14:00",
        "/api/v1/inspections/summary?end=0001-01-01T00:00:00Z",
        "/api/v1/inspections?start=0001-01-01T00:00:00%2B14:00",
        "/api/v1/events?before_time=9999-12-31T23:59:59-14:00&before_id=0190a0a0-0000-7000-8000-000000000001",
    ],
)
async def test_addresses(company: Company, path: str) -> None:
    answer = await company.http.get(path)
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])
async def test_times_at_the_ends_of_the_calendar(company: Company, start: str) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], 1_770_000_000_000_000)))
    (point,) = (await company.http.get("/api/v1/points")).json()
    params = {"series_id": point["series_id"], "start": start, "end": start, "resolution": "1d"}
    answer = await company.http.get("/api/v1/history", params=params)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "query.start")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\0"},
        {"name": "x" * 100_000},
        {"state": "asleep"},
        {"since": 2**62},
        {"since": 2**64 - 1},
        {"points": 2**40},
        {"unmapped": -1},
    ],
)
async def test_devices_nobody_could_list_are_refused(company: Company, wrong: dict[str, Any]) -> None:
    device = DeviceReport("meter-1", "modbus", "t", "energy_meter", "up", 0, 1, 0)
    report = Health("0.1.0", 0, 0, [msgspec.structs.replace(device, **wrong)], 0, 0, 0, 0, 0, 0, 0, 0, 0)
    async with company.agent() as agent:
        answer = await agent.post("/uplink/health", report, token=True)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (await company.http.get("/api/v1/equipment")).json() == []


async def test_an_inspection_without_a_station_is_refused_by_number(company: Company) -> None:
    inspection = Inspection(
        "0190a0a0-0000-7000-8000-000000000001", "", 1_770_000_000_000_000, "p", "pass", 1, 2, 3, "m", "1", 1, b"", b""
    )
    async with company.agent() as agent:
        receipt = await agent.deliver(Frame(7, encode(Batch(inspections=[inspection]))))
    assert (receipt.stored, [verdict.seq for verdict in receipt.refused]) == ([], [7])


async def test_a_caller_that_goes_away_in_the_middle_is_no_fault_of_ours() -> None:
    app, answers = FastAPI(), []
    errors.install(app)

    @app.post("/")
    async def take(request: Request) -> None:
        await read_message(request, Health)

    arrives = iter([{"type": "http.request", "body": b"\x8a", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(arrives)

    async def send(message: Message) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    await app(scope, receive, send)  # what is unexpected is raised again, for the server to log
    assert answers[0]["status"] == 400
