"""What an ONNX file contains, read without loading it: operators, subgraphs, opset, inputs, outputs, external data.

An edge box has no `onnx` package, and a runtime must not be the first to touch a file nobody has checked. So this walks
the protobuf encoding itself (protobuf.dev, "Encoding"; field numbers of onnx.proto3). It is stricter than protobuf: a
field that the inspected messages do not list, a wrong wire type, a group or a field that may stand once but stands
twice is refused, so that nothing can hide where a laxer parser would look and this one would not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, NoReturn

from models.errors import BundleRefused

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DEPTH = 8
"""Deepest nesting of graphs; exporters of this project write one."""


MAX_FIELDS = 200_000
"""Most fields in a file, so that reading it takes well under a second; a graph of this project has a few thousand."""


class Tensor(NamedTuple):
    """Declared shape of an input or output: `kind` is a TensorProto.DataType; a dimension is None unless a number."""

    name: str
    kind: int
    shape: tuple[int | None, ...]


class Outline(NamedTuple):
    """What a model file declares; `operators` as "domain::Type" (no prefix for the standard domain), subgraphs included."""

    ir_version: int
    opsets: dict[str, int]
    operators: frozenset[str]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    subgraphs: int


_Fields = Mapping[int, tuple[int, ...]]

# Field number -> wire types allowed. Repeated numbers may be packed (BYTES) or not.
_MODEL: _Fields = {1: (VARINT,), 2: (BYTES,), 3: (BYTES,), 4: (BYTES,), 5: (VARINT,), 6: (BYTES,), 7: (BYTES,), 8: (BYTES,), 14: (BYTES,)}  # fmt: skip
_OPSET: _Fields = {1: (BYTES,), 2: (VARINT,)}
_GRAPH: _Fields = {1: (BYTES,), 2: (BYTES,), 5: (BYTES,), 10: (BYTES,), 11: (BYTES,), 12: (BYTES,), 13: (BYTES,)}
_NODE: _Fields = {1: (BYTES,), 2: (BYTES,), 3: (BYTES,), 4: (BYTES,), 5: (BYTES,), 6: (BYTES,), 7: (BYTES,)}
_ATTRIBUTE: _Fields = {
    1: (BYTES,), 2: (FIXED32,), 3: (VARINT,), 4: (BYTES,), 5: (BYTES,), 6: (BYTES,), 7: (BYTES, FIXED32),
    8: (BYTES, VARINT), 9: (BYTES,), 10: (BYTES,), 11: (BYTES,), 13: (BYTES,), 20: (VARINT,),
}  # fmt: skip
_TENSOR: _Fields = {
    1: (BYTES, VARINT), 2: (VARINT,), 4: (BYTES, FIXED32), 5: (BYTES, VARINT), 6: (BYTES,), 7: (BYTES, VARINT),
    8: (BYTES,), 9: (BYTES,), 10: (BYTES, FIXED64), 11: (BYTES, VARINT), 12: (BYTES,), 13: (BYTES,), 14: (VARINT,),
}  # fmt: skip
_VALUE: _Fields = {1: (BYTES,), 2: (BYTES,), 3: (BYTES,)}
_TYPE: _Fields = {1: (BYTES,)}
_TENSOR_TYPE: _Fields = {1: (VARINT,), 2: (BYTES,)}
_SHAPE: _Fields = {1: (BYTES,)}
_DIMENSION: _Fields = {1: (VARINT,), 2: (BYTES,), 3: (BYTES,)}

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def outline(onnx: bytes) -> Outline:
    """Return what `onnx` declares; raises BundleRefused ("malformed", "external_data") for anything it cannot vouch for."""
    return _Walk().model(memoryview(onnx))


class _Walk:
    """One pass over one file."""

    def __init__(self) -> None:
        self.operators: set[str] = set()
        self.subgraphs = 0
        self.field_count = 0

    def model(self, data: memoryview) -> Outline:
        ir_version, graph = 0, None
        opsets: dict[str, int] = {}
        for field, value in self.fields(data, _MODEL, once=(1, 7)):
            if field == 1:
                ir_version = _number(value)
            elif field == 8:
                fields = dict(self.fields(_bytes(value), _OPSET, once=(1, 2)))
                domain = _text(fields.get(1, memoryview(b"")))
                if domain in opsets:
                    _refuse(f"operator set '{domain}' is named twice")
                opsets[domain] = _number(fields.get(2, 0))
            elif field == 7:
                graph = self.graph(_bytes(value), 0)
        if graph is None:
            _refuse("there is no graph")
        return Outline(ir_version, opsets, frozenset(self.operators), *graph, self.subgraphs)

    def graph(self, data: memoryview, depth: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if depth > MAX_DEPTH:
            _refuse(f"graphs are nested more than {MAX_DEPTH} deep")
        self.subgraphs += depth > 0
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []
        for field, value in self.fields(data, _GRAPH, once=(2,)):
            if field == 1:
                self.node(_bytes(value), depth)
            elif field == 5:
                self.tensor(_bytes(value))
            elif field == 11:
                inputs.append(self.value(_bytes(value)))
            elif field == 12:
                outputs.append(self.value(_bytes(value)))
        return tuple(inputs), tuple(outputs)

    def node(self, data: memoryview, depth: int) -> None:
        domain, operator = "", ""
        for field, value in self.fields(data, _NODE, once=(3, 4, 7)):
            if field == 4:
                operator = _text(value)
            elif field == 7:
                domain = _text(value)
            elif field == 5:
                self.attribute(_bytes(value), depth)
        self.operators.add(f"{domain}::{operator}" if domain not in ("", "ai.onnx") else operator)

    def attribute(self, data: memoryview, depth: int) -> None:
        for field, value in self.fields(data, _ATTRIBUTE, once=(1, 2, 3, 4, 5, 6, 20)):
            if field in (5, 10):
                self.tensor(_bytes(value))
            elif field in (6, 11):
                self.graph(_bytes(value), depth + 1)

    def tensor(self, data: memoryview) -> None:
        for field, value in self.fields(data, _TENSOR, once=(2, 8, 9, 14)):
            if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0):
                raise BundleRefused(
                    "external_data",
                    "the model refers to data in another file; only self-contained models are accepted",
                    "模型引用了外部数据文件；只接受自包含的模型",
                )

    def value(self, data: memoryview) -> Tensor:
        fields = dict(self.fields(data, _VALUE, once=(1, 2)))
        kind = dict(self.fields(_bytes(fields.get(2, memoryview(b""))), _TYPE, once=(1,)))
        tensor = dict(self.fields(_bytes(kind.get(1, memoryview(b""))), _TENSOR_TYPE, once=(1, 2)))
        shape: list[int | None] = []
        for _, dimension in self.fields(_bytes(tensor.get(2, memoryview(b""))), _SHAPE):
            number = dict(self.fields(_bytes(dimension), _DIMENSION, once=(1, 2))).get(1)
            shape.append(None if number is None else _number(number))
        return Tensor(_text(fields.get(1, memoryview(b""))), _number(tensor.get(1, 0)), tuple(shape))

    def fields(
        self, data: memoryview, allowed: _Fields, once: tuple[int, ...] = ()
    ) -> Iterator[tuple[int, int | memoryview]]:
        """Yield (field number, value) of one message: a number for VARINT, else the bytes."""
        at = 0
        seen: set[int] = set()
        while at < len(data):
            key, at = _varint(data, at)
            field, wire = key >> 3, key & 7
            if wire not in allowed.get(field, ()):
                _refuse(f"field {field} with wire type {wire} is not expected")
            if field in once and field in seen:
                _refuse(f"field {field} stands twice")
            seen.add(field)
            self.field_count += 1
            if self.field_count > MAX_FIELDS:
                _refuse(f"it has more than {MAX_FIELDS} fields")
            if wire == VARINT:
                number, at = _varint(data, at)
                yield field, number
                continue
            size = {FIXED32: 4, FIXED64: 8}.get(wire, -1)
            if size < 0:
                size, at = _varint(data, at)
            if size > len(data) - at:
                _refuse("a field is longer than its message")
            yield field, data[at : at + size]
            at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number, shift, more = 0, 0, True
    while more:
        if at >= len(data):
            _refuse("it ends in the middle of a number")
        if shift == 70:
            _refuse("a number is longer than ten bytes")
        number |= (data[at] & 0x7F) << shift
        more = data[at] >= 0x80
        at, shift = at + 1, shift + 7
    return number & 0xFFFF_FFFF_FFFF_FFFF, at


def _number(value: int | memoryview) -> int:
    return value if isinstance(value, int) else _refuse("text stands where a number belongs")


def _bytes(value: int | memoryview) -> memoryview:
    return _refuse("a number stands where a message belongs") if isinstance(value, int) else value


def _text(value: int | memoryview) -> str:
    try:
        return bytes(_bytes(value)).decode()
    except UnicodeDecodeError:
        _refuse("a name is not UTF-8")


def _refuse(why: str) -> NoReturn:
    raise BundleRefused(
        "malformed", f"model.onnx is not a well-formed ONNX file: {why}", f"model.onnx 格式不合规：{why}"
    )
