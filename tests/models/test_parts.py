"""Which pictures show one part: told by the folder where it tells, else by likeness, and said to be so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import InputError
from models.vision.parts import alike_parts, told_parts
from models.vision.pictures import Grey
from models.vision.synthetic import picture

FOLDER = Path("good")


@pytest.mark.parametrize(
    ("names", "pattern", "rule", "parts"),
    [
        (["a_1.png", "a_2.png", "b_1.png", "b_2.png"], "", "names", ["a", "a", "b", "b"]),
        (["p/1.png", "q/1.png"], "", "folders", ["p", "q"]),
        (["x-7-1.png", "x-8-1.png"], r"x-(\d+)", "pattern", ["7", "8"]),
        (["x7a.png", "x8a.png"], r"x\d", "pattern", ["x7", "x8"]),
        ([f"IMG_{n:04d}.png" for n in range(9)], "", None, []),
        (["1.png", "2.png"], "", None, []),
        (["a_1.png", "b_1.png"], "", None, []),
    ],
)
def test_the_folder_tells(names: list[str], pattern: str, rule: str | None, parts: list[str]) -> None:
    found = told_parts(FOLDER, [FOLDER / name for name in names], pattern)
    assert (found and found.rule, found.names if found else []) == (rule, parts)


@pytest.mark.parametrize(("pattern", "says"), [("(", "no regular expression"), (r"y(\d)", "finds no part in x1.png")])
def test_a_pattern_that_does_not_fit_is_refused(pattern: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        told_parts(FOLDER, [FOLDER / "x1.png"], pattern)


def test_repeated_shots_are_one_part_and_different_parts_are_not() -> None:
    random = np.random.default_rng(0)

    def again(grey: Grey) -> Grey:
        return np.clip(grey * random.uniform(0.8, 1.1) + random.normal(0, 2, grey.shape), 0, 255).astype(np.uint8)

    greys = [again(picture(7, part).grey) for part in range(15) for _ in range(2)]
    found = alike_parts(greys)
    assert (found.rule, found.told) == ("likeness", False)
    assert [found.names.index(name) // 2 for name in found.names] == [number // 2 for number in range(30)]
