"""From a stored fit to what a child is asked to do, and from what came out to a version; here or on rented computing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal
from cloud.core.rows import Row
from cloud.quality.service import JudgedPart, judged_parts, picture_content
from cloud.training import child, store
from cloud.training.schemas import PictureSet
from cloud.training.selection import Candidate, Chosen, Chosens, Use, choose, listed
from cloud.training.signing import SignedFiles
from models.card import Region
from models.task import FitTask, Shown
from protocols.text import Text

_USES: tuple[Use, ...] = ("learn", "held_good", "held_bad")
_PICTURE_GONE = Text(
    "a picture was removed after the fit was asked for; ask for it again", "发起训练后有图片被删除；请重新发起训练"
)
FITTING = Text("A fit of this set is under way; wait for it, or cancel it.", "该图片集正在训练，请等待完成或先取消。")

_MACHINE = Text(
    "This is a machine; train its model from a stretch of its readings.", "这是一台设备，请用一段历史读数训练其模型。"
)

MAX_PICTURES = 2000
"""Uploaded pictures of a set, and judged parts of its station that a fit uses."""
MIN_LEARN = 20
"""Good pictures that a fit takes at least; `models.vision.fit` has the same bound."""


def order_of(task: dict[str, Any]) -> FitTask:
    """Return the child's order of a stored fit; it names pictures by their digests."""
    chosen = msgspec.convert(task["pictures"], list[Chosen])
    learn, good, bad = ([Shown(one.digest, one.part, one.defect) for one in chosen if one.use == use] for use in _USES)
    region = msgspec.convert(task.get("region", []), Region)
    return FitTask(task["recipe"], learn, good, bad, before=task["parent"] is not None, region=region)


async def files_of(connection: AsyncConnection, set_id: UUID, task: dict[str, Any]) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the files the order names, by name; raises TaskFailed if a picture is gone."""
    for one in msgspec.convert(task["pictures"], list[Chosen]):
        if one.inspection:
            content = await picture_content(connection, UUID(one.inspection))
        else:
            content = await store.select_content(connection, set_id, one.digest, small=False)
        if content is None or sha256(content).hexdigest() != one.digest:
            raise child.TaskFailed(_PICTURE_GONE)
        yield one.digest, content
    for name, content in (await before_of(connection, task)).items():
        yield name, content


async def before_of(connection: AsyncConnection, task: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the version that what is fitted is compared with, if there is one."""
    before = await store.select_bundle(connection, UUID(task["parent"])) if task["parent"] else None
    return {"before.toml": before["card"], "before.onnx": before["onnx"]} if before else {}


async def keep_version(connection: AsyncConnection, fit: Row, signed: SignedFiles, figures: object) -> None:
    """Store what an ended fit has brought as its version."""
    row = signed._asdict() | {
        "id": fit["id"],
        "set_id": fit["set_id"],
        "parent_id": fit["task"]["parent"],
        "number": fit["task"]["number"],
        "digest": sha256(signed.checksums).hexdigest(),
        "figures": figures,
        "created_by": fit["requested_by"],
    }
    await store.insert_version(connection, row)


async def request_fit(
    connection: AsyncConnection, principal: Principal, set_id: UUID, *, rented: bool
) -> tuple[UUID, dict[str, Any]]:
    """Store a fit of the set as it is now and return its id and what it is to be made of; raises Invalid, Conflict."""
    identity = uuid7()
    found = await set_of(connection, set_id)
    if found.sensors is not None:
        raise Invalid(_MACHINE)
    chosen = await chosen_of(connection, set_id, await judged_of(connection, found, digests=True))
    if len(chosen.learn) < MIN_LEARN:
        raise Invalid(_too_few(len(chosen.learn), len(chosen.held_good)))
    versions = await store.select_versions(connection, set_id=set_id)
    number = versions[0]["number"] + 1 if versions else 1
    task = {
        "recipe": {"name": found.name, "version": str(number), "family": found.family},
        "number": number,
        "parent": str(versions[0]["id"]) if versions else None,
        "pictures": msgspec.to_builtins(listed(chosen)),
        "region": found.region,
    }
    try:
        await store.insert_fit(connection, identity, set_id, task, principal.actor, rented=rented)
    except store.AlreadyFitting as error:
        raise Conflict(FITTING) from error
    await audit.record(connection, principal.actor, "training.fit", found.name, fit=str(identity))
    return identity, task


async def set_of(connection: AsyncConnection, identity: UUID) -> PictureSet:
    """Return a set; raises NotFound."""
    rows = await store.select_sets(connection, identity)
    if not rows:
        raise NotFound
    return PictureSet(**rows[0])


async def judged_of(connection: AsyncConnection, found: PictureSet, *, digests: bool) -> list[JudgedPart]:
    """Return what operators judged at the set's station."""
    if found.equipment_id is None:
        return []
    return await judged_parts(connection, found.equipment_id, MAX_PICTURES, digests=digests)


async def chosen_of(connection: AsyncConnection, set_id: UUID, judged: list[JudgedPart]) -> Chosens:
    """Return what a fit of the set would use now."""
    uploaded = await store.select_pictures(connection, set_id)
    candidates = [
        Candidate(row["part"], row["kind"] == "good", row["digest"], defect=row["defect"] or "")
        for row in uploaded
        if row["kind"] != "unknown"
    ]
    candidates += [
        Candidate(one.part, one.judgement == "good", one.digest, str(one.inspection_id), one.defect or "")
        for one in judged
    ]
    return choose(candidates)


def _too_few(learn: int, held: int) -> Text:
    return Text(
        f"A fit takes at least {MIN_LEARN} good pictures to learn from; there are {learn}"
        f" (and {held} that are held back to judge it). Add {MIN_LEARN - learn} or more.",
        f"训练至少需要 {MIN_LEARN} 张用于学习的良品图片，目前只有 {learn} 张"
        f"(另有 {held} 张留作评估)。请再添加至少 {MIN_LEARN - learn} 张。",
    )
