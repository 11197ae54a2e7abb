"""From a server that nobody has described to a list that a person can edit."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.onboard.browse_list import browse_points, driver_at, unit_text
from edge_agent.onboard.list_cli import _reach
from edge_agent.onboard.point_list import Point, PointList, read_point_list
from edge_agent.onboard.point_sheet import browsed_sheet, write_sheet
from edge_agent.onboard.propose import Proposal, propose
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.errors import ConfigError
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.simulator import OpcuaSimulator
from protocols.text import Text

POINTS = [
    OpcuaPoint(
        name="t", node='nsu=urn:plant;s="Barrel"."Zone1"', unit="CEL", low=0, high=400, description="料筒一段温度, 实际"
    ),
    OpcuaPoint(name="p", node="nsu=urn:plant;s=Hydraulics.Pressure", unit="BAR"),
    OpcuaPoint(name="n", node="nsu=urn:plant;s==1+1"),
]


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    simulator = OpcuaSimulator(POINTS, lambda: {"t": 215.5, "p": 140.0, "n": 3})
    yield await simulator.start()
    await simulator.stop()


async def test_a_browsed_list_reads_back_as_it_was_in_every_form(endpoint: str, tmp_path: Path) -> None:
    seen = []
    driver = driver_at(endpoint, {"security": "none"}, tmp_path)
    found = await browse_points(driver, matching="*", advance=lambda: seen.append(1))
    ours = {point.address: point for point in found.points if "urn:plant" in point.address}
    assert len(seen) >= len(ours) == len(POINTS)
    zone = ours['nsu=urn:plant;s="Barrel"."Zone1"']
    assert (zone.unit, zone.low, zone.high, zone.value, zone.datatype) == ("°C", 0.0, 400.0, "215.5", "Double")
    rows = browsed_sheet(found, propose(found), "zh")
    for name in ("p.csv", "p.xlsx", "p.json"):
        write_sheet(rows, tmp_path / name, "zh")
        assert [(p.address, p.name, p.unit, p.low, p.high) for p in read_point_list(tmp_path / name).points] == [
            (p.address, p.name, p.unit, p.low, p.high) for p in found.points
        ]
        with pytest.raises(ConfigError, match="exists already"):
            write_sheet(rows, tmp_path / name, "en")


async def test_only_the_places_asked_for_are_listed(endpoint: str, tmp_path: Path) -> None:
    found = await browse_points(driver_at(endpoint, {"security": "none"}, tmp_path), matching="Hydraulics/*")
    assert [point.name for point in found.points] == ["Hydraulics/Pressure"]


def test_a_workbook_offers_the_dictionary_and_runs_nothing(tmp_path: Path) -> None:
    write_sheet([{"name": "=1+1", "property": ""}], tmp_path / "p.xlsx", "en")
    with zipfile.ZipFile(tmp_path / "p.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        assert f"'dictionary'!$A$2:$A${len(load_dictionary()) + 1}" in sheet
        assert "voltage_l1_n" in book.read("xl/worksheets/sheet2.xml").decode() + str(book.namelist())
    write_sheet([{"name": "=1+1", "property": "-"}, {"name": "-2"}], tmp_path / "p.csv", "en")
    assert (tmp_path / "p.csv").read_text("utf-8-sig").splitlines() == ["name,property", "'=1+1,-", "-2,"]


@pytest.mark.parametrize("address", ["nobody", "http://127.0.0.1"])
def test_what_can_not_be_browsed_is_said(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a configured device nor an address that can be browsed"):
        driver_at(address, {}, tmp_path)
    with pytest.raises(ConfigError, match="security of the connection is not chosen"):
        driver_at("opc.tcp://127.0.0.1:4840", {}, tmp_path)


def test_every_unit_is_written_so_that_it_is_understood() -> None:
    from edge_agent.onboard.propose_lexicon import load_lexicon

    for code in load_units():
        written = unit_text(code)
        assert (code if written in load_units() else load_lexicon().unit_code(written)) == code


@pytest.mark.parametrize(("unit", "filled"), [("V", "voltage_l1_n"), ("", "voltage_l1_n"), ("°C", "")])
def test_a_meaning_that_the_unit_contradicts_is_not_filled_in(unit: str, filled: str) -> None:
    found = PointList([Point("i=1", "A相电压", unit=unit)])
    (row,) = browsed_sheet(found, {"i=1": Proposal("voltage_l1_n", 0.95, Text("says so", "如此"))}, "en")
    assert row["property"] == filled
    assert "voltage_l1_n" in row["why"]


def test_json_is_what_propose_reads(tmp_path: Path) -> None:
    write_sheet([{"address": "i=1", "name": "Temperature", "unit": "°C"}], tmp_path / "p.json", "en")
    assert json.loads((tmp_path / "p.json").read_text()) == {
        "points": [{"address": "i=1", "name": "Temperature", "unit": "°C"}]
    }


def test_the_next_step_reaches_the_same_place_and_repeats_no_password() -> None:
    given = ["security=none", "user=u", "password=secret"]
    assert _reach("opc.tcp://h:4840/x", given) == (
        "--connection endpoint=opc.tcp://h:4840/x --connection security=none --connection user=u"
    )
    assert _reach("mqtt://h:1884", []) == "--connection host=h --connection port=1884"
