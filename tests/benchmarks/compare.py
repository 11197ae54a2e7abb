"""Printed labels: comparing with a taught reference beside looking at texture and two trivial ways, on parts never learnt from.

`python -m tests.benchmarks.compare` makes labels that are shifted, turned and lit differently from shot to shot, fits both families on
good ones for three series, and says what each finds of four defects of print. The trivial ways are the picture's brightness, and
the largest difference to the median of good pictures as they lie.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from models.bundle import Bundle
from models.evaluate import auroc
from models.vision.detector import Detector
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import Grey
from models.vision.recipe import Recipe
from tests.doubles.printed_label import DEFECTS, picture

SEEDS = (0, 1, 2)
GOOD = 120
JUDGED = 60

Scorer = Callable[[Grey], tuple[float, bool]]
"""Score of a picture, and whether it at least goes to review."""


def main() -> None:
    columns = ("way", "AUROC", *DEFECTS, "FPR at 5 %", "recall there", "fit s", "ms")
    table = Table(*columns, box=None)
    rows: dict[str, list[list[float]]] = {}
    chosen = []
    for seed in SEEDS:
        good = [picture(seed, part) for part in range(GOOD)]
        unseen = [picture(seed, GOOD + part) for part in range(JUDGED)]
        bad = [[picture(seed, 1000 + part, defect) for part in range(JUDGED)] for defect in DEFECTS]
        for family in ("auto", "texture", "compare"):
            began = time.perf_counter()
            recipe = Recipe("label", family=family)
            release = fit(good, Parts("listed", [str(part) for part in range(GOOD)]), recipe)
            took = time.perf_counter() - began
            if family == "auto":
                chosen.append(release.card.fit.family)
                continue
            detector = Detector(Bundle(release.card, release.onnx, "", ""))
            rows.setdefault(family, []).append([*_figures(_of(detector), unseen, bad), took, _speed(detector, unseen)])
        usual = np.median([grey.mean() for grey in good])
        middle = np.median(good, axis=0)
        trivial: dict[str, Callable[[Grey], float]] = {
            "brightness": lambda grey, usual=usual: abs(float(grey.mean()) - usual),
            "difference as it lies": lambda grey, middle=middle: float(np.abs(grey - middle).mean()),
        }
        for name, score in trivial.items():
            limit = float(np.quantile([score(grey) for grey in good], 0.95))
            scorer: Scorer = lambda grey, score=score, limit=limit: (score(grey), score(grey) > limit)  # noqa: E731
            rows.setdefault(name, []).append([*_figures(scorer, unseen, bad), 0, 0])
    for name, found in rows.items():
        table.add_row(name, *(f"{figure:.3f}" for figure in np.mean(found, axis=0)))
    console = Console(width=150)
    console.print(
        f"printed labels: {GOOD} good learnt, {JUDGED} good and {JUDGED} of each defect judged, mean of {len(SEEDS)}"
    )
    console.print(table)
    console.print(f"auto takes: {', '.join(chosen)}")


def _of(detector: Detector) -> Scorer:
    def found(grey: Grey) -> tuple[float, bool]:
        finding = detector.inspect(grey)
        return finding.score, finding.verdict != "pass"

    return found


def _figures(scorer: Scorer, good: list[Grey], bad: list[list[Grey]]) -> list[float]:
    on_good = [scorer(grey) for grey in good]
    on_bad = [[scorer(grey) for grey in kind] for kind in bad]
    usual = [score for score, _ in on_good]
    each = [auroc(usual, [score for score, _ in kind]) for kind in on_bad]
    everything = [one for kind in on_bad for one in kind]
    return [
        auroc(usual, [score for score, _ in everything]),
        *each,
        float(np.mean([noted for _, noted in on_good])),
        float(np.mean([noted for _, noted in everything])),
    ]


def _speed(detector: Detector, greys: list[Grey]) -> float:
    began = time.perf_counter()
    for grey in greys:
        detector.inspect(grey)
    return 1e3 * (time.perf_counter() - began) / len(greys)


if __name__ == "__main__":
    main()
