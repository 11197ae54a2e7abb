"""The fitted part of the proposals: what is fitted without a vendor serves it, and the file says what was fitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.onboard.propose import Fitted, propose
from edge_agent.onboard.propose_confidence import FEATURES, load_confidence
from edge_agent.onboard.propose_pairs import PAIR_SIGNALS
from edge_agent.onboard.propose_rank import NONE, Weights, load_weights, pack, rank
from protocols.dictionary.entries import load_dictionary
from tests.benchmarks.mapping import figures, naive
from tests.benchmarks.mapping_fit import examples, fit_ranking
from tests.benchmarks.mapping_lists import DEVICE_MAPS, device_maps
from tests.benchmarks.mapping_masked import masked, vendors_of_spellings
from tests.benchmarks.minimum import minimum


@pytest.mark.skipif(not DEVICE_MAPS.exists(), reason="the development set (../shared/data/device-maps) is not here")
def test_vendors_are_served_by_what_others_taught() -> None:
    devices = device_maps()
    others, asked = devices[::2], [one for one in devices[1::2] if one.vendor not in {o.vendor for o in devices[::2]}]
    fitted = Fitted(fit_ranking(examples(others), steps=25), load_confidence())
    mapped = [
        (one, {a: (p.property, p.confidence) for a, p in propose(one.points, fitted=fitted).items()}) for one in asked
    ]
    found, peer = figures(mapped), figures([(one, naive(one.points)) for one in asked])
    assert found.top1 >= 0.85
    assert found.sure_right >= 0.95
    assert found.false_mapping <= 0.07
    assert peer.top1 < found.top1 - 0.2
    assert peer.false_mapping > found.false_mapping


def test_the_file_is_of_this_dictionary_and_these_signals() -> None:
    weights = load_weights()
    assert weights.entries == (NONE, *load_dictionary().collected)
    assert len(weights.of_pair) == len(PAIR_SIGNALS)
    assert load_confidence().keys() == set(FEATURES)
    assert len(pack(weights)) < 100_000


def test_words_that_only_one_vendor_uses_are_masked_and_no_point_is_lost() -> None:
    lists = device_maps()[:6] if DEVICE_MAPS.exists() else []
    vendors = vendors_of_spellings(lists)
    for one in lists:
        found = masked(one, vendors)
        assert [point.address for point in found.points] == [point.address for point in one.points.points]
        assert found == masked(one, vendors)
    assert not lists or any(masked(one, vendors) != one.points for one in lists)


@settings(max_examples=50, deadline=None)
@given(
    own=st.dictionaries(st.sampled_from("abc"), st.integers(-127, 127), max_size=3),
    numbers=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
)
def test_chances_add_up_and_follow_the_weights(own: dict[str, int], numbers: list[float]) -> None:
    weights = Weights(
        ("none", "a", "b", "c"),
        0.01,
        {"said": (bytes("nabc".index(code) for code in own), bytes(worth % 256 for worth in own.values()))},
        (1.0,),
    )
    ranked, none = rank(
        {"said": 1.0, "never heard": 1.0}, dict(zip("abc", [(n,) for n in numbers], strict=True)), weights
    )
    assert sum(one.chance for one in ranked) + none == pytest.approx(1.0)
    utility = {code: n + 0.01 * own.get(code, 0) for code, n in zip("abc", numbers, strict=True)}
    for one in ranked:
        assert one.chance / none == pytest.approx(np.exp(utility[one.code]), rel=1e-6)
        assert weights.worth("said", 1.0).get(one.code, 0.0) == pytest.approx(0.01 * own.get(one.code, 0))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_least_cost_is_found(size: int, seed: int) -> None:
    noise = np.random.default_rng(seed)
    half = noise.normal(size=(size, size))
    curve, slope = half @ half.T + np.eye(size), noise.normal(size=size)
    found = minimum(lambda x: (float(0.5 * x @ curve @ x - slope @ x), curve @ x - slope), np.zeros(size), 200)
    assert found == pytest.approx(np.linalg.solve(curve, slope), abs=1e-3)
