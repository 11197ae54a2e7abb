"""One reading's step of a model of remaining life as an ONNX graph: the inputs and outputs of a health model, and cycles."""

from __future__ import annotations

import numpy as np

from models.graph import FLOAT, INT64, Graph, Signature
from models.series.remaining import EDGES, Remaining


def remaining_model(name: str, model: Remaining, review: float, reject: float) -> bytes:
    """Return the graph of `model`; its score is the share of the cap that is used up, and these are the limits of that."""
    count = len(model.mean)
    graph = Graph()
    one, zero = graph.constant("one", [1.0]), graph.constant("zero", [0.0])
    apart = graph.node("Sub", "values", graph.constant("mean", model.mean))
    reading = graph.node("Div", apart, graph.constant("spread", model.spread))
    twice = graph.node("Concat", reading, reading, axis=0)
    unknown = graph.node("IsNaN", "state")
    known = graph.node("Where", unknown, zero, "state")
    now = graph.node("Where", graph.node("IsNaN", twice), known, twice)
    before = graph.node("Where", unknown, now, "state")
    steps = graph.constant("steps", np.repeat(model.steps, count))
    moved = graph.node("Mul", graph.node("Sub", now, before), steps)
    state = graph.node("Add", before, moved, name="next_state")

    at = row = graph.node("Reshape", state, graph.shape("row", 1, 2 * count))
    for number, (weights, offsets) in enumerate(model.layers):
        at = graph.node("MatMul", at, graph.constant(f"weights_{number}", weights))
        at = graph.node("Add", at, graph.constant(f"offsets_{number}", offsets))
        if number + 1 < len(model.layers):
            at = graph.node("Tanh", at)
    share = graph.node("Max", graph.node("Reshape", at, graph.shape("single", 1)), zero)
    # min(share, 1) = 1 - max(1 - share, 0), of operators a bundle may have
    score = graph.node("Max", graph.node("Sub", one, share), zero, name="score")
    share = graph.node("Sub", one, score)

    cap = graph.constant("cap", [model.cap])
    cycles = graph.node("Mul", share, cap)
    above = graph.node("Cast", graph.node("Greater", share, graph.constant("edges", EDGES)), to=FLOAT)
    ends = []
    for end, offset in (("low", model.low), ("high", model.high)):
        grown = graph.node("Mul", above, graph.constant(f"{end}_steps", np.diff(offset)))
        added = graph.node("ReduceSum", grown, graph.shape(f"{end}_axis", 0), keepdims=1)
        whole = graph.node("Add", graph.node("Add", added, graph.constant(f"{end}_first", offset[:1])), cycles)
        left = graph.node("Max", graph.node("Sub", cap, graph.node("Max", whole, zero)), zero)
        ends.append(graph.node("Sub", cap, left))
    graph.node("Concat", cycles, *ends, axis=0, name="remaining")

    quick = graph.node("MatMul", row, graph.constant("quick", np.eye(2 * count, count)))
    graph.node("Reshape", quick, graph.shape("each", count), name="contributions")
    limits = graph.constant("limits", [review, reject])
    beyond = graph.node("Cast", graph.node("Greater", score, limits), to=INT64)
    graph.node("ReduceSum", beyond, graph.shape("all", 0), keepdims=1, name="verdict")
    graph.node("Identity", limits, name="limits_used")
    return graph.model(name, *signature(count))


def signature(sensors: int) -> tuple[Signature, Signature]:
    """Return inputs and outputs of the graph for so many sensors."""
    each_sensor, state = (FLOAT, (sensors,)), (FLOAT, (2 * sensors,))
    return (
        {"values": each_sensor, "state": state},
        {
            "score": (FLOAT, (1,)),
            "contributions": each_sensor,
            "verdict": (INT64, (1,)),
            "next_state": state,
            "limits_used": (FLOAT, (2,)),
            "remaining": (FLOAT, (3,)),
        },
    )
