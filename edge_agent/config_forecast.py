"""[[forecast]]: one value by the clock - energy above all - watched and forecast by a signed seasonal model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from edge_agent.config_machine_health import CollectedPoint
from edge_agent.config_points import Collected, find_point
from edge_agent.config_tables import Name, PublicKeys, RelativePath, Table


class ForecastConfig(Table):
    """[[forecast]]: a collected value by the time of the day or week, compared with what is usual then, and forecast."""

    device: Name = Field(description="Name of the watch, e.g. hall-energy; one equipment in the cloud.")
    bundle: RelativePath = Field(
        description="Folder of the signed model bundle, made by `sunmao-model fit series --kind seasonal`."
    )
    trust: PublicKeys = Field(description="Base64 Ed25519 public keys whose signatures are accepted.")
    value: CollectedPoint = Field(description="The collected point.")
    take: Literal["growth", "mean"] = Field(
        "growth", description='What of a period the model knows: the "growth" of a counter, or the "mean" of a value.'
    )


def check_forecasts(watches: Sequence[ForecastConfig], devices: Sequence[Collected]) -> None:
    """Raise ConfigError naming the key where a watch names no point of `devices`."""
    for number, watch in enumerate(watches, 1):
        find_point(devices, watch.value.device, watch.value.point, f"forecast[{number}].value")
