"""[[outlet]]: where readings go besides the cloud."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from protocols.errors import ConfigError
from protocols.mqtt.config import BrokerConnection
from protocols.secured import FilePath
from protocols.text import Text
from protocols.validation import validate

Column = Literal[
    "time",
    "local_time",
    "device",
    "point",
    "property",
    "name_en",
    "name_zh",
    "value",
    "unit",
    "unit_code",
    "quality",
]
ALL_COLUMNS: tuple[Column, ...] = Column.__args__  # type: ignore[attr-defined]


def _sparkplug_id(name: str) -> str:
    if not name.isprintable() or set("+#/") & set(name):
        raise ValueError(
            Text(
                f"'{name}' holds '+', '#', '/' or a control character, which a part of a topic must not",
                f"“{name}”含有“+”“#”“/”或控制字符，不能用于主题",
            )
        )
    return name


SparkplugId = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_sparkplug_id)]


class OutletConfig(BaseModel):
    """What every outlet has."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: str = Field(description="What kind of outlet this is.")
    name: str = Field(
        min_length=1, max_length=60, pattern=r"^\w[\w. -]*$", description="Name of the outlet, in status and messages."
    )
    devices: list[str] = Field(
        ["*"], min_length=1, description="Devices whose readings are wanted; * and ? stand for any text, any character."
    )
    properties: list[str] = Field(
        ["*"],
        min_length=1,
        description='Dictionary codes wanted, with * and ?. A point without a code is wanted only by "*".',
    )
    queue: int = Field(
        100_000,
        ge=1000,
        le=1_000_000,
        description="Most readings that wait in memory (some 200 bytes each) while the outlet cannot take them; the"
        " oldest go first, counted.",
    )


class SparkplugConfig(OutletConfig):
    """An edge node of Sparkplug B at a broker of one's own."""

    kind: Literal["sparkplug"] = Field("sparkplug", description="What kind of outlet this is.")
    group_id: SparkplugId = Field(description="Sparkplug group, e.g. the site.")
    node_id: SparkplugId = Field(description="Name of this edge node, unique in its group.")
    primary_host: SparkplugId | None = Field(
        None,
        description="Host application (Sparkplug 3: spBv1.0/STATE/<id>) without which nothing is published but waits;"
        " none is waited for where absent.",
    )
    connection: BrokerConnection = Field(description="The broker, as in the connection of an MQTT device.")


class FileConfig(OutletConfig):
    """Files in a folder."""

    folder: FilePath = Field(strict=False, description="Where the files go; made if missing. One outlet, one folder.")
    rotate_mb: float = Field(
        64.0, gt=0, le=1024, description="A file is finished at this size in megabytes (Parquet: before compression)."
    )
    rotate_min: float = Field(60.0, gt=0, le=44_640, description="A file is finished after so many minutes.")
    keep_mb: float | None = Field(
        10_000.0, gt=0, description="The oldest finished files are deleted beyond this size together, in megabytes."
    )
    keep_days: float | None = Field(
        None, gt=0, description="Files finished longer ago are deleted; not for their age where absent."
    )
    flush_s: float = Field(
        1.0,
        ge=0.05,
        le=60,
        description="Longest time in seconds until a reading is on disk; what a power cut can take.",
    )
    columns: list[Column] = Field(
        list(ALL_COLUMNS), min_length=1, description="Columns, in this order; all where absent."
    )
    time_zone: str | None = Field(
        None, description='Zone of local_time, e.g. "Asia/Shanghai"; the one of this box where absent.'
    )

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: list[Column]) -> list[Column]:
        if len(set(columns)) < len(columns):
            raise ValueError(Text("a column is listed twice", "有列重复"))
        return columns

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                Text(f"'{zone}' is no time zone like Asia/Shanghai", f"“{zone}”不是形如 Asia/Shanghai 的时区")
            ) from error
        return zone


class CsvConfig(FileConfig):
    """CSV files (RFC 4180, UTF-8)."""

    kind: Literal["csv"] = Field("csv", description="What kind of outlet this is.")
    language: Literal["en", "zh"] = Field("en", description="Language of the header.")
    excel: bool = Field(
        False,
        description="For Excel: a byte order mark, so that it reads UTF-8, and an apostrophe before text that begins with"
        " = + - @ or a tab, so that it runs nothing. Off, text stays as it is.",
    )


class ParquetConfig(FileConfig):
    """Parquet files, for pandas, DuckDB and their like; needs sunmao-iiot[parquet]."""

    kind: Literal["parquet"] = Field("parquet", description="What kind of outlet this is.")


KINDS: dict[str, type[OutletConfig]] = {"sparkplug": SparkplugConfig, "csv": CsvConfig, "parquet": ParquetConfig}


def read_outlets(tables: Sequence[Any], devices: Sequence[str], folder: Path) -> tuple[OutletConfig, ...]:
    """Return the [[outlet]] tables, checked; raises ConfigError.

    Args:
        tables: as they stand in the file.
        devices: names of all devices.
        folder: the one of the file.
    """
    outlets: list[OutletConfig] = []
    for number, table in enumerate(tables, 1):
        key = f"outlet[{number}]"
        outlet = _outlet(table, key, folder)
        _check(outlet, outlets, devices, key)
        outlets.append(outlet)
    return tuple(outlets)


def _outlet(table: Any, key: str, folder: Path) -> OutletConfig:
    kind = table.get("kind") if isinstance(table, dict) else None
    if kind not in KINDS:
        raise ConfigError(
            Text("this key is missing", "缺少此项")
            if kind is None
            else Text(f"there is no kind of outlet {kind!r}", f"没有这种出口：{kind!r}"),
            Text(f"write one of: {', '.join(KINDS)}", f"请填写以下之一：{', '.join(KINDS)}"),
            key=f"{key}.kind",
        )
    if kind == "sparkplug" and "connection" in table:
        # By itself, so that what is wrong in it is named with its whole key.
        table = table | {"connection": validate(BrokerConnection, table["connection"], f"{key}.connection", folder)}
    return validate(KINDS[kind], table, key, folder)


def _check(outlet: OutletConfig, others: Sequence[OutletConfig], devices: Sequence[str], key: str) -> None:
    if any(outlet.name == other.name for other in others):
        raise ConfigError(
            Text(f"'{outlet.name}' is also the name of another outlet", f"名称“{outlet.name}”已用于其他出口"),
            Text("give each outlet its own name", "请为每个出口取不同的名称"),
            key=f"{key}.name",
        )
    if isinstance(outlet, FileConfig):
        folders = [other.folder.resolve() for other in others if isinstance(other, FileConfig)]
        if outlet.folder.resolve() in folders:
            raise ConfigError(
                Text(f"{outlet.folder} is also the folder of another outlet", f"文件夹 {outlet.folder} 已用于其他出口"),
                Text("give each outlet its own folder", "请为每个出口指定不同的文件夹"),
                key=f"{key}.folder",
            )
    if isinstance(outlet, SparkplugConfig):
        wanted = Selection(outlet)
        for name in devices:
            if wanted.device(name) and set("+#") & set(name):
                raise ConfigError(
                    Text(f"device '{name}' cannot be part of a topic", f"设备名“{name}”不能用于主题"),
                    Text("rename it, or leave it out with `devices`", "请改名，或用 devices 排除该设备"),
                    key=f"{key}.devices",
                )


class Selection:
    """Which readings an outlet wants."""

    def __init__(self, outlet: OutletConfig) -> None:
        self.everything = outlet.devices == ["*"] and outlet.properties == ["*"]
        self._devices = _pattern(outlet.devices)
        self._properties = _pattern(outlet.properties)

    def device(self, name: str) -> bool:
        """Whether readings of the device `name` are wanted."""
        return self._devices.fullmatch(name) is not None

    def point(self, device: str, property_code: str) -> bool:
        """Whether readings of `device` with the dictionary code `property_code`, or "", are wanted."""
        return self.device(device) and self._properties.fullmatch(property_code) is not None


def _pattern(written: Sequence[str]) -> re.Pattern[str]:
    """Return what matches any of `written`; brackets, which names do hold, stand for themselves."""
    parts = [re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in written]
    return re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL)
