"""The files for Grafana: what they ask, the cloud answers, to the company whose token it is and to nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.doubles.agent import POWER, frame, readings

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
START_US = 1_770_000_000_000_000
SPAN = {"__from:date:iso": "2026-02-02T02:00:00.000Z", "__to:date:iso": "2026-02-02T04:00:00.000Z"}


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """The API is asked; what it rests on is tried elsewhere."""
    return embedded_cluster


def boards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))]


def queries(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Variables in their order, then the panels' queries."""
    for variable in board["templating"]["list"]:
        yield variable["query"]["infinityQuery"] | {"variable": variable["name"]}
    for panel in board["panels"]:
        yield from panel["targets"]


def test_the_files_are_what_grafana_provisions() -> None:
    (source,) = yaml.safe_load((FOLDER / "provisioning/datasources/sunmao.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((FOLDER / "provisioning/dashboards/sunmao.yaml").read_text())["providers"]
    assert (source["type"], source["access"], provider["type"]) == ("yesoreyeram-infinity-datasource", "proxy", "file")
    assert source["secureJsonData"] == {"bearerToken": "$SUNMAO_TOKEN"}, "no secret stands in the file"
    assert source["jsonData"]["allowedHosts"] == [source["url"]], "the token goes to the cloud only"
    assert boards()
    for board in boards():
        assert {"uid", "title", "schemaVersion", "time", "panels", "templating"} <= board.keys()
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        names = {variable["name"] for variable in board["templating"]["list"]}
        for query in queries(board):
            assert query["datasource"] == {"type": source["type"], "uid": source["uid"]}
            assert (query["url_options"]["method"], query["source"], query["parser"]) == ("GET", "url", "backend")
            used = set(re.findall(r"\${([^}]+)}", json.dumps(query["url_options"]["params"])))
            assert used <= names | SPAN.keys()
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            assert panel.get("repeat", next(iter(names))) in names


async def asked(http: httpx.AsyncClient, query: dict[str, Any], values: dict[str, str]) -> httpx.Response:
    """Ask as Grafana does: variables filled in, parameters as they stand."""
    assert query["url"].startswith("/api/v1/")
    params = [
        (each["key"], re.sub(r"\${([^}]+)}", lambda found: values[found[1]], each["value"]))
        for each in query["url_options"]["params"]
    ]
    return await http.get(query["url"], params=params)


def selected(answer: Any, root: str) -> list[dict[str, Any]]:
    """Return the rows that a root selector of names and numbers picks."""
    for step in filter(None, root.split(".")):
        answer = answer[int(step)] if step.isdigit() else answer[step]
    assert isinstance(answer, list)
    return answer


async def test_every_query_is_answered_for_its_own_company_only(new_company: NewCompany) -> None:
    ours, theirs = await new_company(), await new_company()
    async with ours.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [42.25, 43.5], START_US)))
    for board in boards():
        values: dict[str, str] = dict(SPAN)
        async with await reading(ours) as grafana, await reading(theirs) as foreign:
            for query in queries(board):
                answer = await asked(grafana, query, values)
                assert answer.status_code == 200, (query["url"], answer.text)
                rows = selected(answer.json(), query["root_selector"])
                if "events" not in query["url"]:
                    assert rows, query["url"]
                for column in query["columns"]:
                    assert all(column["selector"] in row for row in rows), (query["url"], column)
                if name := query.get("variable"):
                    chosen = next(column for column in query["columns"] if column["text"] == "__value")
                    values[name] = str(rows[0][chosen["selector"]])
                stranger = await asked(foreign, query, values)
                assert stranger.status_code == 404 or selected(stranger.json(), query["root_selector"]) == [], query[
                    "url"
                ]
            made = await grafana.post("/api/v1/sites", json={"name": "by grafana"})
            assert made.status_code == 403


async def reading(company: Company) -> httpx.AsyncClient:
    made = await company.http.post("/api/v1/tokens", json={"name": "grafana", "scopes": ["read"]})
    return httpx.AsyncClient(
        base_url=company.http.base_url, headers={"Authorization": f"Bearer {made.json()['token']}"}, timeout=30
    )
