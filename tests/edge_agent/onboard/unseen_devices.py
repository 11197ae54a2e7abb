"""Point lists of devices of vendors that the development set has not, written down from general knowledge of them.

What they found missing has entered the lexicon since: they guard what works and are no measure of the unseen.
"""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

from edge_agent.onboard.point_list import Point, PointList

FOLDER = Path(__file__).parent


def unseen_devices() -> list[tuple[str, PointList, dict[str, str]]]:
    """Return (name, points, address -> entry or "none") of each device."""
    with (FOLDER / "unseen.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for name, group in groupby(rows, key=lambda row: row["device"]):
        lines = list(group)
        points = [
            Point(f"holding:{number}", row["name"], row["description"], row["unit"], row["type"], None, row["access"])
            for number, row in enumerate(lines)
        ]
        gold = {f"holding:{number}": row["gold"] for number, row in enumerate(lines)}
        found.append((name, PointList(points, kind=lines[0]["kind"]), gold))
    return found
