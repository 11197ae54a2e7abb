"""What was found and decided survives a reload, a second search, and becomes a device of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.config import parse_config
from edge_agent.config_edit import put_device
from edge_agent.ui.draft_device import device_table, draft_points
from edge_agent.ui.drafts import DraftPoint, Drafts, Likeness, Machine, load_drafts, save_drafts
from protocols.errors import ConfigError
from protocols.library.templates import load_template
from protocols.text import Text

HEAD = '[agent]\nname = "box"\n\n[cloud]\nurl = "http://127.0.0.1:8000"\n'


def machine(port: int = 502, **more: Any) -> Machine:
    place = f"127.0.0.1:{port}"
    return Machine("", place, "modbus", "meter", {"host": "127.0.0.1", "port": port, "unit_id": 1}, **more)


def register(name: str, code: str | None = None, confidence: float = 0.9, **more: Any) -> DraftPoint:
    fields = {"table": "holding", "address": 10, "type": "int16", "order": "ABCD"}
    return DraftPoint(name, fields, code=code, confidence=confidence, **more)


def from_library(template: str = "eastron-sdm630") -> Machine:
    known = machine(template=template, matches=(Likeness(template, Text("x", "x"), 0.97),))
    known.points = draft_points(load_template(template), 0.97)
    return known


def saved(draft: Machine, folder: Path) -> Any:
    """Return the device as the agent would load it from the file that the draft is written into."""
    text = put_device(HEAD, device_table(draft))
    return parse_config(text, folder / "agent.toml").devices[0]


def test_what_was_decided_is_there_after_a_reload(tmp_path: Path) -> None:
    drafts = Drafts(ranges="192.168.1.20-40")
    drafts.put(machine()).points = [register("P", "active_power_total", unit="KWT", reason=Text("why", "理由"))]
    save_drafts(drafts, tmp_path / "state")
    assert load_drafts(tmp_path / "state") == drafts
    assert load_drafts(tmp_path / "elsewhere") == Drafts()


def test_a_spoilt_file_is_said_to_be_spoilt(tmp_path: Path) -> None:
    (tmp_path / "drafts.json").write_text('{"machines": 3}')
    with pytest.raises(ConfigError, match=r"drafts\.json"):
        load_drafts(tmp_path)


def test_a_second_search_keeps_what_was_decided() -> None:
    drafts = Drafts()
    first = drafts.put(machine())
    first.points = [register("P", confirmed=True)]
    other = drafts.put(machine(503))
    again = drafts.put(machine(identity={"product_code": "X"}))
    assert again is first
    assert again.points[0].confirmed
    assert again.identity == {"product_code": "X"}
    assert [m.id for m in drafts.machines] == ["1", "2"]
    assert first.name != other.name


def test_the_next_machine_is_the_next_one_not_saved() -> None:
    drafts = Drafts()
    one, two, three = (drafts.put(machine(port)) for port in (1, 2, 3))
    drafts.put(Machine("", "127.0.0.1:4", "unknown", "x"))
    assert drafts.next_to_do(one) is two
    two.saved = "v"
    assert drafts.next_to_do(one) is three
    assert drafts.next_to_do(three) is one
    one.saved = three.saved = "v"
    assert drafts.next_to_do(three) is None


def test_a_machine_of_the_library_is_saved_as_its_template(tmp_path: Path) -> None:
    table = device_table(from_library())
    assert table["template"] == "eastron-sdm630"
    assert "point" not in table
    assert len(saved(from_library(), tmp_path).points) == len(load_template("eastron-sdm630").points)


def test_a_change_is_written_over_the_template(tmp_path: Path) -> None:
    known = from_library()
    known.points[0].scale = 0.1
    table = device_table(known)
    assert table["template"]
    assert table["point"] == [{"name": known.points[0].name, "scale": 0.1}]
    assert saved(known, tmp_path).points[0].scale == 0.1


@pytest.mark.parametrize("change", ["left out", "renamed", "another meaning taken away"])
def test_what_a_template_cannot_say_is_written_out(tmp_path: Path, change: str) -> None:
    known = from_library()
    first = known.points[0]
    if change == "left out":
        first.included = False
    elif change == "renamed":
        first.name = "mine"
    else:
        first.code, first.confirmed = None, True
    device = saved(known, tmp_path)
    assert device.template == ""
    names = [point.name for point in device.points]
    assert (first.name in names) is first.included
    assert all(point.property is not None for point in device.points if point.name != first.name)
    assert change != "another meaning taken away" or device.points[0].property is None


def test_only_what_is_sure_or_confirmed_gets_a_meaning(tmp_path: Path) -> None:
    draft = machine()
    draft.points = [
        register("sure", "active_power_total", 0.9, unit="KWT"),
        register("doubtful", "active_power_total", 0.7, unit="KWT"),
        register("looked at", "active_power_total", 0.1, unit="KWT", confirmed=True),
        register("nothing"),
        register("out", "active_power_total", 0.9, included=False),
    ]
    device = saved(draft, tmp_path)
    assert {point.name: point.property for point in device.points} == {
        "sure": "active_power_total", "doubtful": None, "looked at": "active_power_total", "nothing": None,
    }  # fmt: skip


def test_a_machine_without_points_cannot_be_saved() -> None:
    draft = machine()
    draft.points = [register("P", included=False)]
    with pytest.raises(ConfigError, match="no point is left"):
        device_table(draft)


def test_codes_come_back_as_numbers(tmp_path: Path) -> None:
    draft = machine()
    point = register("state", "machine_state", confirmed=True)
    point.fields["codes"] = {"5": 3, "7": 2}
    draft.points = [msgspec.json.decode(msgspec.json.encode(point), type=DraftPoint)]
    assert saved(draft, tmp_path).points[0].codes == {5: 3, 7: 2}
