"""Folders as people have them: which pictures are learnt from, in any of their words, and which never are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import InputError
from models.vision.layout import judged_layout, layout_of
from models.vision.pictures import list_pictures, read_grey


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("names", "good", "kinds", "left_out"),
    [
        (["good", "scratch"], "good", ["scratch"], []),
        (["gut", "schlecht"], "gut", ["schlecht"], []),
        (["i.O.", "n.i.O."], "i.O.", ["n.i.O."], []),
        (["合格", "不合格", "masks"], "合格", ["不合格"], ["masks"]),
        (["OK", "NG", "not good"], "OK", ["NG", "not good"], []),
        (["MT_Free", "MT_Crack"], "MT_Free", ["MT_Crack"], []),
        (["train/good", "test/good", "test/crack", "ground_truth/crack"], "train/good", [], ["ground_truth", "test"]),
        (["train", "val"], "train", [], ["val"]),
        (["cap01", "cap02"], "", [], []),
        ([], "", [], []),
    ],
)
def test_the_names_of_folders_tell_what_is_good(
    names: list[str], good: str, kinds: list[str], left_out: list[str], tmp_path: Path
) -> None:
    found = layout_of(folders(tmp_path, *names))
    assert (found.good, sorted(found.kinds), [each.name for each in found.left_out]) == (
        tmp_path / good,
        sorted(kinds),
        left_out,
    )


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["NG", "other"], "'NG' does not sound like good parts"),
        (["不良品"], "'不良品' does not sound like"),
        (["ok", "good"], "good, ok are all called good"),
        (["good", "x" * 81], "too long for the name of a defect"),
    ],
)
def test_defects_are_never_learnt_from_as_if_they_were_good(names: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        layout_of(folders(tmp_path, *names))


def test_what_a_model_is_judged_by_is_in_test_where_there_is_one(tmp_path: Path) -> None:
    found = judged_layout(folders(tmp_path, "train/good", "test/good", "test/crack", "ground_truth/crack"))
    assert (found.good, found.kinds) == (tmp_path / "test" / "good", {"crack": tmp_path / "test" / "crack"})
    with pytest.raises(InputError, match="give the defects with --bad"):
        judged_layout(tmp_path / "train")


def test_masks_and_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    grey = Image.fromarray(np.random.default_rng(0).integers(60, 200, (40, 40), np.uint8))
    mask = Image.fromarray(np.repeat([[0, 255]], 40, axis=0).repeat(20, axis=1).astype(np.uint8))
    folders(tmp_path, "Ground Truth")
    for name in ("a.jpg", "b.bmp", "c.tif", "d.webp", "e.png", "b.png"):
        grey.save(tmp_path / name)
    for name in ("a.png", "Ground Truth/a.png", "alone.png"):
        mask.save(tmp_path / name)
    (tmp_path / "._a.jpg").write_bytes(b"no picture")
    found = [path.name for path in list_pictures(tmp_path)]
    assert found == ["a.jpg", "alone.png", "b.bmp", "b.png", "c.tif", "d.webp", "e.png"]


@pytest.mark.parametrize(("most", "shift"), [(65_535, 8), (4095, 4)])
def test_greys_of_sixteen_bits_are_not_white(most: int, shift: int, tmp_path: Path) -> None:
    wide = np.linspace(0, most, 64 * 64).reshape(64, 64).astype(np.uint16)
    for name in ("wide.png", "wide.tif"):
        Image.fromarray(wide).save(tmp_path / name)
        assert np.array_equal(read_grey(tmp_path / name, 64), wide >> shift)
