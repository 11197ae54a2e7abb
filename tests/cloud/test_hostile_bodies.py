"""Bodies no honest client sends: answered with a clear 4xx, never with a 5xx, never with a tenant's data harmed."""

from __future__ import annotations

import json

import msgspec
import pytest
import zstandard

from protocols.uplink.codec import MAX_BATCH_BYTES
from protocols.uplink.messages import Delivery, Frame
from tests.cloud.conftest import Company

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
    ],
)
async def test_addresses(company: Company, path: str) -> None:
    answer = await company.http.get(path)
    assert answer.status_code < 500, answer.text
