"""The features of a block of vibration as nodes of an ONNX graph, as `spectrum` defines them."""

from __future__ import annotations

import numpy as np

from models.graph import Graph
from models.series.spectrum import FLOOR, LEAST_SHARE, SEGMENT, TAPS, Lines, Spectrum


def feature_nodes(graph: Graph, spectrum: Spectrum, block: str) -> str:
    """Add what makes the features of `block` (samples); return the name of the features."""
    floor = graph.constant("least", [FLOOR])
    middle = graph.node("ReduceMean", block, axes=[0], keepdims=1)
    even = graph.node("Div", graph.node("Sub", block, middle), graph.constant("level", [spectrum.level]))
    squares = graph.node("Mul", even, even)
    energy = graph.node("Add", graph.node("ReduceMean", squares, axes=[0], keepdims=1), floor)
    half = graph.constant("half", [0.5])

    def log(value: str, least: str = floor) -> str:
        return graph.node("Log", graph.node("Add", value, least))

    rms = graph.node("Mul", graph.node("Log", energy), half)
    peak = graph.node("ReduceMax", squares, axes=[0], keepdims=1)
    crest = graph.node("Mul", log(graph.node("Div", peak, energy)), half)
    fourth = graph.node("ReduceMean", graph.node("Mul", squares, squares), axes=[0], keepdims=1)
    kurtosis = log(graph.node("Div", fourth, graph.node("Mul", energy, energy)))

    row = graph.node("Reshape", even, graph.shape("channel", 1, 1, spectrum.samples))
    waves = graph.constant("waves", spectrum.waves[:, None, :])
    frames = graph.node("Conv", row, waves, strides=[SEGMENT // 2])
    power = graph.node("ReduceMean", graph.node("Mul", frames, frames), axes=[2], keepdims=0)
    octaves = graph.node("MatMul", power, graph.constant("bands", spectrum.bands))
    count = spectrum.bands.shape[1]
    found = [rms, crest, kurtosis, log(graph.node("Reshape", octaves, graph.shape("octaves", count)))]
    if spectrum.turns:
        found.append(log(_strengths(graph, spectrum.turns, even, "turns")))
    if spectrum.faults:
        ring = graph.constant("ring", np.ascontiguousarray(spectrum.ring[::-1])[None, None, :])
        rung = graph.node("Reshape", graph.node("Conv", row, ring), graph.shape("rung", spectrum.samples - TAPS + 1))
        squared = graph.node("Mul", rung, rung)
        beats = graph.node("Sub", squared, graph.node("ReduceMean", squared, axes=[0], keepdims=1))
        spread = graph.node("ReduceMean", graph.node("Mul", beats, beats), axes=[0], keepdims=1)
        share = graph.node("Div", _strengths(graph, spectrum.faults, beats, "faults"), graph.node("Add", spread, floor))
        found.append(log(share, graph.constant("least_share", [LEAST_SHARE])))
    return graph.node("Concat", *found, axis=0, name="features")


def _strengths(graph: Graph, lines: Lines, signal: str, name: str) -> str:
    features, harmonics, candidates = lines.shape
    row = graph.node("Reshape", signal, graph.shape(f"{name}_row", 1, len(lines.waves)))
    pairs = graph.node("MatMul", row, graph.constant(f"{name}_waves", lines.waves))
    split = graph.node("Reshape", pairs, graph.shape(f"{name}_pairs", 2, -1))
    power = graph.node("ReduceSumSquare", split, axes=[0], keepdims=0)
    grouped = graph.node("Reshape", power, graph.shape(f"{name}_groups", features, harmonics, candidates))
    highest = graph.node("ReduceMax", grouped, axes=[2], keepdims=0)
    return graph.node("ReduceSum", highest, graph.shape(f"{name}_axis", 1), keepdims=0)
