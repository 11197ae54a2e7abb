"""Ranks the entries a point may be: the chance of each, and of none, from what the point says and how near the entries come.

A conditional logit model (McFadden 1974). The utility of an entry is the sum of its own weights for what the point says
(`propose_signals.point_signals`) and of weights common to all entries for how near it comes (`pair_signals`); that of "no
entry" has weights of its own only. Chances are the softmax of the utilities. The weights are fitted by
`python -m tests.benchmarks.mapping_fit` on labelled point lists and packed into `propose_rank.bin`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec

NONE = "none"
"""Stands in the place of an entry where none fits."""


class Weights(msgspec.Struct, frozen=True):
    """`of_signal`: signal -> (entries by place in `entries`, their weights as signed bytes in units of `step`).

    `of_pair`: the weights common to all entries, in the order of PAIR_SIGNALS. `entries` begins with "none".
    """

    entries: tuple[str, ...]
    step: float
    of_signal: Mapping[str, tuple[bytes, bytes]]
    of_pair: tuple[float, ...]

    def worth(self, signal: str, strength: float) -> dict[str, float]:
        """Return what `signal` adds to the utility of each entry that it tells something of."""
        places, weights = self.of_signal.get(signal, (b"", b""))
        unit = self.step * strength
        return {
            self.entries[place]: unit * (weight - 256 if weight > 127 else weight)
            for place, weight in zip(places, weights, strict=True)
        }


class Ranked(msgspec.Struct, frozen=True):
    """One entry that a point may be, with its chance 0..1."""

    code: str
    chance: float


def rank(
    signals: Mapping[str, float], pairs: Mapping[str, Sequence[float]], weights: Weights
) -> tuple[list[Ranked], float]:
    """Return (the entries of `pairs`, the likeliest first; the chance that none of them is right)."""
    utility = {NONE: 0.0}
    for code, numbers in pairs.items():
        utility[code] = sum(weight * number for weight, number in zip(weights.of_pair, numbers, strict=True) if number)
    for signal, strength in signals.items():
        places, worths = weights.of_signal.get(signal, (b"", b""))
        unit = weights.step * strength
        for place, worth in zip(places, worths, strict=True):
            code = weights.entries[place]
            if code in utility:
                utility[code] += unit * (worth - 256 if worth > 127 else worth)
    highest = max(utility.values())
    power = {code: math.exp(one - highest) for code, one in utility.items()}
    total = sum(power.values())
    ranked = sorted(
        (Ranked(code, one / total) for code, one in power.items() if code != NONE),
        key=lambda one: (-one.chance, one.code),
    )
    return ranked, power[NONE] / total


def pack(weights: Weights) -> bytes:
    """Return `weights` as the content of a file."""
    return zlib.compress(msgspec.msgpack.encode(weights), 9)


@lru_cache(maxsize=1)
def load_weights() -> Weights:
    """Return the fitted weights of this package; read once per process."""
    packed = files("edge_agent.onboard").joinpath("propose_rank.bin").read_bytes()
    return msgspec.msgpack.decode(zlib.decompress(packed), type=Weights)
