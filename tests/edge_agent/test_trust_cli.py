"""`sunmao-edge trust`: a server is seen, listed with its fingerprint, and trusted by one command."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from protocols.errors import Refused
from protocols.opcua.config import OpcuaConnection
from protocols.opcua.driver import OpcuaDriver
from protocols.opcua.simulator import OpcuaSimulator
from protocols.validation import validate


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    simulator = OpcuaSimulator([], dict, security="basic256sha256", pki=tmp_path / "server")
    yield await simulator.start()
    await simulator.stop()


def run(*arguments: str, code: int) -> Any:
    result = CliRunner().invoke(app, ["trust", *arguments, "--lang", "en"])
    assert result.exit_code == code, result.output
    return result.output


async def test_a_server_waits_is_approved_and_withdrawn(endpoint: str, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        f"""
[agent]
name = "box"

[cloud]
url = "http://127.0.0.1:1"

[[device]]
name = "press"
protocol = "opcua"

[device.connection]
endpoint = "{endpoint}"
security = "basic256sha256"

[[device.point]]
name = "speed"
node = "nsu=urn:press;s=Speed"
""",
        encoding="utf-8",
    )
    connection = validate(
        OpcuaConnection, {"endpoint": endpoint, "security": "basic256sha256"}, "device[1].connection", tmp_path
    )
    driver = OpcuaDriver("press", connection, [])
    with pytest.raises(Refused, match="trust approve"):
        await driver.open()
    listed = json.loads(run("list", "-c", str(config), "--json", code=1))
    assert [(row["state"], row["devices"]) for row in listed] == [("waiting", ["press"]), ("own", ["press"])]
    fingerprint = listed[0]["fingerprint"]
    assert "waits for a decision" in run("list", "-c", str(config), code=1)
    run("approve", "00:11", "-c", str(config), code=2)
    assert "is trusted" in run("approve", fingerprint, "-c", str(config), code=0)
    listed = json.loads(run("list", "-c", str(config), "--json", code=0))
    assert [row["state"] for row in listed] == ["trusted", "own"]
    driver = OpcuaDriver("press", connection, [])
    await driver.open()  # this simulator lets in every client
    await driver.close()
    run("withdraw", fingerprint, "-c", str(config), code=0)
    with pytest.raises(Refused, match=fingerprint):
        await OpcuaDriver("press", connection, []).open()
