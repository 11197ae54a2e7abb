"""The agent's configuration: one TOML file, one model. Paths in it are relative to the file's folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, SerializeAsAny

from edge_agent.config_forecast import ForecastConfig, check_forecasts
from edge_agent.config_inspection import InspectionConfig, check_inspections
from edge_agent.config_machine_health import MachineHealthConfig, check_machine_health
from edge_agent.config_tables import AgentConfig, BufferConfig, CloudConfig, Name, Table
from edge_agent.outlets.config import OutletConfig, read_outlets
from protocols.catalogue import driver_class
from protocols.dictionary.entries import load_dictionary
from protocols.driver import ConnectionConfig, Driver, PointConfig
from protocols.errors import ConfigError
from protocols.library.folder import NAME, use_folder
from protocols.library.templates import Template, load_template
from protocols.text import Text
from protocols.validation import no_such, unknown_key, validate

__all__ = [
    "TABLES",
    "AgentConfig",
    "BufferConfig",
    "CloudConfig",
    "Config",
    "DeviceConfig",
    "DeviceTable",
    "ForecastConfig",
    "InspectionConfig",
    "MachineHealthConfig",
    "load_agent",
    "load_config",
    "parse_config",
    "read_config",
    "version_of",
]


class DeviceConfig(Table):
    """One [[device]], complete: its template is merged in, connection and points are of its protocol's own models."""

    name: Name
    protocol: str
    template: str = ""
    equipment_class: str = ""
    period_s: float = Field(1.0, ge=0.01, le=86400, description="Reading or sampling period in seconds.")
    stale_s: float | None = None
    connection: SerializeAsAny[ConnectionConfig]
    points: tuple[SerializeAsAny[PointConfig], ...]

    def point(self, name: str) -> PointConfig:
        """Return the point `name`; raises ConfigError naming those there are."""
        for point in self.points:
            if point.name == name:
                return point
        raise no_such("point", "点", name, [point.name for point in self.points])

    def periods(self) -> dict[float, list[PointConfig]]:
        """Return the points by the period they are read in, in seconds."""
        periods: dict[float, list[PointConfig]] = {}
        for point in self.points:
            periods.setdefault(point.period_s or self.period_s, []).append(point)
        return periods

    def driver(self, *, collects: bool = False) -> Driver:
        """Return a new driver for this device; nothing is sent yet.

        One that `collects` carries the connection's `client_id`; any other goes without, because a broker ends the
        connection that had the name before.
        """
        connection = self.connection
        if not collects and getattr(connection, "client_id", None) is not None:
            connection = connection.model_copy(update={"client_id": None})
        return driver_class(self.protocol)(self.name, connection, self.points)


class Config(Table):
    """The whole file. `version` names its content (`version_of`)."""

    version: str
    agent: AgentConfig
    cloud: CloudConfig
    buffer: BufferConfig
    devices: tuple[DeviceConfig, ...]
    inspections: tuple[InspectionConfig, ...]
    machine_health: tuple[MachineHealthConfig, ...]
    forecasts: tuple[ForecastConfig, ...]
    outlets: tuple[SerializeAsAny[OutletConfig], ...] = ()

    @property
    def judging(self) -> tuple[InspectionConfig | MachineHealthConfig | ForecastConfig, ...]:
        """What runs a model."""
        return (*self.inspections, *self.machine_health, *self.forecasts)

    def device(self, name: str) -> DeviceConfig:
        """Return the device `name`; raises ConfigError naming those there are."""
        for device in self.devices:
            if device.name == name:
                return device
        raise no_such("device", "设备", name, [device.name for device in self.devices])


class DeviceTable(Table):
    """A [[device]] as written: either a template, or a protocol with its points."""

    name: Name = Field(description="Name of the device, unique here; one equipment in the cloud.")
    template: str | None = Field(
        None, description="Device of the library, or a template file (.toml) of your own; else protocol and points."
    )
    protocol: str | None = Field(None, description='"modbus", "opcua" or "mqtt"; with a template it is known.')
    period_s: float = Field(1.0, ge=0.01, le=86400, description="Reading or sampling period in seconds.")
    stale_s: float | None = Field(
        None, ge=1, description="Seconds without data after which a subscribed device is lost; never where absent."
    )
    connection: dict[str, Any] = Field({}, description="How to reach it; see the table of its protocol.")
    point: list[dict[str, Any]] = Field(
        [], description="Its points, each a table of its protocol; over the template's."
    )


TABLES: Mapping[str, Literal["table", "array"]] = {
    "agent": "table",
    "cloud": "table",
    "buffer": "table",
    "device": "array",
    "inspection": "array",
    "machine_health": "array",
    "forecast": "array",
    "outlet": "array",
}


def load_config(path: Path) -> Config:
    """Return the configuration in `path`, complete and checked as far as is possible without a network.

    It may name no device yet: a fresh agent runs, enrols and waits for its first one.
    Raises ConfigError naming the key (arrays counted from 1: `device[2].connection.port`) and how to mend it.
    """
    return parse_config(read_config(path), path)


def parse_config(text: str, path: Path) -> Config:
    """Return the configuration `text` as if `path` held it; raises ConfigError as `load_config` does."""
    tables = _tables(text, path)
    use_folder((folder := path.resolve().parent) / NAME)
    agent = _agent(tables, folder)
    cloud = validate(CloudConfig, tables["cloud"], "cloud")
    inspections = tuple(
        _placed(validate(InspectionConfig, table, f"inspection[{number}]"), folder)
        for number, table in enumerate(tables["inspection"], 1)
    )
    watches = tuple(
        _placed(validate(MachineHealthConfig, table, f"machine_health[{number}]"), folder)
        for number, table in enumerate(tables["machine_health"], 1)
    )
    forecasts = tuple(
        _placed(validate(ForecastConfig, table, f"forecast[{number}]"), folder)
        for number, table in enumerate(tables["forecast"], 1)
    )
    devices = tuple(_device(table, f"device[{number}]", folder) for number, table in enumerate(tables["device"], 1))
    named = [
        *(device.name for device in devices),
        *(each.device for each in inspections),
        *(each.device for each in watches),
        *(each.device for each in forecasts),
    ]
    config = Config(
        version=version_of(text),
        agent=agent,
        cloud=cloud.model_copy(update={"ca": folder / cloud.ca if cloud.ca else None}),
        buffer=validate(BufferConfig, tables["buffer"], "buffer"),
        devices=devices,
        inspections=inspections,
        machine_health=watches,
        forecasts=forecasts,
        outlets=read_outlets(tables["outlet"], named, folder),
    )
    _check_names(config)
    check_inspections(inspections, devices, agent.allow_writes)
    check_machine_health(watches, devices)
    check_forecasts(forecasts, devices)
    return config


def load_agent(path: Path) -> AgentConfig:
    """Return [agent] of the file whatever else is in it; raises ConfigError."""
    return _agent(_tables(read_config(path), path), path.resolve().parent)


def read_config(path: Path) -> str:
    """Return the text of the file; raises ConfigError if there is none or it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            Text("there is no such file", "没有这个文件"),
            Text(
                "set the box up on the pages of `sunmao-edge ui`, or have `sunmao-edge init` write a sample to edit",
                "请用 `sunmao-edge ui` 的页面配置本机，或用 `sunmao-edge init` 生成样例后编辑",
            ),
            key=str(path),
        ) from error
    except OSError as error:
        raise ConfigError(
            Text(f"cannot be read: {error.strerror}", f"无法读取：{error.strerror}"), key=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise _not_toml(error, path) from error


def version_of(text: str) -> str:
    """Return the version of a configuration: the first 12 hex digits of the SHA-256 of the file."""
    return sha256(text.encode("utf-8")).hexdigest()[:12]


def _not_toml(error: ValueError, path: Path) -> ConfigError:
    return ConfigError(
        Text(f"not valid TOML: {error}", f"不是有效的 TOML:{error}"),
        Text("correct that place", "请改正该处"),
        key=str(path),
    )


def _tables(text: str, path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(error, path) from error
    for name, table in tables.items():
        if name not in TABLES:
            raise ConfigError(*unknown_key(name, list(TABLES)), key=name)
        array = TABLES[name] == "array"
        if not isinstance(table, list if array else dict):
            header = f"[[{name}]]" if array else f"[{name}]"
            raise ConfigError(
                Text(f"must be written as {header}", f"应写作 {header}"),
                Text("correct the header", "请改正表头"),
                key=name,
            )
    return {name: tables.get(name, [] if kind == "array" else {}) for name, kind in TABLES.items()}


def _agent(tables: Mapping[str, Any], folder: Path) -> AgentConfig:
    agent = validate(AgentConfig, tables["agent"], "agent")
    return agent.model_copy(update={"state_dir": folder / agent.state_dir})


_Judging = TypeVar("_Judging", InspectionConfig, MachineHealthConfig, ForecastConfig)


def _placed(judging: _Judging, folder: Path) -> _Judging:
    update: dict[str, object] = {"bundle": folder / judging.bundle}
    if isinstance(judging, InspectionConfig):
        update["folder"] = folder / judging.folder
    elif isinstance(judging, MachineHealthConfig) and judging.waveform:
        update["waveform"] = judging.waveform.model_copy(update={"folder": folder / judging.waveform.folder})
    return judging.model_copy(update=update)


def _device(table: Any, key: str, folder: Path) -> DeviceConfig:
    written = validate(DeviceTable, table, key)
    if (written.template is None) == (written.protocol is None):
        raise ConfigError(
            Text("needs either a template or a protocol", "须在 template 与 protocol 中二选一"),
            Text('write e.g. template = "demo-energy-meter"', '例如 template = "demo-energy-meter"'),
            key=key,
        )
    template = _template(written.template, key, folder) if written.template is not None else None
    protocol = template.device.protocol if template else written.protocol
    assert protocol is not None  # noqa: S101 - one of the two is given, as checked above
    with _keyed(f"{key}.protocol"):
        driver = driver_class(protocol)
    defaults = template.defaults if template else {}
    device = DeviceConfig(
        name=written.name,
        protocol=protocol,
        template=written.template or "",
        equipment_class=template.device.equipment_class if template else "",
        period_s=written.period_s,
        stale_s=written.stale_s,
        connection=validate(driver.Connection, defaults | written.connection, f"{key}.connection", folder),
        points=_points(written.point, template, driver.Point, key),
    )
    with _keyed(key):
        device.driver()
    return device


@contextmanager
def _keyed(key: str) -> Iterator[None]:
    """Put the key of the configuration in front of a ConfigError raised within."""
    try:
        yield
    except ConfigError as error:
        within = "" if error.key in (None, "template", "protocol") else f": {error.key}"
        raise ConfigError(error.what, error.mend, key=f"{key}{within}") from error


def _template(name: str, key: str, folder: Path) -> Template:
    with _keyed(f"{key}.template"):
        return load_template(str(folder / name) if name.endswith(".toml") else name)


def _points(
    written: Sequence[Mapping[str, Any]], template: Template | None, model: type[PointConfig], key: str
) -> tuple[PointConfig, ...]:
    """Return the template's points, each overridden by the written point of its name, and those only written."""
    # What may be written is decided here, never by a file that others share.
    shared = template.points if template else ()
    points = {point.name: point.model_copy(update={"write": None}) if point.write else point for point in shared}
    seen: set[str] = set()
    for number, table in enumerate(written, 1):
        place = f"{key}.point[{number}]"
        name = table.get("name")
        under = points[name].model_dump(exclude_unset=True) if isinstance(name, str) and name in points else {}
        point = validate(model, under | dict(table), place)
        if point.name in seen:
            raise ConfigError(
                Text(f"point '{point.name}' is listed twice", f"点“{point.name}”重复"),
                Text("rename or remove one", "请改名或删除其一"),
                key=f"{place}.name",
            )
        seen.add(point.name)
        points[point.name] = point
        _check_meaning(point, place)
    if not points:
        raise ConfigError(
            Text("the device has no points", "该设备没有任何点"),
            Text("add [[device.point]] tables or name a template", "请添加 [[device.point]] 或指定模板"),
            key=f"{key}.point",
        )
    return tuple(points.values())


def _check_meaning(point: PointConfig, key: str) -> None:
    if point.property is None:
        return
    entry = load_dictionary().entry(point.property, key=f"{key}.property")
    with _keyed(f"{key}.unit"):
        entry.conversion_from(point.unit or entry.unit)


def _check_names(config: Config) -> None:
    keys: dict[str, str] = {}
    named = [(f"device[{n}].name", device.name) for n, device in enumerate(config.devices, 1)]
    named += [(f"inspection[{n}].device", station.device) for n, station in enumerate(config.inspections, 1)]
    named += [(f"machine_health[{n}].device", watch.device) for n, watch in enumerate(config.machine_health, 1)]
    named += [(f"forecast[{n}].device", watch.device) for n, watch in enumerate(config.forecasts, 1)]
    for key, name in named:
        if name in keys:
            raise ConfigError(
                Text(f"'{name}' is also the name of {keys[name]}", f"名称“{name}”已用于 {keys[name]}"),
                Text("give each device its own name", "请为每台设备取不同的名称"),
                key=key,
            )
        keys[name] = key
