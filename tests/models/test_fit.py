"""Fitting: the same bytes every time, the graph equal to its definition, honest about too little material."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.bundle import Bundle
from models.errors import InputError
from models.release import Release
from models.session import open_session
from models.vision.detector import Detector
from models.vision.export import feature_model
from models.vision.features import features
from models.vision.fit import PARITY_LIMIT, PARITY_PICTURES, fit
from models.vision.parts import Parts
from models.vision.pictures import Grey
from models.vision.planted import plant
from models.vision.recipe import Recipe, load_recipe
from models.vision.zoo import zoo_names, zoo_recipe

SMALL = Recipe("small", size=64, scales=2, grid=8, planted=60)


def parts(names: Iterable[object]) -> Parts:
    return Parts("listed", [str(name) for name in names])


def small_pictures(count: int, seed: int = 0) -> list[Grey]:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, 64)[:, None] + np.zeros(64)
    return [np.clip(ramp + rng.normal(0, 8, (64, 64)), 0, 255).astype(np.uint8) for _ in range(count)]


def test_two_fits_give_the_same_bytes() -> None:
    greys, shown = small_pictures(40), parts(n // 2 for n in range(40))
    assert fit(greys, shown, SMALL) == fit(greys, shown, SMALL)


def test_the_zoo_is_released(release: Release) -> None:
    assert release.card.fit.parity <= PARITY_LIMIT
    assert release.card.fit.parity_samples >= PARITY_PICTURES
    assert not release.card.review.provisional
    assert not release.card.reject.provisional
    assert len(release.onnx) < 3_000_000


def test_every_recipe_of_the_zoo_is_valid() -> None:
    assert zoo_names()
    for name in zoo_names():
        assert zoo_recipe(name).name == name


@settings(max_examples=40, deadline=None)
@given(picture=arrays(np.uint8, (64, 64), elements=st.integers(0, 255), fill=st.integers(0, 255)))
def test_graph_and_definition_agree_on_any_picture(picture: Grey) -> None:
    (found,) = open_session(feature_model(SMALL)).run(["features"], {"picture": picture})
    np.testing.assert_allclose(found, features(picture, SMALL), atol=2e-4)


def test_exposure_does_not_count() -> None:
    picture = small_pictures(1)[0]
    darker = (picture * 0.6).astype(np.uint8)
    assert np.abs(features(picture, SMALL) - features(darker, SMALL)).mean() < 0.05


@pytest.mark.parametrize(("count", "of_parts"), [(19, 19), (30, 1)])
def test_too_little_material_is_refused(count: int, of_parts: int) -> None:
    with pytest.raises(InputError, match="too few"):
        fit(small_pictures(count), parts(n % of_parts for n in range(count)), SMALL)


def test_planted_defects_are_where_the_mask_says() -> None:
    picture, other = small_pictures(2)
    random = np.random.default_rng(1)
    seen = 0.0
    for _ in range(60):
        flawed, mask = plant(picture, other, random)
        assert (flawed[mask == 0].astype(int) - picture[mask == 0]).std() < picture.std() / 4
        seen += mask.mean() > 0
    assert seen > 50


def test_a_member_that_finds_nothing_is_left_out() -> None:
    """Noise without end: no planted defect can be told from it by what is usual, and the card says what counts."""
    noise = np.random.default_rng(3)
    greys = [noise.integers(0, 256, (64, 64), dtype=np.uint8) for _ in range(24)]
    evidence = fit(greys, parts(range(24)), SMALL).card.fit.members
    best = max(member.found for member in evidence)
    assert [member.kept for member in evidence] == [member.found >= min(0.6, best) for member in evidence]
    assert any(member.kept for member in evidence)


def test_few_parts_make_limits_provisional() -> None:
    card = fit(small_pictures(30), parts(n // 2 for n in range(30)), SMALL).card
    assert card.review.provisional
    assert card.reject.provisional
    assert card.reject.high > 0.1  # 15 parts say little about a share of 1 %


def test_a_wrong_graph_is_not_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate is what stands between a change to one of the two definitions and a factory."""
    monkeypatch.setattr("models.vision.features.ENERGY_FLOOR", 0.06)
    with pytest.raises(InputError) as caught:
        fit(small_pictures(30), parts(range(30)), SMALL)
    assert caught.value.reason == "parity"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "x"\nkernel = 8', "kernel must be odd"),
        ('name = "x"\nsize = 100', "multiple of grid"),
        ('name = "x"\nshrink = 0.0', "shrink"),
        ('name = "x"\nreject_rate = 0.2', "reject_rate"),
        ('name = "x"\nkernal = 9', "kernal"),
        ("kernel = 9", "name"),
        ("name = ", "Invalid value"),
    ],
)
def test_a_wrong_recipe_names_its_fault(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        load_recipe(path)


def test_a_recipe_is_kept_in_the_card(release: Release) -> None:
    kept = {"name": release.card.name, "version": release.card.version} | release.card.fit.recipe
    assert msgspec.convert(kept, Recipe) == zoo_recipe("part-surface")


def test_a_mask_says_where_to_look_and_what_lies_beside_counts_for_nothing() -> None:
    rng = np.random.default_rng(5)

    def beside(grey: Grey) -> Grey:
        changed = grey.copy()
        changed[:, 32:] = rng.integers(0, 256, (64, 32))
        return changed

    greys = [beside(grey) for grey in small_pictures(60)]
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    release = fit(greys, parts(range(60)), SMALL, mask=mask)
    assert release.card.fit.looked_at == 0.5
    detector = Detector(Bundle(release.card, release.onnx, "", ""))
    good = beside(small_pictures(1, seed=9)[0])
    flawed = good.copy()
    flawed[20:32, 10:22] = 0
    assert detector.inspect(good).verdict == "pass"
    assert detector.inspect(flawed).verdict == "reject"
    elsewhere = good.copy()
    elsewhere[20:32, 44:56] = 0
    assert detector.inspect(elsewhere).verdict == "pass"
    assert detector.inspect(elsewhere).heatmap[:, 4:].max() < 0
    with pytest.raises(InputError, match="leaves 0 of 64 cells"):
        fit(greys, parts(range(60)), SMALL, mask=np.zeros_like(mask))
