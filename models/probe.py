"""Proves by which provider this machine computes, and how fast: the same small network by each, compared with the CPU.

Speed is told against the machine that the estimates of work were measured on (REFERENCE_S, two cores of an EPYC at about
2.4 GHz, one thread): 2.0 does the work in half the time.
"""

from __future__ import annotations

import time

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import BundleRefused
from models.graph import FLOAT, Graph
from models.session import Way, open_session, ways

REFERENCE_S = 0.00093
"""Seconds of one run of the network on the reference machine."""
Floats = npt.NDArray[np.float32]

_CHANNELS, _SIDE, _RUNS = 16, 128, 30
_TOLERANCE = 1e-2
"""Greatest difference from the CPU, of the largest value: providers may round otherwise, not compute otherwise."""


class Probed(msgspec.Struct, frozen=True):
    """What a probe found: the fastest provider that is proven, its speed, and why others are not.

    `no_walls`: why foreign code is not run here, "" where walls around it are proven; see `models.archive_run.prove`.
    """

    provider: str
    speed: float
    refused: dict[str, str]
    no_walls: str = "not tried"


def probe(cores: int = 1) -> Probed:
    """Run the network by every provider of this machine's runtime and return what was proven."""
    model, picture = _network(), np.random.default_rng(1).random((1, 3, _SIDE, _SIDE), dtype=np.float32)
    (expected,) = open_session(model).run(None, {"x": picture})
    found: dict[str, float] = {}
    refused: dict[str, str] = {}
    for way in ways(cores):
        try:
            found[way.provider] = _timed(model, picture, expected, way)
        except BundleRefused as error:
            refused[way.provider] = str(error)
    best = min(found, key=lambda provider: found[provider])
    return Probed(best, round(REFERENCE_S / found[best], 3), refused)


def _timed(model: bytes, picture: Floats, expected: Floats, way: Way) -> float:
    session = open_session(model, way, strict=True)
    taken = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        (answer,) = session.run(None, {"x": picture})
        taken.append(time.perf_counter() - began)
    amiss = float(np.max(np.abs(answer - expected)) / np.max(np.abs(expected)))
    if amiss > _TOLERANCE:
        raise BundleRefused("probe", f"its answer is {amiss:.1%} off the CPU's", f"其结果与 CPU 相差 {amiss:.1%}")
    return min(taken)  # others on the machine take from the rest


def _network() -> bytes:
    """Return three convolutions as ONNX."""
    dice, graph, last, depth = np.random.default_rng(0), Graph(), "x", 3
    for layer in range(3):
        weights = graph.constant(f"w{layer}", dice.normal(0, 0.2, (_CHANNELS, depth, 3, 3)))
        out = graph.node("Conv", last, weights, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        last, depth = graph.node("Relu", out), _CHANNELS
    graph.node("GlobalAveragePool", last, name="y")
    shape = (1, 3, _SIDE, _SIDE)
    return graph.model("probe", {"x": (FLOAT, shape)}, {"y": (FLOAT, (1, _CHANNELS, 1, 1))})
