"""Remote diagnostics: an engineer asks a box to look at something, the box fetches the question and answers it.

A question waits in the database until the box polls for it (`protocols.uplink.diagnostics`), so any process may take the
question and any other the answer; PostgreSQL's notifications wake whoever waits. It ends with its time. Nothing that
writes to a machine can be expressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from math import isfinite
from typing import TypeVar
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.listen import Listener, announce
from cloud.core.principal import AgentPrincipal, TenantScope
from cloud.fleet.schemas import Diagnostic, DiagnosticAnswer, DiagnosticPage, DiagnosticRequest, DiagnosticState
from cloud.fleet.store import diagnostics as store
from protocols.errors import Malformed
from protocols.text import Text
from protocols.uplink.diagnostics import Answer, Inquiries, Inquiry

MOST_OPEN = 20
"""Questions that may wait for one box."""
PAGE = 50
_AT_ONCE = 4
_MOST_TEXT = 4000

T = TypeVar("T")


class Diagnostics:
    """Questions to the boxes of every tenant, and their answers."""

    def __init__(self, db: Database, listener: Listener) -> None:
        self._db = db
        self._listener = listener

    async def ask(self, scope: TenantScope, agent_id: UUID, request: DiagnosticRequest, actor: str) -> Diagnostic:
        """Have an agent look at something; returns the question, not answered yet.

        Raises NotFound, Invalid for a question that names too much or too little, and Conflict where the agent cannot
        answer: it is revoked, its software is too old, it does not let itself be asked, or has enough to do.
        """
        _check(request)
        async with self._db.tenant(scope) as connection:
            agent = await store.asked_agent(connection, agent_id)
            if agent is None:
                raise NotFound
            if agent["revoked"]:
                raise Conflict(Text("This gateway is revoked.", "该网关已被吊销。"))
            if agent["diagnostics"] != "allowed":
                raise Conflict(_WHY_NOT.get(agent["diagnostics"], _NOT_SUPPORTED))
            if agent["open"] >= MOST_OPEN:
                raise Conflict(
                    Text(
                        f"{MOST_OPEN} questions already wait for this gateway; look at their answers first.",
                        f"该网关已有 {MOST_OPEN} 项诊断在等待，请先查看其结果。",
                    )
                )
            row = await store.insert_diagnostic(
                connection,
                uuid7(),
                agent_id,
                kind=request.kind,
                device=request.device,
                points=request.points,
                asked_by=actor,
                expires_s=request.expires_s,
            )
            await announce(connection, agent_id)
            detail = {"kind": request.kind, "device": request.device, "points": request.points}
            await audit.record(connection, actor, "agent.diagnose", str(agent_id), diagnostic=str(row["id"]), **detail)
        return _diagnostic(row)

    async def diagnostic(
        self, scope: TenantScope, agent_id: UUID, diagnostic_id: UUID, wait_s: float = 0.0
    ) -> Diagnostic:
        """Return a question and its answer, waiting up to `wait_s` for one; raises NotFound."""

        async def found() -> Diagnostic | None:
            now = await self._found(scope, agent_id, diagnostic_id)
            return now if now.state not in ("waiting", "taken") else None

        return await self._until(diagnostic_id, wait_s, found) or await self._found(scope, agent_id, diagnostic_id)

    async def _found(self, scope: TenantScope, agent_id: UUID, diagnostic_id: UUID) -> Diagnostic:
        async with self._db.tenant(scope) as connection:
            row = await store.select_diagnostic(connection, agent_id, diagnostic_id)
        if row is None:
            raise NotFound
        return _diagnostic(row)

    async def diagnostics(self, scope: TenantScope, agent_id: UUID, before: UUID | None = None) -> DiagnosticPage:
        """Return the next 50 questions to an agent, asked before `before`, newest first; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            if not await store.knows_agent(connection, agent_id):
                raise NotFound
            rows = await store.select_diagnostics(connection, agent_id, before, PAGE)
        items = [_diagnostic(row) for row in rows]
        return DiagnosticPage(items=items, next=items[-1].id if len(items) == PAGE else None)

    async def work(self, agent: AgentPrincipal, wait_s: float, gone: Callable[[], Awaitable[bool]]) -> Inquiries:
        """Return what `agent` is asked and has not been given, waiting up to `wait_s` for it.

        What was given and not answered half a minute later is given again, in case the reply was lost. Nothing is given
        to a caller who is `gone`.
        """

        async def found() -> Inquiries | None:
            if await gone():
                return Inquiries([])
            async with self._db.tenant(agent.scope) as connection:
                rows = await store.take_diagnostics(connection, agent.agent_id, _AT_ONCE)
            return Inquiries([Inquiry(str(row.pop("id")), **row) for row in rows]) if rows else None

        return await self._until(agent.agent_id, wait_s, found) or Inquiries([])

    async def answered(self, agent: AgentPrincipal, answer: Answer) -> None:
        """Keep an answer; one that comes twice is kept once. Raises Malformed, NotFound for what was not asked."""
        try:
            diagnostic_id = UUID(answer.id)
        except ValueError:
            raise NotFound from None
        stored = _stored(answer)
        async with self._db.tenant(agent.scope) as connection:
            if not await store.settle_diagnostic(
                connection, agent.agent_id, diagnostic_id, outcome=answer.outcome, answer=stored.model_dump(mode="json")
            ):
                raise NotFound
            await announce(connection, diagnostic_id)

    async def _until(self, key: UUID, wait_s: float, found: Callable[[], Awaitable[T | None]]) -> T | None:
        """Return what `found` gives, asked again whenever `key` is announced, or None after `wait_s` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        with self._listener.waiting_for(key) as announced:
            while True:
                announced.clear()
                if (result := await found()) is not None:
                    return result
                if loop.time() >= end or self._listener.closing:
                    return None
                with suppress(TimeoutError):
                    await asyncio.wait_for(announced.wait(), end - loop.time())


_NOT_SUPPORTED = Text(
    "The software of this gateway does not support remote diagnostics, or it has not reported yet. Update it.",
    "该网关的软件不支持远程诊断，或网关尚未上报；请升级网关软件。",
)
_WHY_NOT = {
    "refused": Text(
        "The gateway does not let itself be asked: agent.allow_diagnostics is false there, and is set at the box only.",
        "该网关不接受远程诊断：其 agent.allow_diagnostics 为 false，仅可在网关本机修改。",
    )
}


def _check(request: DiagnosticRequest) -> None:
    texts = (request.device, *request.points)
    if any("\0" in text for text in texts):
        raise Invalid(Text("A name holds a NUL character.", "名称含有 NUL 字符。"))
    if (request.kind == "report") == bool(request.device):
        raise Invalid(
            Text("Name a device to read, test or check; a report is of the whole box.", "读取、测试或检查须指定设备；体检报告针对整台网关，无需设备。")
        )  # fmt: skip
    if request.points and request.kind in ("check", "report"):
        raise Invalid(Text("A check looks at all points; name none.", "检查针对全部点，请勿指定点。"))
    if request.kind == "test" and len(request.points) != 1:
        raise Invalid(Text("Name the one point to test.", "请指定要测试的一个点。"))


def _stored(answer: Answer) -> DiagnosticAnswer:
    """Return the answer as it is kept; raises Malformed for what no agent sends."""
    plain = msgspec.to_builtins(answer)
    try:
        if not all(_storable(leaf) for leaf in _leaves(plain)):
            raise ValueError("a text too long or with NUL, or a number that is none")
        return DiagnosticAnswer.model_validate(plain)
    except ValueError as error:  # pydantic's ValidationError is one
        raise Malformed(Text(f"the answer is not valid: {error}", f"诊断结果无效：{error}")) from error


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _storable(leaf: object) -> bool:
    if isinstance(leaf, str):
        return "\0" not in leaf and len(leaf) <= _MOST_TEXT
    return not isinstance(leaf, float) or isfinite(leaf)


def _diagnostic(row: store.Row) -> Diagnostic:
    outcome, expired = row.pop("outcome"), row.pop("expired")
    waits: DiagnosticState = "expired" if expired else "waiting" if row["taken_at"] is None else "taken"
    return Diagnostic(**row, state=outcome or waits)
