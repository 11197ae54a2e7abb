"""Back-fills of series: stored readings as rows for the child, and its findings as readings.

A row is what the sensors said at its time: of each the last reading before, unless that is bad or older than it may be. Findings
become readings of the points a box would have made (`score`, `verdict`), at the same times whenever it is run again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import numpy as np

from cloud.compute.schemas import Backfill
from cloud.core.db import AsyncConnection
from cloud.core.errors import Invalid, NotFound
from cloud.core.held import held
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.registry.service import Registry
from cloud.telemetry.service import Computed, Telemetry
from models.task import BackfillTask
from protocols.reading import GOOD, UNCERTAIN
from protocols.text import Text
from protocols.uplink.messages import PointRef

_VERDICTS = ("pass", "review", "reject")
_NO_HEALTH = Text("This is no model of a machine's health.", "该模型不是设备健康模型。")


class Model(NamedTuple):
    """A health model: what it is called, its sensors in their order, and its files."""

    name: str
    sensors: tuple[str, ...]
    card: bytes
    onnx: bytes


class Found(msgspec.Struct, frozen=True):
    """A line of the child's findings; see `models.series.backfill.Followed`."""

    at: int
    score: float | None = None
    verdict: int | None = None
    lost: bool = False


async def model_of(registry: Registry, telemetry: Telemetry, scope: TenantScope, wanted: Backfill) -> Model:
    """Return the model of a back-fill; raises NotFound, and Invalid if it is none or its sensors are not those given."""
    version = await registry.version(scope, wanted.model_id)
    if version.task != "health":
        raise Invalid(_NO_HEALTH)
    sensors = tuple(version.card["sensors"])
    if set(sensors) != set(wanted.sensors):
        names = ", ".join(sensors)
        raise Invalid(Text(f"The model's sensors are: {names}.", f"模型的传感器为：{names}。"))
    points = await telemetry.points(scope)
    if not set(wanted.sensors.values()) <= {point.series_id for point in points}:
        raise NotFound
    if wanted.equipment_id not in {point.equipment_id for point in points}:
        raise NotFound
    _, files = await registry.bundle(scope, wanted.model_id)
    return Model(version.name, sensors, files["card.toml"], files["model.onnx"])


async def order_of(
    connection: AsyncConnection, telemetry: Telemetry, wanted: Backfill, model: Model
) -> tuple[BackfillTask, dict[str, bytes]]:
    """Return the order and the files of a back-fill, from the readings as they are stored now."""
    ids = [wanted.sensors[name] for name in model.sensors]
    readings = await telemetry.numbers(connection, ids, wanted.start, wanted.end)
    begin, period = _us(wanted.start), round(wanted.period_s * 1e6)
    at = begin + period * np.arange(wanted.steps, dtype=np.int64)
    rows = np.full((wanted.steps, len(ids)), np.nan, "<f4")
    for column, one in enumerate(ids):
        mine = readings.series == one
        time, value = readings.time[mine], np.where(readings.quality[mine] < 0, np.nan, readings.value[mine])
        rows[:, column] = held(at, time, value, round(wanted.hold_s * 1e6))
    order = BackfillTask(list(model.sensors), begin, period, wanted.steps)
    return order, {"before.toml": model.card, "before.onnx": model.onnx, "rows.f32": rows.tobytes()}


def read(order: BackfillTask, content: bytes) -> list[Found]:
    """Return the findings of a back-fill; raises ValueError unless there is one for each row, at its time."""
    try:
        found = [msgspec.json.decode(line, type=Found) for line in content.splitlines()]
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    times = [order.begin_us + order.period_us * step for step in range(order.steps)]
    if [each.at for each in found] != times or any(each.verdict not in (None, 0, 1, 2) for each in found):
        raise ValueError("it is not a finding for each row")
    return found


async def write(connection: AsyncConnection, telemetry: Telemetry, job: Row, found: list[Found]) -> dict[str, Any]:
    """Write findings as readings of the job's equipment; returns what there was, how many were new, and the verdicts."""
    judged = [each for each in found if each.verdict is not None and each.score is not None]
    time = np.array([each.at for each in judged], np.int64)
    quality = np.array([UNCERTAIN if each.lost else GOOD for each in judged], np.int16)
    points = {
        PointRef("backfill", "score", "machine_health_score", "C62"): np.array([each.score for each in judged], float),
        PointRef("backfill", "verdict", "machine_health_verdict", "C62"): np.array(
            [each.verdict for each in judged], float
        ),
    }
    target = job["customer_id"], UUID(job["subject"]["equipment_id"])
    made = {point: Computed(time, value, quality) for point, value in points.items()}
    new = await telemetry.append_computed(connection, target, made)
    counts = {name: sum(each.verdict == place for each in judged) for place, name in enumerate(_VERDICTS)}
    return {"steps": len(found), "judged": len(judged), "written": new, "verdicts": counts}


def _us(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
