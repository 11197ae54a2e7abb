"""The door of the notify domain.

notify = Notify(db, secrets, settings)                          app.state.notify in a running cloud
await notify.tell(connection, channel_ids, key, Notice(...))    in the caller's transaction: told if and only if it commits
channels = await notify.channels(scope)                         -> list[Channel], by name
delivery = await notify.test(principal, channel_id)             -> Delivery, after one attempt; raises NotFound, TooMany
page = await notify.deliveries(scope, channel_id, before, state="dead")     -> DeliveryPage, newest first

A notice is told at least once per channel and `key`. The message it goes in has an identity that stays the same at every
attempt; receivers that look at it see a repetition.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets as randomness
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.limits import RateLimit
from cloud.core.principal import Principal, TenantScope
from cloud.core.sealed import Seal
from cloud.core.settings import Secrets
from cloud.notify import formats, mail, outbound, store
from cloud.notify.formats import FORMATS, MERGED, PER_MINUTE, Letter
from cloud.notify.schemas import (
    Attachment,
    Channel,
    ChannelChange,
    ChannelRequest,
    Delivery,
    DeliveryPage,
    NewChannel,
    Notice,
    State,
)
from cloud.notify.settings import NotifySettings
from protocols.errors import Refused, SunmaoError, Unreachable
from protocols.text import Text

MAX_ATTEMPTS = 10
"""After so many failures a message is given up: about an hour and a half after the first."""

_WAITS_S = (5.0, 15.0, 45.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0)
_LEASE_S = 60.0
_TEST_PATIENCE_S = 5.0
"""How long somebody who tests a channel waits for what another process is just sending on it."""
_PAGE = 50
_KEPT_DAYS = 90

_log = logging.getLogger(__name__)

_LOST = (
    Text("the channel's address was stored under other secrets", "该渠道的地址由其他密钥加密"),
    Text("enter its address and key again", "请重新填写地址与密钥"),
)

_TEST = Notice(
    title_en="Test message",
    title_zh="测试消息",
    body_en="This channel works. Alarms that name it will be told here.",
    body_zh="此渠道工作正常，选用该渠道的报警将发送到这里。",
    link="/channels",
    data={"kind": "test"},
)


class Notify:
    """Channels of a tenant and what is told on them."""

    def __init__(self, db: Database, secrets: Secrets, settings: NotifySettings) -> None:
        self._db = db
        self._seal = Seal(secrets.lookup_key, "notify channel", _LOST)
        self._settings = settings
        self._tests = RateLimit(burst=10, period_s=10)

    async def tell(
        self,
        connection: AsyncConnection,
        channels: Sequence[UUID] | None,
        key: str,
        notice: Notice,
        attachment: Attachment | None = None,
    ) -> None:
        """Put `notice` into the outbox of `channels`, or of all, in the caller's transaction; what is not there or off is left out.

        Asked again with the same `key`, a channel is told nothing more.
        """
        kept = notice.model_dump()
        if attachment:
            kept["attachment"] = {"name": attachment.name, "media_type": attachment.media_type}
        await store.insert_notice(connection, channels, key, kept, attachment.content if attachment else None)

    async def channels(self, scope: TenantScope) -> list[Channel]:
        """Return the tenant's channels, by name."""
        async with self._db.tenant(scope) as connection:
            return [self._shown(scope, row) for row in await store.select_channels(connection)]

    async def create(self, principal: Principal, request: ChannelRequest) -> NewChannel:
        """Make a channel; raises Conflict for a name that is taken, Refused for an address that is none."""
        identity, made = uuid4(), None
        secret = request.secret or ""
        if request.kind == "webhook" and not secret:
            made = secret = f"whsec_{b64encode(randomness.token_bytes(32)).decode()}"
        row = self._row(principal.scope, identity, request, {"url": request.url or "", "secret": secret})
        row |= {"kind": request.kind, "created_by": principal.actor}
        try:
            async with self._db.tenant(principal.scope) as connection:
                await store.insert_channel(connection, row)
                await audit.record(
                    connection,
                    principal.actor,
                    "channel.create",
                    request.name,
                    kind=request.kind,
                    channel=str(identity),
                )
                (found,) = await store.select_channels(connection, identity)
        except store.NameTaken as error:
            raise _name_taken() from error
        return NewChannel(**self._shown(principal.scope, found).model_dump(), secret=made)

    async def change(self, principal: Principal, identity: UUID, request: ChannelChange) -> Channel:
        """Change a channel; a secret that is left out stays. Raises NotFound, Conflict, Refused."""
        try:
            async with self._db.tenant(principal.scope) as connection:
                before = await _one(connection, identity)
                if before["kind"] == "email" and not request.recipients:
                    raise Invalid(Text("An e-mail channel needs recipients.", "邮件渠道至少需要一个收件人。"))
                kept = {"url": "", "secret": ""}
                if request.url is None or request.secret is None:
                    kept = self._opened(principal.scope, before)
                given = {"url": request.url, "secret": request.secret}
                hidden = kept | {name: value for name, value in given.items() if value is not None}
                await store.update_channel(connection, self._row(principal.scope, identity, request, hidden))
                changed = sorted(name for name, value in given.items() if value is not None)
                after = {"name": request.name, "enabled": request.enabled, "recipients": request.recipients}
                await audit.record(
                    connection,
                    principal.actor,
                    "channel.change",
                    request.name,
                    channel=str(identity),
                    after=after,
                    secrets=changed,
                )
                (found,) = await store.select_channels(connection, identity)
        except store.NameTaken as error:
            raise _name_taken() from error
        return self._shown(principal.scope, found)

    async def remove(self, principal: Principal, identity: UUID) -> None:
        """Take a channel out for good; what waits on it is not sent any more. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            name = await store.remove_channel(connection, identity)
            if name is None:
                raise NotFound
            await audit.record(connection, principal.actor, "channel.remove", name, channel=str(identity))

    async def test(self, principal: Principal, identity: UUID) -> Delivery:
        """Send a test message now and return what became of it; raises NotFound, Invalid for a channel that is off."""
        self._tests.spend(str(principal.scope.tenant_id))
        key = f"test:{uuid4()}"
        async with self._db.tenant(principal.scope) as connection:
            channel = await _one(connection, identity)
            if not channel["enabled"]:
                raise Invalid(Text("The channel is switched off.", "该渠道已停用。"))
            await store.update_channel(connection, channel)  # a person is waiting: earlier failures hold nothing up
            await self.tell(connection, [identity], key, _TEST)
            await audit.record(connection, principal.actor, "channel.test", channel["name"], channel=str(identity))
            (newest,) = await store.select_deliveries(connection, identity, None, 1)
        patience = time.monotonic() + _TEST_PATIENCE_S
        while True:
            outcome = await self._delivery(principal.scope, identity, newest["id"])
            if outcome.state != "waiting" or outcome.reason_en:
                break
            if not await self.send_next(principal.scope, identity):
                if time.monotonic() > patience:
                    break  # the rate is used up: the log will tell
                await asyncio.sleep(0.1)  # another process is at it
        return outcome

    async def deliveries(
        self,
        scope: TenantScope,
        channel: UUID | None = None,
        before: int | None = None,
        *,
        state: State | None = None,
        text: str = "",
    ) -> DeliveryPage:
        """Return the next 50 notices, newest first: of a channel, in a state, with `text` in what was told or why it was not."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_deliveries(connection, channel, before, _PAGE + 1, state=state, text=text)
        items = [Delivery(**row) for row in rows[:_PAGE]]
        return DeliveryPage(items=items, next=items[-1].id if len(rows) > _PAGE else None)

    async def retry(self, principal: Principal, notice: int) -> None:
        """Have a notice that was given up sent after all; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            channel = await store.revive(connection, notice)
            if channel is None:
                raise NotFound
            await audit.record(connection, principal.actor, "notice.retry", str(notice), channel=str(channel))

    async def send_next(self, scope: TenantScope, only: UUID | None = None) -> bool:
        """Send the next message of one channel that may send now; False if there is none."""
        async with self._db.tenant(scope) as connection:
            channel = await store.claim_channel(connection, PER_MINUTE, _LEASE_S, only)
            rows = await store.form_delivery(connection, channel["id"], uuid4(), MERGED) if channel else []
        if channel is None:
            return False
        state, reason, wait_s = "sent", Text("", ""), None
        try:
            await self._send(scope, channel, rows)
        except SunmaoError as error:
            reason = Text(error.explain("en"), error.explain("zh"))
            wait_s = _WAITS_S[min(channel["failures"], len(_WAITS_S) - 1)]
            given_up = not isinstance(error, Unreachable) or rows[0]["attempts"] >= MAX_ATTEMPTS
            state, wait_s = ("dead", 0.0) if given_up else ("waiting", wait_s)
        except Exception:
            _log.exception("a message on a %s channel could not be made", channel["kind"])
            state, wait_s = "dead", 0.0
            reason = Text("The fault is ours and has been logged.", "系统故障，已记录。")
        async with self._db.tenant(scope) as connection:
            await store.settle(
                connection,
                channel["id"],
                rows[0]["delivery"],
                state=state,
                reason=(reason.en, reason.zh),
                wait_s=wait_s,
            )
        return True

    async def forget(self, scope: TenantScope) -> None:
        """Drop what was settled 90 days ago."""
        async with self._db.tenant(scope) as connection:
            await store.forget_settled(connection, _KEPT_DAYS)

    async def _send(self, scope: TenantScope, channel: store.Row, rows: Sequence[store.Row]) -> None:
        notices = [Notice(**row["notice"]) for row in rows]
        letter = Letter(
            str(rows[0]["delivery"]), notices, channel["language"], self._settings.address.rstrip("/"), int(time.time())
        )
        if channel["kind"] == "email":
            smtp = self._settings.smtp
            composed = mail.compose(
                smtp.sender if smtp else "",
                channel["recipients"],
                identity=letter.identity,
                subject=formats.subject(letter),
                body=formats.text(letter),
                attachment=_attachment(rows[0]),
            )
            await asyncio.to_thread(mail.send, smtp, composed)
            return
        hidden = self._opened(scope, channel)
        request = FORMATS[channel["kind"]](hidden["url"], hidden["secret"], letter)
        status, _, body = await outbound.post(*request, self._settings.allowed)
        formats.judge(channel["kind"], channel["host"], status, body)

    async def _delivery(self, scope: TenantScope, channel: UUID, notice: int) -> Delivery:
        async with self._db.tenant(scope) as connection:
            (row,) = await store.select_deliveries(connection, channel, notice + 1, 1)
        return Delivery(**row)

    def _row(self, scope: TenantScope, identity: UUID, request: ChannelChange, hidden: Mapping[str, str]) -> store.Row:
        sealed = self._seal.close(scope.tenant_id, identity, json.dumps(dict(hidden)).encode())
        host = outbound.host_of(hidden["url"]) if hidden["url"] else ""
        return request.model_dump(include={"name", "language", "recipients", "enabled"}) | {
            **{"id": identity, "host": host, "sealed": sealed},
        }

    def _opened(self, scope: TenantScope, row: store.Row) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._seal.open(scope.tenant_id, row["id"], row["sealed"]))
        return found

    def _shown(self, scope: TenantScope, row: store.Row) -> Channel:
        shown: dict[str, Any] = {name: value for name, value in row.items() if name != "sealed"}
        try:
            signed = bool(self._opened(scope, row)["secret"])
        except Refused as error:
            signed, shown["reason_en"], shown["reason_zh"] = False, error.explain("en"), error.explain("zh")
        return Channel(**shown, signed=signed)


async def _one(connection: AsyncConnection, identity: UUID) -> store.Row:
    rows = await store.select_channels(connection, identity)
    if not rows:
        raise NotFound
    return rows[0]


def _attachment(row: store.Row) -> Attachment | None:
    if row["attachment"] is None:
        return None
    return Attachment(**row["notice"]["attachment"], content=bytes(row["attachment"]))


def _name_taken() -> Conflict:
    return Conflict(Text("There is a channel of this name.", "已有同名渠道。"))
