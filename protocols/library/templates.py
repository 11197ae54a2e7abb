"""Reads device templates: what a device of a known type is, how its points are addressed, what each one means.

A template is one TOML file, beside this module or anywhere a technician keeps it:

    [device]
    id = "acrel-adl400"            # the file's name without .toml
    version = 1
    manufacturer = "Acrel"
    model = "ADL400"
    name = { en = "Three-phase energy meter", zh = "三相电能表" }
    equipment_class = "energy_meter"   # of the dictionary
    protocol = "modbus"
    source = "where the register map is published"
    [defaults]                     # fields of the protocol's connection model that this type of device wants
    [fingerprint]                  # how a device of this type is told from others; see `Fingerprint`
    [each_point]                   # fields of the point model that every point has unless it says otherwise
    [[point]]                      # fields of the protocol's point model

A sister model writes down only its difference: `extends = "abb-b23"` above `[device]` takes everything but the
fingerprint from that template of the library; `only` or `omit` choose among its points by name; keys and points of one's
own come on top, a point instead of the one of its name. In a machine's controller points may be given by the names of its
program, see `plc`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from protocols.catalogue import driver_class
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.dictionary.units import unit
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.library.folder import own_templates
from protocols.library.plc import placed
from protocols.reading import Value
from protocols.text import Text
from protocols.validation import unknown_key, validate


class DeviceType(BaseModel):
    """Head of a template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: int = Field(ge=1)
    manufacturer: str
    model: str
    name: Text
    equipment_class: str
    protocol: str
    source: str


_SMALL = 20
"""Numbers below it stand in any register of any device."""


class Sign(BaseModel):
    """A value by which a device shows its type.

    `point`, or what stands `at` an address that is no point (the fields of a point of the protocol, without a name), holds
    one of `one_of`, or a text in which `contains` stands, or lies in `min` to `max`, in its own unit. What is looked up
    `at` an address is read to recognise the device, never collected; older devices may not have it. `source`: where it is
    published, if elsewhere than the points.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    point: str = ""
    at: dict[str, Any] = {}
    source: str = ""
    one_of: tuple[int | str, ...] = ()
    contains: str = ""
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Sign:
        if bool(self.point) + bool(self.at) != 1:
            raise ValueError(Text("a sign needs either a point or at = { ... }", "特征需要 point 或 at = { ... } 之一"))
        if bool(self.one_of) + bool(self.contains) + (self.min is not None or self.max is not None) != 1:
            raise ValueError(
                Text(
                    "a sign needs one of: one_of, contains, or min and max",
                    "特征需要 one_of、contains 或 min 与 max，三者选一",
                )
            )
        return self

    @property
    def rare(self) -> bool:
        """Whether hardly any other device shows it: a text, or numbers that are not as small as states and counts are."""
        return bool(self.contains) or (bool(self.one_of) and not any(value in range(_SMALL) for value in self.one_of))

    def holds(self, value: Value) -> bool:
        """Return whether `value`, of the sign's point, is what this type shows."""
        if self.contains:
            return isinstance(value, str) and self.contains.lower() in value.lower()
        if self.one_of:
            return value in self.one_of
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


class Fingerprint(BaseModel):
    """How a device of this type is told from others; everything that is given must hold.

    identification: texts, one of which stands in what the device says of itself (Modbus device identification or server
    id, OPC UA build information), upper and lower case alike. namespaces: URIs the OPC UA server has. sign: see `Sign`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identification: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    sign: tuple[Sign, ...] = ()


class Template(BaseModel):
    """One type of device. `points` are of the protocol's own point model, and so are `signs`, what is asked at the
    addresses of the fingerprint's signs besides."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    device: DeviceType
    defaults: dict[str, Any]
    fingerprint: Fingerprint
    points: tuple[PointConfig, ...]
    signs: tuple[PointConfig, ...] = ()


def template_ids() -> list[str]:
    """Return the ids of all templates, sorted: those the library comes with and the plant's own (`folder`)."""
    packaged = (file.name for file in files("protocols.library").iterdir() if file.name.endswith(".toml"))
    return sorted({*(name.removesuffix(".toml") for name in packaged), *own_templates()})


def load_template(name: str) -> Template:
    """Return the template `name`: an id of the library or of the plant's own folder, or the path of a TOML file.

    Raises ConfigError naming the file, the key and the mend for anything that is not a valid template.
    """
    if name.endswith(".toml"):
        return parse_template(_read(Path(name)), name)
    if name not in template_ids():
        near = ", ".join(get_close_matches(name, template_ids(), 3)) or ", ".join(template_ids())
        raise ConfigError(
            Text(f"no device '{name}' in the library", f"设备库中没有“{name}”"),
            Text(f"did you mean: {near}", f"是否指：{near}"),
            key="template",
        )
    return parse_template(_library_text(name), f"{name}.toml")


def whole_tables(name: str) -> dict[str, Any]:
    """Return the tables of the template `name`, an id or a path, with all it takes from the template it extends."""
    written = _written(_read(Path(name)) if name.endswith(".toml") else _library_text(name), ())
    return written.model_dump(include={"device", "defaults", "fingerprint", "point"}, exclude_defaults=True)


def parse_template(text: str, file: str) -> Template:
    """Return the template written in `text`; `file` is named in errors."""
    try:
        return _parse(text)
    except ConfigError as error:
        raise ConfigError(error.what, error.mend, key=f"{file}: {error.key}" if error.key else file) from error


class _Written(BaseModel):
    """The tables of a template's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    extends: str | None = None
    plc: str | None = None
    only: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    device: dict[str, Any]
    defaults: dict[str, Any] = {}
    fingerprint: dict[str, Any] = {}
    each_point: dict[str, Any] = {}
    point: tuple[dict[str, Any], ...] = ()

    @field_validator("point", mode="before")
    @classmethod
    def _many(cls, point: Any) -> Any:
        if isinstance(point, dict):
            raise ValueError(Text("[point] is a single table; write [[point]]", "[point] 是单个表，请写成 [[point]]"))
        return point


def _parse(text: str) -> Template:
    written = _written(text, ())
    if not written.point:
        raise ConfigError(
            Text("this key is missing", "缺少此项"), Text("add a [[point]]", "请添加 [[point]]"), key="point"
        )
    device = validate(DeviceType, written.device, "device")
    if device.equipment_class not in equipment_classes():
        classes = list(equipment_classes())
        near = ", ".join(get_close_matches(device.equipment_class, classes, 3) or classes)
        raise ConfigError(
            Text(f"unknown equipment class '{device.equipment_class}'", f"未知设备类别“{device.equipment_class}”"),
            Text(f"choose one of: {near}", f"可选：{near}"),
            key="device.equipment_class",
        )
    driver = driver_class(device.protocol)
    for name in written.defaults:
        if name not in driver.Connection.model_fields:
            raise ConfigError(*unknown_key(name, list(driver.Connection.model_fields)), key=f"defaults.{name}")
    points = tuple(
        validate(driver.Point, point, f"point[{number}]") for number, point in enumerate(written.point, start=1)
    )
    _check_points(points)
    fingerprint = validate(Fingerprint, written.fingerprint, "fingerprint")
    asked = []
    signs = list(fingerprint.sign)
    for number, sign in enumerate(signs, start=1):
        if sign.at:
            name = f"sign {number}"
            asked.append(validate(driver.Point, {"name": name, **sign.at}, f"fingerprint.sign[{number}].at"))
            signs[number - 1] = sign.model_copy(update={"point": name})
        else:
            _known(sign.point, [point.name for point in points], f"fingerprint.sign[{number}].point")
    return Template(
        device=device,
        defaults=written.defaults,
        fingerprint=fingerprint.model_copy(update={"sign": tuple(signs)}),
        points=points,
        signs=tuple(asked),
    )


def _written(text: str, extended_by: tuple[str, ...]) -> _Written:
    """Return the tables written in `text` over those of the template it extends; `extended_by` are the ids so far."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Text(f"not valid TOML: {error}", f"不是有效的 TOML：{error}")) from error
    written = validate(_Written, data, "")
    if written.extends is None:
        points = _placed_points(written, written.plc)
        return written.model_copy(update={"point": points})
    if written.extends in extended_by or written.extends not in template_ids():
        raise ConfigError(
            Text(f"'{written.extends}' is no template to extend", f"“{written.extends}”不是可继承的模板"),
            Text("name a template of the library that does not extend this one", "请填写库中另一个模板的 id"),
            key="extends",
        )
    base = _written(_library_text(written.extends), (*extended_by, written.extends))
    points = _placed_points(written, written.plc or base.plc)
    names = [point["name"] for point in base.point]
    for key, chosen in (("only", written.only), ("omit", written.omit)):
        for name in chosen:
            _known(name, names, key)
    own = {point.get("name") for point in points}
    kept = [
        point
        for point in base.point
        if point["name"] not in own
        and (point["name"] in written.only if written.only else point["name"] not in written.omit)
    ]
    return _Written(
        plc=written.plc or base.plc,
        device=base.device | written.device,
        defaults=base.defaults | written.defaults,
        fingerprint=written.fingerprint,
        point=(*kept, *points),
    )


def _placed_points(written: _Written, plc: str | None) -> tuple[dict[str, Any], ...]:
    return tuple(
        placed(written.each_point | point, plc, f"point[{number}]")
        for number, point in enumerate(written.point, start=1)
    )


def _known(name: str, names: Sequence[str], key: str) -> None:
    if name not in names:
        near = ", ".join(get_close_matches(name, names, 3) or names)
        raise ConfigError(
            Text(f"there is no point '{name}'", f"没有名为“{name}”的点"),
            Text(f"choose one of: {near}", f"可选：{near}"),
            key=key,
        )


def _library_text(name: str) -> str:
    own = own_templates().get(name)
    if own is not None:
        return _read(own)
    return files("protocols.library").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def _check_points(points: Sequence[PointConfig]) -> None:
    """Check what a point's own model cannot: names are unique, properties exist, units can be converted to theirs."""
    seen: set[str] = set()
    for number, point in enumerate(points, start=1):
        key = f"point[{number}]"
        if point.name in seen:
            raise ConfigError(
                Text(f"another point is already called '{point.name}'", f"已有名为“{point.name}”的点"),
                Text("give each point a name of its own", "请为每个点取不同的名称"),
                key=f"{key}.name",
            )
        seen.add(point.name)
        if point.unit is not None:
            unit(point.unit, key=f"{key}.unit")
        if point.property is not None:
            entry = load_dictionary().entry(point.property, key=f"{key}.property")
            try:
                entry.conversion_from(point.unit or entry.unit)
            except ConfigError as error:
                raise ConfigError(error.what, error.mend, key=f"{key}.unit") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            Text(f"cannot be read: {error.strerror}", f"无法读取：{error.strerror}"), key=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            Text("is not UTF-8 text", "不是 UTF-8 编码的文本"),
            Text("save it as UTF-8", "请另存为 UTF-8 编码"),
            key=str(path),
        ) from error
