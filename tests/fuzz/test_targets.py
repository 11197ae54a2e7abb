"""Whatever bytes come from outside, every reader gives a value or its own refusal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

PATCHES = st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=6), st.booleans()), max_size=5)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_end_in_a_value_or_a_refusal(name: str) -> None:
    run, seeds = TARGETS[name]
    given_bytes = seeds()
    for seed in given_bytes:
        run(seed)

    @settings(max_examples=50, deadline=None)
    @given(seed=st.sampled_from([*given_bytes, b""]), patches=PATCHES, noise=st.binary(max_size=60))
    def damaged(seed: bytes, patches: list[tuple[int, bytes, bool]], noise: bytes) -> None:
        data = bytearray(seed or noise)
        for place, patch, inserted in patches:
            at = place % (len(data) + 1)
            data[at : at if inserted else at + len(patch)] = patch
        run(bytes(data))

    damaged()
