"""Where to look, as polygons: the same as a mask that somebody has painted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import InputError
from models.vision.region import mask_of, read_mask


def test_polygons_are_a_mask(tmp_path: Path) -> None:
    file = tmp_path / "region.json"
    file.write_text("[[[0, 0], [0.5, 0], [0.5, 1], [0, 1]], [[0.4, 0], [0.75, 0], [0.75, 0.5], [0.4, 0.5]]]")
    mask, region = read_mask(file)
    assert mask is not None
    assert len(region) == 2
    painted = np.zeros(mask.shape, np.uint8)
    painted[:, :512] = painted[:512, 410:768] = 255
    assert np.mean(mask != painted) < 0.005
    Image.fromarray(painted).save(tmp_path / "mask.png")
    again, none = read_mask(tmp_path / "mask.png")
    assert np.array_equal(again, painted)
    assert none == []


def test_without_polygons_all_is_looked_at() -> None:
    assert mask_of([]) is None


@pytest.mark.parametrize("text", ["", "[[[0, 0], [1, 1]]]", "[[[0, 0], [1, 1], [0, 2]]]", '{"a": 1}'])
def test_what_is_no_polygon_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "region.json").write_text(text)
    with pytest.raises(InputError, match="polygons"):
        read_mask(tmp_path / "region.json")
