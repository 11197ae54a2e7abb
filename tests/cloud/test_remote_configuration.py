"""Real agent, real cloud: a good change is confirmed, a harmful one undone, a wrong one refused, a kill survived."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import read_config
from edge_agent.health import read_status
from protocols.uplink.configuration import KEPT, split
from tests.cloud.conftest import Cluster, Company
from tests.edge_agent.conftest import until
from tests.edge_agent.test_agent import Serve, Start, done, serve, start

__all__ = ["serve", "start"]

SECRET = "open sesame"
METER = """
# the meter by the door
[[device]]
name = "meter"
template = "demo-energy-meter"
period_s = 0.2
[device.connection]
{meter}

[[device]]
name = "guarded"
protocol = "opcua"
[device.connection]
endpoint = "opc.tcp://127.0.0.1:1"
security = "none"
user = "op"
password = "open sesame"
[[device.point]]
name = "p"
node = "i=2258"
"""


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """The agent is what is tried here; the SQL runs on both databases in test_configurations."""
    return embedded_cluster


@dataclass
class Box:
    """An agent's folder, and what the cloud says of it."""

    folder: Path
    company: Company
    agent_id: str = ""

    @property
    def path(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def text(self) -> str:
        return read_config(self.path)

    @property
    def shared(self) -> str:
        return split(self.text)[1].replace(SECRET, KEPT)

    def state(self, device: str) -> str:
        status = read_status(self.folder / "state")
        return {each.name: each.state for each in status.health.devices}.get(device, "") if status else ""

    async def runs(self, agent: Process) -> None:
        await until(lambda: (now := read_status(self.folder / "state")) is not None and now.pid == agent.pid, 40)

    async def configuration(self) -> dict[str, Any]:
        answer = await self.company.http.get(f"/api/v1/agents/{self.agent_id}/configuration")
        return answer.json() | {"etag": answer.headers["etag"]}

    async def in_force(self, version: int) -> dict[str, Any]:
        return await self.wait(lambda now: bool(now["in_force"] and now["in_force"]["version"] == version))

    async def outcome(self, outcome: str) -> dict[str, Any]:
        return await self.wait(lambda now: bool(now["wanted"] and now["wanted"]["outcome"] == outcome))

    async def wait(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        now: dict[str, Any] = {}
        try:
            async with asyncio.timeout(40):
                while not condition(now := await self.configuration()):  # noqa: ASYNC110 - the agent does not call us
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"still {now}")
        return now

    async def want(self, text: str) -> int:
        seen = (await self.configuration())["etag"]
        answer = await self.company.http.put(
            f"/api/v1/agents/{self.agent_id}/configuration", json={"text": text}, headers={"If-Match": seen}
        )
        assert answer.status_code == 202, answer.text
        version: int = answer.json()["version"]
        return version


MakeBox = Callable[..., Awaitable[Box]]


@pytest.fixture
def make_box(company: Company, serve: Serve, start: Start, tmp_path: Path) -> MakeBox:
    """Makes an enrolled box with a meter that answers."""

    async def make(probation_s: float) -> Box:
        head = f'[agent]\nname = "box"\nreport_s = 1.0\nprobation_s = {probation_s}\n'
        head += f'[cloud]\nurl = "{company.http.base_url}"\n'
        box = Box(tmp_path, company)
        box.path.write_text(head + METER.format(meter=await serve("demo-energy-meter")), encoding="utf-8")
        code, out, err = await done(await start("enrol", await company.code(), "-c", box.path, "--json"))
        assert code == 0, err
        box.agent_id = json.loads(out)["agent_id"]
        return box

    return make


async def test_a_change_from_the_cloud_is_confirmed_undone_or_refused(make_box: MakeBox, start: Start) -> None:
    box = await make_box(1.0)
    agent = await start("run", "-c", box.path)
    await until(lambda: box.state("meter") == "up", 40)
    first = await box.in_force(0)
    assert first["in_force"]["origin"] == "box"
    told = (await box.company.http.get(f"/api/v1/agents/{box.agent_id}/configuration/versions/0")).json()["text"]
    assert (told, SECRET in told, box.company.token in told) == (box.shared, False, False)
    assert "# the meter by the door" in told

    good = told.replace("period_s = 0.2", "period_s = 0.1")
    assert await box.want(good) == 1
    await box.outcome("applied")
    assert (await box.in_force(1))["in_force"]["hash"] == (await box.configuration())["wanted"]["hash"]
    assert (box.shared, box.text.count(SECRET)) == (good, 1)
    assert 'name = "box"' in box.text

    await box.want(re.sub(r"port = \d+", "port = 1", good))
    undone = await box.outcome("rolled_back")
    assert "meter answered before and does not now" in undone["wanted"]["reason_en"]
    assert (await box.in_force(1))["in_force"]["version"] == 1
    assert box.shared == good
    await until(lambda: box.state("meter") == "up")

    await box.want(good.replace("period_s = 0.1", "period_s = 0"))
    refused = await box.outcome("failed")
    assert "device[1].period_s" in refused["wanted"]["reason_en"]
    assert box.shared == good

    box.path.write_text(box.text.replace("period_s = 0.1", "period_s = 0.3"), encoding="utf-8")
    there = await box.wait(
        lambda now: bool(now["in_force"] and now["in_force"]["origin"] == "box" and now["in_force"]["version"] > 1)
    )
    assert there["in_force"]["author"] == "agent:box"
    events = (await box.company.http.get("/api/v1/events")).json()["items"]
    kinds = {event["kind"] for event in events}
    assert {"config_received", "config_applied", "config_rolled_back", "config_failed"} <= kinds
    assert SECRET not in json.dumps(events)
    agent.terminate()
    code, _, err = await done(agent)
    assert (code, "Traceback" in err, SECRET in err) == (0, False, False), err
    assert "+period_s = 0.1" in err, "the difference stands in the log"


async def test_a_kill_during_the_probation_ends_in_one_of_the_two(make_box: MakeBox, start: Start) -> None:
    box = await make_box(5.0)
    agent = await start("run", "-c", box.path)
    await until(lambda: box.state("meter") == "up", 40)
    await box.in_force(0)
    old = box.shared
    new = old.replace("period_s = 0.2", "period_s = 0.1")
    await box.want(new)
    await box.outcome("probation")
    agent.kill()
    await agent.wait()
    assert box.shared == new
    agent = await start("run", "-c", box.path)
    await box.outcome("applied")
    assert (box.shared, (await box.in_force(1))["in_force"]["version"]) == (new, 1)

    await box.want(old.replace("period_s = 0.2", "period_s = 0.4"))
    await box.outcome("probation")
    for _ in range(2):
        agent.kill()
        await agent.wait()
        agent = await start("run", "-c", box.path)
        await box.runs(agent)
    agent.kill()
    await agent.wait()
    agent = await start("run", "-c", box.path)
    undone = await box.outcome("rolled_back")
    assert "the agent ended 3 times" in undone["wanted"]["reason_en"]
    assert box.shared == new
    assert (await box.in_force(1))["in_force"]["version"] == 1
    agent.terminate()
    assert (await done(agent))[0] == 0


TEMPLATE = """
extends = "demo-energy-meter"
[device]
id = "press-works-meter"
version = 1
manufacturer = "Press Works"
model = "M1"
name = { en = "Meter of the press shop", zh = "冲压车间电表" }
equipment_class = "energy_meter"
protocol = "modbus"
source = "the maker's register map"
"""


async def test_a_template_from_the_shelf_comes_with_the_configuration_that_names_it(
    make_box: MakeBox, start: Start
) -> None:
    box = await make_box(1.0)
    agent = await start("run", "-c", box.path)
    await until(lambda: box.state("meter") == "up", 40)
    await box.in_force(0)
    wanted = box.shared.replace("demo-energy-meter", "press-works-meter")
    http, path = box.company.http, f"/api/v1/agents/{box.agent_id}/configuration"
    headers = {"If-Match": (await box.configuration())["etag"]}
    unknown = await http.put(path, json={"text": wanted}, headers=headers)
    assert (unknown.status_code, "press-works-meter" in unknown.json()["detail"]) == (422, True)

    words = {"title": {"en": "Meter", "zh": "电表"}, "description": {"en": "A meter.", "zh": "电表。"}}
    package = {"id": "meter", "version": "1.0.0", "licence": "MIT", **words, "templates": [TEMPLATE]}
    made = (await http.post("/api/v1/shelf/packages", json=package)).json()["id"]
    plan = (await http.get(f"/api/v1/shelf/packages/{made}/plan")).json()["digest"]
    installed = (await http.post(f"/api/v1/shelf/packages/{made}/installation", json={"plan": plan})).json()
    await box.want(wanted)
    await box.outcome("applied")
    assert (box.folder / "library" / "press-works-meter.toml").read_text(encoding="utf-8") == TEMPLATE
    await until(lambda: box.state("meter") == "up")
    removal = (await http.get(f"/api/v1/shelf/installations/{installed['id']}/removal")).json()["steps"]
    assert [(step["action"], step["reason_en"]) for step in removal] == [
        ("leave", "the configuration of a gateway uses it")
    ]
    agent.terminate()
    assert (await done(agent))[0] == 0
