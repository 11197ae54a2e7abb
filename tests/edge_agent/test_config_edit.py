"""Editing the configuration: only what was meant changes, comments stay, and a wrong text never reaches the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import load_config, read_config, version_of
from edge_agent.config_edit import put_device, remove_device, save_config
from protocols.errors import ConfigError

WRITTEN = """# the box in hall 3
[agent]
name = "a"  # shown in the cloud
[cloud]
url = "http://127.0.0.1:8000"

# the old meter
[[device]]
name = "meter-1"  # by the door
template = "demo-energy-meter"
[device.connection]
host = "127.0.0.1"  # no DNS here
port = 5020

# the press, behind the wall
[[device]]
name = "press"
protocol = "modbus"
[device.connection]
host = "127.0.0.1"
[[device.point]]
name = "p"  # pressure
table = "holding"
address = 1
type = "uint16"
[[device.point]]
name = "q"
table = "holding"
address = 2
type = "uint16"
"""
METER = {"name": "meter-1", "template": "demo-energy-meter", "connection": {"host": "127.0.0.1", "port": 5020}}


def point(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "table": "holding", "address": 1, "type": "uint16"} | keys


def test_putting_what_is_there_changes_nothing() -> None:
    for device in tomllib.loads(WRITTEN)["device"]:
        assert put_device(WRITTEN, device) == WRITTEN


def test_a_changed_device_keeps_its_place_and_every_comment() -> None:
    text = put_device(WRITTEN, METER | {"period_s": 0.5, "connection": {"host": "10.0.0.9", "unit": 3}})
    first, second = tomllib.loads(text)["device"]
    assert first == METER | {"period_s": 0.5, "connection": {"host": "10.0.0.9", "unit": 3}}
    assert second == tomllib.loads(WRITTEN)["device"][1]
    for comment in (part.split("\n")[0] for part in WRITTEN.split("#")[1:]):
        assert f"#{comment}" in text


def test_points_are_matched_by_name() -> None:
    wanted = {
        "name": "press",
        "protocol": "modbus",
        "connection": {"host": "127.0.0.1"},
        "point": [point("new", scale=0.1, property=None), point("p", address=7)],
    }
    text = put_device(WRITTEN, wanted)
    assert tomllib.loads(text)["device"][1]["point"] == [point("new", scale=0.1), point("p", address=7)]
    assert 'name = "p"  # pressure' in text


def test_a_number_that_changes_only_its_type_is_changed() -> None:
    text = put_device(WRITTEN, METER | {"period_s": 1})
    assert repr(tomllib.loads(put_device(text, METER | {"period_s": 1.0}))["device"][0]["period_s"]) == "1.0"


def test_a_truth_value_is_kept_or_changed() -> None:
    table = {"name": "m", "protocol": "mqtt", "point": [{"name": "p", "topic": "t", "numeric_text": False}]}
    text = put_device("", table)
    assert put_device(text, table) == text
    table["point"] = [{"name": "p", "topic": "t", "numeric_text": True}]
    assert tomllib.loads(put_device(text, table))["device"][0] == table


@pytest.mark.parametrize("before", ["", "[agent]\nname = 'a'\n", "device = [{name = 'x', template = 't'}]\n", WRITTEN])
def test_a_new_device_comes_last(before: str) -> None:
    device = {"name": "new", "template": "demo-energy-meter", "connection": {"host": "h"}, "point": [point("p")]}
    text = put_device(before, device)
    assert tomllib.loads(text)["device"] == [*tomllib.loads(before).get("device", []), device]
    assert text.startswith(before) or "device = [" in before


def test_a_removed_device_leaves_the_comments_of_its_neighbours() -> None:
    text = remove_device(WRITTEN, "meter-1")
    assert [device["name"] for device in tomllib.loads(text)["device"]] == ["press"]
    assert "# the old meter" in text
    assert "# the press, behind the wall\n[[device]]\n" in text
    text = remove_device(text, "press")
    assert "device" not in tomllib.loads(text)
    assert tomllib.loads(text)["cloud"] == tomllib.loads(WRITTEN)["cloud"]
    with pytest.raises(ConfigError, match="no device 'press'"):
        remove_device(text, "press")


def test_only_a_right_text_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(WRITTEN, encoding="utf-8")
    path.chmod(0o600)
    for wrong in (put_device(WRITTEN, METER | {"periods": 1}), "[agent", put_device(WRITTEN, {"name": "x"})):
        with pytest.raises(ConfigError):
            save_config(path, wrong)
        assert read_config(path) == WRITTEN
    good = put_device(WRITTEN, METER | {"period_s": 9.0})
    with pytest.raises(ConfigError, match="changed meanwhile"):
        save_config(path, good, over=version_of("another"))
    save_config(path, good, over=version_of(WRITTEN))
    assert load_config(path).devices[0].period_s == 9.0
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["agent.toml"]


def test_a_text_that_is_not_toml_is_named_as_such() -> None:
    for edit in (lambda: put_device("[agent", METER), lambda: remove_device("[agent", "x")):
        with pytest.raises(ConfigError, match="not valid TOML"):
            edit()
