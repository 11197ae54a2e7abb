"""[[machine_health]]: which machine is watched, by which model and which of the collected points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from edge_agent.config_points import Collected, find_point
from edge_agent.config_tables import Name, PublicKeys, RelativePath, Table
from protocols.catalogue import driver_class
from protocols.driver import PointConfig, Sampling
from protocols.errors import ConfigError
from protocols.text import Text
from protocols.validation import no_such, validate


class CollectedPoint(Table):
    """A point that this agent collects."""

    device: str = Field(description="Its device.")
    point: str = Field(description="Its name.")


class WaveformConfig(Table):
    """[machine_health.waveform]: a folder in which a recorder leaves vibration, a .wav or .csv file at a time."""

    folder: RelativePath = Field(description="The folder; judged files go to its done/, what cannot be judged to bad/.")
    keep: int = Field(20, ge=0, description="How many judged files stay in done/.")


class ArrayConfig(Table):
    """[machine_health.array]: vibration that a device holds as arrays of samples, one variable a channel."""

    device: str = Field(
        description="A device of this agent whose protocol has arrays, as OPC UA; it gets a session of its own."
    )
    rate: float | None = Field(None, gt=0, description="Samples a second.")
    rate_point: dict[str, Any] | None = Field(
        None,
        description='Instead of rate, the variable that says it, addressed as a point: { node = "nsu=...;s=rate" }.',
    )
    channel: list[dict[str, Any]] = Field(
        min_length=1,
        description="Its arrays, each addressed as a point of the device and named as the model's channel; scale and offset count.",
    )

    @model_validator(mode="after")
    def _one_rate(self) -> ArrayConfig:
        if (self.rate is None) == (self.rate_point is None):
            raise ValueError(Text("give either rate or rate_point", "请给出 rate 或 rate_point 之一"))
        return self


class ArrayPoints(NamedTuple):
    """What is read of a device: an array a channel, and the variable that says the rate, if there is one."""

    channels: tuple[PointConfig, ...]
    rate: PointConfig | None


class MachineHealthConfig(Table):
    """[[machine_health]]: a machine's collected points, or its vibration, judged by a signed model of what is usual for it."""

    device: Name = Field(description="Name of the watch, e.g. pump-1-health; one equipment in the cloud.")
    bundle: RelativePath = Field(description="Folder of the signed model bundle, made by `sunmao-model fit series`.")
    trust: PublicKeys = Field(description="Base64 Ed25519 public keys whose signatures are accepted.")
    period_s: float = Field(
        1.0,
        ge=0.1,
        le=3600,
        description="Seconds between two judgements: the spacing of the rows, or files, the model learnt from.",
    )
    sensors: dict[str, CollectedPoint] = Field(
        {}, description="For each sensor of the model the collected point that is it, in the same unit."
    )
    waveform: WaveformConfig | None = Field(
        None, description="Instead of sensors, for a model of vibration: where its files come from."
    )
    array: ArrayConfig | None = Field(
        None, description="Instead of sensors, for a model of vibration: which device holds it as arrays."
    )
    running: CollectedPoint | None = Field(
        None, description="Point that is true, or above 0, while the machine runs; a machine at rest is not judged."
    )

    @model_validator(mode="after")
    def _sensors_or_waveform(self) -> MachineHealthConfig:
        if bool(self.sensors) + bool(self.waveform) + bool(self.array) != 1:
            raise ValueError(Text("give either sensors or waveform or array", "请给出 sensors、waveform 或 array 之一"))
        return self


def check_machine_health(watches: Sequence[MachineHealthConfig], devices: Sequence[Collected]) -> None:
    """Raise ConfigError naming the key where a watch names no point of `devices`."""
    for number, watch in enumerate(watches, 1):
        key = f"machine_health[{number}]"
        for sensor, where in watch.sensors.items():
            find_point(devices, where.device, where.point, f"{key}.sensors.{sensor}")
        if watch.running:
            find_point(devices, watch.running.device, watch.running.point, f"{key}.running")
        if watch.array:
            array_points(watch.array, devices, f"{key}.array")


def array_points(array: ArrayConfig, devices: Sequence[Collected], key: str) -> ArrayPoints:
    """Return the points of `array`, as its device's protocol addresses them; raises ConfigError below `key`."""
    by_name = {each.name: each for each in devices}
    if array.device not in by_name:
        error = no_such("device", "设备", array.device, list(by_name))
        raise ConfigError(error.what, error.mend, key=f"{key}.device")
    protocol = by_name[array.device].protocol
    driver = driver_class(protocol)
    if not issubclass(driver, Sampling):
        raise ConfigError(
            Text(f"{protocol} has no arrays of samples", f"{protocol} 不支持采样数组"),
            Text(
                "name an OPC UA device, or use [machine_health.waveform]",
                "请指定 OPC UA 设备，或使用 [machine_health.waveform]",
            ),
            key=f"{key}.device",
        )
    channels = tuple(
        validate(driver.Point, table, f"{key}.channel[{number}]") for number, table in enumerate(array.channel, 1)
    )
    if len({each.name for each in channels}) < len(channels):
        raise ConfigError(
            Text("two channels have the same name", "通道名称重复"), Text("rename one", "请改名"), key=f"{key}.channel"
        )
    rate = array.rate_point and validate(driver.Point, {"name": "rate"} | array.rate_point, f"{key}.rate_point")
    return ArrayPoints(channels, rate or None)
