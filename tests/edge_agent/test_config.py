"""The configuration: what is accepted, and that every mistake is named by its key, with the mend, in both languages."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from edge_agent.config import load_config
from protocols.errors import ConfigError
from protocols.library.templates import load_template

HEAD = """
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:8000"
"""
METER = """
[[device]]
name = "meter-1"
template = "demo-energy-meter"
[device.connection]
host = "127.0.0.1"
"""
OWN = """
[[device]]
name = "own"
protocol = "modbus"
[device.connection]
host = "127.0.0.1"
[[device.point]]
name = "p"
table = "holding"
address = 1
type = "uint16"
"""
STATION = """
[[inspection]]
device = "camera-1"
folder = "pictures"
bundle = "zoo/part"
trust = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_template_brings_points_and_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, HEAD + METER + STATION))
    template = load_template("demo-energy-meter")
    (device,) = config.devices
    assert (device.protocol, device.equipment_class) == ("modbus", template.device.equipment_class)
    assert device.points == template.points
    assert config.agent.state_dir == tmp_path / "state"
    assert config.cloud.ca is None
    assert config.inspections[0].folder == tmp_path / "pictures"
    assert (config.buffer.limit_mb, config.buffer.group_s, config.inspections[0].keep) == (2048, 0.25, 200)


def test_a_point_overrides_the_template_by_name_and_others_are_added(tmp_path: Path) -> None:
    first = load_template("demo-energy-meter").points[0]
    more = f"""
[[device.point]]
name = "{first.name}"
period_s = 30.0
[[device.point]]
name = "extra"
table = "input"
address = "0x101E"
type = "float32"
"""
    (device,) = load_config(write(tmp_path, HEAD + METER + more)).devices
    assert device.points[0] == first.model_copy(update={"period_s": 30.0})
    assert device.points[-1].name == "extra"


def test_a_template_of_ones_own_is_found_beside_the_configuration(tmp_path: Path) -> None:
    library = files("protocols.library").joinpath("demo-energy-meter.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(library, encoding="utf-8")
    config = load_config(write(tmp_path, HEAD + METER.replace("demo-energy-meter", "mine.toml")))
    assert len(config.devices[0].points) == len(load_template("demo-energy-meter").points)


def test_a_password_of_the_wrong_type_is_not_shown(tmp_path: Path) -> None:
    machine = METER.replace("demo-energy-meter", "demo-injection-moulder")
    machine = machine[: machine.index("[device.connection]")]
    connection = '[device.connection]\nendpoint = "opc.tcp://h"\nsecurity = "none"\nuser = "u"\npassword = 271828\n'
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, HEAD + machine + connection))
    assert caught.value.key == "device[1].connection.password"
    assert "271828" not in caught.value.explain("en") + caught.value.explain("zh")


def test_the_sample_is_valid(tmp_path: Path) -> None:
    sample = files("edge_agent").joinpath("sample.toml").read_text(encoding="utf-8")
    assert [device.name for device in load_config(write(tmp_path, sample)).devices] == ["meter-1"]


def test_what_the_sample_shows_commented_out_is_valid_too(tmp_path: Path) -> None:
    sample = files("edge_agent").joinpath("sample.toml").read_text(encoding="utf-8")
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and ("=" in line or "[" in line) else line
        for line in sample.split("\n")
    ]
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    config = load_config(write(tmp_path, "\n".join(lines).replace("<base64 Ed25519 public key>", key)))
    assert [device.name for device in config.devices] == ["meter-1", "compressor-1"]
    assert [judging.device for judging in config.judging] == ["camera-1", "compressor-1-health", "hall-energy"]
    assert [(outlet.kind, outlet.name) for outlet in config.outlets] == [("sparkplug", "scada"), ("csv", "office")]
    assert config.cloud.ca == tmp_path / "factory-ca.pem"


BAD = [
    ("[agent\n", "agent.toml", "TOML", "TOML"),
    (METER, "agent.name", "missing", "缺少"),
    (HEAD + "[cluod]\n", "cluod", "'cloud'", "“cloud”"),
    (HEAD + "[buffer]\nlimit_mb = 0\n" + METER, "buffer.limit_mb", "1 or more", "不小于 1"),
    (HEAD + "[buffer]\nlimit_mb = 'big'\n" + METER, "buffer.limit_mb", "whole number", "整数"),
    (HEAD + "[buffer]\ngroup_s = 2.0\n" + METER, "buffer.group_s", "1.0 or less", "不大于 1.0"),
    (HEAD + "[buffer]\ngroup = 0.5\n" + METER, "buffer.group", "'group_s'", "“group_s”"),
    (HEAD.replace("http:", "ftp:") + METER, "cloud.url", "https://", "https://"),
    (HEAD.replace("8000", "80000") + METER, "cloud.url", "https://", "https://"),
    (HEAD.replace("127.0.0.1", "me:secret@127.0.0.1") + METER, "cloud.url", "https://", "https://"),
    (HEAD.replace("127.0.0.1", "a" * 70) + METER, "cloud.url", "https://", "https://"),
    ("inspection = [1]\n" + HEAD + METER, "inspection[1]", "a table", "表"),
    (HEAD + "[device]\nname = 'x'\n", "device", "[[device]]", "[[device]]"),
    (HEAD + METER + METER, "device[2].name", "device[1].name", "device[1].name"),
    (HEAD + METER + STATION.replace("camera-1", "meter-1"), "inspection[1].device", "device[1]", "device[1]"),
    (HEAD + METER + STATION.replace("AAAA", "??"), "inspection[1].trust", "public key", "公钥"),
    (
        HEAD + METER + STATION.replace("folder", "folders"),
        "inspection[1].folders",
        "did you mean 'folder'",
        "是否指“folder”",
    ),
    (HEAD + METER + STATION.replace('folder = "pictures"\n', ""), "inspection[1].folder", "missing", "缺少"),
    (HEAD + METER.replace("meter-1", "a/b"), "device[1].name", "'/'", "“/”"),
    (
        HEAD + METER.replace("demo-energy-meter", "demo-energy-metre"),
        "device[1].template",
        "demo-energy-meter",
        "demo-energy-meter",
    ),
    (HEAD + METER.replace('"demo-energy-meter"', '"none.toml"'), "device[1].template: ", "none.toml", "none.toml"),
    (HEAD + METER.replace("template", "# template"), "device[1]", "template or a protocol", "二选一"),
    (HEAD + METER + "port = 'x'\n", "device[1].connection.port", "whole number", "整数"),
    (HEAD + METER + METER.replace("meter-1", "m2") + "port = 99999\n", "device[2].connection.port", "65535", "65535"),
    (HEAD + METER + "prot = 502\n", "device[1].connection.prot", "'port'", "“port”"),
    (HEAD + METER.replace("template", "period_s = true\ntemplate"), "device[1].period_s", "number", "数字"),
    (HEAD + OWN.replace("modbus", "modbuss"), "device[1].protocol", "modbus", "modbus"),
    (HEAD + OWN.split("[[device.point]]", maxsplit=1)[0], "device[1].point", "no points", "没有任何点"),
    (HEAD + OWN + "adress = 4\n", "device[1].point[1].adress", "'address'", "“address”"),
    (HEAD + OWN.replace("address = 1", ""), "device[1].point[1].address", "missing", "缺少"),
    (HEAD + OWN + "scale = 'x'\n", "device[1].point[1].scale", "number", "数字"),
    (HEAD + OWN + "property = 'active_powr'\n", "device[1].point[1].property", "active_power", "active_power"),
    (HEAD + OWN + "property = 'voltage_l1_n'\nunit = 'KWH'\n", "device[1].point[1].unit", "VLT", "VLT"),
    (HEAD + OWN + "property = 'voltage_l1_n'\nunit = 'volt'\n", "device[1].point[1].unit", "unknown unit", "未知单位"),
    (HEAD + OWN + OWN[OWN.index("[[device.point]]") :], "device[1].point[2].name", "twice", "重复"),
]


@pytest.mark.parametrize(("text", "key", "en", "zh"), BAD, ids=[f"{n}-{case[1]}" for n, case in enumerate(BAD)])
def test_a_mistake_is_named_with_its_key_and_the_mend(tmp_path: Path, text: str, key: str, en: str, zh: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    error = caught.value
    assert error.key is not None
    assert error.key == key if not key.endswith((".toml", ": ")) else key in error.key
    for language, telling in (("en", en), ("zh", zh)):
        line = error.explain(language)
        assert telling in line
        assert "\n" not in line
        assert "Traceback" not in line
    assert error.exit_code == 2


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "none.toml")
    assert "sunmao-edge init" in caught.value.explain("zh")


def test_a_fresh_agent_needs_no_device_yet(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, HEAD))
    assert (config.devices, config.inspections) == ((), ())
