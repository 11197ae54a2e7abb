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
    [[point]]                      # fields of the protocol's point model
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocols.catalogue import driver_class
from protocols.dictionary.entries import load_dictionary
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.text import Text


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


class Template(BaseModel):
    """One type of device. `points` are of the protocol's own point model."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    device: DeviceType
    defaults: dict[str, Any]
    points: tuple[PointConfig, ...]


def template_ids() -> list[str]:
    """Return the ids of all templates in the library, sorted."""
    return sorted(
        file.name.removesuffix(".toml") for file in files("protocols.library").iterdir() if file.name.endswith(".toml")
    )


def load_template(name: str) -> Template:
    """Return the template `name`: an id of the library, or the path of a TOML file.

    Raises ConfigError naming the file, the key and the mend for anything that is not a valid template.
    """
    if name.endswith(".toml"):
        return parse_template(_read(Path(name)), name)
    if name not in template_ids():
        near = ", ".join(get_close_matches(name, template_ids(), 3)) or ", ".join(template_ids())
        raise ConfigError(
            Text(f"no device '{name}' in the library", f"设备库中没有“{name}”"),
            Text(f"did you mean: {near}", f"是否指:{near}"),
            key="template",
        )
    return parse_template(
        files("protocols.library").joinpath(f"{name}.toml").read_text(encoding="utf-8"), f"{name}.toml"
    )


def parse_template(text: str, file: str) -> Template:
    """Return the template written in `text`; `file` is named in errors."""
    try:
        data = tomllib.loads(text)
        device = DeviceType.model_validate(data.pop("device", {}))
        point_model = driver_class(device.protocol).Point
        template = Template(
            device=device,
            defaults=data.pop("defaults", {}),
            points=tuple(point_model.model_validate(point) for point in data.pop("point", [])),
        )
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Text(f"not valid TOML: {error}", f"不是有效的 TOML:{error}"), key=file) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(Text(f"{place}: {first['msg']}", f"{place}:{first['msg']}"), key=file) from error
    if data:
        unknown = ", ".join(data)
        raise ConfigError(
            Text(f"unknown table {unknown}", f"未知的表 {unknown}"),
            Text("a template has [device], [defaults] and [[point]]", "模板只有 [device]、[defaults] 与 [[point]]"),
            key=file,
        )
    _check_points(template.points, file)
    return template


def _check_points(points: Sequence[PointConfig], file: str) -> None:
    seen: set[str] = set()
    for point in points:
        if point.name in seen:
            raise ConfigError(Text(f"point '{point.name}' is listed twice", f"点“{point.name}”重复"), key=file)
        seen.add(point.name)
        if point.property is not None:
            load_dictionary().entry(point.property, key=f"{file}: {point.name}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            Text(f"cannot be read: {error.strerror}", f"无法读取:{error.strerror}"), key=str(path)
        ) from error
