"""Devices of the configuration that were not drafted here are taken in, and written back as they were."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import parse_config
from edge_agent.config_edit import put_device
from edge_agent.ui.adopt import adopt
from edge_agent.ui.draft_device import device_table
from edge_agent.ui.drafts import Drafts

HEAD = '[agent]\nname = "box"\n\n[cloud]\nurl = "http://127.0.0.1:8000"\n\n'
DEVICES = {
    "template": """
[[device]]
name = "meter-1"
template = "eastron-sdm630"
period_s = 5.0
[device.connection]
host = "127.0.0.1"
port = 5020
""",
    "template with a change": """
[[device]]
name = "meter-1"
template = "eastron-sdm630"
[device.connection]
host = "127.0.0.1"
[[device.point]]
name = "voltage_l1_n"
scale = 0.1
""",
    "points": """
[[device]]
name = "compressor-1"  # in the cellar
protocol = "modbus"
[device.connection]
host = "192.168.1.20"
unit_id = 3
[[device.point]]
name = "pressure"
property = "discharge_pressure"
unit = "BAR"
address = "0x10"
type = "int16"
scale = 0.1
low = 0
high = 12
[[device.point]]
name = "valve"
table = "coil"
address = 3
write = { values = [false, true] }
""",
    "opcua": """
[[device]]
name = "press-1"
protocol = "opcua"
[device.connection]
endpoint = "opc.tcp://127.0.0.1:4840/x"
security = "none"
user = "op"
password = "s3cret"
[[device.point]]
name = "melt"
node = "nsu=urn:x;s=Melt"
property = "melt_temperature"
""",
}


def loaded(text: str, folder: Path) -> Any:
    device = parse_config(text, folder / "agent.toml").devices[0]
    return device.model_dump(), device.connection.model_dump()


@pytest.mark.parametrize("kind", DEVICES)
def test_what_is_taken_in_is_written_back_as_it_was(kind: str, tmp_path: Path) -> None:
    text, drafts = HEAD + DEVICES[kind], Drafts()
    assert adopt(drafts, text, "v1")
    (machine,) = drafts.machines
    assert machine.saved == "v1"
    again = put_device(text, device_table(machine))
    assert loaded(again, tmp_path) == loaded(text, tmp_path)
    if kind != "template with a change":
        assert tomllib.loads(again) == tomllib.loads(text)
    assert again.count("#") == text.count("#")


def test_nothing_is_taken_in_twice_and_what_is_gone_is_no_longer_set_up() -> None:
    text, drafts = HEAD + DEVICES["points"], Drafts()
    assert adopt(drafts, text, "v1")
    assert not adopt(drafts, text, "v1")
    assert adopt(drafts, HEAD, "v2")
    assert [machine.saved for machine in drafts.machines] == [""]


@pytest.mark.parametrize(
    "table",
    [
        '[[device]]\nname = "m"\nprotocol = "mqtt"\n',
        '[[device]]\nname = "m"\ntemplate = "mine.toml"\n',
        '[[device]]\nname = "m"\ntemplate = "no-such-device"\n',
    ],
)
def test_what_the_pages_do_not_know_is_left_to_its_author(table: str) -> None:
    drafts = Drafts()
    assert not adopt(drafts, HEAD + table, "v1")
    assert drafts.machines == []
