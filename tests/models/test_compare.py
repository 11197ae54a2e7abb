"""Comparing with a taught reference: laid over it, told apart from it, and never passed where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.bundle import Bundle, check_onnx
from models.errors import InputError
from models.evaluate import auroc
from models.release import Release
from models.session import open_session
from models.vision.compare import Tolerance, maps
from models.vision.compare_export import difference_model
from models.vision.detector import Detector
from models.vision.fit import COMPARED_LIMIT, fit
from models.vision.parts import Parts
from models.vision.pictures import Grey
from models.vision.recalibrate import recalibrate
from models.vision.recipe import Recipe
from models.vision.registration import difference, places, registration, standardised, warped
from tests.doubles.printed_label import DEFECTS, Defect, picture

SMALL = Recipe("label", size=128, grid=8, planted=40)


def label(part: int, defect: Defect | None = None, seed: int = 5) -> Grey:
    return np.asarray(Image.fromarray(picture(seed, part, defect)).resize((128, 128), Image.Resampling.BOX), np.uint8)


def parts(count: int) -> Parts:
    return Parts("listed", [str(number) for number in range(count)])


@pytest.fixture(scope="module")
def labels() -> Release:
    return fit([label(part) for part in range(40)], parts(40), SMALL)


@pytest.fixture(scope="module")
def detector(labels: Release) -> Detector:
    return Detector(Bundle(labels.card, labels.onnx, "", ""))


@settings(max_examples=12, deadline=None)
@given(
    right=st.floats(-0.06, 0.06), down=st.floats(-0.06, 0.06), turn=st.floats(-0.06, 0.06), scale=st.floats(0.98, 1.02)
)
def test_a_motion_is_found_again(right: float, down: float, turn: float, scale: float) -> None:
    template = standardised(label(0))
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    motion = np.array([[*turned[0], right], [*turned[1], down], [0, 0, 1]])
    moved = warped(template, np.linalg.inv(motion), places(128)).reshape(128, 128)
    _, found = difference(moved, registration(template))
    corners = np.array([[-0.8, -0.8, 1], [0.8, -0.8, 1], [0, 0.8, 1]]).T
    assert np.abs((found - motion) @ corners).max() * 64 < 0.25  # pixels


@pytest.mark.parametrize("grey", [label(3), label(3, "missing"), label(7)])
def test_the_graph_lays_over_what_the_definition_does(grey: Grey) -> None:
    known = registration(standardised(label(0)))
    (found,) = open_session(difference_model(SMALL, known)).run(["difference"], {"picture": grey})
    np.testing.assert_allclose(found, difference(standardised(grey), known)[0], atol=1e-4)


def test_labels_are_compared_because_that_finds_more(labels: Release) -> None:
    found = {member.name: member for member in labels.card.fit.members}
    assert labels.card.fit.family == "compare"
    assert found["compare"].kept
    assert not found["usual"].kept
    assert found["compare"].found > max(found["usual"].found, found["taught"].found)
    assert labels.card.fit.parity <= COMPARED_LIMIT
    check_onnx(labels.onnx, labels.card)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_print_is_found_and_a_good_label_passes(detector: Detector, defect: Defect) -> None:
    good = [detector.inspect(label(100 + part)) for part in range(20)]
    bad = [detector.inspect(label(200 + part, defect)) for part in range(20)]
    assert all(finding.aligned for finding in good)
    assert np.mean([finding.verdict == "pass" for finding in good]) >= 0.8
    # A scratch is half a pixel wide at this size.
    least = 0.6 if defect == "scratch" else 0.9
    assert auroc([finding.score for finding in good], [finding.score for finding in bad]) > least


def _blank() -> Grey:
    return np.full((128, 128), 180, np.uint8)


def _noise() -> Grey:
    return np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)


@pytest.mark.parametrize("strange", [_blank(), _noise(), np.rot90(label(1), 2).copy(), label(1)[:, ::-1].copy()])
def test_what_cannot_be_laid_over_goes_to_review(detector: Detector, strange: Grey) -> None:
    finding = detector.inspect(strange)
    assert not finding.aligned
    assert finding.verdict == "review"
    assert finding.review <= finding.score <= finding.reject


def test_half_the_print_missing_does_not_pass(detector: Detector) -> None:
    half = label(1).copy()
    half[:, 64:] = 200
    assert detector.inspect(half).verdict != "pass"


def test_light_from_one_side_does_not_count(detector: Detector) -> None:
    usual = label(300)
    lit = np.clip(usual * np.linspace(0.8, 1.15, 128)[None], 0, 255).astype(np.uint8)
    assert detector.inspect(lit).verdict == "pass"


def test_pictures_that_do_not_lie_over_each_other_are_not_compared() -> None:
    rng = np.random.default_rng(1)
    loose = [np.kron(rng.integers(0, 256, (16, 16)), np.ones((8, 8))).astype(np.uint8) for _ in range(24)]
    assert fit(loose, parts(24), SMALL).card.fit.family == "gabor-usual-taught"
    with pytest.raises(InputError, match="cannot be laid over") as caught:
        fit(loose, parts(24), Recipe("label", size=128, grid=8, planted=40, family="compare"))
    assert caught.value.reason == "not_alike"


def test_what_lies_beside_the_mask_counts_for_nothing() -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[:, :64] = 255
    recipe = Recipe("label", size=128, grid=8, planted=40, family="compare")
    release = fit([label(part) for part in range(40)], parts(40), recipe, mask=mask)
    assert [member.name for member in release.card.fit.members] == ["compare"]
    detector = Detector(Bundle(release.card, release.onnx, "", ""))
    beside = label(300).copy()
    usual = detector.inspect(beside).score
    beside[50:70, 90:110] = 0
    found = detector.inspect(beside)
    assert found.aligned
    assert found.score < max(found.review, usual + 1)
    beside[50:70, 20:40] = 0
    assert detector.inspect(beside).verdict == "reject"


def test_a_lone_pixel_is_nothing_and_a_thin_line_is_something() -> None:
    tolerance = Tolerance(np.full((128, 128), 10, np.float32), np.full((16, 16), 1e-3, np.float32))
    lone, line = np.zeros((128, 128)), np.zeros((128, 128))
    lone[40, 40] = 1
    line[40, 40:46] = 1
    assert maps(lone, tolerance, SMALL)[0].max() == 0
    assert maps(line, tolerance, SMALL)[0].max() > 2


def test_new_limits_leave_the_reference_as_it_is(labels: Release, detector: Detector) -> None:
    bundle = Bundle(labels.card, labels.onnx, "", "")
    again = recalibrate(bundle, [label(400 + part) for part in range(24)], parts(24), "2")
    other = Detector(Bundle(again.card, again.onnx, "", ""))
    flawed = label(500, "wrong_letter")
    assert other.inspect(flawed).aligned
    assert not other.inspect(_blank()).aligned
    assert again.card.review.value != labels.card.review.value


def test_a_size_that_cannot_be_compared_is_told() -> None:
    with pytest.raises(InputError, match="multiple of 64"):
        fit([], parts(0), Recipe("label", size=96, scales=2, grid=8, family="compare"))


def test_structure_is_looked_at_once_the_picture_is_laid_over() -> None:
    recipe = Recipe("label", size=128, grid=8, planted=40, family="aligned")
    release = fit([label(part) for part in range(40)], parts(40), recipe)
    assert (release.card.fit.family, release.card.fit.members[0].name) == ("aligned", "aligned")
    assert release.card.fit.parity <= COMPARED_LIMIT
    check_onnx(release.onnx, release.card)
    detector = Detector(Bundle(release.card, release.onnx, "", ""))
    moved = np.roll(label(300), (4, -4), (0, 1))
    assert detector.inspect(moved).aligned
    assert detector.inspect(moved).verdict == "pass"
    assert detector.inspect(_blank()).verdict == "review"
    moved[40:60, 40:60] = 0
    assert detector.inspect(moved).verdict == "reject"
