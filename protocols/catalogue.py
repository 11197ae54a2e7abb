"""The protocols this installation speaks: name -> driver and simulator, loaded when first asked for.

A built-in protocol is one line in `BUILT_IN`; a third party's is an entry point in the group `sunmao.protocols`
(name = "package.module:Driver", and in `sunmao.simulators` its simulator).
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from protocols.driver import Driver, Simulator
from protocols.errors import ConfigError
from protocols.text import Text

BUILT_IN = {
    "modbus": ("protocols.modbus.driver:ModbusDriver", "protocols.modbus.simulator:ModbusSimulator"),
    "mqtt": ("protocols.mqtt.driver:MqttDriver", "protocols.mqtt.simulator:MqttSimulator"),
    "opcua": ("protocols.opcua.driver:OpcuaDriver", "protocols.opcua.simulator:OpcuaSimulator"),
}


def protocol_names() -> list[str]:
    """Return the names of all protocols, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group="sunmao.protocols"))})


def driver_class(protocol: str) -> type[Driver]:
    """Return the driver of `protocol`; raises ConfigError if there is none or its extra is not installed."""
    return _load(protocol, 0, "sunmao.protocols")  # type: ignore[no-any-return]


def simulator_class(protocol: str) -> type[Simulator]:
    """Return the simulator of `protocol`; raises ConfigError as `driver_class` does."""
    return _load(protocol, 1, "sunmao.simulators")  # type: ignore[no-any-return]


def _load(protocol: str, which: int, group: str) -> Any:
    if protocol in BUILT_IN:
        module, _, name = BUILT_IN[protocol][which].partition(":")
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("protocols"):
                raise
            package = (error.name or "").partition(".")[0]
            raise ConfigError(
                Text(f"protocol '{protocol}' needs the package '{package}'", f"协议“{protocol}”缺少软件包“{package}”"),
                Text("install sunmao-iiot[edge]", "请安装 sunmao-iiot[edge]"),
            ) from error
    for point in entry_points(group=group, name=protocol):
        return point.load()
    known = ", ".join(protocol_names())
    raise ConfigError(
        Text(f"unknown protocol '{protocol}'", f"未知协议“{protocol}”"),
        Text(f"choose one of: {known}", f"可选：{known}"),
        key="protocol",
    )
