"""Small scratches on large sheets: seen in tiles beside the same pictures shrunk, on sheets never learnt from.

`python -m tests.benchmarks.tiles [SIDE]` makes sheets of brushed metal of 2048 x 2048 pixels, with scratches 16 to 48 pixels long, and fits both
ways for three series. The trivial way is the picture's darkest pixel. Times are of one thread.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from models.bundle import Bundle
from models.evaluate import Evaluation, auroc, evaluate
from models.vision.detector import Detector
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import Grey, fit_to, read_greys
from models.vision.recipe import Recipe
from models.vision.tiled import Originals
from tests.doubles.brushed_sheet import picture

SEEDS = (0, 1, 2)
GOOD = 40
JUDGED = 20


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    rows: dict[str, list[list[float]]] = {}
    evidence = []
    for seed in SEEDS:
        with TemporaryDirectory() as name:
            paths = [Path(name) / f"{part}.png" for part in range(GOOD)]
            for part, path in enumerate(paths):
                Image.fromarray(picture(seed, part, (side, side))).save(path, compress_level=1)
            good = [picture(seed, GOOD + part, (side, side)) for part in range(JUDGED)]
            bad = [picture(seed, 1000 + part, (side, side), scratched=True) for part in range(JUDGED)]
            for tile in ("whole", "auto"):
                begun = time.perf_counter()
                recipe = Recipe("sheet", family="texture", tile=tile)  # type: ignore[arg-type]
                originals = Originals(paths)
                parts = Parts("listed", [str(part) for part in range(GOOD)])
                release = fit(list(read_greys(paths, recipe.size)), parts, recipe, originals=originals)
                took = time.perf_counter() - begun
                detector = Detector(Bundle(release.card, release.onnx, "", ""))
                found = _judged(detector, good, bad)
                latency = release.card.tiling.latency_ms if release.card.tiling else float("nan")
                figures = [found.auroc, found.recall_review.value, found.false_review.value, took, latency]
                rows.setdefault(tile, []).append(figures)
            evidence.append(", ".join(f"{one.name} {one.found:.3f}" for one in release.card.fit.members[-2:]))
            darkest = auroc([-float(grey.min()) for grey in good], [-float(grey.min()) for grey in bad])
            rows.setdefault("darkest pixel", []).append([darkest, *[float("nan")] * 4])
    table = Table("way", "AUROC", "recall", "FPR at 5 %", "fit s", "ms a picture", box=None)
    for name, found_rows in rows.items():
        table.add_row(name, *(f"{figure:.3f}" for figure in np.mean(found_rows, axis=0)))
    console = Console(width=120)
    console.print(
        f"sheets of {side} px: {GOOD} good learnt, {JUDGED} good and {JUDGED} scratched judged, {len(SEEDS)} series"
    )
    console.print(table)
    console.print(f"evidence at the fit: {'; '.join(evidence)}")


def _judged(detector: Detector, good: list[Grey], bad: list[Grey]) -> Evaluation:
    seen = [[fit_to(Image.fromarray(grey), detector.sees) for grey in group] for group in (good, bad)]
    findings = [[detector.inspect(grey) for grey in group] for group in seen]
    return evaluate(seen[0], seen[1], findings[0], findings[1])


if __name__ == "__main__":
    main()
