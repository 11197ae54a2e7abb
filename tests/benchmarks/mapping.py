"""How well points are mapped to the dictionary: `python -m tests.benchmarks.mapping` prints one table.

Development set: real point lists with their entries known (`gold`, "none" where nothing fits). What is fitted (the
confidence) is cross-validated: each vendor is judged with weights fitted on the others. The lexicon was enlarged by
hand with these devices in sight, so that the table says how well they are covered, not how a new vendor would fare: lists
written before the lexicon knew them (`tests/edge_agent/onboard/unseen.csv`) reached 79 % of points that have an entry,
93 % right when sure, and 14 % false on none at first sight. The peer is naive: the entry whose name shares the most words with the point's.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from edge_agent.onboard.point_list import Point, PointList, read_point_list
from edge_agent.onboard.propose import SURE, propose
from edge_agent.onboard.propose_lexicon import atoms
from protocols.dictionary.entries import load_dictionary

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "device-maps"

Mapped = Mapping[str, tuple[str | None, float]]


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


class Figures(msgspec.Struct, frozen=True):
    """Shares 0..1 with their numbers. `top1` of points that have an entry, `sure_right` of those proposed as sure."""

    top1: float
    sure_right: float
    sure_share: float
    false_mapping: float
    points: int
    entries: int
    nones: int


def development_set(folder: Path = FOLDER) -> list[Labelled]:
    """Return the labelled devices in `folder`, by vendor."""
    found = []
    for path in sorted(folder.glob("*.json")):
        labels = msgspec.json.decode(path.read_bytes(), type=_File)
        gold = {point.address: point.gold for point in labels.points}
        found.append(Labelled(labels.vendor.split()[0], read_point_list(path), gold))
    return sorted(found, key=lambda labelled: labelled.vendor)


def cross_validated(devices: Sequence[Labelled]) -> list[tuple[Labelled, Mapped]]:
    """Map each device with the confidence fitted on all other vendors' devices."""
    from tests.benchmarks.mapping_fit import fit, rows_of

    rows = [(labelled.vendor, rows_of(labelled)) for labelled in devices]
    weights = {
        vendor: fit([row for other, some in rows if other != vendor for row in some])
        for vendor in {labelled.vendor for labelled in devices}
    }
    return [(labelled, _ours(labelled.points, weights[labelled.vendor])) for labelled in devices]


def _ours(points: PointList, weights: Mapping[str, float] | None = None) -> Mapped:
    proposals = propose(points, weights=weights)
    return {address: (found.property, found.confidence) for address, found in proposals.items()}


def naive(points: PointList) -> Mapped:
    """Map by the overlap of words (Dice's coefficient) with the names of the entries, in either language."""
    entries = [
        (code, set(atoms(text)))
        for code, entry in load_dictionary().items()
        for text in (code.replace("_", " "), entry.name.en, entry.name.zh)
    ]

    def best(point: Point) -> tuple[str | None, float]:
        words = set(atoms(f"{point.name} {point.description}"))
        scored = [(2 * len(words & own) / (len(words) + len(own)), code) for code, own in entries if words & own]
        score, code = max(scored, default=(0.0, None))
        return (code, score) if score >= 0.45 else (None, score)

    return {point.address: best(point) for point in points.points}


def figures(mapped: Sequence[tuple[Labelled, Mapped]]) -> Figures:
    """Return the figures over all points of all devices together."""
    answers = [(gold, *answer[address]) for labelled, answer in mapped for address, gold in labelled.gold.items()]
    entries = [(gold, code) for gold, code, _ in answers if gold != "none"]
    nones = [code for gold, code, _ in answers if gold == "none"]
    sure = [gold == code for gold, code, chance in answers if code is not None and chance >= SURE]
    return Figures(
        top1=sum(gold == code for gold, code in entries) / max(len(entries), 1),
        sure_right=sum(sure) / max(len(sure), 1),
        sure_share=len(sure) / len(answers),
        false_mapping=sum(code is not None for code in nones) / max(len(nones), 1),
        points=len(answers),
        entries=len(entries),
        nones=len(nones),
    )


def main() -> int:
    devices = development_set()
    console = Console()
    if not devices:
        console.print(f"no development set at {FOLDER}")
        return 2
    mapped = cross_validated(devices)
    table = Table("device", "points", "top-1", "sure", "sure and right", "false on none", box=None, header_style="bold")

    def row(name: str, one: Figures) -> None:
        table.add_row(
            name,
            str(one.points),
            f"{one.top1:.1%}" if one.entries else "-",
            f"{one.sure_share:.0%}",
            f"{one.sure_right:.1%}" if one.sure_share else "-",
            f"{one.false_mapping:.1%}" if one.nones else "-",
        )

    for labelled, answer in mapped:
        row(f"{labelled.vendor} {labelled.points.model}"[:44], figures([(labelled, answer)]))
    row("ALL, confidence cross-validated by vendor", figures(mapped))
    row("peer: overlap of words", figures([(labelled, naive(labelled.points)) for labelled in devices]))
    row("bar", Figures(0.85, 0.95, 0.0, 0.05, 0, 1, 1))
    console.print(table)
    ours = figures(mapped)
    return 0 if ours.top1 >= 0.85 and ours.sure_right >= 0.95 and ours.false_mapping <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
