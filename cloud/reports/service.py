"""The door of the reports domain.

reports = Reports(db, notify, Composer(doors))                app.state.reports in a running cloud
document = await reports.document(scope, node, "day", at)      -> Document, what page, PDF and workbook show
file = printed(document, "pdf", "zh")                          -> ReportFile
await reports.schedules(scope); create_schedule; remove_schedule; send_now
await reports.send_due(scope, now)                             by `tasks`: what is over and not sent yet

`at` is an instant in the period; None for the last one that is over. A node of another tenant does not exist: NotFound.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound, Problem
from cloud.core.principal import Principal, TenantScope
from cloud.notify.schemas import Attachment, Channel, Notice
from cloud.notify.service import Notify
from cloud.production.schemas import Node, NodeKind
from cloud.reports import store
from cloud.reports.compose import Composer
from cloud.reports.periods import LONGEST, Clock
from cloud.reports.schemas import MEDIA_TYPES, Document, Format, Kind, ReportFile, Schedule, ScheduleRequest
from protocols.text import Language, Text

MAX_SCHEDULES = 100

_NO_PERIOD = Text(
    "No shift is planned at this time; choose another one, or enter a shift calendar.",
    "该时间没有排班；请选择其他时间，或先录入班次日历。",
)
_NO_FILE = Text("Only an e-mail channel can carry a report.", "只有邮件渠道可以发送报告文件。")
_TOO_MANY = Text(
    f"A company has at most {MAX_SCHEDULES} report schedules; remove one first.",
    f"每个企业最多 {MAX_SCHEDULES} 个报告计划，请先删除一个。",
)


class Reports:
    """Reports of a tenant."""

    def __init__(self, db: Database, notify: Notify, composer: Composer) -> None:
        self._db = db
        self._notify = notify
        self._composer = composer

    async def document(self, scope: TenantScope, node: Node, kind: Kind, at: datetime | None = None) -> Document:
        """Return the report; raises NotFound, and Invalid where there is no such period."""
        clock = await self._clock(scope, node, at or datetime.now(UTC))
        period = clock.containing(kind, at) if at else clock.last_complete(kind, datetime.now(UTC))
        if period is None:
            raise Invalid(_NO_PERIOD)
        return await self._composer.compose(scope, node, period, clock.before(period))

    async def schedules(self, scope: TenantScope) -> list[Schedule]:
        """Return the tenant's schedules, oldest first."""
        async with self._db.tenant(scope) as connection:
            return [_schedule(row) for row in await store.select_schedules(connection)]

    async def create_schedule(self, principal: Principal, request: ScheduleRequest) -> Schedule:
        """Store a schedule; raises NotFound for a node or channel the tenant does not have, Invalid, Conflict."""
        scope = principal.scope
        await self._clock(scope, request.node, datetime.now(UTC))
        if (await self._channel(scope, request.channel_id)).kind != "email":
            raise Invalid(_NO_FILE)
        identity = uuid4()
        row = request.model_dump(exclude={"node"}) | {"id": identity, "created_by": principal.actor}
        row |= {f"{kind}_id": request.node.id if request.node.kind == kind else None for kind in _NODES}
        async with self._db.tenant(scope) as connection:
            if len(await store.select_schedules(connection)) >= MAX_SCHEDULES:
                raise Conflict(_TOO_MANY)
            await store.insert_schedule(connection, row)
            await audit.record(
                connection,
                principal.actor,
                "report.schedule",
                request.kind,
                schedule=str(identity),
                node=str(request.node.id),
                channel=str(request.channel_id),
            )
            return await _one(connection, identity)

    async def remove_schedule(self, principal: Principal, identity: UUID) -> None:
        """Delete a schedule; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            found = await _one(connection, identity)
            await store.delete_schedule(connection, identity)
            await audit.record(connection, principal.actor, "report.unschedule", found.kind, schedule=str(identity))

    async def send_now(self, principal: Principal, identity: UUID) -> None:
        """Put the last complete period's report into the channel's outbox; raises NotFound, Invalid."""
        async with self._db.tenant(principal.scope) as connection:
            schedule = await _one(connection, identity)
        document = await self.document(principal.scope, schedule.node, schedule.kind)
        async with self._db.tenant(principal.scope) as connection:
            await self._tell(connection, schedule, document, f"report:{identity}:asked:{uuid4()}")
            await audit.record(connection, principal.actor, "report.send", schedule.kind, schedule=str(identity))

    async def send_due(self, scope: TenantScope, now: datetime) -> None:
        """Send every schedule's last period that has been over for as long as the schedule waits, once.

        Periods that nobody could send in time, as after a long standstill of the cloud, are left out but for the last.
        """
        for schedule in await self.schedules(scope):
            try:
                await self._send_if_due(scope, schedule, now)
            except Problem as problem:
                detail = _GONE if isinstance(problem, NotFound) else problem.detail
                async with self._db.tenant(scope) as connection:
                    await store.note_failure(connection, schedule.id, detail.en, detail.zh)

    async def _send_if_due(self, scope: TenantScope, schedule: Schedule, now: datetime) -> None:
        settled = now - timedelta(minutes=schedule.wait_min)
        clock = await self._clock(scope, schedule.node, settled)
        period = clock.last_complete(schedule.kind, settled)
        if period is None or period.end <= schedule.told_until:
            return
        document = await self._composer.compose(scope, schedule.node, period, clock.before(period))
        async with self._db.tenant(scope) as connection:
            if await store.advance(connection, schedule.id, period.end):
                await self._tell(connection, schedule, document, f"report:{schedule.id}:{period.end.isoformat()}")

    async def _tell(self, connection: AsyncConnection, schedule: Schedule, document: Document, key: str) -> None:
        file = printed(document, schedule.format, schedule.language)
        titles = [f"{document.title.to(each)} · {document.place} · {document.period.to(each)}" for each in _LANGUAGES]
        notice = Notice(title_en=titles[0], title_zh=titles[1], link="/reports", tone="info")
        attachment = Attachment(file.name, file.media_type, file.content)
        await self._notify.tell(connection, [schedule.channel_id], key, notice, attachment)

    async def _clock(self, scope: TenantScope, node: Node, around: datetime) -> Clock:
        return Clock(*await self._composer.calendar(scope, node, around - LONGEST, around + LONGEST))

    async def _channel(self, scope: TenantScope, identity: UUID) -> Channel:
        found = next((one for one in await self._notify.channels(scope) if one.id == identity), None)
        if found is None:
            raise NotFound
        return found


_NODES: tuple[NodeKind, ...] = ("site", "line", "equipment")
_LANGUAGES: tuple[Language, Language] = ("en", "zh")
_GONE = Text("What it is about has been removed.", "报告所涉及的对象已被删除。")


def printed(document: Document, format: Format, language: Language) -> ReportFile:
    """Return `document` in a file."""
    if format == "pdf":
        from cloud.reports.pdf import pdf as make  # noqa: PLC0415 - a second, and a start need not wait for it
    else:
        from cloud.reports.workbook import workbook as make  # noqa: PLC0415
    name = f"{document.title.to(language)} {document.place} {document.period.to(language)}"
    safe = "".join(letter if letter.isalnum() or letter in " -_.,·" else "-" for letter in name)
    return ReportFile(f"{safe[:120]}.{format}", MEDIA_TYPES[format], make(document, language))


async def _one(connection: AsyncConnection, identity: UUID) -> Schedule:
    rows = await store.select_schedules(connection, identity)
    if not rows:
        raise NotFound
    return _schedule(rows[0])


def _schedule(row: store.Row) -> Schedule:
    (node,) = (Node(kind=kind, id=row[f"{kind}_id"]) for kind in _NODES if row[f"{kind}_id"])
    return Schedule(node=node, **{name: row[name] for name in Schedule.model_fields if name != "node"})
