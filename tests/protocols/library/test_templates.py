"""The library's templates are good, the README's sample is one, and every kind of bad template gets a clear line."""

import re
from importlib.resources import files

import pytest

from protocols.catalogue import driver_class
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.errors import ConfigError
from protocols.library.templates import load_template, parse_template, template_ids

README = files("protocols.library").joinpath("README.md").read_text(encoding="utf-8")
SAMPLE: str = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)[0]


DEMO = ["demo-air-compressor", "demo-energy-meter", "demo-injection-moulder"]


def test_the_library_has_what_the_demo_needs() -> None:
    assert [name for name in template_ids() if name.startswith("demo-")] == DEMO


@pytest.mark.parametrize("name", DEMO)
def test_templates_of_the_demo_are_complete(name: str) -> None:
    template = load_template(name)
    assert template.device.id == name
    assert template.device.equipment_class in equipment_classes()
    assert template.device.name.zh != template.device.name.en
    assert "demonstration" in template.device.source
    assert len(template.points) >= 20
    for point in template.points:
        assert isinstance(point, driver_class(template.device.protocol).Point)
        assert point.property is not None
        assert point.description
        load_dictionary()[point.property].conversion_from(point.unit or "")


def test_the_sample_of_the_readme_is_a_template() -> None:
    template = parse_template(SAMPLE, "my-meter.toml")
    assert [point.name for point in template.points] == ["voltage_l1_n", "active_power_total", "temperature inside"]
    assert template.device.name.zh == "一号线电能表"
    assert template.defaults == {"max_registers": 60}


def changed(*replacements: tuple[str, str]) -> str:
    text = SAMPLE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    ("text", "key", "english", "chinese"),
    [
        (changed(("[device]", "[device")), "my-meter.toml", "not valid TOML", "不是有效的 TOML"),
        (changed(("id = ", "# id = ")), "device.id", "this key is missing - add it", "缺少此项"),
        (changed(("version = 1 ", 'version = "one" ')), "device.version", "'one' is not a whole number", "整数"),
        (changed(('"my-meter"', '"My Meter"')), "device.id", "'My Meter' is not text of the form", "格式"),
        (changed(("model =", "modell =")), "device.modell", "did you mean 'model'?", "未知的键“modell”"),
        (
            changed(("source =", "colour = 1\nsource =")),
            "device.colour",
            "unknown key 'colour'",
            "未知的键“colour”",
        ),
        (changed(('zh = "', 'cn = "')), "device.name.zh", "missing", "缺少此项"),
        (
            changed(('"energy_meter"', '"energy_metre"')),
            "device.equipment_class",
            "unknown equipment class 'energy_metre' - choose one of: energy_meter",
            "未知设备类别“energy_metre” - 可选：energy_meter",
        ),
        (
            changed(('"modbus"', '"profinet"')),
            "protocol",
            "unknown protocol 'profinet' - choose one of: modbus",
            "未知协议“profinet” - 可选：modbus",
        ),
        (
            changed(("max_registers", "max_register")),
            "defaults.max_register",
            "unknown key 'max_register' - did you mean 'max_registers'?",
            "是否指“max_registers”?",
        ),
        (SAMPLE + "\n[[points]]\nname = 1\n", "points", "unknown key 'points' - did you mean 'point'?", "未知的键"),
        (SAMPLE.split("[[point]]", maxsplit=1)[0], "point", "this key is missing", "缺少此项"),
        (
            changed(("[[point]]", "[point]")).split("[[point]]", maxsplit=1)[0],
            "point",
            "[point] is a single table; write [[point]]",
            "请写成 [[point]]",
        ),
        (changed(("address = 2", "adress = 2")), "point[2].adress", "did you mean 'address'?", "未知的键“adress”"),
        (
            changed(("scale =", "scal =")),
            "point[1].scal",
            "unknown key 'scal' - did you mean 'scale'?",
            "未知的键“scal”",
        ),
        (
            changed(('name = "active_power_total"', 'name = "voltage_l1_n"')),
            "point[2].name",
            "another point is already called 'voltage_l1_n' - give each point a name of its own",
            "已有名为“voltage_l1_n”的点 - 请为每个点取不同的名称",
        ),
        (
            changed(('property = "active_power_total"', 'property = "active_power"')),
            "point[2].property",
            "the dictionary has no entry 'active_power' - did you mean: ",
            "数据字典中没有条目“active_power” - 是否指：",
        ),
        (
            changed(('unit = "VLT"', 'unit = "mV"')),
            "point[1].unit",
            "unknown unit 'mV' - use a UN/ECE Rec 20 code; nearest: 2Z (mV)",
            "未知单位“mV”",
        ),
        (
            changed(('unit = "WTT"', 'unit = "KWH"')),
            "point[2].unit",
            "cannot convert KWH (energy) to KWT (power) - units of power: WTT, KWT, MAW",
            "无法将 KWH(千瓦时)换算为 KWT(千瓦)",
        ),
    ],
)
def test_a_bad_template_gets_one_clear_line(text: str, key: str, english: str, chinese: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_template(text, "my-meter.toml")
    assert str(caught.value).startswith("my-meter.toml: ")
    assert caught.value.key is not None
    assert caught.value.key.endswith(key)
    assert english in caught.value.explain("en")
    assert chinese in caught.value.explain("zh")
    assert "\n" not in caught.value.explain("en")


SISTER = """
extends = "{base}"
{choice}
[device]
id = "sister"
version = 1
model = "B23 112-100"
source = "manual"
"""


def sister(choice: str = "", points: str = "", base: str = "abb-b23") -> str:
    return SISTER.format(base=base, choice=choice) + points


def test_a_sister_model_writes_its_difference_only() -> None:
    base, whole = load_template("abb-b23"), parse_template(sister(), "sister.toml")
    assert (whole.points, whole.defaults) == (base.points, base.defaults)
    assert (whole.device.manufacturer, whole.device.model) == ("ABB", "B23 112-100")
    only = parse_template(sister('only = ["current_l1"]'), "sister.toml")
    assert only.points == tuple(point for point in base.points if point.name == "current_l1")
    omit = parse_template(sister('omit = ["current_l1"]'), "sister.toml")
    assert omit.points == tuple(point for point in base.points if point.name != "current_l1")
    moved = parse_template(
        sister(points='[each_point]\ntype = "uint32"\n[[point]]\nname = "current_l1"\naddress = 7\n'), "sister.toml"
    )
    assert [point.model_dump()["address"] for point in moved.points if point.name == "current_l1"] == [7]
    assert moved.points[-1].model_dump()["type"] == "uint32"
    assert len(moved.points) == len(base.points)


def test_a_fingerprint_is_never_inherited() -> None:
    assert load_template("carlo-gavazzi-em340").fingerprint.sign[0].one_of == (340, 341, 342, 343, 344)
    assert parse_template(sister(base="carlo-gavazzi-em340"), "sister.toml").fingerprint.sign == ()


@pytest.mark.parametrize(
    ("text", "key", "english", "chinese"),
    [
        (sister(base="abb-b99"), "extends", "'abb-b99' is no template to extend", "不是可继承的模板"),
        (sister('only = ["curent_l1"]'), "only", "choose one of: current_l1", "可选：current_l1"),
        (sister('omit = ["x"]'), "omit", "there is no point 'x'", "没有名为“x”的点"),
        (sister(points='[[fingerprint.sign]]\npoint = "x"\none_of = [1]\n'), "sign[1].point", "no point 'x'", "“x”"),
        (
            sister(points='[[fingerprint.sign]]\npoint = "current_l1"\n'),
            "sign[1]",
            "one of: one_of, contains",
            "三者选一",
        ),
        (
            sister(points='[[point]]\nname = "a"\naddress = 1\n' * 2),
            "point[19].name",
            "another point is already called 'a'",
            "已有名为“a”的点",
        ),
    ],
)
def test_a_bad_sister_gets_one_clear_line(text: str, key: str, english: str, chinese: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_template(text, "sister.toml")
    assert caught.value.key is not None
    assert caught.value.key.endswith(key)
    assert english in caught.value.explain("en")
    assert chinese in caught.value.explain("zh")


def test_a_point_model_speaks_for_itself_and_the_file_is_named() -> None:
    opcua = changed(('"modbus"', '"opcua"'), ("max_registers = 60", 'mode = "poll"')).split("[[point]]", maxsplit=1)[0]
    with pytest.raises(ConfigError) as caught:
        parse_template(opcua + '[[point]]\nname = "state"\nnode = "ns=2;s=State"\n', "robot.toml")
    assert caught.value.key == "robot.toml: point[1].node"


def test_a_template_of_ones_own_is_read_from_its_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("templates")
    (folder / "my-meter.toml").write_text(SAMPLE, encoding="utf-8")
    assert load_template(str(folder / "my-meter.toml")).device.id == "my-meter"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_template(str(folder / "none.toml"))
    (folder / "gbk.toml").write_bytes(SAMPLE.encode("gbk"))
    with pytest.raises(ConfigError, match="is not UTF-8 text - save it as UTF-8"):
        load_template(str(folder / "gbk.toml"))


def test_an_unknown_device_names_the_near_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_template("demo-energy-metre")
    assert (
        str(caught.value) == "template: no device 'demo-energy-metre' in the library - did you mean: demo-energy-meter"
    )
