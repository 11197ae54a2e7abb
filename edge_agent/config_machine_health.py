"""[[machine_health]]: which machine is watched, by which model and which of the collected points."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from edge_agent.config_points import Collected, find_point
from edge_agent.config_tables import Name, PublicKeys, RelativePath, Table
from protocols.text import Text


class CollectedPoint(Table):
    """A point that this agent collects."""

    device: str = Field(description="Its device.")
    point: str = Field(description="Its name.")


class WaveformConfig(Table):
    """[machine_health.waveform]: a folder in which a recorder leaves vibration, a .wav or .csv file at a time."""

    folder: RelativePath = Field(description="The folder; judged files go to its done/, what cannot be judged to bad/.")
    keep: int = Field(20, ge=0, description="How many judged files stay in done/.")


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
    running: CollectedPoint | None = Field(
        None, description="Point that is true, or above 0, while the machine runs; a machine at rest is not judged."
    )

    @model_validator(mode="after")
    def _sensors_or_waveform(self) -> MachineHealthConfig:
        if bool(self.sensors) == bool(self.waveform):
            raise ValueError(Text("give either sensors or waveform", "请给出 sensors 或 waveform 之一"))
        return self


def check_machine_health(watches: Sequence[MachineHealthConfig], devices: Sequence[Collected]) -> None:
    """Raise ConfigError naming the key where a watch names no point of `devices`."""
    for number, watch in enumerate(watches, 1):
        key = f"machine_health[{number}]"
        for sensor, where in watch.sensors.items():
            find_point(devices, where.device, where.point, f"{key}.sensors.{sensor}")
        if watch.running:
            find_point(devices, watch.running.device, watch.running.point, f"{key}.running")
