"""What the notify domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from protocols.text import Language

Kind = Literal["email", "webhook", "dingtalk", "wecom", "feishu"]
"""E-mail, a program's webhook, or the robot of a chat group: DingTalk 钉钉, WeCom 企业微信, Feishu 飞书."""

Tone = Literal["bad", "warn", "good", "info"]
"""How urgent a notice looks: an alarm, a lesser one, something mended, anything else."""

State = Literal["waiting", "sent", "dead"]
"""Of a notice: to be sent, taken by the other side, or given up."""

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Address = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\s@<>,;\"\x00-\x1f]+@[^\s@<>,;\"\x00-\x1f]+$")]


class Attachment(NamedTuple):
    """A file that goes with an e-mail; the other kinds of channels leave it out."""

    name: str
    media_type: str
    content: bytes


class Notice(BaseModel):
    """One thing people are told, in both languages; the channel decides which is sent.

    Attributes:
        link: path of the page to go to, e.g. "/alarms"; "" for none.
        data: what a program needs of it; goes to webhooks only.
    """

    title_en: str
    title_zh: str
    body_en: str = ""
    body_zh: str = ""
    link: str = ""
    tone: Tone = "info"
    data: dict[str, Any] = {}

    def title(self, language: Language) -> str:
        """Return the headline in `language`."""
        return self.title_zh if language == "zh" else self.title_en

    def body(self, language: Language) -> str:
        """Return what stands below it."""
        return self.body_zh if language == "zh" else self.body_en


class ChannelChange(BaseModel):
    """What may be changed of a channel. A secret that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Line
    language: Language = "zh"
    enabled: bool = True
    recipients: list[Address] = Field([], max_length=50, description="E-mail: who gets it.")
    url: str | None = Field(None, max_length=2000, description="All others: the address the other side gave you.")
    secret: str | None = Field(
        None, max_length=200, description='The key messages are signed with; "" where the robot asks for none.'
    )


class ChannelRequest(ChannelChange):
    """A new channel. A webhook without a `secret` gets one, which is shown this once."""

    kind: Kind

    @model_validator(mode="after")
    def _complete(self) -> ChannelRequest:
        if self.kind == "email" and not self.recipients:
            raise ValueError("an e-mail channel needs recipients")
        if self.kind != "email" and not self.url:
            raise ValueError("this kind of channel needs a url")
        return self


class Channel(BaseModel):
    """A way to tell people. What of its address is secret is never shown.

    Attributes:
        host: where it sends to; "" for e-mail.
        signed: whether messages are signed with a key.
        waiting: notices that are still to be sent.
        failures: attempts in a row that failed; `reason_en`, `reason_zh` say why the last one did.
    """

    id: UUID
    kind: Kind
    name: str
    language: Language
    recipients: list[str]
    host: str
    signed: bool
    enabled: bool
    created_by: str
    created_at: datetime
    waiting: int
    failures: int
    last_sent_at: datetime | None
    reason_en: str
    reason_zh: str

    def reason(self, language: Language) -> str:
        """Return why the last attempt failed, in `language`."""
        return self.reason_zh if language == "zh" else self.reason_en


class NewChannel(Channel):
    """A channel just made; `secret` is the key made for a webhook, shown this once."""

    secret: str | None = None


class Delivery(BaseModel):
    """What became of one notice on one channel.

    Attributes:
        delivery: the message it went in; notices that were merged share it.
        attempts: how often that was tried.
    """

    id: int
    channel_id: UUID
    channel: str
    notice: Notice
    created_at: datetime
    delivery: UUID | None
    attempts: int
    state: State
    reason_en: str
    reason_zh: str
    settled_at: datetime | None

    def reason(self, language: Language) -> str:
        """Return why it has not been sent, in `language`."""
        return self.reason_zh if language == "zh" else self.reason_en


class DeliveryPage(BaseModel):
    """Deliveries, newest first. `next` goes into `before`; null on the last page."""

    items: list[Delivery]
    next: int | None
