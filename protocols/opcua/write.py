"""Writes the value of one node, in the type the node has."""

from __future__ import annotations

import math
import struct
from typing import Any

from asyncua import ua

from protocols.errors import ConfigError, Refused
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.paths import Nodes
from protocols.opcua.session import Session
from protocols.reading import Value
from protocols.text import Text

_WHOLE = {
    ua.VariantType.SByte: (-(2**7), 2**7 - 1),
    ua.VariantType.Byte: (0, 2**8 - 1),
    ua.VariantType.Int16: (-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: (0, 2**16 - 1),
    ua.VariantType.Int32: (-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: (0, 2**32 - 1),
    ua.VariantType.Int64: (-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: (0, 2**64 - 1),
}
_BUILTIN = {*_WHOLE, ua.VariantType.Boolean, ua.VariantType.Float, ua.VariantType.Double, ua.VariantType.String}

_MENDS = {
    ua.StatusCodes.BadNotWritable: Text("the node is read-only at the server", "该节点在服务器上为只读"),
    ua.StatusCodes.BadUserAccessDenied: Text(
        "let this user write the node at the server, or log in as one who may",
        "请在服务器上授予该用户写权限，或改用有权限的用户登录",
    ),
    ua.StatusCodes.BadOutOfRange: Text("the server takes a narrower range", "服务器允许的范围更窄"),
    ua.StatusCodes.BadNodeIdUnknown: Text("check the node of the point", "请检查该点的 node"),
}


async def write_value(session: Session, nodes: Nodes, device: str, point: OpcuaPoint, value: Value) -> None:
    """Write `value`, in the unit of `point`, once; return when the server has confirmed it.

    The type is that of the node's present value, else its DataType. Only the value is written, no status or time, as
    servers need not take these (Part 4, 5.11.4). Raises ConfigError for what the type can not hold exactly, Refused
    where the server says no, Unreachable or Malformed where nobody knows.
    """
    node = nodes.node(point)
    if node is None:
        raise _refused(device, point, ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
    kind = await _kind(session, device, point, node)
    data = ua.DataValue(ua.Variant(raw_value(point, value, kind), kind), StatusCode=None)
    parameters = ua.WriteParameters(
        NodesToWrite=[ua.WriteValue(NodeId=node, AttributeId=ua.AttributeIds.Value, Value=data)]
    )
    with session.failures_named():
        (status,) = await session.services.write(parameters)
    if not status.is_good():
        raise _refused(device, point, status)


def raw_value(point: OpcuaPoint, value: Value, kind: ua.VariantType) -> Any:
    """Return what a node of type `kind` has to hold for `point` to be `value`; raises ConfigError if it can not."""
    if kind is ua.VariantType.String and isinstance(value, str):
        return value
    if kind is ua.VariantType.Boolean and isinstance(value, (bool, int)) and value in {0, 1}:
        return bool(value)
    if kind in {ua.VariantType.String, ua.VariantType.Boolean} or value is None or isinstance(value, str):
        raise _unfit(point, value, kind)
    try:
        raw = point.raw(value)
    except ValueError as error:
        raise ConfigError(error.args[0]) from error
    if kind in _WHOLE:
        low, high = _WHOLE[kind]
        # A scale of 0.1 makes of 20.1 a raw 201.00000000000003.
        whole = round(raw)
        if not math.isclose(raw, whole, rel_tol=1e-12, abs_tol=1e-9) or not low <= whole <= high:
            raise _unfit(point, value, kind)
        return whole
    if kind is ua.VariantType.Float:
        try:
            struct.pack("<f", raw)
        except OverflowError as error:
            raise _unfit(point, value, kind) from error
    return float(raw)


async def _kind(session: Session, device: str, point: OpcuaPoint, node: ua.NodeId) -> ua.VariantType:
    ((present, _),) = await session.read([node])
    kind = present.Value.VariantType if present.Value is not None else None
    if kind is None or kind is ua.VariantType.Null:
        ((declared, _),) = await session.read([node], ua.AttributeIds.DataType)
        if not declared.StatusCode.is_good():
            raise _refused(device, point, declared.StatusCode)
        kind = next(
            (each for each in _BUILTIN if declared.Value.Value == ua.NodeId(each.value)),
            None,
        )
    if kind not in _BUILTIN or (present.Value is not None and present.Value.is_array):
        raise Refused(
            Text(f"{point.name} has no single value of a type that can be written", f"“{point.name}”的类型不支持写入"),
            Text("change the value at the machine", "请在设备上修改"),
            key=device,
        )
    return kind


def _unfit(point: OpcuaPoint, value: Value, kind: ua.VariantType) -> ConfigError:
    return ConfigError(
        Text(
            f"'{point.name}' can not hold {value!r}: the node is of type {kind.name}",
            f"“{point.name}”无法写入 {value!r}：节点类型为 {kind.name}",
        ),
        Text("choose a value of this type", "请选择该类型的值"),
    )


def _refused(device: str, point: OpcuaPoint, status: ua.StatusCode) -> Refused:
    return Refused(
        Text(
            f"the server does not let {point.name} be written ({status.name})",
            f"服务器拒绝写入“{point.name}”（{status.name}）",
        ),
        _MENDS.get(status.value),
        key=device,
    )
