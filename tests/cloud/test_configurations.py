"""Configurations of agents: versions are immutable, made from what is in force, checked, and never hold a secret."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from protocols.uplink.configuration import KEPT, version_of
from protocols.uplink.messages import ConfigReport, ConfigurationReport
from tests.cloud.conftest import Company
from tests.doubles.agent import AgentDouble

FIRST = '[buffer]\nlimit_mb = 64\n\n# the meter\n[[device]]\nname = "meter"\ntemplate = "demo-energy-meter"\n'
SECOND = FIRST.replace("64", "65")


async def put(
    company: Company, agent: AgentDouble, text: str, etag: str | None = "*", note: str = ""
) -> httpx.Response:
    return await company.http.put(
        f"/api/v1/agents/{agent.agent_id}/configuration",
        json={"text": text, "note": note},
        headers={"If-Match": etag} if etag else {},
    )


async def current(company: Company, agent: AgentDouble) -> tuple[dict[str, Any], str]:
    answer = await company.http.get(f"/api/v1/agents/{agent.agent_id}/configuration")
    assert answer.status_code == 200
    return answer.json(), answer.headers["etag"]


async def versions(company: Company, agent: AgentDouble) -> list[tuple[int, str, str]]:
    rows = (await company.http.get(f"/api/v1/agents/{agent.agent_id}/configuration/versions")).json()
    return [(row["version"], row["origin"], row["outcome"]) for row in rows]


async def test_a_version_is_told_wanted_fetched_and_settled(company: Company) -> None:
    async with company.agent() as agent:
        assert (await current(company, agent))[0] == {"in_force": None, "wanted": None}
        assert (await put(company, agent, SECOND)).status_code == 409, "there is nothing to start from yet"
        assert (await agent.configured(FIRST)).wants_configuration
        assert not (await agent.configured(FIRST)).wants_configuration
        state, etag = await current(company, agent)
        assert (state["in_force"]["version"], state["in_force"]["origin"]) == (0, "box")
        assert (await agent.post("/uplink/configuration/desired", b"\x80", token=True)).status_code == 404

        made = await put(company, agent, f"\n{SECOND}\n\n", etag, "less disk")
        assert (made.status_code, made.json()["version"], made.json()["base"]) == (202, 1, 0)
        assert made.json()["author"] == f"user:{company.email}"
        assert (await agent.configured(FIRST)).desired == 1
        wanted = await agent.desired()
        assert (wanted.version, wanted.base, wanted.text, wanted.note) == (1, version_of(FIRST), SECOND, "less disk")

        assert (await agent.configured(SECOND, desired=1, outcome="probation")).desired == 1
        assert (await put(company, agent, SECOND.replace("65", "66"))).status_code == 409
        assert (await agent.configured(SECOND, desired=1, outcome="applied")).desired == 0
        state, _ = await current(company, agent)
        assert (state["in_force"]["version"], state["wanted"]["outcome"]) == (1, "applied")
        await agent.configured(SECOND, desired=1, outcome="failed", reason_en="late")
        assert await versions(company, agent) == [(1, "cloud", "applied"), (0, "box", "")]

        difference = await company.http.get(
            f"/api/v1/agents/{agent.agent_id}/configuration/difference", params={"before": 0, "after": 1}
        )
        assert "-limit_mb = 64\n+limit_mb = 65" in difference.json()["difference"]
        text = await company.http.get(f"/api/v1/agents/{agent.agent_id}/configuration/versions/1")
        assert text.json()["text"] == SECOND


async def test_a_refused_version_leaves_its_reason_and_the_old_one_in_force(company: Company) -> None:
    async with company.agent() as agent:
        await agent.configured(FIRST)
        await put(company, agent, SECOND)
        reasons = {"reason_en": "meter is cut off", "reason_zh": "meter 断开"}
        await agent.configured(FIRST, desired=1, outcome="rolled_back", **reasons)
        state, _ = await current(company, agent)
        assert (state["in_force"]["version"], state["wanted"]["outcome"]) == (0, "rolled_back")
        assert state["wanted"]["reason_zh"] == "meter 断开"
        assert (await put(company, agent, SECOND)).json()["version"] == 2, "it may be tried again"


async def test_a_change_at_the_box_is_a_version_of_its_own_and_nobodys_is_overwritten_unseen(company: Company) -> None:
    async with company.agent() as agent:
        await agent.configured(FIRST)
        _, seen = await current(company, agent)
        await agent.configured(SECOND)
        assert await versions(company, agent) == [(1, "box", ""), (0, "box", "")]
        assert (await put(company, agent, FIRST.replace("64", "9"), seen)).status_code == 412
        assert (await put(company, agent, FIRST.replace("64", "9"), None)).status_code == 412
        _, seen = await current(company, agent)
        assert (await put(company, agent, FIRST.replace("64", "9"), seen)).status_code == 202
        assert (await put(company, agent, FIRST.replace("64", "8"), seen)).status_code == 412, "another was first"
        assert (await agent.configured(SECOND)).desired == 2


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[[device]\n", "TOML"),
        ("[agent]\nname = 'a'\n", "[agent] stays on the box"),
        ("[cloud]\nurl = 'http://elsewhere'\n", "[cloud] stays on the box"),
        ("[devices]\n", "devices: unknown"),
        ("device = 1\n", "[[device]]"),
        ("buffer = 1\n", "[buffer]"),
        ("[[device]]\ntemplate = 'x'\n", "device[1].name: missing"),
        ("[[device]]\nname = 'x'\n", "device[1] (x): needs either"),
        (FIRST + "[[device]]\nname = 'meter'\nprotocol = 'modbus'\n", "device[2].name: 'meter' is used twice"),
        (FIRST.replace("demo-energy-meter", "demo-energy-metre"), "did you mean demo-energy-meter?"),
        (FIRST + "[[device.point]]\nname = 'p'\nproperty = 'active_powr_total'\n", "did you mean active_power_total?"),
        (
            FIRST + "[device.connection]\npassword = 'open sesame'\n",
            "device.meter.connection.password: passwords never",
        ),
        ("# " + "x" * 500_000, "above 500000 bytes"),
        (FIRST, "in force already"),
    ],
)
async def test_what_cannot_be_right_is_refused_with_its_place(company: Company, text: str, where: str) -> None:
    async with company.agent() as agent:
        await agent.configured(FIRST)
        answer = await put(company, agent, text)
        assert (answer.status_code, where in answer.json()["detail"]) == (422, True), answer.text
        assert "sesame" not in answer.text
        assert await versions(company, agent) == [(0, "box", "")]
        kept = f"{FIRST}[device.connection]\npassword = '{KEPT}'\n[[forecast]]\ndevice = 'hall'\n"
        assert (await put(company, agent, kept)).status_code == 202


async def test_what_no_agent_says_is_refused(company: Company) -> None:
    async with company.agent() as agent:
        for wrong in (f"{FIRST}[device.connection]\npassword = 'x'\n", "[[device", "# \0"):
            assert (
                await agent.post("/uplink/configuration", ConfigurationReport(wrong), token=True)
            ).status_code == 400
        for report in (ConfigReport("x", outcome="done"), ConfigReport("x", desired=-1), ConfigReport("\0")):
            with pytest.raises(AssertionError, match=r"^4(00|22)"):
                await agent.report(report)


async def test_an_older_agent_is_asked_for_nothing(company: Company) -> None:
    async with company.agent() as agent:
        reply = await agent.report()
        assert (reply.desired, reply.wants_configuration) == (0, False)


async def test_the_text_of_a_version_cannot_be_changed(company: Company, app_dsn: str) -> None:
    async with company.agent() as agent:
        await agent.configured(FIRST)
    with psycopg.connect(app_dsn, autocommit=True) as app:
        for statement in ("UPDATE agent_configuration SET body = ''", "DELETE FROM agent_configuration"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)
