"""HTTP of the notify domain."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from cloud.core.access import Admin, Engineer
from cloud.notify.schemas import Channel, ChannelChange, ChannelRequest, Delivery, DeliveryPage, NewChannel, State
from cloud.notify.service import Notify

router = APIRouter(prefix="/api/v1/notify", tags=["notify"])


def notify_of(request: Request) -> Notify:
    """Return the running cloud's notify domain."""
    return cast(Notify, request.app.state.notify)


NotifyDoor = Annotated[Notify, Depends(notify_of)]


@router.get("/channels")
async def list_channels(principal: Engineer, notify: NotifyDoor) -> list[Channel]:
    """The company's channels, by name, without their secrets."""
    return await notify.channels(principal.scope)


@router.post("/channels", status_code=201)
async def create_channel(principal: Admin, body: ChannelRequest, notify: NotifyDoor) -> NewChannel:
    """Make a channel. A webhook without a `secret` gets one, which is shown this once."""
    return await notify.create(principal, body)


@router.put("/channels/{channel_id}")
async def change_channel(principal: Admin, channel_id: UUID, body: ChannelChange, notify: NotifyDoor) -> Channel:
    """Change a channel; `url` and `secret` stay as they are where they are left out."""
    return await notify.change(principal, channel_id, body)


@router.delete("/channels/{channel_id}", status_code=204)
async def remove_channel(principal: Admin, channel_id: UUID, notify: NotifyDoor) -> None:
    """Take a channel out. What waits on it is not sent any more."""
    await notify.remove(principal, channel_id)


@router.post("/channels/{channel_id}/test")
async def test_channel(principal: Engineer, channel_id: UUID, notify: NotifyDoor) -> Delivery:
    """Send a test message and say what became of it."""
    return await notify.test(principal, channel_id)


@router.get("/deliveries")
async def list_deliveries(
    principal: Engineer,
    notify: NotifyDoor,
    *,
    channel_id: UUID | None = None,
    state: State | None = None,
    text: Annotated[str, Query(max_length=200, description="Part of what was told, or of why it was not.")] = "",
    before: Annotated[int | None, Query(ge=0, lt=2**63, description="The `next` of the page before this one.")] = None,
) -> DeliveryPage:
    """What was told, newest first, 50 a page: sent, waiting, or given up and why. Kept for 90 days."""
    return await notify.deliveries(principal.scope, channel_id, before, state=state, text=text.replace("\0", ""))


@router.post("/deliveries/{notice_id}/retry", status_code=202)
async def retry_delivery(
    principal: Engineer, notice_id: Annotated[int, Path(ge=0, lt=2**63)], notify: NotifyDoor
) -> None:
    """Send after all what was given up."""
    await notify.retry(principal, notice_id)
