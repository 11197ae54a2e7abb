"""Makes a point list of what a device says it offers: the first step from an unknown server to configured points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_agent.onboard.point_address import address_text
from edge_agent.onboard.point_list import Point, PointList
from protocols.catalogue import driver_class
from protocols.dictionary.units import load_units
from protocols.driver import BrowsedPoint, Driver
from protocols.errors import ConfigError
from protocols.text import Text
from protocols.validation import validate

LONGEST_NAME = 120
"""As `protocols.driver.PointConfig.name` allows."""


_SCALARS = frozenset(
    {
        *("Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double"),
        *("String", "DateTime", "UtcTime", "LocalizedText", "Number", "Integer", "UInteger", "Duration", "Enumeration"),
    }
)
"""Built-in types of OPC UA (Part 6, 5.1.2) that hold one value, and standard types derived from them."""


class BrowseList(PointList, frozen=True):
    """What a device offers. `left_out` counts what is no single value (arrays, structures) and so can be no point."""

    left_out: int = 0


def driver_at(address: str, connection: Mapping[str, Any], folder: Path) -> Driver:
    """Return a driver for an OPC UA server or an MQTT broker that is in no configuration yet.

    Args:
        address: opc.tcp://host:port/path or mqtt://host:port.
        connection: further fields of its connection model, above all `security`.
        folder: where relative paths of the connection (its certificate, whom it trusts) start.

    Raises ConfigError naming the field that is wrong or missing.
    """
    parts = urlsplit(address)
    fields: dict[str, Any]
    if parts.scheme == "opc.tcp":
        protocol, fields = "opcua", {"endpoint": address}
    elif parts.scheme == "mqtt" and parts.hostname:
        protocol, fields = "mqtt", {"host": parts.hostname, **({"port": parts.port} if parts.port else {})}
    else:
        raise ConfigError(
            Text(
                f"'{address}' is neither a configured device nor an address that can be browsed",
                f"“{address}”既不是已配置的设备，也不是可浏览的地址",
            ),
            Text(
                "write opc.tcp://<host>:<port>, mqtt://<host>:<port> or the name of a device",
                "请写 opc.tcp://<主机>:<端口>、mqtt://<主机>:<端口> 或设备名称",
            ),
        )
    driver = driver_class(protocol)
    return driver(address, validate(driver.Connection, {**fields, **connection}, "connection", folder), ())


async def browse_points(
    driver: Driver, *, matching: str = "*", advance: Callable[[], object] = lambda: None
) -> BrowseList:
    """Connect with `driver`, walk through all that the device offers and disconnect.

    Args:
        driver: a new driver; it is opened and closed here.
        matching: pattern of the places wanted (as of a shell, `*` reaches over `/`).
        advance: called after each point.

    Raises as the driver's `open` and `browse`: Refused where the protocol cannot tell what a device offers.
    """
    found: list[BrowsedPoint] = []
    try:
        await driver.open()
        async for point in driver.browse():
            found.append(point)
            advance()
    finally:
        await driver.close()
    wanted = [point for point in found if fnmatchcase(point.path, matching)]
    single = [point for point in wanted if _is_single(point)]
    names = Counter[str]()
    return BrowseList([_point(point, names) for point in single], left_out=len(wanted) - len(single))


def _is_single(found: BrowsedPoint) -> bool:
    """Whether a point is one value. An enumeration has a type of its own and shows it by its present value."""
    return not found.data_type.endswith("[]") and (
        found.value is not None or found.data_type in _SCALARS or not found.data_type
    )


def _point(found: BrowsedPoint, names: Counter[str]) -> Point:
    """Return `found` under a name of its own: its place, of which a person may leave as much as tells it apart."""
    name = found.path.strip().lstrip("/")[-LONGEST_NAME:].lstrip("/ ") or address_text(found.address)
    names[name] += 1
    if names[name] > 1:
        name = f"{name[: LONGEST_NAME - 8]} ({names[name]})"
    return Point(
        address=address_text(found.address),
        name=name,
        description=found.description,
        unit=unit_text(found.unit),
        datatype=found.data_type,
        low=found.range[0] if found.range else None,
        high=found.range[1] if found.range else None,
        value="" if found.value is None else str(found.value),
    )


def unit_text(code: str | None) -> str:
    """Return a unit as people write it, for a code of the dictionary; its code where no symbol says the same."""
    from edge_agent.onboard.propose_lexicon import load_lexicon  # noqa: PLC0415 - loads its word lists

    if code is None or code not in load_units():
        return code or ""
    symbol = load_units()[code].symbol
    return symbol if symbol not in load_units() and load_lexicon().unit_code(symbol) == code else code
