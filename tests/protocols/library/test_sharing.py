"""Templates are compared, handed on and taken in without anything changing unseen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocols.errors import ConfigError
from protocols.library.difference import differences
from protocols.library.folder import own_folder, use_folder
from protocols.library.sharing import add, exported, received
from protocols.library.templates import load_template, parse_template, template_ids

MINE = """
[device]
id = "mine"
version = 1
manufacturer = "m"
model = "x"
name = { en = "A meter", zh = "电表" }
equipment_class = "energy_meter"
protocol = "modbus"
source = "manual"
[[point]]
name = "voltage_l1_n"
property = "voltage_l1_n"
unit = "VLT"
address = 1
scale = 0.1
[[point]]
name = "state"
property = "machine_state"
address = 2
codes = { "1" = 3, "2" = 2 }
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path) -> Iterator[Path]:
    before = own_folder()
    use_folder(tmp_path / "library")
    yield tmp_path / "library"
    use_folder(before)


def write(folder: Path, text: str, name: str = "x.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", template_ids())
def test_what_is_exported_means_the_same(name: str) -> None:
    assert received(exported(name), "x.toml") == load_template(name)


def test_a_change_on_the_way_is_found() -> None:
    text = exported("abb-b21")
    with pytest.raises(ConfigError) as caught:
        received(text.replace("scale = 0.1", "scale = 1.0", 1), "got.toml")
    assert "changed after it was exported" in caught.value.explain("en")
    assert "重新索取" in caught.value.explain("zh")


def test_added_templates_are_known_by_their_id(tmp_path: Path, own: Path) -> None:
    template, place = add(write(tmp_path, MINE))
    assert place == own / "mine.toml"
    assert "mine" in template_ids()
    assert load_template("mine") == template
    child = 'extends = "mine"\n[device]\nid = "child"\nversion = 1\nmodel = "y"\n'
    assert add(write(tmp_path, child))[0].points == template.points


def test_nothing_is_replaced_unasked(tmp_path: Path, own: Path) -> None:
    add(write(tmp_path, MINE))
    assert add(write(tmp_path, MINE))[1] == own / "mine.toml"  # the same again: no harm
    changed = MINE.replace("scale = 0.1", "scale = 0.01")
    for text, replace, said in (
        (changed, False, "there is a template 'mine' already"),
        (changed, True, "version 1 is not above version 1"),
        (changed.replace('id = "mine"', 'id = "abb-b21"'), False, "there is a template 'abb-b21' already"),
    ):
        with pytest.raises(ConfigError) as caught:
            add(write(tmp_path, text), replace=replace)
        assert said in caught.value.explain("en")
        assert load_template("mine").points[0].scale == 0.1
    add(write(tmp_path, changed.replace("version = 1", "version = 2")), replace=True)
    assert load_template("mine").points[0].scale == 0.01
    assert (own / "mine.v1.bak").read_text(encoding="utf-8") == MINE
    assert [file.name for file in own.iterdir() if file.suffix == ".part"] == []


def test_an_unfit_file_is_refused_and_leaves_nothing(tmp_path: Path, own: Path) -> None:
    for text in ("[device]\n", MINE.replace('id = "mine"', 'id = "../mine"')):
        with pytest.raises(ConfigError):
            add(write(tmp_path, text))
    with pytest.raises(ConfigError):
        add(tmp_path / "absent.toml")
    assert not own.exists()


def test_two_versions_are_compared_in_words() -> None:
    old = parse_template(MINE, "old.toml")
    text = MINE.replace("version = 1", "version = 2").replace("scale = 0.1", "scale = 0.01")
    text = text.replace('name = "state"', 'name = "run state"').replace('"2" = 2', '"2" = 1')
    new = parse_template(text + '[[point]]\nname = "extra"\naddress = 9\n', "new.toml")
    assert [change.en for change in differences(old, new)] == [
        "device: version was 1, is 2",
        "point 'voltage_l1_n': scale was 0.1, is 0.01",
        "point 'state': now called 'run state'",
        "point 'run state': codes was {'1': 3, '2': 2}, is {'1': 3, '2': 1}",
        "point 'extra': new",
    ]
    assert [change.zh for change in differences(new, old)][-1] == "点“extra”：删除"
    assert differences(old, old) == []
