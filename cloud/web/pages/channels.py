"""Notification channels: who is told and how, a button that tries each, and the log of what was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from nicegui import ui
from pydantic import ValidationError

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.notify.schemas import Channel, ChannelChange, ChannelRequest, Delivery
from cloud.web.alarm_words import CHANNEL_KINDS, SENT
from cloud.web.elements import MarkView, Words, box
from cloud.web.filter_form import Field, Filters
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.errors import SunmaoError
from protocols.text import Text

TITLE = Text("Notification channels", "通知渠道")

WORKS = Mark(Text("Works", "正常"), "good")
UNTRIED = Mark(Text("Not tried yet", "尚未测试"), "idle")
FAILS = Mark(Text("Fails", "发送失败"), "bad")
OFF = Mark(Text("Off", "已停用"), "off")

_NOTE = Text("Alarms are told on the channels that their rules name.", "报警按规则中选定的渠道发送。")
_NONE = Text(
    "There is no channel yet. Add the robot of your group, or an e-mail address, and try it.",
    "尚无通知渠道。添加群机器人或邮箱后点击“测试”。",
)
_ADD, _KIND, _NAME = Text("Add a channel", "添加渠道"), Text("Kind", "类型"), Text("Name", "名称")
_URL, _SECRET = Text("Webhook address", "Webhook 地址"), Text("Signing key, where there is one", "加签密钥(如有)")
_RECIPIENTS = Text("E-mail addresses, with commas between", "邮箱地址，用逗号分隔")
_LANGUAGE = Text("Language of the messages", "消息语言")
_LANGUAGES = {"zh": "中文", "en": "English"}
_SAVE, _TEST, _TURN_OFF, _TURN_ON = (
    Text("Add", "添加"),
    Text("Test", "测试"),
    Text("Switch off", "停用"),
    Text("Switch on", "启用"),
)
_REMOVE, _SURE = Text("Remove", "删除"), Text("Yes, remove it", "确认删除")
_ONLY_MANAGER = Text("Only a manager can add or change channels.", "只有管理者可以添加或修改渠道。")
_KEY_ONCE = Text("The key messages are signed with, shown this once: {secret}", "签名密钥(仅显示一次)：{secret}")
_WAITING = Text("{n} waiting", "{n} 条待发送")
_TAKEN = Text("The other side has taken the test message.", "测试消息已送达。")
_NOT_TAKEN = Text("Not taken: {reason}", "发送失败：{reason}")
_STILL = Text("It waits to be sent; the log below tells what becomes of it.", "消息等待发送，结果见下方记录。")
_LOG, _NOTHING_TOLD = Text("What was told", "发送记录"), Text("Nothing has been told yet.", "暂无发送记录。")
_RETRY, _STATE, _CHANNEL = Text("Send again", "重新发送"), Text("State", "状态"), Text("Channel", "渠道")
_TEXT = Text("Message, or why it failed", "消息内容或失败原因")
_HELP = {
    "dingtalk": Text(
        "Group settings > Robots > Custom; choose signing (jia qian).", "群设置 > 机器人 > 自定义，安全设置选择“加签”。"
    ),
    "wecom": Text("Group > Add a group robot; copy its webhook address.", "群聊 > 添加群机器人，复制 Webhook 地址。"),
    "feishu": Text(
        "Group settings > Bots > Custom bot; choose signature verification.",
        "群设置 > 群机器人 > 自定义机器人，开启签名校验。",
    ),
    "email": Text("Needs the mail server that the operator of this cloud sets.", "需要云端运维人员已配置邮件服务器。"),
    "webhook": Text("JSON by POST, signed as Standard Webhooks say.", "以 POST 发送 JSON，按 Standard Webhooks 签名。"),
}


async def build(visit: Visit) -> None:
    """Build the page."""
    filters = Filters(visit, "/channels", await _fields(visit), anchor="told")
    before = filters.before or ""
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        page = _Page(visit, filters, int(before) if before.isdecimal() and len(before) < 19 else None)
        await page.refresh()


async def _fields(visit: Visit) -> tuple[Field, ...]:
    channels = {str(one.id): one.name for one in await visit.domains.notify.channels(visit.scope)}
    states = {state: visit.say(mark.text) for state, mark in SENT.items()}
    return (
        Field("state", _STATE, names=states),
        Field("channel", _CHANNEL, names=channels),
        Field("text", _TEXT),
    )


class _Page:
    def __init__(self, visit: Visit, filters: Filters, before: int | None) -> None:
        self._visit = visit
        self._filters, self._before = filters, before
        self._manages = visit.may(Scope.ADMIN)
        self._said = box("stack")
        self._channels = box("stack")
        if self._manages:
            self._form()
        else:
            Words(visit.say(_ONLY_MANAGER), "muted", tag="p")
        with box("card stack", id="told"):
            Words(visit.say(_LOG), tag="h2")
            filters.show()
            self._log = box("events")

    async def refresh(self) -> None:
        visit = self._visit
        channels = await visit.domains.notify.channels(visit.scope)
        self._channels.clear()
        with self._channels:
            if not channels:
                Words(visit.say(_NONE), "card muted", tag="p")
            for channel in channels:
                self._channel(channel)
        filters = self._filters
        page = await visit.domains.notify.deliveries(
            visit.scope,
            filters.identity("channel"),
            self._before,
            state=filters.one_of("state", list(SENT)),
            text=filters.text("text"),
        )
        self._log.clear()
        with self._log:
            if not page.items:
                filters.show_none(_NOTHING_TOLD)
            for delivery in page.items:
                self._delivery(delivery)
            filters.show_turns(page.next)

    def _channel(self, channel: Channel) -> None:
        visit = self._visit
        mark = (
            OFF if not channel.enabled else FAILS if channel.reason_en else WORKS if channel.last_sent_at else UNTRIED
        )
        with box("card rule") as card:
            card.mark(f"channel-{channel.name}")
            with box("rule-what"):
                with box("line"):
                    MarkView(mark, visit.language)
                    Words(visit.say(CHANNEL_KINDS[channel.kind]), "muted small")
                    if channel.waiting:
                        Words(visit.say(_WAITING, n=channel.waiting), "muted small")
                Words(channel.name, "rule-name", tag="div")
                Words(", ".join(channel.recipients) or channel.host, "muted small", tag="div")
                if channel.enabled and channel.reason(visit.language):
                    Words(channel.reason(visit.language), "notice bad small", tag="p")
            with box("alarm-acts"):
                self._button(_TEST, "button", partial(self._test, channel))
                if self._manages:
                    self._button(
                        _TURN_OFF if channel.enabled else _TURN_ON, "button quiet", partial(self._turn, channel)
                    )
                    with box() as place:
                        self._button(_REMOVE, "button quiet", partial(self._ask, place, channel.id))

    def _delivery(self, delivery: Delivery) -> None:
        visit = self._visit
        with box("event"):
            Words(moment(delivery.created_at, visit.zone, visit.language, now=datetime.now(UTC)), "num muted nowrap")
            with box():
                with box("line"):
                    MarkView(SENT[delivery.state], visit.language, plain=True)
                    Words(delivery.channel, "muted small")
                Words(delivery.notice.title(visit.language), tag="div")
                if delivery.reason(visit.language):
                    Words(delivery.reason(visit.language), "muted small", tag="div")
                if delivery.state == "dead":
                    self._button(_RETRY, "button quiet", partial(self._retry, delivery.id))

    def _form(self) -> None:
        visit = self._visit
        with box("card stack"):
            Words(visit.say(_ADD), tag="h2")
            kinds = {kind: visit.say(text) for kind, text in CHANNEL_KINDS.items()}
            with box("fields"):
                kind = ui.select(kinds, value="dingtalk", label=visit.say(_KIND)).props("outlined").classes("field-in")
                name = (
                    ui.input(visit.say(_NAME)).props("outlined maxlength=120").classes("field-in").mark("channel-name")
                )
                language = (
                    ui.select(_LANGUAGES, value=visit.language, label=visit.say(_LANGUAGE))
                    .props("outlined")
                    .classes("field-in")
                )
            url = ui.input(visit.say(_URL)).props("outlined").classes("editor").mark("channel-url")
            secret = ui.input(visit.say(_SECRET)).props("outlined type=password autocomplete=off").classes("editor")
            recipients = ui.input(visit.say(_RECIPIENTS)).props("outlined").classes("editor").mark("channel-recipients")
            helped = Words("", "muted small", tag="p")

            def show_kind() -> None:
                email = kind.value == "email"
                url.set_visibility(not email)
                secret.set_visibility(kind.value not in ("email", "wecom"))
                recipients.set_visibility(email)
                helped.show(visit.say(_HELP[str(kind.value)]))

            async def save() -> None:
                given: dict[str, Any] = {"kind": kind.value, "name": name.value or "", "language": language.value}
                if kind.value == "email":
                    given["recipients"] = [one.strip() for one in str(recipients.value or "").split(",") if one.strip()]
                else:
                    given |= {"url": str(url.value or "").strip(), "secret": str(secret.value or "").strip()}
                await self._create(given)

            kind.on_value_change(lambda _: show_kind())
            show_kind()
            with box("line"):
                self._button(_SAVE, "button", save)

    async def _create(self, given: dict[str, Any]) -> None:
        async def act() -> None:
            made = await self._visit.domains.notify.create(
                self._visit.acting(Scope.ADMIN), ChannelRequest.model_validate(given)
            )
            if made.secret:
                Words(self._visit.say(_KEY_ONCE, secret=made.secret), "notice warn", tag="p")

        await self._do(act, Scope.ADMIN)

    async def _turn(self, channel: Channel) -> None:
        wanted = channel.model_dump(include={"name", "language", "recipients"}) | {"enabled": not channel.enabled}

        async def act() -> None:
            change = ChannelChange.model_validate(wanted)
            await self._visit.domains.notify.change(self._visit.acting(Scope.ADMIN), channel.id, change)

        await self._do(act, Scope.ADMIN)

    async def _test(self, channel: Channel) -> None:
        visit = self._visit

        async def act() -> None:
            made = await visit.domains.notify.test(visit.acting(Scope.ENGINEER), channel.id)
            reason = made.reason(visit.language)
            text = (
                visit.say(_TAKEN)
                if made.state == "sent"
                else visit.say(_NOT_TAKEN, reason=reason)
                if reason
                else visit.say(_STILL)
            )
            Words(text, "notice good" if made.state == "sent" else "notice bad" if reason else "notice warn", tag="p")

        await self._do(act, Scope.ENGINEER)

    async def _ask(self, place: ui.element, channel: UUID) -> None:
        place.clear()
        with place:
            self._button(_SURE, "button bad", partial(self._remove, channel))

    async def _remove(self, channel: UUID) -> None:
        await self._do(lambda: self._visit.domains.notify.remove(self._visit.acting(Scope.ADMIN), channel), Scope.ADMIN)

    async def _retry(self, notice: int) -> None:
        await self._do(
            lambda: self._visit.domains.notify.retry(self._visit.acting(Scope.ENGINEER), notice), Scope.ENGINEER
        )

    async def _do(self, act: Callable[[], Awaitable[None]], demand: Scope) -> None:
        """Do something, say what is wrong where it is, and show how things stand then."""
        visit = self._visit
        if not await visit.may_still(demand):
            return
        self._said.clear()
        with self._said:
            try:
                await act()
            except Problem as problem:
                Words(problem.detail.to(visit.language), "notice bad", tag="p")
            except SunmaoError as error:
                Words(error.explain(visit.language), "notice bad", tag="p")
            except ValidationError as error:
                Words(_fault(visit, error), "notice bad", tag="p")
        await self.refresh()

    def _button(self, name: Text, classes: str, act: Callable[[], Awaitable[None]]) -> None:
        with box(classes, "button", type="button").on("click", lambda _: act()):
            Words(self._visit.say(name))


_WRONG = {
    "name": Text("Give the channel a name.", "请填写渠道名称。"),
    "recipients": Text("One of the e-mail addresses is not valid.", "邮箱地址格式有误。"),
    "url": Text("The address is too long.", "地址过长。"),
    "secret": Text("The key is too long.", "密钥过长。"),
}
_INCOMPLETE = Text("Fill in the address, or the recipients of an e-mail channel.", "请填写地址；邮件渠道请填写收件人。")


def _fault(visit: Visit, error: ValidationError) -> str:
    where = error.errors()[0]["loc"]
    return visit.say(_WRONG.get(str(where[0]), _INCOMPLETE) if where else _INCOMPLETE)
