"""The door of the quality domain.

quality = Quality(db, fleet)                                    app.state.quality in a running cloud
await quality.store_inspections(connection, agent, batch)       a batch sink of the ingest; in its transaction
page = await quality.inspections(scope, Filter(verdict="reject"), limit=50)     -> InspectionPage, newest first
one = await quality.inspection(scope, id)                       -> Inspection; raises NotFound
picture = await quality.image(scope, id, "heatmap")             -> Picture; raises NotFound
summary = await quality.summary(scope, start, end)              -> Summary per verdict and hour
one = await quality.judge(principal, id, "defect", "scratch")   the operator's word; raises NotFound
one = await quality.withdraw(principal, id)                     takes the word back; raises NotFound
items = await quality.uncertain(scope, equipment_id, 20)        unjudged ones, those the model is least sure of first
parts = await judged_parts(connection, equipment_id, 2000)      -> list[JudgedPart], what a model is fitted and judged by
minutes = await outcomes(connection, equipment_id, start, end)  -> list[Outcomes], for domains that compute from them
defects = await quality.defects(scope, start, end)              -> Defects: how many parts had which defect
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, get_args
from uuid import UUID

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import AgentPrincipal, Principal, TenantScope
from cloud.fleet import service as fleet
from cloud.quality import store
from cloud.quality.schemas import (
    DefectCount,
    Defects,
    Filter,
    FirstPass,
    HourCounts,
    Inspection,
    InspectionPage,
    Judgement,
    Picture,
    PictureKind,
    Summary,
    Verdict,
)
from protocols.errors import Malformed
from protocols.reading import EARLIEST_US, LATEST_US
from protocols.text import Text
from protocols.uplink.messages import Batch, SecondOpinion
from protocols.uplink.messages import Inspection as Delivered

MAX_IMAGE_BYTES = 4 * 1024 * 1024
"""Largest picture or heat map that is stored. A larger one stays at the station; the inspection says so."""

MEDIA_TYPES: dict[PictureKind, str] = {"picture": "image/jpeg", "heatmap": "image/png"}

_MAX_TEXT = 200
_MAX_DEFECT = 80
_CONTROL = re.compile(r"[\x00-\x1f]")
_UNCERTAIN_AMONG = 500
"""Whose turn it is for a person's word is chosen among so many of the latest."""
_MOST_NAMES = 12
_MOST_MODELS = 200


async def store_inspections(connection: AsyncConnection, agent: AgentPrincipal, batch: Batch) -> None:
    """Store the inspections of `batch` with their images, and opinions on earlier ones, in the transaction of the ingest.

    An inspection or opinion the tenant already has is left as it is, so a replay changes nothing. Raises Malformed for one that no
    honest agent would send; the ingest then refuses the frame and the agent sets it aside.
    """
    for late in batch.opinions:
        _check_opinion(late.inspection, late.opinion)
    for late in batch.opinions:
        await store.add_opinion(connection, agent.agent_id, UUID(late.inspection), late.opinion)
    if not batch.inspections:
        return
    for inspection in batch.inspections:
        _check(inspection)
    equipment = await fleet.equipment_of(connection, agent, {inspection.device for inspection in batch.inspections})
    await store.insert(connection, agent.agent_id, equipment, batch.inspections, MAX_IMAGE_BYTES)


class JudgedPart(NamedTuple):
    """A part that an operator had a word on and whose picture is stored; `digest` is its SHA-256 in hex, if asked for."""

    inspection_id: UUID
    part: str
    judgement: Judgement
    defect: str | None
    judged_at: datetime
    digest: str | None


async def judged_parts(
    connection: AsyncConnection, equipment_id: UUID, most: int, *, digests: bool = False
) -> list[JudgedPart]:
    """Return the latest parts judged at a station, at most `most`, oldest first, within the caller's transaction.

    A part that the station could not name is one of its own.
    """
    return [
        JudgedPart(
            row["id"], row["part"] or str(row["id"]), row["judgement"], row["defect"], row["judged_at"], row["digest"]
        )
        for row in await store.select_judged(connection, equipment_id, most, digests=digests)
    ]


async def picture_content(connection: AsyncConnection, identity: UUID) -> bytes | None:
    """Return the picture of an inspection within the caller's transaction; None if it is not stored."""
    return await store.select_image(connection, identity, "picture")


class Outcomes(NamedTuple):
    """What the inspections of one minute found; `first` are parts not inspected before, `first_good` those good then."""

    minute: datetime
    inspected: int
    good: int
    defect: int
    first: int
    first_good: int


async def outcomes(connection: AsyncConnection, equipment_id: UUID, start: datetime, end: datetime) -> list[Outcomes]:
    """Return what inspections at the equipment found in [start, end), by minute, within the caller's transaction."""
    return [Outcomes(*row) for row in await store.count_by_minute(connection, equipment_id, start, end)]


class ModelRecord(NamedTuple):
    """What a model did at some stations, deciding and beside another that decided; times are p95 in microseconds.

    `other_rejects`: of the parts it judged beside another, those that one rejected; `differing`: those just one of them did.
    """

    parts: int
    rejects: int
    p95_us: int | None
    shadow_parts: int
    shadow_rejects: int
    shadow_p95_us: int | None
    other_rejects: int
    differing: int


async def model_record(
    connection: AsyncConnection, equipment: Sequence[UUID], model: str, version: str, since: datetime
) -> ModelRecord:
    """Return what a model did at these stations since then, within the caller's transaction."""
    return ModelRecord(**await store.count_by_model(connection, equipment, model, version, since))


async def last_parts(connection: AsyncConnection, equipment: Sequence[UUID], most: int) -> tuple[int, int]:
    """Return how many parts there are among the last `most` of each station, and how many of them were rejected."""
    return await store.count_last(connection, equipment, most)


class Quality:
    """Inspections of a tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def models(self, scope: TenantScope) -> list[str]:
        """Return the names of the models that decided on parts, in their order, at most 200."""
        async with self._db.tenant(scope) as connection:
            return await store.select_models(connection, _MOST_MODELS)

    async def inspections(
        self, scope: TenantScope, wanted: Filter, *, limit: int, before: str | None = None
    ) -> InspectionPage:
        """Return the wanted inspections, newest first; `before` is the `next` of the page before this one.

        Raises Invalid for a `before` that is no such mark.
        """
        async with self._db.tenant(scope) as connection:
            mark = _read_mark(before) if before else None
            rows = await store.select_page(connection, wanted, before=mark, limit=limit + 1)
        items = [Inspection(**row) for row in rows[:limit]]
        return InspectionPage(items=items, next=_mark(items[-1]) if len(rows) > limit else None)

    async def inspection(self, scope: TenantScope, identity: UUID) -> Inspection:
        """Return one inspection; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            row = await store.select_one(connection, identity)
        if row is None:
            raise NotFound
        return Inspection(**row)

    async def image(self, scope: TenantScope, identity: UUID, kind: PictureKind) -> Picture:
        """Return a stored image; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            content = await store.select_image(connection, identity, kind)
        if content is None:
            raise NotFound
        return Picture(media_type=MEDIA_TYPES[kind], content=content)

    async def summary(
        self, scope: TenantScope, start: datetime, end: datetime, equipment_id: UUID | None = None
    ) -> Summary:
        """Return how many inspections of [start, end) had which verdict."""
        async with self._db.tenant(scope) as connection:
            counts = await store.count_by_hour(connection, equipment=equipment_id, start=start, end=end)
        hours: dict[datetime, dict[str, int]] = {}
        for hour, verdict, count in counts:
            hours.setdefault(hour, {})[_FIELD.get(verdict, verdict)] = count
        listed = [HourCounts(hour=hour, **by_verdict) for hour, by_verdict in hours.items()]
        return Summary(
            start=start,
            end=end,
            hours=listed,
            passed=sum(hour.passed for hour in listed),
            review=sum(hour.review for hour in listed),
            reject=sum(hour.reject for hour in listed),
        )

    async def defects(
        self, scope: TenantScope, start: datetime, end: datetime, equipment_id: UUID | None = None
    ) -> Defects:
        """Return the defective parts of [start, end) by their defect, and how often operators overruled the model."""
        async with self._db.tenant(scope) as connection:
            counts = await store.count_defects(connection, equipment=equipment_id, start=start, end=end)
            words = await store.count_words(connection, equipment=equipment_id, start=start, end=end)
        return Defects(start=start, end=end, items=[DefectCount(**count) for count in counts], **words)

    async def first_pass(
        self, scope: TenantScope, start: datetime, end: datetime, equipment_id: UUID | None = None
    ) -> list[FirstPass]:
        """Return the first-pass yield of [start, end) by hour, as the KPIs of production count it."""
        async with self._db.tenant(scope) as connection:
            rows = await store.count_first_pass(connection, equipment=equipment_id, start=start, end=end)
        return [FirstPass(**row) for row in rows]

    async def defect_names(self, scope: TenantScope) -> list[str]:
        """Return the defects the tenant's operators name, the usual ones first; to choose from instead of typing."""
        async with self._db.tenant(scope) as connection:
            return await store.select_defect_names(connection, _MOST_NAMES)

    async def judge(self, principal: Principal, identity: UUID, judgement: Judgement, defect: str = "") -> Inspection:
        """Store the operator's word on a part, in place of an earlier one, with what is wrong; raises NotFound."""
        named = defect.strip() or None
        async with self._db.tenant(principal.scope) as connection:
            if not await store.set_judgement(connection, identity, judgement, principal.email, named):
                raise NotFound
            await audit.record(
                connection, principal.actor, "inspection.judge", str(identity), judgement=judgement, defect=named
            )
        return await self.inspection(principal.scope, identity)

    async def withdraw(self, principal: Principal, identity: UUID) -> Inspection:
        """Take the operator's word on a part back, as if nobody had said anything; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            if not await store.clear_judgement(connection, identity):
                raise NotFound
            await audit.record(connection, principal.actor, "inspection.withdraw", str(identity))
        return await self.inspection(principal.scope, identity)

    async def uncertain(self, scope: TenantScope, equipment_id: UUID, limit: int) -> list[Inspection]:
        """Return unjudged parts of a station with a picture: those to review first, then the nearest to a limit."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_uncertain(connection, equipment_id, _UNCERTAIN_AMONG, limit)
        return [Inspection(**row) for row in rows]


_FIELD = {"pass": "passed"}


def _check(inspection: Delivered) -> None:
    numbers = (inspection.score, inspection.review_limit, inspection.reject_limit)
    texts = (
        inspection.device,
        inspection.part,
        inspection.lot,
        inspection.serial,
        inspection.model,
        inspection.model_version,
    )
    wrong = (
        "id" if not _is_uuid(inspection.id)
        else "verdict" if inspection.verdict not in get_args(Verdict)
        else "score or limit" if not all(map(math.isfinite, numbers))
        else "time" if not EARLIEST_US <= inspection.time <= LATEST_US
        else "latency" if not 0 <= inspection.latency_us < 2**63
        else "defect" if len(inspection.defect) > _MAX_DEFECT or _CONTROL.search(inspection.defect)
        else "chance" if not 0 <= inspection.chance <= 1
        else "device" if not inspection.device
        else "text" if any(len(text) > _MAX_TEXT or "\0" in text for text in texts)
        else None
    )  # fmt: skip
    if wrong:
        raise _malformed(inspection.id, wrong)
    if inspection.shadow:
        _check_opinion(inspection.id, inspection.shadow)


def _check_opinion(inspection: str, opinion: SecondOpinion) -> None:
    wrong = (
        "id" if not _is_uuid(inspection)
        else "verdict" if opinion.verdict not in get_args(Verdict)
        else "score" if not math.isfinite(opinion.score)
        else "latency" if not 0 <= opinion.latency_us < 2**63
        else "text" if any(len(text) > _MAX_TEXT or "\0" in text for text in (opinion.model, opinion.model_version))
        else None
    )  # fmt: skip
    if wrong:
        raise _malformed(inspection, wrong)


def _malformed(inspection: str, wrong: str) -> Malformed:
    return Malformed(Text(f"inspection '{inspection}': {wrong} is not valid", f"检测记录“{inspection}”：{wrong} 无效"))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _mark(last: Inspection) -> str:
    return urlsafe_b64encode(f"{last.time.isoformat()} {last.id}".encode()).decode().rstrip("=")


def _read_mark(text: str) -> tuple[datetime, UUID]:
    try:
        time, _, identity = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
        parsed = datetime.fromisoformat(time)
        if parsed.tzinfo is None:
            raise ValueError(time)
        return parsed, UUID(identity)
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            Text("before is not the `next` of an earlier page.", "参数 before 不是上一页返回的 next 值。")
        ) from error
