"""Width, type, sign and order found in registers alone."""

from __future__ import annotations

import math
import struct

import pytest

from edge_agent.onboard.decode_layout import find_layout

COUNT = 120
CASES = [
    ("uint16", "H", [round(2300 + 9 * math.sin(i / 7)) for i in range(COUNT)]),
    ("int16", "h", [round(30 * math.sin(i / 9)) for i in range(COUNT)]),
    ("uint32", "I", [70000 * 16 + 37 * i for i in range(COUNT)]),
    ("int32", "i", [round(90000 * math.sin(i / 9)) for i in range(COUNT)]),
    ("float32", "f", [231.0 + 2.0 * math.sin(i / 9) for i in range(COUNT)]),
    ("float64", "d", [12.5 + 2.0 * math.sin(i / 9) for i in range(COUNT)]),
    ("uint64", "Q", [5_000_000_000 + 41 * i for i in range(COUNT)]),
]


def registers(form: str, values: list[float], order: str, address: int) -> dict[int, list[int]]:
    columns: dict[int, list[int]] = {}
    for value in values:
        data = struct.pack((">" if order in {"ABCD", "BADC"} else "<") + form, value)
        if order in {"BADC", "CDAB"}:
            data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
        for i in range(len(data) // 2):
            columns.setdefault(address + i, []).append(int.from_bytes(data[2 * i : 2 * i + 2], "big"))
    return columns


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize(("kind", "form", "values"), CASES[2:], ids=[case[0] for case in CASES[2:]])
def test_every_long_type_is_found_in_every_order(kind: str, form: str, values: list[float], order: str) -> None:
    neighbours = [[v * factor for v in values] for factor in (1, 2, 3)]
    columns: dict[int, list[int]] = {}
    for series in neighbours:
        columns |= registers(form, [int(v) if form in "iIqQ" else v for v in series], order, 100 + len(columns))
    found = find_layout(columns)
    assert [(layout.type, layout.order) for layout in found] == [(kind, order)] * 3
    assert found[0].values == pytest.approx(values, rel=1e-6)
    assert min(layout.confidence for layout in found) > 0.9


@pytest.mark.parametrize(("kind", "form", "values"), CASES[:2], ids=["uint16", "int16"])
def test_single_registers_side_by_side_stay_apart(kind: str, form: str, values: list[float]) -> None:
    columns = {10 + i: registers(form, [v + 7 * i for v in values], "ABCD", 0)[0] for i in range(5)}
    assert [(layout.address, layout.type) for layout in find_layout(columns)] == [(10 + i, kind) for i in range(5)]


def test_a_gap_in_the_addresses_parts_points() -> None:
    columns = registers("f", CASES[4][2], "ABCD", 0) | registers("H", CASES[0][2], "ABCD", 3)
    assert [(layout.address, layout.type) for layout in find_layout(columns)] == [(0, "float32"), (3, "uint16")]


def test_what_stands_still_is_proposed_without_confidence() -> None:
    (layout,) = find_layout({5: [17] * COUNT})
    assert (layout.type, layout.values[0]) == ("uint16", 17)
    doubtful = find_layout({5: [0] * COUNT, 6: [0] * COUNT})
    assert all(layout.confidence < 0.999 for layout in doubtful)


def test_a_load_that_switches_does_not_melt_two_registers_into_one() -> None:
    power = [1100 if i % 38 > 30 else 3570 + 9 * (i % 38) for i in range(COUNT)]
    share = [0 if i % 38 > 30 else 1000 for i in range(COUNT)]
    assert [layout.type for layout in find_layout({7: power, 8: share})] == ["uint16", "uint16"]
