"""Each rule of the linter finds the template that breaks it, in both languages, and nothing else."""

import pytest

from protocols.library.lint import lint_template
from protocols.library.templates import parse_template

GOOD = """
[device]
id = "ex-1"
version = 1
manufacturer = "Example"
model = "EX-1"
name = { en = "Energy meter", zh = "电能表" }
equipment_class = "energy_meter"
protocol = "modbus"
source = "manual EX-1, revision 3"
[[point]]
name = "voltage"
property = "voltage_l1_n"
unit = "VLT"
address = 0
scale = 0.1
[[point]]
name = "status"
address = 4
[[point]]
name = "running"
address = 4
bit = 0
[[point]]
name = "state"
property = "machine_state"
address = 5
codes = { "1" = 3 }
"""


def test_a_good_template_passes() -> None:
    assert lint_template(parse_template(GOOD, "ex-1.toml")) == []


@pytest.mark.parametrize(
    ("old", "new", "english", "chinese"),
    [
        ('source = "manual EX-1, revision 3"', 'source = " "', "no source", "缺少来源"),
        ('zh = "电能表"', 'zh = "Energy meter"', "zh Chinese", "zh 应为中文"),
        ('en = "Energy meter"', 'en = "电能表"', "en has to be English", "en 应为英文"),
        ('name = "status"', 'name = "VOLTAGE"', "differs from 'voltage' by case only", "仅大小写不同"),
        ('name = "status"\naddress = 4', 'name = "status"\naddress = 0', "takes registers of", "占用相同的寄存器"),
        ("address = 4\n", 'address = 3\ntype = "float32"\n', "", ""),
        ("address = 5", "address = 4", "'status': takes registers of 'state'", "“status”：与“state”占用"),
        ("address = 5", 'address = 3\ntype = "uint32"', "'status': takes registers of 'state'", "“status”：与“state”"),
        ('unit = "VLT"\n', "", "state the unit the device delivers (VLT?)", "请写明设备给出的单位"),
        ('{ "1" = 3 }', '{ "1" = 7 }', "'machine_state' has no such codes", "没有这些代码"),
        ("scale = 0.1", "scale = 0.001", "end at 65.535 VLT", "最大只能表示 65.535 VLT"),
        ("scale = 0.1", "scale = 100", "one step is 100 VLT", "最小步长为 100 VLT"),
    ],
)
def test_a_fault_is_named_in_both_languages(old: str, new: str, english: str, chinese: str) -> None:
    assert old in GOOD
    found = lint_template(parse_template(GOOD.replace(old, new, 1), "ex-1.toml"))
    if english:
        assert len(found) >= 1
        assert english in found[0].en
        assert chinese in found[0].zh
    else:
        assert found == []
