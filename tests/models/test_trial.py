"""A model that costs too much is found out in a child, not in the agent."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto, TensorProto, helper

from models.bundle import Bundle, read_bundle
from models.card import TensorCard
from models.errors import BundleRefused
from models.trial import try_bundle, try_model
from tests.models.small_models import INPUT, OUTPUT, endless_loop, memory_hog, small_card, small_model


def failure(model: ModelProto, output: TensorCard = OUTPUT, deadline_s: float = 20.0) -> str:
    with pytest.raises(BundleRefused) as caught:
        try_model(model.SerializeToString(), [INPUT], [output], deadline_s)
    assert caught.value.reason == "trial"
    assert "\n" not in caught.value.en
    return caught.value.en


def test_a_good_bundle_passes(signed_bundle: Path, trust: list[str]) -> None:
    try_bundle(read_bundle(signed_bundle, trust))


def test_an_endless_loop_is_ended() -> None:
    assert "no answer within 3 s" in failure(endless_loop(), deadline_s=3)


def test_a_model_of_allowed_operators_cannot_take_the_memory() -> None:
    model = memory_hog()
    assert len(model.SerializeToString()) < 500
    card = small_card()
    with pytest.raises(BundleRefused) as caught:
        try_bundle(Bundle(card, model.SerializeToString(), "", ""))
    assert caught.value.reason == "trial"


def test_an_answer_of_another_shape() -> None:
    answer = TensorCard("score", "float32", [2, 8])
    assert "output score has shape [4, 4]" in failure(small_model(), answer)


def test_an_answer_that_is_no_number() -> None:
    cast = helper.make_node("Cast", ["picture"], ["grey"], to=TensorProto.FLOAT)
    zero = helper.make_node("Sub", ["grey", "grey"], ["zero"])
    assert "not finite" in failure(small_model(cast, zero, helper.make_node("Div", ["zero", "zero"], ["score"])))


def test_what_the_runtime_cannot_load() -> None:
    assert "cannot load" in failure(small_model(helper.make_node("NoSuchOperator", ["picture"], ["score"])))
