"""What names a defect, as further nodes of the graph that finds it."""

from __future__ import annotations

import numpy as np

from models.graph import FLOAT, INT64, Graph, Output
from models.vision.features import Floats
from models.vision.sort import SPECK, Head, near, ranks


def kind_nodes(graph: Graph, features: str, raw: str, where: Floats, head: Head) -> dict[str, Output]:
    """Add what `sort.chances_of` computes of features (cells, dimensions) and a raw map; returns the outputs.

    `kinds`: the probability of each; `kind`: the one that is named, -1 where it is not just one.
    """
    cells, told = len(where), ranks(where)
    share = graph.constant("own_share", (where / where.sum())[None])
    own = graph.node("MatMul", share, features)
    relative = graph.node("Sub", features, own)
    highest = graph.node(
        "ReduceMax", graph.node("Mul", relative, graph.constant("own_cells", where[:, None])), axes=[0], keepdims=1
    )
    line = graph.node("Reshape", raw, graph.shape("one_line", 1, cells))
    order = graph.sorted(line, max(*told, near(where)), "order")
    picked = np.zeros((max(*told, near(where)), len(told) + 1), np.float32)
    picked[[rank - 1 for rank in told], range(len(told))] = 1
    at = graph.node("MatMul", order, graph.constant("ranks", picked[:, :-1]))
    last = np.zeros((len(picked), 1), np.float32)
    last[near(where) - 1] = 1
    above = graph.node("Sub", line, graph.node("MatMul", order, graph.constant("last_near", last)))
    weight = graph.node("Max", above, graph.constant("nothing", 0))
    total = graph.node("ReduceSum", weight, graph.shape("of_line", 1), keepdims=1)
    top = graph.node(
        "Div", graph.node("MatMul", weight, relative), graph.node("Add", total, graph.constant("speck", SPECK))
    )
    described = graph.node("Concat", top, highest, own, at, axis=1)
    odds = graph.node("MatMul", described, graph.constant("kind_weights", head.weights))
    chances = graph.node("Softmax", graph.node("Add", odds, graph.constant("kind_bias", head.bias[None])), axis=1)
    graph.node("Reshape", chances, graph.shape("of_kinds", len(head.kinds)), name="kinds")
    within = graph.node("Cast", graph.node("Greater", chances, graph.constant("kind_floor", head.floor)), to=FLOAT)
    count = graph.node("ReduceSum", within, graph.shape("all_kinds", 1), keepdims=1)
    number = graph.node("MatMul", within, graph.constant("numbers", np.arange(len(head.kinds))[:, None]))
    apart = graph.node("Abs", graph.node("Sub", count, graph.constant("just_one", 1)))
    several = graph.node("Greater", apart, graph.constant("half", 0.5))
    named = graph.node("Where", several, graph.constant("none", -1), number)
    graph.node("Reshape", graph.node("Cast", named, to=INT64), graph.shape("just_kind", 1), name="kind")
    return {"kinds": (FLOAT, (len(head.kinds),)), "kind": (INT64, (1,))}
