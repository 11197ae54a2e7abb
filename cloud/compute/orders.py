"""What a job asks of its child, by its kind, and what becomes of what it brings: the one place that knows what the kinds are about.

fit       pictures of a set -> a new version of it
inspect   a version on pictures -> a verdict each
evaluate  a version on pictures of which it is known what they show -> figures
backfill  a health model on stored readings of its sensors -> scores and verdicts as readings, each time once
python    a function of a signed archive on files -> files
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from cloud.compute import archives, backfill
from cloud.compute.archives import Uploads
from cloud.compute.schemas import JobRequest
from cloud.core.db import AsyncConnection
from cloud.core.errors import Invalid
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.registry.service import Registry
from cloud.telemetry.service import Telemetry
from cloud.training.service import Training
from models.task import RESULTS, BackfillTask, EvaluateTask, FitTask, InspectTask, PythonTask
from protocols.text import Text

MOST_BYTES = 256 * 1024 * 1024
"""Inputs of one job."""
OUTPUTS = {
    "fit": ("card.toml", "model.onnx"),
    "inspect": (RESULTS,),
    "evaluate": (RESULTS,),
    "backfill": (RESULTS,),
    "python": (),  # whatever it likes
}
_TOO_LARGE = Text(
    f"The inputs are more than {MOST_BYTES >> 20} MiB together; take fewer.",
    f"输入总量超过 {MOST_BYTES >> 20} MiB，请减少输入。",
)
_NO_VERSION = Text("Say which model: version_id.", "请用 version_id 指定模型。")
_INCOMPLETE = Text("what came back is not what was asked for", "返回的结果不完整")


class Seen(NamedTuple):
    """What a job is about before anything is spent: its items and bytes, and for a back-fill its model's files."""

    items: int
    bytes: int
    model: backfill.Model | None = None


class Wanted(NamedTuple):
    """A job before it has a place: what it is called, its items, what the child is asked and with which files."""

    name: str
    items: int
    orders: FitTask | InspectTask | EvaluateTask | BackfillTask | PythonTask
    files: dict[str, bytes]
    subject: dict[str, Any]

    @property
    def bytes(self) -> int:
        """What its files come to."""
        return sum(map(len, self.files.values()))


class Orders:
    """Makes orders of requests, and takes what came out."""

    def __init__(self, training: Training, registry: Registry, telemetry: Telemetry, uploads: Uploads) -> None:
        self._training, self._registry, self._telemetry, self._uploads = training, registry, telemetry, uploads

    async def look(self, scope: TenantScope, body: JobRequest) -> Seen:
        """Return what a job would be about; raises NotFound, Invalid if it cannot be what is asked."""
        if body.backfill:
            model = await backfill.model_of(self._registry, self._telemetry, scope, body.backfill)
            steps = body.backfill.steps
            return Seen(steps, 4 * steps * len(body.backfill.sensors), model)
        if body.python:
            size = await self._uploads.sizes(scope, body.python)
            if size > MOST_BYTES:
                raise Invalid(_TOO_LARGE)
            return Seen(1, size)
        found = await self._training.picture_set(scope, body.pictures)
        if found.bytes > MOST_BYTES:
            raise Invalid(_TOO_LARGE)
        if body.kind == "fit":
            counts = await self._training.counts(scope, body.pictures)
            return Seen(counts.learn + counts.held_good + counts.held_defect, found.bytes)
        if body.version_id is None:
            raise Invalid(_NO_VERSION)
        await self._training.version(scope, body.version_id)
        known = found.good + found.defect
        return Seen(known if body.kind == "evaluate" else known + found.unknown, found.bytes)

    async def make(self, connection: AsyncConnection, principal: Principal, body: JobRequest, seen: Seen) -> Wanted:
        """Return the job itself; raises NotFound, Invalid, Conflict."""
        wanted = await self._make(connection, principal, body, seen)
        if wanted.bytes > MOST_BYTES:
            raise Invalid(_TOO_LARGE)
        return wanted

    async def _make(self, connection: AsyncConnection, principal: Principal, body: JobRequest, seen: Seen) -> Wanted:
        rented = self._training.rented
        if body.backfill and seen.model:
            orders, files = await backfill.order_of(connection, self._telemetry, body.backfill, seen.model)
            return Wanted(seen.model.name, orders.steps, orders, files, body.backfill.model_dump(mode="json"))
        if body.python:
            program, files = await archives.order_of(connection, self._registry, principal.scope, body.python)
            about = body.python.model_dump(mode="json", include={"archive", "entry", "inputs"})
            return Wanted(body.python.entry, 1, program, files, about)
        subject: dict[str, Any] = {"set_id": str(body.pictures)}
        if body.kind == "fit":
            fit = await rented.fit(connection, principal, body.pictures)
            items = len(fit.order.learn) + len(fit.order.held_good) + len(fit.order.held_bad)
            return Wanted(fit.name, items, fit.order, fit.files, subject | {"fit_id": str(fit.id)})
        assert body.version_id is not None  # noqa: S101 - `look` has seen it
        subject["version_id"] = str(body.version_id)
        if body.kind == "inspect":
            name, inspection, files = await rented.inspection(connection, body.version_id, body.pictures)
            return Wanted(name, len(inspection.pictures), inspection, files, subject)
        name, evaluation, files = await rented.evaluation(connection, body.version_id, body.pictures)
        return Wanted(name, len(evaluation.good) + len(evaluation.bad), evaluation, files, subject)

    async def accept(
        self, connection: AsyncConnection, job: Row, files: dict[str, bytes], result: dict[str, Any]
    ) -> Row:
        """Take what a job that is done has brought, within the customer's transaction; returns its result as it is kept.

        Raises Invalid for what is not what was asked for, and Conflict for a fit that has ended meanwhile.
        """
        kind = job["kind"]
        if kind == "fit":
            brought = files["card.toml"], files["model.onnx"]
            fit = UUID(job["subject"]["fit_id"])
            await self._training.rented.accept(connection, job["customer_id"], fit, brought, result.get("fitted"))
            return result
        if kind == "backfill":
            order = msgspec.convert(job["orders"], BackfillTask)
            try:
                followed = await asyncio.to_thread(backfill.read, order, files[RESULTS])
            except ValueError as error:
                raise Invalid(_INCOMPLETE) from error
            told = await backfill.write(connection, self._telemetry, job, followed)
            return {"backfilled": told}
        if kind == "python":
            return result
        asked = msgspec.convert(job["orders"], EvaluateTask).inspection() if kind == "evaluate" else None
        pictures = (
            [each.file for each in asked.pictures] if asked else [each["file"] for each in job["orders"]["pictures"]]
        )
        with suppress(msgspec.MsgspecError, KeyError, TypeError):
            if [msgspec.json.decode(line)["file"] for line in files[RESULTS].splitlines()] == pictures:
                return result
        raise Invalid(_INCOMPLETE)
