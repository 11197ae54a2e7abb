"""Runs an inspection model: picture in, finding out. What the edge runs is what judged the model."""

from __future__ import annotations

from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.bundle import Bundle
from models.errors import InputError
from models.session import Way, open_session
from models.verdict import VERDICTS, Verdict
from models.vision.members import OUTSIDE
from models.vision.pictures import Grey, shrunk
from models.vision.recipe import least_cells
from models.vision.tiles import grid_of_card, top_score


class Defect(NamedTuple):
    """What a model takes a part's defect for, and how probable that is, 0..1, among those it knows."""

    name: str
    chance: float


class Finding(NamedTuple):
    """What the model says of one picture; score, limits and heat map in standard deviations of good parts.

    `defect`: what is wrong, of a part that does not pass, where the model knows its kind. `aligned`: whether the picture could be laid over the model's reference, if it has one; else it is to be reviewed.
    """

    verdict: Verdict
    score: float
    review: float
    reject: float
    heatmap: npt.NDArray[np.float32]
    aligned: bool = True
    defect: Defect | None = None


class Detector:
    """A verified bundle, ready to run."""

    def __init__(self, bundle: Bundle, way: Way = Way(), *, strict: bool = False) -> None:  # noqa: B008 - it cannot change
        """Open the model; raises InputError if it is not for pictures, BundleRefused if the runtime cannot open it.

        `strict`: see `models.session.open_session`.
        """
        if bundle.card.task != "inspect":
            name = bundle.card.name
            raise InputError("task", f"{name} does not inspect pictures", f"{name} 不是图片检测模型")
        self.card = bundle.card
        self.digest = bundle.digest
        self.side = bundle.card.input[0].shape[0]
        self.sees = bundle.card.sees
        self._outputs = [tensor.name for tensor in bundle.card.output]
        self._session = open_session(bundle.onnx, way, strict=strict)
        self._tiles = grid_of_card(bundle.card)
        if self._tiles is not None:
            self._top = int(bundle.card.fit.recipe["top"])
            blank = self._run(np.zeros((self.side, self.side), np.uint8))
            self._looked_at: npt.NDArray[np.float32] = blank.get("looked_at", np.ones(self._tiles.shape, np.float32))
            self._places = self._tiles.looked_at(self._looked_at, least_cells(self._top))

    def inspect(self, grey: Grey) -> Finding:
        """Return the finding on a picture of the size it `sees` (see `pictures.fit_to`).

        Raises InputError("no_score") if the model's answer is not a number: that must not count as a pass.
        """
        if self._tiles is None:
            return self._finding(self._run(grey))
        # One after another: a graph of static shapes takes one tile at a time, and no more memory than that.
        seen = [(place, self._run(self._tiles.tile(grey, place))) for place in self._places]
        for place, tile in seen:
            tile["score"] = top_score(tile["heatmap"], self._tiles.within(self._looked_at, place), self._top)
        whole = self._run(shrunk(grey, self.side))["whole"]
        # Not a number is the highest of all: it must not be hidden by other tiles.
        found = dict(max((tile for _, tile in seen), key=lambda tile: np.nan_to_num(tile["score"][0], nan=np.inf)))
        found["score"] = np.maximum(found["score"], top_score(whole, np.ones_like(whole), self._top))
        found["verdict"] = (found["score"] > found["limits_used"]).sum(keepdims=True)
        stitched = self._tiles.stitched([(place, tile["heatmap"]) for place, tile in seen])
        found["heatmap"] = np.where(self._looked_at > 0, np.maximum(stitched, self._tiles.spread(whole)), OUTSIDE)
        return self._finding(found)

    def _run(self, grey: Grey) -> dict[str, npt.NDArray[Any]]:
        return dict(zip(self._outputs, self._session.run(self._outputs, {"picture": grey}), strict=True))

    def _finding(self, found: dict[str, npt.NDArray[Any]]) -> Finding:
        score, (review, reject) = float(found["score"][0]), map(float, found["limits_used"])
        if not np.isfinite(score):
            raise InputError("no_score", "the model has no score for this picture", "模型无法给出该图片的分值")
        aligned = "aligned" not in found or bool(found["aligned"][0])
        verdict = VERDICTS[int(found["verdict"][0])]
        defect = None
        kind = int(found["kind"][0]) if "kind" in found and aligned and verdict != "pass" else -1
        if 0 <= kind < len(self.card.kinds):
            defect = Defect(self.card.kinds[kind].name, float(found["kinds"][kind]))
        return Finding(verdict, score, review, reject, found["heatmap"], aligned, defect)


def heatmap_png(finding: Finding, size: tuple[int, int]) -> bytes:
    """Return the heat map as a grey PNG of `size` (width, height): black is as good parts are, white twice the reject limit."""
    scaled = np.clip(finding.heatmap / (2 * max(finding.reject, 1e-6)), 0, 1)
    small = Image.fromarray((scaled * 255 + 0.5).astype(np.uint8))
    file = BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(file, "PNG", optimize=True)
    return file.getvalue()
