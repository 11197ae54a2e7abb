"""The whole inspection as one ONNX graph: grey picture in; score, heat map, verdict and limits out.

What may be recalibrated is a named initialiser (`loc`, `scale`, `limits`), so that new limits change four numbers and
a signature, never the fitted part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from models.graph import FLOAT, INT64, UINT8, Graph, Output, Signature
from models.vision.features import CONTRAST_FLOOR, ENERGY_FLOOR, Floats, dimensions, gabor_bank
from models.vision.gaussian import FLOOR, SMOOTHING
from models.vision.members import OUTSIDE, Members
from models.vision.recipe import Recipe
from models.vision.sort import Head
from models.vision.sort_export import kind_nodes
from models.vision.taught import BOUND


class Calibration(NamedTuple):
    """`loc` and `scale` turn a raw score into standard deviations of good parts; the limits are in those."""

    loc: float
    scale: float
    review: float
    reject: float


class TileParts(NamedTuple):
    """What the graph of a model of tiles has besides.

    Attributes:
        whole: what was learnt of pictures seen whole, in the raw units of tiles; its map is the output `whole`.
        plane: (rows, columns), which cells of the whole picture are looked at, handed on as `looked_at`; None if all are.
    """

    whole: Members
    plane: Floats | None


def feature_model(recipe: Recipe) -> bytes:
    """Return the ONNX model from picture (uint8, size x size) to `features` (float32, cells x dimensions)."""
    graph = Graph()
    graph.node("Identity", feature_nodes(graph, recipe, level_of(graph, recipe)), name="features")
    return serialised(graph, recipe, {"features": (FLOAT, (recipe.grid**2, dimensions(recipe)))})


def inspection_model(
    recipe: Recipe, members: Members, calibration: Calibration, head: Head | None = None, tiles: TileParts | None = None
) -> bytes:
    """Return the ONNX model from picture to score, heat map, verdict (0 pass, 1 review, 2 reject), limits and kind of defect."""
    graph = Graph()
    absolute = feature_nodes(graph, recipe, level_of(graph, recipe))
    raw = raw_map_nodes(graph, recipe, members, absolute)
    outputs = verdict_nodes(graph, raw, recipe, calibration)
    if tiles:
        shrunk = graph.node("Sub", raw_map_nodes(graph, recipe, tiles.whole, absolute, "whole_"), "loc")
        graph.node("Reshape", graph.node("Div", shrunk, "scale"), "map", name="whole")
        outputs |= {"whole": (FLOAT, (recipe.grid, recipe.grid))}
        if tiles.plane is not None:
            graph.node("Identity", graph.constant("picture_cells", tiles.plane), name="looked_at")
            outputs |= {"looked_at": (FLOAT, tiles.plane.shape)}
    kinds = kind_nodes(graph, absolute, raw, members.where, head) if head else {}
    return serialised(graph, recipe, outputs | kinds)


def verdict_nodes(
    graph: Graph, raw: str, recipe: Recipe, calibration: Calibration, lost: str = ""
) -> dict[str, Output]:
    """Add what makes score, heat map, verdict and limits of a raw map (1, 1, grid, grid); returns these outputs.

    `lost`: a boolean (1, 1); where it is true the map is flat, halfway between the limits, and the verdict at least review.
    """
    grid = recipe.grid
    limits = graph.constant("limits", [calibration.review, calibration.reject])
    shifted = graph.node("Sub", raw, graph.constant("loc", calibration.loc))
    standard = graph.node("Div", shifted, graph.constant("scale", calibration.scale))
    if lost:
        standard = graph.node("Where", lost, graph.node("ReduceMean", limits, axes=[0], keepdims=1), standard)
    graph.node("Reshape", standard, graph.shape("map", grid, grid), name="heatmap")
    line = graph.node("Reshape", standard, graph.shape("line", -1))
    graph.node("ReduceMean", graph.sorted(line, recipe.top, "most"), axes=[0], keepdims=1, name="score")
    above = graph.node("Cast", graph.node("Greater", "score", limits), to=INT64)
    plain = graph.node("ReduceSum", above, graph.shape("all", 0), keepdims=1, name="" if lost else "verdict")
    if lost:
        doubt = graph.node("Reshape", graph.node("Cast", lost, to=INT64), graph.shape("doubt", 1))
        graph.node("Max", plain, doubt, name="verdict")
    graph.node("Identity", limits, name="limits_used")
    return {
        "score": (FLOAT, (1,)),
        "heatmap": (FLOAT, (grid, grid)),
        "verdict": (INT64, (1,)),
        "limits_used": (FLOAT, (2,)),
    }


def raw_map_nodes(graph: Graph, recipe: Recipe, members: Members, absolute: str, prefix: str = "") -> str:
    """Add the nodes that compute `members.unusualness`; returns the name of the (1, 1, grid, grid) raw map.

    `prefix`: of the names of its initialisers, where a graph has it twice.
    """
    cells = recipe.grid**2
    if not prefix:
        graph.shape("column", cells, dimensions(recipe), 1)
        graph.shape("row", cells, dimensions(recipe))
        graph.shape("plane", 1, 1, recipe.grid, recipe.grid)
        graph.shape("border", 0, 0, 1, 1, 0, 0, 1, 1)
        graph.constant("floor", FLOOR)
        graph.constant("one", 1)
        graph.constant("bound", BOUND)
        graph.constant("smoothing", SMOOTHING[None, None])
    share = graph.constant(f"{prefix}looked_at_share", (members.where / members.where.sum())[None])
    relative = graph.node("Sub", absolute, graph.node("MatMul", share, absolute))
    taught = members.taught.weights.reshape(2, -1)
    odds, usual = "", ""
    for name, features, gaussians, weights in (
        ("relative", relative, members.usual.relative, taught[0]),
        ("absolute", absolute, members.usual.absolute, taught[1]),
    ):
        centred = graph.node("Sub", features, graph.constant(f"{prefix}{name}_means", gaussians.means))
        column = graph.node("Reshape", centred, "column")
        white = graph.node("MatMul", graph.constant(f"{prefix}{name}_whitening", gaussians.whitening), column)
        white = graph.node("Reshape", white, "row")
        squared = graph.node("Mul", white, white)
        total = graph.node("ReduceSum", squared, graph.shape(f"{prefix}{name}_dimensions", 1), keepdims=1)
        distance = graph.node("Log", graph.node("Add", total, "floor"))
        around = _smooth(graph, graph.node("Reshape", distance, "plane"))
        usual = usual or around
        bounded = graph.node("Mul", graph.node("Tanh", graph.node("Div", white, "bound")), "bound")
        sizes = graph.node("Log", graph.node("Add", squared, "one"))
        there = graph.node("Reshape", around, graph.shape(f"{prefix}{name}_cells", cells, 1))
        seen = graph.node("Concat", bounded, sizes, distance, there, axis=1)
        part = graph.node("MatMul", seen, graph.constant(f"{prefix}{name}_weights", weights[:, None]))
        odds = graph.node("Add", odds, part) if odds else part
    odds = graph.node("Add", odds, graph.constant(f"{prefix}bias", members.taught.bias))
    maps = [usual, _smooth(graph, graph.node("Reshape", odds, "plane"))]
    planes = graph.node("Concat", *maps, axis=1)
    shape = (1, len(maps), 1, 1)
    loc, scale, weight = (part.reshape(shape) for part in members.combination)
    shifted = graph.node("Sub", planes, graph.constant(f"{prefix}members_loc", loc))
    standard = graph.node("Div", shifted, graph.constant(f"{prefix}members_scale", scale))
    weighed = graph.node("Mul", standard, graph.constant(f"{prefix}members_weight", weight))
    whole = graph.node("ReduceSum", weighed, graph.shape(f"{prefix}members", 1), keepdims=1)
    return within_nodes(graph, whole, members.where, recipe.grid, prefix)


def within_nodes(graph: Graph, raw: str, where: Floats, grid: int, prefix: str = "") -> str:
    """Add what `members.within` does to a map (1, 1, grid, grid)."""
    inside = where.reshape(1, 1, grid, grid)
    kept = graph.node("Mul", raw, graph.constant(f"{prefix}inside", inside))
    return graph.node("Add", kept, graph.constant(f"{prefix}outside", OUTSIDE * (1 - inside)))


def _smooth(graph: Graph, plane: str) -> str:
    return graph.node("Conv", graph.node("Pad", plane, "border", mode="edge"), "smoothing")


def calibration_of(onnx: bytes) -> Calibration:
    """Return the numbers in the inspection model `onnx`."""
    numbers = {
        tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in _calibrated(ModelProto.FromString(onnx))
    }
    return Calibration(*numbers["loc"], *numbers["scale"], *numbers["limits"])


def with_calibration(onnx: bytes, calibration: Calibration) -> bytes:
    """Return the inspection model `onnx` with other numbers and nothing else changed."""
    model = ModelProto.FromString(onnx)
    numbers = {
        "loc": [calibration.loc],
        "scale": [calibration.scale],
        "limits": [calibration.review, calibration.reject],
    }
    for tensor in _calibrated(model):
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(numbers[tensor.name], np.float32), tensor.name))
    return bytes(model.SerializeToString(deterministic=True))


def _calibrated(model: ModelProto) -> list[TensorProto]:
    return [tensor for tensor in model.graph.initializer if tensor.name in {"loc", "scale", "limits"}]


def feature_nodes(graph: Graph, recipe: Recipe, level: str) -> str:
    """Add the nodes that compute `features.features_of` a (1, 1, size, size) plane; returns the name of the (cells, dimensions) result."""
    side, grid, turns = recipe.size, recipe.grid, recipe.orientations
    bank = graph.constant("gabor", gabor_bank(recipe))
    border = recipe.kernel // 2
    border_name = graph.shape("mirror", 0, 0, border, border, 0, 0, border, border)
    energy_floor = graph.constant("energy_floor", ENERGY_FLOOR)
    parts = [pool(graph, "AveragePool", level, side // grid)]
    for scale in range(recipe.scales):
        if scale:
            level = pool(graph, "AveragePool", level, 2)
        here = side >> scale
        answer = graph.node("Conv", graph.node("Pad", level, border_name, mode="reflect"), bank)
        pairs = graph.node("Reshape", answer, graph.shape(f"pairs_{scale}", turns, 2, here, here))
        squared = graph.node("ReduceSumSquare", pairs, axes=[1], keepdims=0)
        planes = graph.node("Reshape", squared, graph.shape(f"planes_{scale}", 1, turns, here, here))
        energy = graph.node("Sqrt", planes)
        for kind in ("AveragePool", "MaxPool"):
            pooled = pool(graph, kind, energy, here // grid)
            parts.append(graph.node("Log", graph.node("Add", pooled, energy_floor)))
    stacked = graph.node("Concat", *parts, axis=1)
    flat = graph.node("Reshape", stacked, graph.shape("flat", dimensions(recipe), grid**2))
    return graph.node("Transpose", flat, perm=[1, 0])


def level_of(graph: Graph, recipe: Recipe) -> str:
    """Add what standardises the picture; returns the name of the (1, 1, size, size) result."""
    side, cell = recipe.size, recipe.size // recipe.grid
    grey = graph.node("Cast", "picture", to=FLOAT)
    image = graph.node("Reshape", grey, graph.shape("image", 1, 1, side, side))
    unit = graph.node("Div", image, graph.constant("full_scale", 255))
    centred = graph.node("Sub", unit, _mean(graph, unit, cell))
    variance = _mean(graph, graph.node("Mul", centred, centred), cell)
    spread = graph.node("Add", graph.node("Sqrt", variance), graph.constant("contrast_floor", CONTRAST_FLOOR))
    return graph.node("Div", centred, spread)


def pool(graph: Graph, operator: str, plane: str, side: int) -> str:
    """Add a pooling over squares that do not overlap."""
    return graph.node(operator, plane, kernel_shape=[side, side], strides=[side, side])


def _mean(graph: Graph, plane: str, cell: int) -> str:
    """Add the mean over a plane, cells first: one float32 sum over all its pixels would lose two digits."""
    return graph.node("ReduceMean", pool(graph, "AveragePool", plane, cell), axes=[2, 3], keepdims=1)


def serialised(graph: Graph, recipe: Recipe, outputs: Signature) -> bytes:
    """Return the model from `picture` (uint8, size x size) to `outputs`."""
    return graph.model(recipe.name, {"picture": (UINT8, (recipe.size, recipe.size))}, outputs)
