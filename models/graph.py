"""Builds ONNX graphs node by node. All that is released is opset 17 with static shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper, numpy_helper

OPSET = 17
IR_VERSION = 8

FLOAT, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8

Output = tuple[int, tuple[int, ...]]
"""Element type (TensorProto.DataType) and shape."""

Signature = Mapping[str, Output]
"""Inputs or outputs, by name."""


class Graph:
    """Collects nodes and initialisers; each method returns the name of what it added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initialisers: list[TensorProto] = []

    def constant(self, name: str, value: npt.ArrayLike, kind: type[np.generic] = np.float32) -> str:
        """Add an initialiser."""
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=kind), name))
        return name

    def shape(self, name: str, *numbers: int) -> str:
        """Add an initialiser of int64, as shapes and axes are given."""
        return self.constant(name, numbers, np.int64)

    def node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output, called `name` if given."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def sorted(self, values: str, count: int, name: str) -> str:
        """Add the `count` highest of the last axis, the highest first, called `name`."""
        inputs = [values, self.shape(f"{name}_count", count)]
        self.nodes.append(helper.make_node("TopK", inputs, [name, f"{name}_at"], name=name))
        return name

    def model(self, name: str, inputs: Signature, outputs: Signature) -> bytes:
        """Return the graph as a checked ONNX model; the same graph gives the same bytes."""
        given, answered = (
            [helper.make_tensor_value_info(each, kind, shape) for each, (kind, shape) in signature.items()]
            for signature in (inputs, outputs)
        )
        model = helper.make_model(
            helper.make_graph(self.nodes, name, given, answered, self.initialisers),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="sunmao-model",
        )
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))
