"""What OPC UA's node addresses, values and units are to us.

Node addresses carry the namespace URI, never its index: the index is the server's to choose at each start.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from asyncua import ua

from protocols.driver import Samples
from protocols.errors import ConfigError
from protocols.reading import BAD_NO_DATA, BAD_OUT_OF_RANGE, BAD_TYPE_MISMATCH, Quality, Reading, Severity, Value
from protocols.text import Text

if TYPE_CHECKING:
    from protocols.opcua.config import OpcuaPoint

UA_NAMESPACE = "http://opcfoundation.org/UA/"
UNIT_NAMESPACE = "http://www.opcfoundation.org/UA/units/un/cefact"

_NODE = re.compile(r"(?:nsu=(?P<uri>[^;]+);|ns=(?P<index>\d+);)?(?P<kind>[isgb])=(?P<rest>.+)", re.DOTALL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TIME_FROM = datetime(9999, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_PLAIN = {
    ua.VariantType.Float,
    ua.VariantType.Double,
    ua.VariantType.Boolean,
    ua.VariantType.SByte,
    ua.VariantType.Byte,
    ua.VariantType.Int16,
    ua.VariantType.UInt16,
    ua.VariantType.Int32,  # also every enumeration (Part 6, 5.2.4)
    ua.VariantType.UInt32,
    ua.VariantType.Int64,
    ua.VariantType.UInt64,
    ua.VariantType.String,
}


class NodeAddress(NamedTuple):
    """A node of any server that knows its namespace: URI and identifier (Part 6, 5.3.1.10)."""

    namespace: str
    identifier: int | str | UUID | bytes

    def __str__(self) -> str:
        """Return the text form that `parse_node` reads."""
        uri = self.namespace.replace("%", "%25").replace(";", "%3B")
        match self.identifier:
            case int():
                rest = f"i={self.identifier}"
            case str():
                rest = f"s={self.identifier}"
            case UUID():
                rest = f"g={self.identifier}"
            case bytes():
                rest = f"b={base64.b64encode(self.identifier).decode('ascii')}"
        return rest if self.namespace == UA_NAMESPACE else f"nsu={uri};{rest}"


def parse_node(text: str) -> NodeAddress:
    """Return the address written in `text`: `nsu=URI;s=NAME` (or i=, g=, b=), or `i=2258` for the standard namespace.

    Raises ConfigError for anything else, above all for `ns=2;...`, whose index may mean another namespace after the
    server's next start.
    """
    match = _NODE.fullmatch(text)
    if match is None:
        raise _bad_node(text)
    index = match["index"]
    if index is not None and int(index) != 0:
        raise ConfigError(
            Text(
                f"'{text}' counts on namespace index {index}, which a server may change at every start",
                f"“{text}”使用了命名空间序号 {index}，服务器每次启动都可能改变它",
            ),
            Text(
                f"name the namespace by its URI, entry {index} of the server's NamespaceArray: "
                f"nsu=<URI>;{match['kind']}={match['rest']}",
                f"请改用命名空间 URI（服务器 NamespaceArray 的第 {index} 项）：nsu=<URI>;{match['kind']}={match['rest']}",
            ),
            key="node",
        )
    uri = match["uri"].replace("%3B", ";").replace("%3b", ";").replace("%25", "%") if match["uri"] else UA_NAMESPACE
    try:
        return NodeAddress(uri, _identifier(match["kind"], match["rest"]))
    except ValueError as error:
        raise _bad_node(text) from error


def _identifier(kind: str, text: str) -> int | str | UUID | bytes:
    match kind:
        case "i":
            if not text.isascii() or not text.isdigit() or int(text) > 0xFFFF_FFFF:
                raise ValueError(text)
            return int(text)
        case "g":
            return UUID(text)
        case "b":
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise ValueError(text) from error
        case _:
            return text


def _bad_node(text: str) -> ConfigError:
    return ConfigError(
        Text(f"'{text}' is not an OPC UA node address", f"“{text}”不是 OPC UA 节点地址"),
        Text(
            "write nsu=<namespace URI>;s=<name> (or i=<number>, g=<GUID>, b=<base64>)",
            "请写成 nsu=<命名空间 URI>;s=<名称>(或 i=<数字>、g=<GUID>、b=<base64>)",
        ),
        key="node",
    )


def node_id(address: NodeAddress, namespaces: Sequence[str]) -> ua.NodeId | None:
    """Return the node's id in a session whose namespace table is `namespaces`; None if the server lacks the URI."""
    try:
        return ua.NodeId(address.identifier, namespaces.index(address.namespace))
    except ValueError:
        return None


def node_address(node: ua.NodeId, namespaces: Sequence[str]) -> NodeAddress | None:
    """Return the lasting address of a session's node id; None if its index is not in the table."""
    if node.NamespaceIndex >= len(namespaces):
        return None
    return NodeAddress(namespaces[node.NamespaceIndex], node.Identifier)


def decode(point: OpcuaPoint, data: ua.DataValue, arrival: int) -> Reading:
    """Return the Reading of `point` that `data` is.

    A bad status keeps its cause and loses its value, so that no consumer can mistake it for a measurement. Arrays,
    structures and types that are no single value are BadTypeMismatch; a good status without a value is BadNoData; NaN,
    infinity and a code that `codes` does not list are BadOutOfRange.

    Args:
        point: gives the name, scale and offset.
        data: as the server sent it.
        arrival: when it came, microseconds UTC; also the source time where the server gives neither of its own.
    """
    status = data.StatusCode
    quality = Quality.from_status_code(status.value) if status is not None else Quality(0)
    source = _microseconds(data.SourceTimestamp or data.ServerTimestamp, arrival)
    if quality.severity is Severity.BAD:
        return Reading(point.name, None, quality, source, arrival)
    raw, fault = plain_value(data.Value)
    value = point.engineering(raw)
    if (value is None and raw is not None) or (isinstance(value, float) and not math.isfinite(value)):
        value, fault = None, BAD_OUT_OF_RANGE
    return Reading(point.name, value, quality if fault is None else fault, source, arrival)


def decode_array(point: OpcuaPoint, data: ua.DataValue, arrival: int) -> Samples:
    """Return the array of `point` that `data` is; one of anything but finite numbers, or of several dimensions, is none."""
    reading = decode(point, data, arrival)
    variant = data.Value
    if variant is None or not variant.is_array or (data.StatusCode is not None and data.StatusCode.is_bad()):
        fault = BAD_TYPE_MISMATCH if reading.quality >= 0 else reading.quality
        return Samples(None, fault, reading.source_time)
    values = variant.Value or []
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return Samples(None, BAD_TYPE_MISMATCH, reading.source_time)
    quality = Quality(0) if data.StatusCode is None else Quality.from_status_code(data.StatusCode.value)
    if point.scale != 1.0 or point.offset != 0.0:
        values = [value * point.scale + point.offset for value in values]
    return Samples(values, quality, reading.source_time)


def plain_value(variant: ua.Variant | None) -> tuple[Value, Quality | None]:
    """Return the value in `variant` as the device gave it, or None and why there is none."""
    if variant is None or (variant.Value is None and not variant.is_array):
        return None, BAD_NO_DATA
    value, kind = variant.Value, variant.VariantType
    if variant.is_array:
        value = None
    elif kind is ua.VariantType.DateTime:
        value = value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    elif kind is ua.VariantType.LocalizedText:
        value = value.Text
    elif kind not in _PLAIN:
        value = None
    return value, BAD_TYPE_MISMATCH if value is None else None


def _microseconds(time: datetime | None, arrival: int) -> int:
    """Return `time` in microseconds UTC; `arrival` where a server says "none" by the ends of its time scale."""
    if time is None or time < _EPOCH or time >= _NO_TIME_FROM:
        return arrival
    return (time - _EPOCH) // _MICROSECOND


def unit_code(information: Any) -> str | None:
    """Return the UN/ECE Rec 20 code in an EUInformation; None for any other way of naming a unit.

    Part 8, 5.6.4.3: the UnitId is the code's characters as the bytes of a big-endian integer, "CEL" = 0x43454C.
    """
    if not isinstance(information, ua.EUInformation) or information.NamespaceUri != UNIT_NAMESPACE:
        return None
    if not 0 < information.UnitId < 1 << 24:
        return None
    code = information.UnitId.to_bytes(3, "big").lstrip(b"\0").decode("latin-1")
    return code if code.isascii() and code.isalnum() else None


def value_range(range_: Any) -> tuple[float, float] | None:
    """Return low and high of a Range (Part 8, 5.6.2); None for anything else, also for one that is empty or no number."""
    if not isinstance(range_, ua.Range) or not range_.Low < range_.High:
        return None
    return (range_.Low, range_.High) if math.isfinite(range_.High - range_.Low) else None


def unit_information(code: str) -> ua.EUInformation:
    """Return the EUInformation of the UN/ECE Rec 20 code `code`; the inverse of `unit_code`."""
    return ua.EUInformation(
        NamespaceUri=UNIT_NAMESPACE,
        UnitId=int.from_bytes(code.encode("ascii"), "big"),
        DisplayName=ua.LocalizedText(code),
        Description=ua.LocalizedText(code),
    )
