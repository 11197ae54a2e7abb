"""Fits what is asked for and forgets pictures in time; any number of processes may do so on one database.

One fit at a time in a process. Who fits has a lease that it renews twice a second: if it is gone, another process begins
anew, once, and what the first one might still write no longer counts. A cloud that stops in order gives its fit back.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

from cloud.core.db import Database
from cloud.core.errors import Problem
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.training import child, store
from cloud.training.orders import before_of, files_of, keep_version, order_of
from cloud.training.service import Training
from models.errors import ModelError
from models.task import ROWS, FitTask, HealthFitTask
from protocols.errors import SunmaoError
from protocols.text import Text

_LOOK_S = 2.0
_BEAT_S = 0.5
_LEASE_S = 30.0
_MOST_ATTEMPTS = 2
_FORGET_S = 3600.0

_GIVEN_UP = Text("the server stopped twice while it fitted; ask for it again", "训练期间服务器两次中断；请重新发起训练")
_UNEXPECTED = Text("the fault is ours and has been logged", "系统故障，已记录")

_log = logging.getLogger(__name__)


class _Ended(Exception):
    """The fit is to end, or another process has it now."""


async def keep_fitting(db: Database, training: Training) -> None:
    """Fit what is asked for until cancelled."""
    failing, forgotten = False, float("-inf")
    clock = asyncio.get_running_loop().time
    while True:
        training.requested.clear()
        try:
            async with db.door() as connection:
                tenants = await store.tenants(connection)
            for tenant in tenants:
                await _Fitting(db, training, TenantScope(tenant)).fit_next()
            if clock() - forgotten > _FORGET_S:
                forgotten = clock()
                await _forget(db)
            failing = False
        except Exception:
            if not failing:
                _log.exception("models cannot be fitted; trying on")
            failing = True
        with suppress(TimeoutError):
            await asyncio.wait_for(training.requested.wait(), _LOOK_S)


async def _forget(db: Database) -> None:
    async with db.door() as connection:
        tenants = await store.forgetful_tenants(connection)
    for tenant in tenants:
        async with db.tenant(TenantScope(tenant)) as connection:
            await store.delete_old_pictures(connection)


class _Fitting:
    """One tenant's next fit, from the claim to the version."""

    def __init__(self, db: Database, training: Training, scope: TenantScope) -> None:
        self._db, self._training, self._scope = db, training, scope
        self._owner = uuid4()
        self._progress = ("", 0, 0)

    async def fit_next(self) -> None:
        """Fit what has waited longest, if anything."""
        async with self._db.tenant(self._scope) as connection:
            await store.give_up_fits(connection, _MOST_ATTEMPTS, _GIVEN_UP.en, _GIVEN_UP.zh)
            claimed = await store.claim_fit(connection, self._owner, _LEASE_S)
        if claimed is None:
            return
        try:
            await self._fit(claimed)
        except asyncio.CancelledError:
            await self._end(claimed["id"], "waiting")
            raise
        except _Ended:
            await self._end(claimed["id"], "cancelled")
        except Problem as problem:
            await self._end(claimed["id"], "failed", problem.detail)
        except ModelError as error:
            await self._end(claimed["id"], "failed", Text(str(error), error.zh))
        except SunmaoError as error:
            await self._end(claimed["id"], "failed", Text(error.explain("en"), error.explain("zh")))
        except Exception:
            _log.exception("a fit failed")
            await self._end(claimed["id"], "failed", _UNEXPECTED)

    async def _fit(self, claimed: Row) -> None:
        task = claimed["task"]
        with TemporaryDirectory(prefix="sunmao-fit-") as name:
            folder = Path(name)
            order: FitTask | HealthFitTask
            async with self._db.tenant(self._scope) as connection:
                if "sensors" in task:
                    order, rows = await self._training.machines.order_of(connection, task)
                    for file, content in {ROWS: rows, **await before_of(connection, task)}.items():
                        (folder / file).write_bytes(content)
                else:
                    order = order_of(task)
                    async for file, content in files_of(connection, claimed["set_id"], task):
                        (folder / file).write_bytes(content)
            figures = (await self._run(claimed["id"], order, folder))["fitted"]
            files = (folder / "card.toml").read_bytes(), (folder / "model.onnx").read_bytes()
        async with self._db.tenant(self._scope) as connection:
            if not await store.end_fit(connection, claimed["id"], self._owner, "done"):
                raise _Ended
            signed = await self._training.signer.sign(connection, self._scope.tenant_id, *files)
            await keep_version(connection, claimed, signed, figures)

    async def _run(self, identity: UUID, order: FitTask | HealthFitTask, folder: Path) -> dict[str, Any]:
        """Return what the child says came out; meanwhile the lease is kept and the progress written down."""
        running = asyncio.create_task(child.run(order, folder, self._note))
        try:
            while not (await asyncio.wait([running], timeout=_BEAT_S))[0]:
                async with self._db.tenant(self._scope) as connection:
                    if not await store.beat(connection, identity, self._owner, self._progress, _LEASE_S):
                        raise _Ended
            return await running
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, Problem):
                await running

    def _note(self, stage: str, done: int, total: int) -> None:
        self._progress = (stage, done, total)

    async def _end(self, identity: UUID, state: str, reason: Text | None = None) -> None:
        reason = reason or Text("", "")
        async with self._db.tenant(self._scope) as connection:
            await store.end_fit(connection, identity, self._owner, state, en=reason.en, zh=reason.zh)
