"""Fits what is asked for and forgets pictures in time; any number of processes may do so on one database.

One fit at a time in a process. Who fits has a lease that it renews twice a second: if it is gone, another process begins
anew, once, and what the first one might still write no longer counts. A cloud that stops in order gives its fit back.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import msgspec

from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Problem
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.quality.service import picture_content
from cloud.training import child, store
from cloud.training.selection import Chosen, Use
from cloud.training.service import Training
from models.errors import ModelError
from models.task import FitTask, Shown
from protocols.errors import SunmaoError
from protocols.text import Text

_LOOK_S = 2.0
_BEAT_S = 0.5
_LEASE_S = 30.0
_MOST_ATTEMPTS = 2
_FORGET_S = 3600.0
_USES: tuple[Use, ...] = ("learn", "held_good", "held_bad")

_GIVEN_UP = Text("the server stopped twice while it fitted; ask for it again", "训练期间服务器两次中断；请重新发起训练")
_PICTURE_GONE = Text(
    "a picture was removed after the fit was asked for; ask for it again", "发起训练后有图片被删除；请重新发起训练"
)
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
        identity, task = claimed["id"], claimed["task"]
        chosen = msgspec.convert(task["pictures"], list[Chosen])
        with TemporaryDirectory(prefix="sunmao-fit-") as name:
            folder = Path(name)
            async with self._db.tenant(self._scope) as connection:
                await self._lay_out(connection, claimed["set_id"], chosen, folder)
                before = await store.select_bundle(connection, UUID(task["parent"])) if task["parent"] else None
            if before:
                (folder / "before.toml").write_bytes(before["card"])
                (folder / "before.onnx").write_bytes(before["onnx"])
            learn, good, bad = ([Shown(one.digest, one.part) for one in chosen if one.use == use] for use in _USES)
            order = FitTask(task["recipe"], learn, good, bad, before=before is not None)
            figures = (await self._run(identity, order, folder))["fitted"]
            card, onnx = (folder / "card.toml").read_bytes(), (folder / "model.onnx").read_bytes()
        async with self._db.tenant(self._scope) as connection:
            signed = await self._training.signer.sign(connection, self._scope.tenant_id, card, onnx)
            if not await store.end_fit(connection, identity, self._owner, "done"):
                raise _Ended
            row = signed._asdict() | {
                "id": identity,
                "set_id": claimed["set_id"],
                "parent_id": task["parent"],
                "number": task["number"],
                "digest": sha256(signed.checksums).hexdigest(),
                "figures": figures,
                "created_by": claimed["requested_by"],
            }
            await store.insert_version(connection, row)

    async def _lay_out(self, connection: AsyncConnection, set_id: UUID, chosen: list[Chosen], folder: Path) -> None:
        """Write the pictures into the folder under their digests; raises TaskFailed if one is gone."""
        for one in chosen:
            if one.inspection:
                content = await picture_content(connection, UUID(one.inspection))
            else:
                content = await store.select_content(connection, set_id, one.digest, small=False)
            if content is None or sha256(content).hexdigest() != one.digest:
                raise child.TaskFailed(_PICTURE_GONE)
            (folder / one.digest).write_bytes(content)

    async def _run(self, identity: UUID, order: FitTask, folder: Path) -> dict[str, Any]:
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
