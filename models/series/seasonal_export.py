"""One reading's step of a seasonal model as an ONNX graph: value, place and state in; band, verdict, forecast, state out."""

from __future__ import annotations

import numpy as np

from models.graph import FLOAT, INT64, Graph, Signature
from models.series.seasonal import WILD, Doubles, Seasonal


def seasonal_model(name: str, model: Seasonal, review: float, reject: float) -> bytes:
    """Return the graph of `model` with these limits, in spreads; its verdict is 0 pass, 1 review, 2 reject.

    `ahead` is what is expected at each place of the season to come; a state of NaN is that of the fit.
    """
    places = len(model.start.profile)
    graph = Graph()
    profile, spread, level = (
        graph.node("Where", graph.node("IsNaN", part), graph.constant(f"start_{part}", value), part)
        for part, value in zip(("profile", "spread", "level"), _parts(model), strict=True)
    )
    edges = np.arange(places)
    after, past = (
        graph.node("Cast", graph.node("Greater", "slot", graph.constant(edge, value)), to=FLOAT)
        for edge, value in (("begin", edges - 0.5), ("end", edges + 0.5))
    )
    here = graph.node("Sub", after, past)
    axis = graph.shape("axis", 0)
    expected = graph.node(
        "Add",
        graph.node("ReduceSum", graph.node("Mul", here, profile), axis, keepdims=1),
        level,
        name="expected",
    )
    floor = graph.constant("floor", [model.floor])
    # The floor only for a place that there is none of, as in a trial run.
    usual = graph.node("Max", graph.node("ReduceSum", graph.node("Mul", here, spread), axis, keepdims=1), floor)
    value = graph.node("Where", graph.node("IsNaN", "values"), expected, "values")
    read = graph.node("Sub", graph.constant("one", [1.0]), graph.node("Cast", graph.node("IsNaN", "values"), to=FLOAT))
    apart = graph.node("Sub", value, expected)
    far = graph.node("Abs", apart)
    graph.node("Div", far, usual, name="score")

    most = graph.node("Mul", graph.constant("clip", [model.clip]), usual)
    least = graph.node("Mul", graph.constant("minus", [-1.0]), most)
    moved = _smaller(graph, graph.node("Max", apart, least), most)
    step = graph.constant("step", [model.step])
    shift = graph.node("Mul", here, graph.node("Mul", step, moved))
    known = graph.node("Add", profile, shift, name="next_profile")
    height = graph.node(
        "Add", level, graph.node("Mul", graph.constant("level_step", [model.level_step]), moved), name="next_level"
    )
    size = _smaller(graph, far, graph.node("Mul", graph.constant("wild", [WILD]), usual))
    growth = graph.node("Mul", graph.node("Mul", step, read), graph.node("Sub", size, usual))
    grown = graph.node("Add", spread, graph.node("Mul", here, growth))
    graph.node("Max", grown, floor, name="next_spread")
    graph.node("Add", known, height, name="ahead")

    limits = graph.constant("limits", [review, reject])
    band = graph.node("Mul", usual, graph.constant("band", [review]))
    graph.node("Sub", expected, band, name="low")
    graph.node("Add", expected, band, name="high")
    above = graph.node("Cast", graph.node("Greater", "score", limits), to=INT64)
    graph.node("ReduceSum", above, axis, keepdims=1, name="verdict")
    graph.node("Identity", limits, name="limits_used")
    return graph.model(name, *signature(places))


def signature(places: int) -> tuple[Signature, Signature]:
    """Return inputs and outputs of the graph for so many places."""
    one, each = (FLOAT, (1,)), (FLOAT, (places,))
    return (
        {"values": one, "slot": one, "profile": each, "spread": each, "level": one},
        {
            "score": one,
            "verdict": (INT64, (1,)),
            "expected": one,
            "low": one,
            "high": one,
            "ahead": each,
            "next_profile": each,
            "next_spread": each,
            "next_level": one,
            "limits_used": (FLOAT, (2,)),
        },
    )


def _parts(model: Seasonal) -> tuple[Doubles, Doubles, Doubles]:
    return model.start.profile, model.start.spread, np.reshape(model.start.level, 1)


def _smaller(graph: Graph, one: str, other: str) -> str:
    """min(a, b) = b - max(b - a, 0), of operators a bundle may have."""
    zero = f"zero_{len(graph.nodes)}"
    return graph.node("Sub", other, graph.node("Max", graph.node("Sub", other, one), graph.constant(zero, [0.0])))
