"""Naming defects: only from enough parts, only where it is sure, and the card says how well."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.bundle import Bundle, check_onnx
from models.cli import app
from models.kinds import LEAST_PARTS, missing, naming
from models.release import Release
from models.vision.detector import Detector
from models.vision.fit import PARITY_LIMIT, fit
from models.vision.parts import Parts
from models.vision.recipe import Recipe
from models.vision.sort import Named, named_by
from models.vision.sort_fit import sort
from models.vision.synthetic import Defect, picture
from tests.models.test_model_command import save

KINDS: tuple[Defect, ...] = ("burn_mark", "flash", "short_shot")
RECIPE = Recipe("caps", family="texture", planted=40)


def named(kind: Defect, numbers: range) -> list[Named]:
    return [Named(picture(61, number, kind).grey, f"{kind} {number}", kind) for number in numbers]


@pytest.fixture(scope="module")
def caps() -> Release:
    good = [picture(61, number).grey for number in range(40)]
    shown = [one for kind in KINDS for one in named(kind, range(100, 100 + LEAST_PARTS))]
    few = named("black_spot", range(100, 103))
    return fit(good, Parts("listed", [str(number) for number in range(40)]), RECIPE, named=[*shown, *few])


def test_a_defect_is_named_with_how_sure_the_model_is(caps: Release) -> None:
    check_onnx(caps.onnx, caps.card)
    detector = Detector(Bundle(caps.card, caps.onnx, "", ""))
    right = wrong = 0
    for kind in KINDS:
        for one in named(kind, range(200, 210)):
            finding = detector.inspect(one.grey)
            assert finding.verdict != "pass"
            if finding.defect:
                assert 0 < finding.defect.chance <= 1
                right += finding.defect.name == kind
                wrong += finding.defect.name != kind
    assert right >= 20
    assert wrong <= 4
    passed = [finding for number in range(300, 320) if (finding := detector.inspect(picture(61, number).grey))]
    assert not any(finding.defect for finding in passed if finding.verdict == "pass")


def test_the_card_says_how_well_and_leaves_out_what_is_known_of_too_few(caps: Release) -> None:
    assert [(kind.name, kind.parts, sum(kind.said)) for kind in caps.card.kinds] == [
        (kind, LEAST_PARTS, LEAST_PARTS) for kind in KINDS
    ]
    found = naming(caps.card.kinds)
    assert found.macro_f1 > 0.7
    assert found.majority == pytest.approx(1 / 3)
    assert caps.card.fit.parity <= PARITY_LIMIT


def test_nine_parts_of_a_kind_are_one_too_few() -> None:
    shown = [(kind, f"{kind} {number}") for kind, count in (("a", 9), ("b", 10), ("c", 12)) for number in range(count)]
    assert missing([*shown, ("a", "a 0")]) == {"a": 1, "b": 0, "c": 0}
    rows = np.random.default_rng(0).normal(size=(19, 6))
    pairs = [Named(np.zeros((2, 2), np.uint8), part, kind) for kind, part in shown[:19]]
    assert sort(rows, pairs) is None, "one kind of enough parts is not two"


def test_what_is_noise_is_not_named() -> None:
    """Without anything to tell kinds by, the set of names holds several and none is given."""
    rows = np.random.default_rng(0).normal(size=(60, 8))
    shown = [Named(np.zeros((2, 2), np.uint8), str(number), "ab"[number % 2]) for number in range(60)]
    found = sort(rows, shown)
    assert found is not None
    assert naming(found.cards).named < 0.4
    assert named_by(np.array([[0.5, 0.5], [0.99, 0.01], [0.2, 0.2]]), 0.3).tolist() == [-1, 0, -1]


def test_pictures_of_one_part_are_never_on_both_sides() -> None:
    """Ten pictures of each part, told apart by part and not by kind: copies on both sides would make this look perfect."""
    random = np.random.default_rng(1)
    parts = [(kind, f"{kind}{number}", random.normal(size=12)) for kind in "ab" for number in range(10)]
    rows = np.array([own + random.normal(0, 0.01, 12) for _, _, own in parts for _ in range(10)])
    shown = [Named(np.zeros((2, 2), np.uint8), part, kind) for kind, part, _ in parts for _ in range(10)]
    found = sort(rows, shown)
    assert found is not None
    assert naming(found.cards).macro_f1 < 0.7


def test_folders_are_kinds_beside_a_folder_of_good_parts(tmp_path: Path, key_file: Path) -> None:
    for number in range(24):
        save(tmp_path / "caps" / "良品", f"c{number}_1.png", picture(61, number).grey)
    for kind, count in (("flash", LEAST_PARTS), ("short_shot", LEAST_PARTS), ("burn_mark", 4)):
        for number in range(count):
            save(tmp_path / "caps" / kind, f"d{number}_1.png", picture(61, 100 + number, kind).grey)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "caps"\nplanted = 24\nfamily = "texture"\n')
    words = ["fit", "vision", tmp_path / "caps", "--recipe", recipe, "--out", tmp_path / "out", "--key", key_file]
    result = CliRunner().invoke(app, [*map(str, words), "--parts", r"[cd](\d+)", "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["lacking"] == {"burn_mark": LEAST_PARTS - 4}
    assert [kind["name"] for kind in answer["card"]["kinds"]] == ["flash", "short_shot"]
    assert answer["card"]["fit"]["samples"] == 24
