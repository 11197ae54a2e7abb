"""Fits the confidence of proposals: `python -m tests.benchmarks.mapping_fit` writes propose_confidence.toml.

Fitted on all lists that the mapper was tuned on, each device several times with some of its words replaced by words of no language: that
is how a vendor looks whose vocabulary nobody has seen, and it teaches what unknown words are worth.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge_agent.onboard.point_list import Point, PointList
from edge_agent.onboard.propose_confidence import FEATURES, features
from edge_agent.onboard.propose_context import describe
from edge_agent.onboard.propose_match import candidates
from tests.benchmarks.mapping_lists import Labelled, device_maps, labelled_lists

COPIES = 4
UNKNOWN_SHARE = 0.15
RIDGE = 0.02
STEPS = 30
OPEN = ("development", "recalled", "sealed")
"""The sets of lists that the mapper was tuned on."""

OUT = Path("edge_agent/onboard/propose_confidence.toml")

Row = tuple[dict[str, float], bool]


def rows_of(labelled: Labelled, copies: int = COPIES) -> list[Row]:
    """Return (features of the best candidate, whether it is right) of a device, as it is and with words made unknown."""
    rows: list[Row] = []
    for copy in range(copies):
        noise = random.Random(f"{labelled.vendor} {copy}")
        points = [_noisy(point, noise) if copy else point for point in labelled.points.points]
        rows += _rows(msgspec.structs.replace(labelled.points, points=points), labelled)
    return rows


def _rows(found: PointList, labelled: Labelled) -> list[Row]:
    device = describe(found)
    options = [candidates(point, device) for point in device.points]
    best: dict[str, float] = {}
    for listed in options:
        if listed:
            best[listed[0].code] = max(best.get(listed[0].code, 0.0), listed[0].score)
    return [
        (features(point, device, listed, best), listed[0].code == labelled.gold[point.point.address])
        for point, listed in zip(device.points, options, strict=True)
        if listed
    ]


def _noisy(point: Point, noise: random.Random) -> Point:
    def swap(found: re.Match[str]) -> str:
        if noise.random() >= UNKNOWN_SHARE:
            return found[0]
        return "".join(noise.choice("qxzwvk") for _ in range(7)).capitalize() if found[0].isascii() else "龘靐"

    pattern = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z])|[\u4e00-\u9fff]{2}")
    return msgspec.structs.replace(
        point, name=pattern.sub(swap, point.name), description=pattern.sub(swap, point.description)
    )


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """Return the weights of a ridge-regularised logistic regression by Newton's method."""
    table = np.array([[row[name] for name in FEATURES] for row, _ in rows])
    right = np.array([float(is_right) for _, is_right in rows])
    weights = np.zeros(len(FEATURES))
    ridge = RIDGE * len(rows) / 100
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(table @ weights, -30.0, 30.0)))
        gradient = table.T @ (chance - right) + ridge * weights
        hessian = (table * (chance * (1.0 - chance))[:, None]).T @ table + ridge * np.eye(len(FEATURES))
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.linalg.norm(step) < 1e-9:
            break
    return {name: round(float(weight), 4) for name, weight in zip(FEATURES, weights, strict=True)}


def main(devices: Iterable[Labelled]) -> None:
    weights = fit([row for labelled in devices for row in rows_of(labelled)])
    head = "# Written by `python -m tests.benchmarks.mapping_fit`: weights of propose_confidence.FEATURES.\n[weights]\n"
    OUT.write_text(head + "".join(f"{name} = {weight}\n" for name, weight in weights.items()), encoding="utf-8")


if __name__ == "__main__":
    main([*device_maps(), *(one for name in OPEN for one in labelled_lists(name))])
