"""Models of a machine's health, fitted from what the cloud has stored of it: which sensors, which stretch of good running.

A machine is a set without pictures; its fits, versions and roll-outs are those of any set. A row is what the sensors said at
its time, as long as a reading may hold; rows at rest, or without any reading, are left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.held import held
from cloud.core.principal import Principal, TenantScope
from cloud.telemetry.service import Telemetry
from cloud.training import store
from cloud.training.orders import FITTING, set_of
from cloud.training.schemas import Completeness, Fit, MachineRequest, PictureSet, Stretch
from cloud.training.signing import Signer
from models.task import HealthFitTask
from protocols.text import Text

MOST_ROWS, MOST_READINGS = 200_000, 3_000_000

_NAME_TAKEN = Text("There is a set of this name; choose another one.", "已有同名的训练集，请换一个名称。")
_PICTURES = Text("This is a set of pictures; train it from these.", "这是图片集，请用图片训练。")
_TOO_LONG = Text(
    f"A fit takes at most {MOST_ROWS:,} rows and {MOST_READINGS:,} readings; choose a shorter time, or rows further apart.",
    f"一次训练最多 {MOST_ROWS:,} 行、{MOST_READINGS:,} 个读数；请缩短时间段或加大间隔。",
)


class Rows(NamedTuple):
    """What a stretch holds: rows x sensors while the machine ran (NaN: not read), their times in microseconds UTC, and how many
    rows the stretch has."""

    values: NDArray[np.float32]
    time: NDArray[np.int64]
    all: int


class Machines:
    """The machines of a tenant whose health models are fitted here."""

    def __init__(self, db: Database, telemetry: Telemetry, signer: Signer) -> None:
        self._db, self._telemetry, self._signer = db, telemetry, signer

    async def create(self, principal: Principal, request: MachineRequest) -> PictureSet:
        """Note a machine and its sensors; raises NotFound for series out of reach, Conflict for a taken name."""
        tenant, identity = principal.scope.tenant_id, uuid7()
        wanted = {*request.sensors.values(), *([] if request.running is None else [request.running])}
        points = await self._telemetry.points(principal.scope)
        if not wanted <= {point.series_id for point in points}:
            raise NotFound
        async with self._db.tenant(TenantScope(tenant)) as connection:
            await self._signer.ensure(connection, tenant)
        row = request.model_dump() | {"id": identity, "created_by": principal.actor, "keep_days": None}
        try:
            async with self._db.tenant(principal.scope) as connection:
                await store.insert_set(connection, row)
                await audit.record(connection, principal.actor, "training.create", request.name, set=str(identity))
                return await set_of(connection, identity)
        except store.NameTaken as error:
            raise Conflict(_NAME_TAKEN) from error
        except store.NoSuchPlace as error:
            raise NotFound from error

    async def completeness(self, scope: TenantScope, set_id: UUID, stretch: Stretch) -> Completeness:
        """Return how much of a stretch is there to learn from; raises Invalid for one that is too long."""
        async with self._db.tenant(scope) as connection:
            found = await set_of(connection, set_id)
            rows = await rows_of(connection, self._telemetry, task_of(found, stretch))
        shares = (~np.isnan(rows.values)).mean(axis=0) if len(rows.values) else np.zeros(rows.values.shape[1])
        read = {name: float(share) for name, share in zip(found.sensors or {}, shares, strict=True)}
        return Completeness(rows=rows.all, used=len(rows.values), read=read)

    async def request_fit(self, principal: Principal, set_id: UUID, stretch: Stretch) -> Fit:
        """Ask for a model of the machine from a stretch of good running; raises Invalid, Conflict while one runs."""
        identity = uuid7()
        async with self._db.tenant(principal.scope) as connection:
            found = await set_of(connection, set_id)
            versions = await store.select_versions(connection, set_id=set_id)
            number = versions[0]["number"] + 1 if versions else 1
            task = task_of(found, stretch) | {
                "recipe": {"name": found.name, "version": str(number), "half_life": stretch.half_life},
                "number": number,
                "parent": str(versions[0]["id"]) if versions else None,
            }
            try:
                await store.insert_fit(connection, identity, set_id, task, principal.actor)
            except store.AlreadyFitting as error:
                raise Conflict(FITTING) from error
            await audit.record(connection, principal.actor, "training.fit", found.name, fit=str(identity))
            row = await store.select_fit(connection, identity)
            assert row is not None  # noqa: S101 - it has just been stored
            return Fit(**row)

    async def order_of(self, connection: AsyncConnection, task: dict[str, Any]) -> tuple[HealthFitTask, bytes]:
        """Return the child's order of a stored fit, and its rows; raises Invalid where they have become too many."""
        rows = await rows_of(connection, self._telemetry, task)
        values, faulty, seen = rows.values, 0, 0
        if task.get("fault"):
            fault = (await rows_of(connection, self._telemetry, task | task["fault"])).values
            values, faulty = np.concatenate([values, fault]), len(fault)
        if task["parent"] and (learnt := await store.select_fit_task(connection, UUID(task["parent"]))):
            begin, end = (datetime.fromisoformat(learnt[key]).timestamp() * 1e6 for key in ("start", "end"))
            seen = int(((rows.time >= begin) & (rows.time < end)).sum())
        order = HealthFitTask(
            task["recipe"], list(task["sensors"]), len(rows.values), faulty, task["parent"] is not None, seen
        )
        return order, values.astype("<f4").tobytes()


def task_of(found: PictureSet, stretch: Stretch) -> dict[str, Any]:
    """Return what is stored of a fit besides its recipe; raises Invalid for a set of pictures, or too long a stretch."""
    if found.sensors is None or found.period_s is None:
        raise Invalid(_PICTURES)
    if (stretch.end - stretch.start) / timedelta(seconds=found.period_s) > MOST_ROWS:
        raise Invalid(_TOO_LONG)
    fault: dict[str, Any] = {}
    if stretch.fault_start and stretch.fault_end:
        if (stretch.fault_end - stretch.fault_start) / timedelta(seconds=found.period_s) > MOST_ROWS:
            raise Invalid(_TOO_LONG)
        fault["fault"] = {"start": stretch.fault_start.isoformat(), "end": stretch.fault_end.isoformat()}
    return {
        "sensors": found.sensors,
        "running": found.running,
        "period_s": found.period_s,
        "hold_s": stretch.hold_s,
        "start": stretch.start.isoformat(),
        "end": stretch.end.isoformat(),
    } | fault


async def rows_of(connection: AsyncConnection, telemetry: Telemetry, task: dict[str, Any]) -> Rows:
    """Return the rows of a stored fit as the readings are now; raises Invalid where there are too many."""
    start, end = (datetime.fromisoformat(task[key]) for key in ("start", "end"))
    ids = [*task["sensors"].values(), *([] if task["running"] is None else [task["running"]])]
    readings = await telemetry.numbers(connection, ids, start, end, limit=MOST_READINGS + 1)
    if len(readings.time) > MOST_READINGS:
        raise Invalid(_TOO_LONG)
    period, hold = (round(task[key] * 1e6) for key in ("period_s", "hold_s"))
    begin, last = (round(each.timestamp() * 1e6) for each in (start, end))
    at = np.arange(begin, last, period, dtype=np.int64)
    columns = []
    for one in ids:
        mine = readings.series == one
        value = np.where(readings.quality[mine] < 0, np.nan, readings.value[mine])
        columns.append(held(at, readings.time[mine], value, hold))
    values = np.column_stack(columns[: len(task["sensors"])])
    runs = ~np.isnan(values).all(axis=1)
    if task["running"] is not None:
        runs &= columns[-1] > 0
    return Rows(values[runs].astype(np.float32), at[runs], len(at))
