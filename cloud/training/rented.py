"""Fits and inspections that run on rented computing; everything happens in the caller's transaction."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from cloud.core.db import AsyncConnection
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal
from cloud.core.rows import Row
from cloud.training import store
from cloud.training.orders import files_of, keep_version, order_of, request_fit, set_of
from cloud.training.signing import Signer
from models.card import parse_card
from models.errors import ModelError
from models.task import EvaluateTask, FitTask, InspectTask, Shown
from protocols.text import Text

_BOTH_KINDS = Text(
    "An evaluation needs pictures of good and of defective parts; upload some of each.",
    "评估需要良品和缺陷品图片，请分别上传。",
)
_ENDED = Text("This fit has ended.", "该训练已结束。")


class RentedFit(NamedTuple):
    """A fit that runs elsewhere: its id, what its model is called, the order of the child, and the files it names."""

    id: UUID
    name: str
    order: FitTask
    files: dict[str, bytes]


class Rented:
    """What rented computing takes from a tenant's training and brings back."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def fit(self, connection: AsyncConnection, principal: Principal, set_id: UUID) -> RentedFit:
        """Ask for a fit that runs elsewhere, as `Training.request_fit`: nobody here begins it."""
        identity, task = await request_fit(connection, principal, set_id, rented=True)
        files = {name: content async for name, content in files_of(connection, set_id, task)}
        return RentedFit(identity, task["recipe"]["name"], order_of(task), files)

    @staticmethod
    async def note(connection: AsyncConnection, fit: UUID, stage: str, done: int, total: int) -> None:
        """Write down how far a rented fit is."""
        await store.note_rented(connection, fit, (stage, done, total))

    async def accept(
        self, connection: AsyncConnection, tenant: UUID, fit: UUID, files: tuple[bytes, bytes], figures: object
    ) -> None:
        """Make what a rented fit brought - card and graph - a signed version.

        Raises Conflict if it has ended, Invalid for what the box would refuse: nothing of that is kept.
        """
        row = await store.end_rented(connection, fit, "done")
        if row is None:
            raise Conflict(_ENDED)
        try:
            signed = await self._signer.sign(connection, tenant, *files)
        except ModelError as error:
            raise Invalid(Text(str(error), error.zh)) from error
        await keep_version(connection, row, signed, figures)

    @staticmethod
    async def end(connection: AsyncConnection, fit: UUID, state: str, reason: Text) -> None:
        """Write down that a rented fit "failed" or was "cancelled"."""
        await store.end_rented(connection, fit, state, en=reason.en, zh=reason.zh)

    async def inspection(
        self, connection: AsyncConnection, version_id: UUID, set_id: UUID
    ) -> tuple[str, InspectTask, dict[str, bytes]]:
        """Return name, order and files for inspecting all pictures of a set with a version; raises NotFound, Invalid."""
        await set_of(connection, set_id)
        rows = await store.select_pictures(connection, set_id)
        if not rows:
            raise Invalid(Text("There are no pictures in this set.", "该图片集中没有图片。"))
        name, files = await _files(connection, version_id, set_id, rows)
        return name, InspectTask([Shown(row["digest"], row["part"]) for row in rows]), files

    async def evaluation(
        self, connection: AsyncConnection, version_id: UUID, set_id: UUID
    ) -> tuple[str, EvaluateTask, dict[str, bytes]]:
        """Return name, order and files for judging a version by the pictures of a set of which it is known what they show.

        Raises NotFound, and Invalid where there are none of good or none of defective parts.
        """
        await set_of(connection, set_id)
        rows = [row for row in await store.select_pictures(connection, set_id) if row["kind"] != "unknown"]
        good, bad = (
            [Shown(row["digest"], row["part"]) for row in rows if row["kind"] == kind] for kind in ("good", "defect")
        )
        if not good or not bad:
            raise Invalid(_BOTH_KINDS)
        name, files = await _files(connection, version_id, set_id, rows)
        return name, EvaluateTask(good, bad), files


async def _files(
    connection: AsyncConnection, version_id: UUID, set_id: UUID, rows: list[Row]
) -> tuple[str, dict[str, bytes]]:
    """Return what a version is called, and its files and those of pictures by the names that orders use."""
    bundle = await store.select_bundle(connection, version_id)
    if bundle is None:
        raise NotFound
    files = {"before.toml": bundle["card"], "before.onnx": bundle["onnx"]}
    for row in rows:
        content = await store.select_content(connection, set_id, row["digest"], small=False)
        files[row["digest"]] = content or b""
    return parse_card(bundle["card"]).name, files
