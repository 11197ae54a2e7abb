"""Small ONNX models, honest and hostile, and a way to sign what `write_bundle` refuses to sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.bundle import checksums
from models.card import Card, FitCard, LimitCard, TensorCard, format_card

INPUT = TensorCard("picture", "uint8", [4, 4])
OUTPUT = TensorCard("score", "float32", [4, 4])


def small_card(**changes: Any) -> Card:
    limit = LimitCard(1.0, 0.05, 0.05, 0.01, 0.1, False)
    fields: dict[str, Any] = {
        "name": "small",
        "version": "1",
        "task": "inspect",
        "opset": 17,
        "input": [INPUT],
        "output": [OUTPUT],
        "fit": FitCard("none", 1, 1, "0" * 64, {}, 0.0, 30),
        "review": limit,
        "reject": limit,
    }
    return Card(**(fields | changes))


def small_model(*nodes: NodeProto, initialisers: tuple[TensorProto, ...] = (), **changes: Any) -> ModelProto:
    """A model from picture to score; without nodes it only casts."""
    settings: dict[str, Any] = {"opset": 17, "domains": (), "input_shape": (4, 4), "output_shape": (4, 4)} | changes
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Cast", ["picture"], ["score"], to=TensorProto.FLOAT)],
        "small",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, settings["input_shape"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, settings["output_shape"])],
        list(initialisers),
    )
    opsets = [helper.make_opsetid("", settings["opset"]), *(helper.make_opsetid(d, 1) for d in settings["domains"])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def branch(name: str, *inner: NodeProto) -> NodeProto:
    """An If whose branches hold `inner`."""
    output = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, (4, 4))]
    body = helper.make_graph([*inner, helper.make_node("Identity", ["cast"], [f"{name}_out"])], name, [], output)
    return helper.make_node("If", ["truth"], [f"{name}_result"], then_branch=body, else_branch=body)


def endless_loop() -> ModelProto:
    """A loop of 2^62 rounds, which loads at once and never ends."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("Add", ["state", "state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, ()),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, (4, 4)),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, (4, 4)),
        ],
    )
    return small_model(
        helper.make_node("Cast", ["picture"], ["start"], to=TensorProto.FLOAT),
        helper.make_node("Loop", ["rounds", "always", "start"], ["score"], body=body),
        initialisers=(
            numpy_helper.from_array(np.array(2**62), "rounds"),
            numpy_helper.from_array(np.array(True), "always"),
        ),
    )


def memory_hog() -> ModelProto:
    """A few hundred bytes that ask for 16 GiB: a picture padded with a border of allowed operators."""
    pads = numpy_helper.from_array(np.array([0, 0, 65532, 65532]), "pads")
    return small_model(
        helper.make_node("Cast", ["picture"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("Pad", ["grey", "pads"], ["huge"]),
        helper.make_node("ReduceMean", ["huge"], ["mean"], axes=[0, 1], keepdims=1),
        helper.make_node("Add", ["grey", "mean"], ["score"]),
        initialisers=(pads,),
    )


def nodes_of(graph: GraphProto) -> set[str]:
    """The operators of a graph and its subgraphs as the onnx package sees them."""
    found: set[str] = set()
    for node in graph.node:
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}::"
        found.add(domain + node.op_type)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if _has_graph(attribute) else ():
                found |= nodes_of(inner)
    return found


def _has_graph(attribute: AttributeProto) -> bool:
    return attribute.HasField("g") or bool(attribute.graphs)


def sign_anything(folder: Path, card: Card | bytes, onnx: bytes, key: Ed25519PrivateKey) -> Path:
    """Sign what our own tool would refuse, as a careless or bought signer might."""
    card_bytes = card if isinstance(card, bytes) else format_card(card)
    lines = checksums(card_bytes, onnx)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "card.toml": card_bytes,
        "model.onnx": onnx,
        "checksums.txt": lines,
        "signature": key.sign(lines),
    }.items():
        (folder / name).write_bytes(content)
    return folder
