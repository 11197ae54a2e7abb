"""Labelled point lists: what each point of a device is, for measuring and fitting `propose`.

Facts in few words (name, unit, type, access), each list with its source in `lists/<set>_sources.csv`:
`development`, `recalled`, `wide`, and `sealed`, `unseen` and `fresh` (opened after they had judged) are what the lexicon was
enlarged with and what is fitted on; `later` judges.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_agent.onboard.point_list import Point, PointList, read_point_list
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units

DEVICE_MAPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "device-maps"
LISTS = Path(__file__).parent / "lists"


OPEN = ("development", "recalled", "sealed", "unseen", "fresh", "wide")
"""The sets of lists that the mapper was tuned on, beside the device maps."""


class _Gold(msgspec.Struct):
    address: str
    gold: str


class _File(msgspec.Struct):
    vendor: str
    points: list[_Gold]


class Labelled(msgspec.Struct, frozen=True):
    """A device's point list and what each point is ("none" where no entry fits)."""

    vendor: str
    points: PointList
    gold: Mapping[str, str]


def device_maps(folder: Path = DEVICE_MAPS) -> list[Labelled]:
    """Return the labelled devices in `folder`, by vendor; none where it is absent."""
    found = []
    for path in sorted(folder.glob("*.json")):
        labels = msgspec.json.decode(path.read_bytes(), type=_File)
        gold = {point.address: point.gold for point in labels.points}
        found.append(Labelled(labels.vendor.split()[0], read_point_list(path), gold))
    return sorted(found, key=lambda labelled: labelled.vendor)


def labelled_lists(name: str) -> list[Labelled]:
    """Return the lists of the set `name` in `lists/`, in their order there; none where it is absent."""
    path = LISTS / f"{name}.csv"
    if not path.exists():
        return []
    rows: dict[str, list[dict[str, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["list"], []).append(row)
    with (LISTS / f"{name}_sources.csv").open(encoding="utf-8", newline="") as file:
        return [_labelled(about, rows[about["list"]]) for about in csv.DictReader(file)]


def all_lists() -> list[Labelled]:
    """Return all that the mapper is fitted on: the device maps and the open sets."""
    return [*device_maps(), *(one for name in OPEN for one in labelled_lists(name))]


def dictionary_names() -> list[Labelled]:
    """Return what the dictionary itself calls its entries, each name a list of one point, by no vendor."""
    types = {"REAL_MEASURE": "float", "INTEGER_COUNT": "uint16", "STRING": "string", "BOOLEAN": "bool"}
    found = []
    for code in load_dictionary().collected:
        entry = load_dictionary()[code]
        unit = "" if entry.unit == "C62" else load_units()[entry.unit].symbol
        kind = "" if entry.equipment_class == "generic" else entry.equipment_class
        access = "rw" if entry.quantity_kind == "command" or "setpoint" in code else "r"
        for name in (code, entry.name.en, entry.name.zh):
            point = Point("1", name, "", unit, types[entry.data_type], None, access)
            found.append(Labelled("", PointList([point], kind=kind), {"1": code}))
    return found


def _labelled(about: Mapping[str, str], rows: list[dict[str, str]]) -> Labelled:
    points = [
        Point(
            address=row["address"],
            name=row["name"],
            description=row["description"],
            unit=row["unit"],
            datatype=row["datatype"],
            scale=float(row["scale"]) if row["scale"] else None,
            access=row["access"],
        )
        for row in rows
    ]
    found = PointList(points, vendor=about["vendor"], model=about["model"], kind=about["kind"])
    return Labelled(about["vendor"].split()[0], found, {row["address"]: row["gold"] for row in rows})
