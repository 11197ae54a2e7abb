"""The features of a block of vibration as nodes of an ONNX graph, as `spectrum` defines them."""

from __future__ import annotations

import numpy as np

from models.graph import Graph
from models.series.spectrum import FLOOR, LEAST_SHARE, SEGMENT, TAPS, Lines, Spectrum


def feature_nodes(graph: Graph, spectrum: Spectrum, block: str) -> str:
    """Add what makes the features of `block` (samples, channel after channel); return the name of the features."""
    made, count = _Features(graph, spectrum), len(spectrum.levels)
    if count == 1:
        found = made.of(block, 0)
    else:
        found, length = [], graph.shape("samples", spectrum.samples)
        channels = graph.node("Reshape", block, graph.shape("channels", count, spectrum.samples))
        for channel, chosen in enumerate(np.eye(count)):
            # Cut out by a product: boxes run no operator for it, and a sum with noughts is exact.
            one = graph.node("MatMul", graph.constant(f"only_{channel}", chosen[None]), channels)
            found += made.of(graph.node("Reshape", one, length), channel)
    return graph.node("Concat", *found, axis=0, name="features")


class _Features:
    """What all channels of a graph share."""

    def __init__(self, graph: Graph, spectrum: Spectrum) -> None:
        self._graph, self._spectrum = graph, spectrum
        self._floor, self._half = graph.constant("least", [FLOOR]), graph.constant("half", [0.5])
        self._row_shape = graph.shape("channel", 1, 1, spectrum.samples)
        self._waves = graph.constant("waves", spectrum.waves[:, None, :])
        self._bands = graph.constant("bands", spectrum.bands)
        self._octaves = graph.shape("octaves", spectrum.bands.shape[1])
        self._turns = spectrum.turns and _Strengths(graph, spectrum.turns, "turns")
        if spectrum.faults:
            self._faults = _Strengths(graph, spectrum.faults, "faults")
            self._ring = graph.constant("ring", np.ascontiguousarray(spectrum.ring[::-1])[None, None, :])
            self._rung = graph.shape("rung", spectrum.samples - TAPS + 1)
            self._least_share = graph.constant("least_share", [LEAST_SHARE])

    def of(self, block: str, channel: int) -> list[str]:
        """Add what makes the features of one channel; return the names of their pieces."""
        graph, spectrum, floor = self._graph, self._spectrum, self._floor
        middle = graph.node("ReduceMean", block, axes=[0], keepdims=1)
        level = graph.constant(f"level_{channel}", [spectrum.levels[channel]])
        even = graph.node("Div", graph.node("Sub", block, middle), level)
        squares = graph.node("Mul", even, even)
        energy = graph.node("Add", graph.node("ReduceMean", squares, axes=[0], keepdims=1), floor)
        rms = graph.node("Mul", graph.node("Log", energy), self._half)
        peak = graph.node("ReduceMax", squares, axes=[0], keepdims=1)
        crest = graph.node("Mul", self._log(graph.node("Div", peak, energy)), self._half)
        fourth = graph.node("ReduceMean", graph.node("Mul", squares, squares), axes=[0], keepdims=1)
        kurtosis = self._log(graph.node("Div", fourth, graph.node("Mul", energy, energy)))

        row = graph.node("Reshape", even, self._row_shape)
        frames = graph.node("Conv", row, self._waves, strides=[SEGMENT // 2])
        power = graph.node("ReduceMean", graph.node("Mul", frames, frames), axes=[2], keepdims=0)
        octaves = graph.node("MatMul", power, self._bands)
        found = [rms, crest, kurtosis, self._log(graph.node("Reshape", octaves, self._octaves))]
        if self._turns:
            found.append(self._log(self._turns.of(even)))
        if spectrum.faults:
            rung = graph.node("Reshape", graph.node("Conv", row, self._ring), self._rung)
            squared = graph.node("Mul", rung, rung)
            beats = graph.node("Sub", squared, graph.node("ReduceMean", squared, axes=[0], keepdims=1))
            spread = graph.node("ReduceMean", graph.node("Mul", beats, beats), axes=[0], keepdims=1)
            share = graph.node("Div", self._faults.of(beats), graph.node("Add", spread, floor))
            found.append(self._log(share, self._least_share))
        return found

    def _log(self, value: str, least: str = "") -> str:
        return self._graph.node("Log", self._graph.node("Add", value, least or self._floor))


class _Strengths:
    """The power of lines in signals."""

    def __init__(self, graph: Graph, lines: Lines, name: str) -> None:
        self._graph = graph
        self._row = graph.shape(f"{name}_row", 1, len(lines.waves))
        self._waves = graph.constant(f"{name}_waves", lines.waves)
        self._pairs = graph.shape(f"{name}_pairs", 2, -1)
        self._groups = graph.shape(f"{name}_groups", *lines.shape)
        self._axis = graph.shape(f"{name}_axis", 1)

    def of(self, signal: str) -> str:
        """Add what finds them in `signal`; return its name."""
        graph = self._graph
        row = graph.node("Reshape", signal, self._row)
        split = graph.node("Reshape", graph.node("MatMul", row, self._waves), self._pairs)
        power = graph.node("ReduceSumSquare", split, axes=[0], keepdims=0)
        highest = graph.node("ReduceMax", graph.node("Reshape", power, self._groups), axes=[2], keepdims=0)
        return graph.node("ReduceSum", highest, self._axis, keepdims=0)
