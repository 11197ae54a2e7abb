"""Addresses of points as one text, so that a list has one column for them whatever the protocol.

Modbus    holding:100, input:0x1E, coil:5, holding:100.3 (a bit), 40101 (see `Numbering`)
OPC UA    nsu=<URI>;s=<name>, or browse names joined by /
MQTT      <topic>, <topic>#<value in the message>, sparkplug:<group>/<node>[/<device>]#<metric>
others    their fields as JSON
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal
from unicodedata import normalize

from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.text import Text

Numbering = Literal["plain", "modicon"]
"""What a plain Modbus number means: "plain" is an address as sent, of holding registers; "modicon" is 30001, 40001,
400001 and the like, counted from 1, whose first digit is the table."""

ADDRESS_FIELDS: Mapping[str, tuple[str, ...]] = {
    "modbus": ("table", "address", "bit"),
    "opcua": ("node", "path"),
    "mqtt": ("topic", "value", "sparkplug", "metric"),
}
"""The fields of a point that its address stands for, by protocol."""

BIT_TABLES = ("coil", "discrete")

_MODBUS = re.compile(
    r"(?:(?P<table>holding|input|coil|discrete):)?(?P<number>0x[0-9a-f]+|[0-9a-f]+h|\d+)(?:[.:](?P<bit>\d+)(?::1)?)?",
    re.IGNORECASE,
)
_OPCUA = re.compile(r"(?:nsu=[^;]+;|ns=\d+;)?[isgb]=.+", re.DOTALL)
_MODICON_TABLES = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_SPARKPLUG = "sparkplug:"


def address_text(fields: Mapping[str, Any]) -> str:
    """Return the text of an address, given as fields of a point's TOML."""
    if "node" in fields or "path" in fields:
        return str(fields.get("node") or fields.get("path"))
    if "address" in fields:
        bit = fields.get("bit")
        return f"{fields.get('table', 'holding')}:{fields['address']}" + (f".{bit}" if bit is not None else "")
    if fields.get("sparkplug") is not None:
        return f"{_SPARKPLUG}{fields['sparkplug']}#{fields.get('metric', '')}"
    if fields.get("topic") is not None:
        return f"{fields['topic']}#{fields['value']}" if fields.get("value") else str(fields["topic"])
    return json.dumps(dict(fields), ensure_ascii=False)


def point_address(protocol: str, point: PointConfig) -> str:
    """Return the address of a configured point as `parse_address` reads it."""
    whole = point.model_dump(mode="json", exclude_none=True)
    names = ADDRESS_FIELDS.get(protocol) or [name for name in whole if name not in PointConfig.model_fields]
    return address_text({name: whole[name] for name in names if name in whole})


def protocol_of(addresses: list[str]) -> str:
    """Return the protocol in which all `addresses` are written; Modbus where nothing says otherwise."""
    if all(is_node(address) for address in addresses):
        return "opcua"
    if all(address.startswith(_SPARKPLUG) or "/" in address for address in addresses):
        return "mqtt"
    return "modbus"


def is_node(address: str) -> bool:
    """Whether `address` is an OPC UA node."""
    return _OPCUA.fullmatch(address.strip()) is not None


def parse_address(protocol: str, text: str, numbering: Numbering | None = None) -> dict[str, Any]:
    """Return the fields of a point that `text` stands for; raises ConfigError where it is no address of `protocol`."""
    written = text.strip()
    if len(written) > 1 and written[0] == written[-1] == '"' and '"' not in written[1:-1]:
        written = written[1:-1]  # as copied from a browser's or a controller's own table
    if protocol == "modbus":
        return _modbus(written, numbering)
    if protocol == "opcua":
        return {"node" if is_node(written) else "path": written}
    if protocol == "mqtt":
        if written.startswith(_SPARKPLUG):
            source, _, metric = written.removeprefix(_SPARKPLUG).partition("#")
            return {"sparkplug": source, "metric": metric}
        topic, _, value = written.partition("#")
        return {"topic": topic, "value": value} if value else {"topic": topic}
    try:
        fields = json.loads(written)
    except ValueError:
        fields = None
    if isinstance(fields, dict):
        return fields
    raise ConfigError(
        Text(f"'{text}' is no address of {protocol}", f"“{text}”不是 {protocol} 地址"),
        Text('write its fields as JSON, {"field": value}', '请用 JSON 写出其字段，如 {"字段": 值}'),
    )


def is_unclear(text: str) -> bool:
    """Whether `text` is a plain number that may be an address as sent or a manual's 40001."""
    match = _MODBUS.fullmatch(normalize("NFKC", text.strip()))
    return match is not None and match["table"] is None and re.fullmatch(r"[134]\d{4,5}", match["number"]) is not None


def unclear(text: str) -> ConfigError:
    """Return what to ask of a person where `is_unclear`."""
    return ConfigError(
        Text(
            f"{text} is either an address as sent or register {text} of a manual that counts from 1",
            f"{text} 可能是报文中的地址，也可能是说明书里从 1 计数的编号",
        ),
        Text("say which: --numbering plain or --numbering modicon", "请指明：--numbering plain 或 --numbering modicon"),
        key="address",
    )


def _modbus(text: str, numbering: Numbering | None) -> dict[str, Any]:
    match = _MODBUS.fullmatch(normalize("NFKC", text).replace(",", ""))
    if match is None:
        raise ConfigError(
            Text(f"'{text}' is no Modbus address", f"“{text}”不是 Modbus 地址"),
            Text(
                "write holding:100, input:0x1E, coil:5 or 100.3", "请写成 holding:100、input:0x1E、coil:5 或 100.3"
            ),
        )  # fmt: skip
    written = match["number"].lower()
    number = int(written[:-1], 16) if written.endswith("h") else int(written, 16 if written.startswith("0x") else 10)
    table = (match["table"] or "holding").lower()
    if numbering == "modicon" and match["table"] is None and len(written) >= 5 and written[0] in _MODICON_TABLES:
        table, number = _MODICON_TABLES[written[0]], int(written[1:]) - 1
    fields: dict[str, Any] = {"table": table, "address": number}
    if match["bit"] is not None and table not in BIT_TABLES:
        fields["bit"] = int(match["bit"])
    return fields
