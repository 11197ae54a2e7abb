"""All outlets together: who gets what, who starts and stops, what a check finds."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.check_outlets import check_outlets
from edge_agent.config import DeviceConfig, load_config
from edge_agent.normalise import Normaliser
from edge_agent.outlets.config import OutletConfig, read_outlets
from edge_agent.outlets.outlets import Outlets
from protocols.errors import ConfigError
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.mqtt.sparkplug import decode_payload
from protocols.reading import GOOD, Reading
from tests.edge_agent.conftest import OpenBuffer, until
from tests.edge_agent.outlets.outlet_stand import T0, pair
from tests.protocols.mqtt.mqtt_stand import needs_mosquitto, publishing, running
from tests.protocols.mqtt.test_mqtt_security import authority, issue

CSV = {"kind": "csv", "name": "c", "folder": "out", "flush_s": 0.05, "columns": ["value"]}


def outlets_of(folder: Path, *tables: dict[str, Any]) -> tuple[OutletConfig, ...]:
    return read_outlets(tables, [], folder)


def sparkplug(port: int, **connection: Any) -> dict[str, Any]:
    broker = {"host": "127.0.0.1", "port": port, "security": "none", "timeout_s": 10.0, **connection}
    return {"kind": "sparkplug", "name": "s", "group_id": "g", "node_id": "n", "connection": broker}


async def become(outlets: Outlets, configs: tuple[OutletConfig, ...]) -> tuple[tuple[str, ...], ...]:
    changes = outlets.compared(configs)
    await outlets.become(configs, outlets.made(configs, changes))
    return changes


async def test_outlets_follow_the_configuration(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    buffer = await open_buffer()
    async with Outlets(buffer, tmp_path) as outlets:
        assert await become(outlets, outlets_of(tmp_path, CSV)) == (("c",), (), ())
        outlets.add_readings([pair("d", "p", 1)])
        assert await become(outlets, outlets_of(tmp_path, CSV)) == ((), (), ())
        more = CSV | {"name": "e", "folder": "more"}
        assert await become(outlets, outlets_of(tmp_path, CSV | {"columns": ["value", "unit"]}, more)) == (
            ("e",),
            ("c",),
            (),
        )
        assert (tmp_path / "out").exists()  # what the former one had was written at its end
        outlets.add_readings([pair("d", "p", 2)])
        assert await become(outlets, outlets_of(tmp_path, more)) == ((), (), ("c",))
        assert [state.name for state in outlets.states()] == ["e"]
    texts = sorted(path.read_text() for path in (tmp_path / "out").iterdir())
    assert texts == ["value\n1\n", "value,unit\n2,\n"]
    assert [path.read_text() for path in (tmp_path / "more").iterdir()] == ["value\n2\n"]
    await buffer.flush()
    assert (await buffer.stats()).state.collected == 2


async def test_one_that_cannot_be_changes_nothing(
    open_buffer: OpenBuffer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Outlets(await open_buffer(), tmp_path) as outlets:
        await become(outlets, outlets_of(tmp_path, CSV))
        monkeypatch.setattr("edge_agent.outlets.parquet_file.find_spec", lambda _: None)
        with pytest.raises(ConfigError, match="pyarrow"):
            await become(outlets, outlets_of(tmp_path, {"kind": "parquet", "name": "p", "folder": "q"}))
        assert [state.name for state in outlets.states()] == ["c"]


@needs_mosquitto
async def test_history_is_told_from_what_is_live(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    at = ModbusPoint(name="p", table="holding", address=0, type="uint16")
    device = DeviceConfig(name="d", protocol="modbus", connection=ModbusConnection(host="127.0.0.1"), points=(at,))
    normalise = Normaliser(device, {})

    def said(value: int, time: int) -> Reading:
        return Reading("p", value, GOOD, time, T0 + 3_600_000_000)

    async with (
        running() as broker,
        publishing(broker.port, "spBv1.0/g/+/n/d") as (_, heard),
        Outlets(await open_buffer(), tmp_path) as outlets,
    ):
        await become(outlets, outlets_of(tmp_path, sparkplug(broker.port)))
        outlets.add_readings(*normalise([said(1, T0)]))
        await heard.until(lambda: len(heard.items) == 1)
        outlets.add_readings(*normalise([said(2, T0 - 1000)]))  # a clock that was set back is live all the same
        await heard.until(lambda: len(heard.items) == 2)
        outlets.add_readings(normalise.past([said(3, T0 - 5000)]))
        await heard.until(lambda: len(heard.items) == 3)
    metrics = [metric for message in heard.items for metric in decode_payload(message.payload).metrics]
    assert [(metric.raw, metric.historical) for metric in metrics] == [(1, False), (2, False), (3, True)]


@needs_mosquitto
async def test_over_tls_with_a_certificate_of_ones_own(open_buffer: OpenBuffer, tmp_path: Path) -> None:
    ours = authority(tmp_path, "ca")
    for name in ("broker", "agent"):
        issue(tmp_path, name, ours)
    files = f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key"
    settings = f"user {getpass.getuser()}\n{files}\nrequire_certificate true\nuse_identity_as_username true"
    async with running(settings) as broker, Outlets(await open_buffer(), tmp_path) as outlets:
        secured = sparkplug(broker.port, security="tls", ca="ca.pem", certificate="agent.pem", key="agent.key")
        await become(outlets, outlets_of(tmp_path, secured))
        outlets.add_readings([pair("d", "p", 1)])
        await until(lambda: outlets.states()[0].written == 1)
        await become(
            outlets, outlets_of(tmp_path, secured | {"connection": {**secured["connection"], "ca": "agent.pem"}})
        )
        await until(lambda: outlets.states()[0].state == "down")
        assert "not trusted" in outlets.states()[0].reason_en


@needs_mosquitto
async def test_a_check_looks_and_changes_nothing(tmp_path: Path) -> None:
    async with running() as broker, publishing(broker.port, "#") as (link, everything):
        (tmp_path / "file").write_text("")
        text = '[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"\n'
        for name, port in (("good", broker.port), ("nobody", 1)):
            text += (
                f'[[outlet]]\nkind = "sparkplug"\nname = "{name}"\ngroup_id = "g"\nnode_id = "n"\n[outlet.connection]\n'
            )
            text += f'host = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
        text += '[[outlet]]\nkind = "csv"\nname = "files"\nfolder = "new/deep"\n'
        text += '[[outlet]]\nkind = "csv"\nname = "no-folder"\nfolder = "file"\n'
        (tmp_path / "agent.toml").write_text(text)
        found = {f.subject: f async for f in check_outlets(load_config(tmp_path / "agent.toml"))}
        await link.ping()
        assert everything.items == []
    assert {subject: finding.severity for subject, finding in found.items()} == {
        "outlet good": "ok", "outlet nobody": "wrong", "outlet files": "ok", "outlet no-folder": "wrong",
    }  # fmt: skip
    assert "lets us in" in found["outlet good"].found.en
    assert "cannot be reached" in found["outlet nobody"].found.en
    assert not (tmp_path / "new").exists()
