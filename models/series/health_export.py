"""One reading's step of a health model as an ONNX graph: sensors and state in; score, contributions, verdict, state out.

The state is the caller's to keep, so that the graph has none and any number of machines can share it. What may be
recalibrated is a named initialiser (`far`, `furthest`, `limits`).
"""

from __future__ import annotations

from models.graph import FLOAT, INT64, Graph, Signature
from models.series.health import Health
from models.series.spectrum import Spectrum
from models.series.spectrum_export import feature_nodes


def health_model(name: str, model: Health, review: float, reject: float, spectrum: Spectrum | None = None) -> bytes:
    """Return the graph of `model` with these limits; its verdict is 0 pass, 1 review, 2 reject.

    With a `spectrum` its values are a block of vibration, and the sensors the features of it.
    """
    count = len(model.mean)
    graph = Graph()
    read = feature_nodes(graph, spectrum, "values") if spectrum else "values"
    apart = graph.node("Sub", read, graph.constant("mean", model.mean))
    reading = graph.node("Div", apart, graph.constant("spread", model.spread))
    centre = graph.constant("centre", model.centre)
    unknown = graph.node("IsNaN", "state")
    known = graph.node("Where", unknown, centre, "state")
    now = graph.node("Where", graph.node("IsNaN", reading), known, reading)
    before = graph.node("Where", unknown, now, "state")
    step = graph.node("Mul", graph.node("Sub", now, before), graph.constant("step", model.step))
    average = graph.node("Add", before, step, name="next_state")
    away = graph.node("Sub", average, centre)
    column = graph.node("Reshape", away, graph.shape("column", count, 1))
    white = graph.node("MatMul", graph.constant("whitening", model.whitening), column)
    distance = graph.node("Sqrt", graph.node("ReduceSumSquare", white, axes=[0], keepdims=0))
    far = graph.node("Div", distance, graph.constant("far", [model.far]))
    if model.rest is None:
        each = graph.node("Div", away, graph.constant("scale", model.width))
    else:
        left = graph.node("MatMul", graph.constant("rest", model.rest), column)
        each = graph.node("Reshape", left, graph.shape("row", count))
    graph.node("Div", each, graph.constant("furthest", [model.furthest]), name="contributions")
    if model.rest is None:
        furthest = graph.node("ReduceMax", graph.node("Abs", "contributions"), axes=[0], keepdims=1)
    else:
        furthest = graph.node("Sqrt", graph.node("ReduceSumSquare", "contributions", axes=[0], keepdims=1))
    graph.node("Max", far, furthest, name="score")
    limits = graph.constant("limits", [review, reject])
    above = graph.node("Cast", graph.node("Greater", "score", limits), to=INT64)
    graph.node("ReduceSum", above, graph.shape("all", 0), keepdims=1, name="verdict")
    graph.node("Identity", limits, name="limits_used")
    return graph.model(name, *signature(count, spectrum.samples * len(spectrum.levels) if spectrum else count))


def signature(sensors: int, values: int) -> tuple[Signature, Signature]:
    """Return inputs and outputs of the graph for so many sensors, made of so many values."""
    each_sensor = (FLOAT, (sensors,))
    return (
        {"values": (FLOAT, (values,)), "state": each_sensor},
        {
            "score": (FLOAT, (1,)),
            "contributions": each_sensor,
            "verdict": (INT64, (1,)),
            "next_state": each_sensor,
            "limits_used": (FLOAT, (2,)),
        },
    )
