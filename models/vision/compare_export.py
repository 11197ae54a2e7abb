"""Comparing with a taught reference as one ONNX graph, registration included: the edge needs nothing but ONNX Runtime.

A fixed number of steps takes the place of a loop, and a bilinear sampler (`GridSample`) moves the picture.
"""

from __future__ import annotations

import numpy as np

from models.graph import FLOAT, INT64, Graph, Output
from models.vision.compare import WHOLE, Reference, piece
from models.vision.export import (
    Calibration,
    feature_nodes,
    level_of,
    pool,
    raw_map_nodes,
    serialised,
    verdict_nodes,
    within_nodes,
)
from models.vision.features import Floats, dimensions
from models.vision.gaussian import SMOOTHING
from models.vision.members import Members
from models.vision.recipe import Recipe
from models.vision.registration import BOUND, FLAT, GAIN, LEVELS, Level, Registration, Search
from models.vision.sort import Head
from models.vision.sort_export import kind_nodes


def difference_model(recipe: Recipe, registration: Registration) -> bytes:
    """Return the ONNX model from picture to its `difference` to the template (float32, size x size) and `motion` (3 x 3)."""
    graph = Graph()
    rest, motion = _difference(graph, recipe, registration)
    graph.node("Reshape", rest, graph.shape("square", recipe.size, recipe.size), name="difference")
    graph.node("Transpose", motion, perm=[1, 0], name="motion")
    outputs = {"difference": (FLOAT, (recipe.size, recipe.size)), "motion": (FLOAT, (3, 3))}
    return serialised(graph, recipe, outputs)


def aligned_feature_model(recipe: Recipe, registration: Registration) -> bytes:
    """Return the ONNX model from picture to the `features` (float32, cells x dimensions) of what is laid over the template."""
    graph = Graph()
    plane = _laid_over(graph, recipe, registration, _difference(graph, recipe, registration)[0])
    graph.node("Identity", feature_nodes(graph, recipe, plane), name="features")
    return serialised(graph, recipe, {"features": (FLOAT, (recipe.grid**2, dimensions(recipe)))})


def aligned_model(
    recipe: Recipe, reference: Reference, members: Members, calibration: Calibration, head: Head | None = None
) -> bytes:
    """Return the ONNX model that looks at structure as `export.inspection_model` does, of the picture laid over the template.

    One that cannot be laid over it fares as in `comparison_model`.
    """
    graph = Graph()
    flat, _ = _difference(graph, recipe, reference.registration)
    lost = _lost(graph, reference, graph.node("Abs", flat))
    features = feature_nodes(graph, recipe, _laid_over(graph, recipe, reference.registration, flat))
    raw = raw_map_nodes(graph, recipe, members, features)
    outputs = verdict_nodes(graph, raw, recipe, calibration, lost) | _found(graph, lost)
    kinds = kind_nodes(graph, features, raw, members.where, head) if head else {}
    return serialised(graph, recipe, outputs | kinds)


def comparison_model(recipe: Recipe, reference: Reference, calibration: Calibration, head: Head | None = None) -> bytes:
    """Return the ONNX model from picture to score, heat map, verdict, limits, and `aligned`: 0 where it cannot be laid over.

    Such a picture has a flat map halfway between the limits, and so goes to review.
    """
    graph = Graph()
    side, grid = recipe.size, recipe.grid
    flat, _ = _difference(graph, recipe, reference.registration)
    size = graph.node("Abs", flat)
    lost = _lost(graph, reference, size)
    rest = graph.node("Reshape", flat, graph.shape("picture_plane", 1, 1, side, side))
    inverse = (plane[None, None] for plane in reference.tolerance)
    fine, coarse = (graph.constant(name, plane) for name, plane in zip(("fine", "coarse"), inverse, strict=True))
    by_pixel = graph.node("Mul", graph.node("Reshape", size, "picture_plane"), fine)
    opened = graph.node("Max", _opened(graph, by_pixel, [3, 1]), _opened(graph, by_pixel, [1, 3]))
    by_piece = graph.node("Mul", graph.node("Abs", pool(graph, "AveragePool", rest, piece(recipe))), coarse)
    cells = [
        pool(graph, "MaxPool", opened, side // grid),
        pool(graph, "MaxPool", by_piece, side // grid // piece(recipe)),
    ]
    both = graph.node("Log", graph.node("Add", graph.node("Concat", *cells, axis=1), graph.constant("one", 1)))
    shifted = graph.node("Sub", both, graph.constant("maps_loc", reference.loc.reshape(1, -1, 1, 1)))
    standard = graph.node("Div", shifted, graph.constant("maps_scale", reference.scale.reshape(1, -1, 1, 1)))
    raw = within_nodes(graph, graph.node("ReduceMax", standard, axes=[1], keepdims=1), reference.where, grid)
    outputs = verdict_nodes(graph, raw, recipe, calibration, lost) | _found(graph, lost)
    if head:
        outputs |= kind_nodes(graph, feature_nodes(graph, recipe, rest), raw, reference.where, head)
    return serialised(graph, recipe, outputs)


def _lost(graph: Graph, reference: Reference, size: str) -> str:
    """Add what tells of differences in size (1, pixels) whether the picture does not lie over the template, a boolean (1, 1)."""
    bounded = graph.node("Tanh", graph.node("Div", size, graph.constant("whole", WHOLE)))
    misfit = graph.node("MatMul", bounded, graph.constant("edges", reference.edges.reshape(-1, 1)))
    return graph.node("Greater", misfit, graph.constant("unlike", [[reference.unlike]]))


def _found(graph: Graph, lost: str) -> dict[str, Output]:
    """Add the output `aligned`."""
    found = graph.node("Reshape", graph.node("Cast", lost, to=INT64), graph.shape("single", 1))
    graph.node("Sub", graph.constant("all_found", [1], np.int64), found, name="aligned")
    return {"aligned": (INT64, (1,))}


def _laid_over(graph: Graph, recipe: Recipe, registration: Registration, flat: str) -> str:
    """Add what makes of a difference (1, pixels) the picture itself, laid over the template, (1, 1, side, side)."""
    known = registration.levels[-1].template[None]
    seen = graph.node("Add", flat, graph.constant("as_taught", known))
    return graph.node("Reshape", seen, graph.shape("laid_plane", 1, 1, recipe.size, recipe.size))


def _difference(graph: Graph, recipe: Recipe, registration: Registration) -> tuple[str, str]:
    """Add the nodes that compute `registration.difference`; returns the names of the (1, pixels) result and the motion, transposed."""
    graph.constant("residual_bound", BOUND)
    graph.constant("gain_bound", GAIN)
    graph.constant("unity", 1)
    graph.constant("two_rows", np.eye(3)[:, :2])
    graph.shape("three", 3, 3)
    kernel = graph.constant("pixel_smoothing", SMOOTHING[None, None])
    border = graph.shape("pixel_border", 0, 0, 1, 1, 0, 0, 1, 1)
    level = graph.node("Conv", graph.node("Pad", level_of(graph, recipe), border, mode="edge"), kernel)
    pyramid = {by: pool(graph, "AveragePool", level, by) if by > 1 else level for by, _ in LEVELS}
    motion = _begin(graph, pyramid[LEVELS[0][0]], registration.search)
    rest = ""
    for (by, steps), known in zip(LEVELS, registration.levels, strict=True):
        names = _constants(graph, by, known, recipe.size // by)
        for step in range(steps + (by == 1)):
            rest = _relit(graph, _warped(graph, pyramid[by], motion, names), names)
            if step < steps:
                small = graph.node("MatMul", _bounded(graph, rest), names["steps"])
                small = graph.node("Reshape", small, "three")
                motion = graph.node("Sub", motion, graph.node("MatMul", small, motion))
    return rest, motion


def _constants(graph: Graph, by: int, known: Level, side: int) -> dict[str, str]:
    turned = known.steps.reshape(3, 3, -1).transpose(1, 0, 2).reshape(9, -1)  # the motion is kept transposed
    parts: dict[str, Floats] = {
        "places": known.places,
        "template": known.template[None],
        "gain": known.light[:3].T,
        "offset": known.light[3:].T,
        "steps": turned.T,
    }
    names = {name: graph.constant(f"{name}_{by}", part) for name, part in parts.items()}
    return names | {
        "lines": graph.node("Transpose", names["places"], perm=[1, 0]),
        "grid": graph.shape(f"grid_{by}", 1, side, side, 2),
        "row": graph.shape(f"row_{by}", 1, side * side),
    }


def _begin(graph: Graph, level: str, search: Search) -> str:
    """Add the nodes of `registration.begin`; returns the name of the motion (3 x 3), transposed."""
    side = search.pieces.shape[-1]
    alike = graph.node("Conv", level, graph.constant("pieces", search.pieces[:, None]))
    mean, square = (
        graph.node("AveragePool", plane, kernel_shape=[side, side], strides=[1, 1])
        for plane in (level, graph.node("Mul", level, level))
    )
    spread = graph.node("Sub", square, graph.node("Mul", mean, mean))
    spread = graph.node(
        "Add", graph.node("Max", spread, graph.constant("zero", 0)), graph.constant("flatness", FLAT**2)
    )
    alike = graph.node("Div", alike, graph.node("Sqrt", spread))
    row = graph.node("Reshape", alike, graph.shape("tried", 1, len(search.motions)))
    nearly = graph.node("Sub", graph.node("ReduceMax", row, axes=[1], keepdims=1), graph.constant("tie", 1e-6))
    best = graph.node("Cast", graph.node("Greater", row, nearly), to=FLOAT)
    turned = search.motions.reshape(-1, 3, 3).transpose(0, 2, 1).reshape(-1, 9)
    sum_of_best = graph.node("MatMul", best, graph.constant("motions", turned))
    count = graph.node("ReduceSum", best, graph.shape("tries", 1), keepdims=1)
    return graph.node("Reshape", graph.node("Div", sum_of_best, count), "three")


def _warped(graph: Graph, level: str, motion: str, names: dict[str, str]) -> str:
    moved = graph.node("MatMul", names["places"], graph.node("MatMul", motion, "two_rows"))
    grid = graph.node("Reshape", moved, names["grid"])
    seen = graph.node("GridSample", level, grid, align_corners=1, mode="bilinear", padding_mode="border")
    return graph.node("Reshape", seen, names["row"])


def _relit(graph: Graph, seen: str, names: dict[str, str]) -> str:
    rest = graph.node("Sub", seen, names["template"])
    gain, offset = (graph.node("MatMul", rest, names[part]) for part in ("gain", "offset"))
    rest = _bounded(graph, _without(graph, seen, gain, offset, names))
    gain, offset = (
        graph.node("Add", before, graph.node("MatMul", rest, names[part]))
        for part, before in (("gain", gain), ("offset", offset))
    )
    return _without(graph, seen, gain, offset, names)


def _without(graph: Graph, seen: str, gain: str, offset: str, names: dict[str, str]) -> str:
    plane = graph.node("MatMul", gain, names["lines"])
    soft = graph.node("Mul", graph.node("Tanh", graph.node("Div", plane, "gain_bound")), "gain_bound")
    even = graph.node("Sub", seen, graph.node("MatMul", offset, names["lines"]))
    return graph.node("Sub", graph.node("Div", even, graph.node("Add", soft, "unity")), names["template"])


def _bounded(graph: Graph, rest: str) -> str:
    return graph.node("Mul", graph.node("Tanh", graph.node("Div", rest, "residual_bound")), "residual_bound")


def _opened(graph: Graph, plane: str, shape: list[int]) -> str:
    """Add an opening: the least of three pixels is the most of their negatives."""
    pads = [side // 2 for side in shape] * 2
    turned = graph.node("Sub", "zero", plane)
    least = graph.node("Sub", "zero", graph.node("MaxPool", turned, kernel_shape=shape, pads=pads, strides=[1, 1]))
    return graph.node("MaxPool", least, kernel_shape=shape, pads=pads, strides=[1, 1])
