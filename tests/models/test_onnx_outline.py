"""The walk over a model file sees everything the onnx package sees, and refuses what it cannot vouch for."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper

from models.errors import BundleRefused
from models.onnx_outline import MAX_DEPTH, MAX_FIELDS, Outline, outline
from models.release import Release
from tests.models.small_models import branch, endless_loop, nodes_of, small_model

_names = st.sampled_from(["Add", "Conv", "Loop", "Evil", "If"])
_domains = st.sampled_from(["", "ai.onnx", "com.evil"])
_nodes = st.recursive(
    st.builds(lambda name, domain: helper.make_node(name, ["a"], ["b"], domain=domain), _names, _domains),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda nodes: branch("b", *nodes)),
    max_leaves=8,
)

SEED = small_model(
    helper.make_node("Cast", ["picture"], ["cast"], to=TensorProto.FLOAT),
    branch("b", helper.make_node("Evil", ["cast"], ["x"], domain="com.evil")),
    helper.make_node("Identity", ["cast"], ["score"]),
).SerializeToString()


def outline_or_none(content: bytes) -> Outline | None:
    """The outline, or None where the file is refused; any other error is a failure of the test."""
    try:
        return outline(content)
    except BundleRefused:
        return None


@given(nodes=st.lists(_nodes, min_size=1, max_size=5))
def test_every_operator_is_seen_in_every_subgraph(nodes: list[NodeProto]) -> None:
    model = small_model(*nodes)
    assert outline(model.SerializeToString()).operators == nodes_of(model.graph)


def test_a_real_model(release: Release) -> None:
    found = outline(release.onnx)
    model = ModelProto.FromString(release.onnx)
    assert found.operators == nodes_of(model.graph)
    assert found.opsets == {"": 17}
    assert [(tensor.name, tensor.shape) for tensor in found.inputs] == [("picture", (256, 256))]
    assert [tensor.name for tensor in found.outputs] == [output.name for output in model.graph.output]
    assert found.subgraphs == 0


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_nothing_hides_in_a_damaged_file(data: st.DataObject) -> None:
    """Whatever is done to the bytes: if both parsers take them, ours sees at least the operators protobuf sees."""
    content = bytearray(SEED)
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(begin, min(len(content), begin + 40)))
        piece = data.draw(st.sampled_from([b"", bytes(content[begin:end]) * 2, b"\x0a"]) | st.binary(max_size=12))
        content[begin:end] = piece
    found = outline_or_none(bytes(content))
    try:
        model = ModelProto.FromString(bytes(content))
    except DecodeError:
        return
    if found:
        assert found.operators >= nodes_of(model.graph)
        assert {entry.domain for entry in model.opset_import} == set(found.opsets)


@given(content=st.binary(max_size=300))
def test_noise_names_no_operator(content: bytes) -> None:
    found = outline_or_none(content)
    assert found is None or found.operators == set()


def test_a_second_graph_is_refused() -> None:
    """Protobuf merges a field that stands twice; a parser that takes only the first would miss the second's nodes."""
    second = ModelProto(graph=endless_loop().graph).SerializeToString()
    with pytest.raises(BundleRefused, match="field 7 stands twice"):
        outline(small_model().SerializeToString() + second)


def test_functions_are_refused() -> None:
    model = small_model()
    model.functions.append(
        helper.make_function("local", "F", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [])
    )
    with pytest.raises(BundleRefused, match="field 25"):
        outline(model.SerializeToString())


def test_deep_nesting_is_refused() -> None:
    node = helper.make_node("Evil", ["cast"], ["x"])
    for _ in range(MAX_DEPTH + 1):
        node = branch("b", node)
    with pytest.raises(BundleRefused, match="deep"):
        outline(small_model(node).SerializeToString())


def test_a_flood_of_fields_ends_early() -> None:
    with pytest.raises(BundleRefused, match=f"more than {MAX_FIELDS} fields"):
        outline(_flood(4_000_000))


def _flood(nodes: int) -> bytes:
    graph = b"\x0a\x00" * nodes
    size, length = len(graph), b""
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return b"\x3a" + length + bytes([size]) + graph
