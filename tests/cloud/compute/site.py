"""A provider's site: an offer and a real worker process for it, and a customer with pictures."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from deploy.demo.processes import BIN
from tests.cloud.conftest import Company
from tests.cloud.training.pictures import part, png

TERMS: dict[str, Any] = {
    "region": "CN-JS",
    "chip": "cpu",
    # One price all day: in the evening a job would wait for the night's.
    "prices": [{"from_hour": 0, "yuan_per_hour": 36.0}],
    "cores": 2,
    "kw": 0.2,
    "pue": 1.3,
    "green_share": 0.5,
}


async def offered(provider: Company, **more: Any) -> tuple[dict[str, Any], str]:
    """Open an offer; return it and the token of its worker."""
    answer = await provider.http.post("/api/v1/compute/offers", json=TERMS | more)
    assert answer.status_code == 201, answer.text
    return answer.json()["offer"], answer.json()["token"]


@contextmanager
def working(url: str, token: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker that has greeted, started as people start it; killed at the end."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    command = [BIN / "sunmao-cloud", "compute", "work", "--url", url, "--token-file", folder / "token", "--json"]
    process = subprocess.Popen([*command, "--folder", folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert json.loads(line)["proven"], line
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def large(number: int) -> bytes:
    """Return a picture that takes a while to open, and is small as a file."""
    file = BytesIO()
    Image.new("L", (5000, 5000), number).save(file, "PNG", compress_level=1)
    return file.getvalue()


async def pictured(company: Company, name: str, good: int, bad: int = 0, draw: Callable[[int], bytes] = png) -> str:
    """Return a set of pictures, whose models look in the way that is learnt soonest."""
    made = await company.http.post("/api/v1/training/sets", json={"name": name, "family": "texture"})
    assert made.status_code == 201, made.text
    set_id = str(made.json()["id"])
    for number in range(good + bad):
        kind = {"kind": "good", "part": part(number)} if number < good else {"kind": "defect", "part": f"bad-{number}"}
        content = draw(number) if number < good else png(number, "scratch")
        answer = await company.http.post(
            "/api/v1/training/pictures",
            params={"set_id": set_id, **kind},
            content=content,
            headers={"Content-Type": "image/png"},
        )
        assert answer.status_code == 201, answer.text
    return set_id


def wanted(kind: str, set_id: str, budget: float = 20, hours: float = 2, **more: Any) -> dict[str, Any]:
    """Return what is to be computed."""
    deadline = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    return {"kind": kind, "set_id": set_id, "budget": budget, "deadline": deadline, **more}


async def submitted(company: Company, body: dict[str, Any]) -> str:
    """Submit a job and return its id."""
    answer = await company.http.post("/api/v1/compute/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def job_of(company: Company, job: str) -> dict[str, Any]:
    """Return a job with all that belongs to it."""
    return dict((await company.http.get(f"/api/v1/compute/jobs/{job}")).raise_for_status().json())


async def ended(company: Company, job: str, within_s: float = 100) -> dict[str, Any]:
    """Wait until a job has ended and return it."""
    async with asyncio.timeout(within_s):
        while True:
            found = await job_of(company, job)
            if found["job"]["state"] not in ("queued", "running"):
                return found
            await asyncio.sleep(0.1)
