"""HTTP of sharing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import StringConstraints

from cloud.core.access import Admin, Operator, Reader, StillValid
from cloud.core.errors import Invalid, NotFound, language_of
from cloud.core.instants import Instant
from cloud.core.paging import Aged
from cloud.sharing.reader import LONGEST, Question
from cloud.sharing.schemas import (
    MOST_ASKED,
    Acceptance,
    ChainTrace,
    Ending,
    Grant,
    Narrowing,
    Recall,
    RecallBody,
    RecallReply,
    ReceiptPage,
    RequestBody,
    SharedLevel,
    SharedMachine,
    SharedRead,
    ShareRequest,
)
from cloud.sharing.service import Sharing
from protocols.text import Language, Text

router = APIRouter(prefix="/api/v1/sharing", tags=["sharing"])


def sharing_of(request: Request) -> Sharing:
    """Return the running cloud's sharing."""
    return cast(Sharing, request.app.state.sharing)


def _question(
    entry: Annotated[str, Query(max_length=200, description="An entry of the grant.")],
    start: Instant | None = None,
    end: Instant | None = None,
    equipment_id: Annotated[UUID | None, Query(description="One machine; all of the grant unless told.")] = None,
) -> Question:
    until = end or datetime.now(UTC)
    begin = start or until - timedelta(days=1)
    if not timedelta(0) < until - begin <= LONGEST:
        raise Invalid(
            Text("start must be before end, by at most 400 days.", "start 必须早于 end，且间隔不超过 400 天。")
        )
    return Question(entry, begin, until, equipment_id)


SharingDoor = Annotated[Sharing, Depends(sharing_of)]
Asked = Annotated[Question, Depends(_question)]
Before = Annotated[UUID | None, Query(description="The id of the last one seen.")]


@router.get("/requests")
async def list_share_requests(
    principal: Reader, sharing: SharingDoor, older: Aged, before: Before = None
) -> list[ShareRequest]:
    """What others ask to see of you, and you of others; newest first, 500 at a time."""
    return older.after(await sharing.requests(principal.scope, before), 500, lambda one: one.id)


@router.post("/requests", status_code=201)
async def ask_for_data(principal: Admin, sharing: SharingDoor, body: RequestBody) -> ShareRequest:
    """Ask a company, by its unified social credit code, to let you see data. Whether it is here is not told."""
    return await sharing.ask(principal, body)


@router.post("/requests/{request_id}/acceptance")
async def accept_share_request(principal: Admin, sharing: SharingDoor, request_id: UUID, body: Acceptance) -> Grant:
    """Grant what is asked of you, or less of it."""
    return await sharing.accept(principal, request_id, body)


@router.post("/requests/{request_id}/refusal")
async def refuse_share_request(principal: Admin, sharing: SharingDoor, request_id: UUID) -> ShareRequest:
    """Decline what is asked of you, or withdraw what you asked."""
    return await sharing.refuse(principal, request_id)


@router.get("/grants")
async def list_grants(principal: Reader, sharing: SharingDoor, older: Aged, before: Before = None) -> list[Grant]:
    """What you let others see, and others you; newest first, 500 at a time."""
    return older.after(await sharing.grants(principal.scope, before), 500, lambda one: one.id)


@router.get("/grants/{grant_id}")
async def get_grant(principal: Reader, sharing: SharingDoor, grant_id: UUID) -> Grant:
    """A grant with its terms, and whether it is live."""
    return await sharing.grant(principal.scope, grant_id)


@router.put("/grants/{grant_id}/terms")
async def narrow_grant(principal: Admin, sharing: SharingDoor, grant_id: UUID, body: Narrowing) -> Grant:
    """Show less from now on. To show more, the other side asks."""
    return await sharing.narrow(principal, grant_id, body.terms)


@router.post("/grants/{grant_id}/end")
async def end_grant(principal: Admin, sharing: SharingDoor, grant_id: UUID, body: Ending) -> Grant:
    """End a grant for good, from either side. Reads, streams and exports over it stop at once; the other side is told."""
    return await sharing.end(principal, grant_id, body.reason)


@router.get("/grants/{grant_id}/machines")
async def list_shared_machines(principal: Reader, sharing: SharingDoor, grant_id: UUID) -> list[SharedMachine]:
    """The machines that a live grant lets you see."""
    return await sharing.reader.machines(principal, grant_id)


@router.get("/grants/{grant_id}/maturity")
async def read_shared_maturity(principal: Reader, sharing: SharingDoor, grant_id: UUID) -> SharedLevel:
    """The company's level of maturity, where a live grant shows it. The other side sees that you have read it."""
    return await sharing.levels.read(principal, grant_id)


@router.get("/grants/{grant_id}/values")
async def read_shared_values(principal: Reader, sharing: SharingDoor, grant_id: UUID, question: Asked) -> SharedRead:
    """What a live grant shows of an entry, the last day unless told. The other side sees that you have read it."""
    found = await sharing.reader.read(principal, grant_id, question)
    assert found is not None  # noqa: S101 - only `empty=False` gives none
    return found


@router.get(
    "/grants/{grant_id}/export", response_class=StreamingResponse, responses={200: {"content": {"text/csv": {}}}}
)
async def export_shared_values(
    request: Request,
    principal: Reader,
    still_valid: StillValid,
    sharing: SharingDoor,
    *,
    grant_id: UUID,
    question: Asked,
    lang: Annotated[Language | None, Query(description="Of the headings; Accept-Language unless told.")] = None,
) -> StreamingResponse:
    """The same as a CSV file of any length. The download is cut off when the grant ends."""
    pieces = sharing.reader.export(principal, grant_id, question, lang or language_of(request))
    first = await anext(pieces, b"")

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            if not await still_valid():
                raise ConnectionAbortedError("the credential of an export has ended")
            yield piece

    name = f"shared-{question.entry.replace(':', '-')}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(rest(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get(
    "/grants/{grant_id}/changes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def follow_shared_values(
    principal: Reader,
    still_valid: StillValid,
    sharing: SharingDoor,
    *,
    grant_id: UUID,
    entry: Annotated[str, Query(max_length=200)],
    last_event_id: Annotated[Instant | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events: `values` as they become visible, and `ended` as the last when the grant ends.

    With `Last-Event-ID` the stream goes on where it was cut.
    """
    await sharing.reader.machines(principal, grant_id)  # 404 before the stream begins
    after = last_event_id or datetime.now(UTC)

    async def events() -> AsyncIterator[str]:
        try:
            async for found in sharing.reader.follow(principal, grant_id, entry, after):
                if not await still_valid():
                    return
                if found:
                    yield f"id: {found.end.isoformat()}\nevent: values\ndata: {found.model_dump_json()}\n\n"
                else:
                    yield ":\n\n"
        except NotFound:
            yield "event: ended\ndata: {}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/grants/{grant_id}/receipts")
async def list_receipts(
    principal: Reader, sharing: SharingDoor, grant_id: UUID, before: Annotated[int | None, Query(ge=0, lt=2**63)] = None
) -> ReceiptPage:
    """Who read what over a grant, and every change of it; newest first, 50 at a time. Both sides see the same."""
    return await sharing.receipts(principal.scope, grant_id, before=before)


@router.get(
    "/grants/{grant_id}/receipts/chain",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/jsonl": {}}}},
)
async def download_receipts(principal: Reader, sharing: SharingDoor, grant_id: UUID) -> StreamingResponse:
    """All receipts as JSON lines; `sunmao-cloud sharing verify FILE` proves that none was changed, added or taken away."""
    lines = sharing.chain(principal.scope, grant_id)
    first = await anext(lines)

    async def rest() -> AsyncIterator[str]:
        yield first
        async for one in lines:
            yield one

    headers = {"Content-Disposition": f'attachment; filename="receipts-{grant_id}.jsonl"', "Cache-Control": "no-store"}
    return StreamingResponse(rest(), media_type="application/jsonl", headers=headers)


@router.get("/trace")
async def trace_across_companies(
    principal: Reader,
    sharing: SharingDoor,
    thing: Annotated[
        list[Annotated[str, StringConstraints(max_length=300)]],
        Query(min_length=1, max_length=MOST_ASKED, description="URIs - EPC, GS1 Digital Link, your own - or Handles."),
    ],
    direction: Annotated[Literal["up", "down"], Query(description="What it was made of, or what was made of it.")],
) -> ChainTrace:
    """Follow things through your own events and those of companies whose live grants show them to you. They see that you did."""
    return await sharing.tracer.trace(principal, thing, up=direction == "up")


@router.get("/recalls")
async def list_recalls(principal: Reader, sharing: SharingDoor, older: Aged, before: Before = None) -> list[Recall]:
    """Recalls of yours and those you were told of; newest first, 100 at a time, each with its first 20 things."""
    return older.after(await sharing.recalls.recalls(principal.scope, before), 100, lambda one: one.id)


@router.post("/recalls", status_code=201)
async def issue_recall(principal: Admin, sharing: SharingDoor, body: RecallBody) -> Recall:
    """Find what is affected and tell every company that has some of it and a live grant about events with you, what is its own.

    Where `companies` is empty nobody was told.
    """
    return await sharing.recalls.issue(principal, body)


@router.get("/recalls/{recall_id}")
async def get_recall(principal: Reader, sharing: SharingDoor, recall_id: UUID) -> Recall:
    """A recall with all things that it affects, as far as you may see or are told."""
    return await sharing.recalls.recall(principal.scope, recall_id)


@router.post("/recalls/{recall_id}/answer")
async def answer_recall(principal: Operator, sharing: SharingDoor, recall_id: UUID, body: RecallReply) -> Recall:
    """Say what you have done about a recall you were told of, again whenever there is news. The issuer is told."""
    return await sharing.recalls.answer(principal, recall_id, body)
