"""What each kind of receiver is sent, how it is signed, and what its answer means.

Sources: DingTalk "Custom robot access" and "Custom robot security settings" (open.dingtalk.com); WeCom "Group robot
configuration" (developer.work.weixin.qq.com, path 91770); Feishu "Custom bot guide" (open.feishu.cn); for other programs
Standard Webhooks 1.0 (standardwebhooks.com).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from cloud.notify.schemas import Kind, Notice, Tone
from protocols.errors import Refused, Unreachable
from protocols.text import Language, Text

PER_MINUTE: Mapping[Kind, int] = {"email": 30, "webhook": 60, "dingtalk": 18, "wecom": 18, "feishu": 60}
"""Messages a minute that a channel is sent at the most. DingTalk and WeCom take 20, Feishu 100; beyond, DingTalk takes none
for ten minutes. What is more than that waits and is merged into one message."""

MERGED = 50
"""Notices in one message at the most."""

_WECOM_BYTES = 4096
_ROBOT_BYTES = 18_000  # DingTalk and Feishu take 20 kB with all around the text
_MANY = Text("{count} messages from Sunmao", "榫卯：{count} 条消息")
_MORE = Text("... and {count} more", "……另有 {count} 条")
_OPEN = Text("Open", "查看")
_PLAIN = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］", "`": "'", "\n": " ", "\r": " "})
_CARD_COLOURS: Mapping[Tone, str] = {"bad": "red", "warn": "orange", "good": "green", "info": "blue"}
_WECOM_COLOURS: Mapping[Tone, str] = {"bad": "warning", "warn": "warning", "good": "info", "info": "comment"}
_BUSY = {"dingtalk": {-1, 130101}, "wecom": {-1, 45009, 45033}, "feishu": {9499, 11232}}
"""Codes that say: not now. Every other code but 0 is a no."""


class Letter(NamedTuple):
    """All that goes into one message. `identity` is the same at every attempt; `address` begins the links, or is ""."""

    identity: str
    notices: Sequence[Notice]
    language: Language
    address: str
    now_s: int


class Post(NamedTuple):
    """A request to make."""

    url: str
    headers: dict[str, str]
    content: bytes


def subject(letter: Letter) -> str:
    """Return the headline of a message: the notice's own, or how many there are."""
    if len(letter.notices) == 1:
        return letter.notices[0].title(letter.language)
    return _MANY.to(letter.language).format(count=len(letter.notices))


def text(letter: Letter) -> str:
    """Return the body of an e-mail."""
    parts = []
    for notice in letter.notices:
        link = f"{letter.address}{notice.link}" if letter.address and notice.link else ""
        parts.append("\n".join(filter(None, (notice.title(letter.language), notice.body(letter.language), link))))
    return "\n\n".join(parts) + "\n"


def worst(notices: Sequence[Notice]) -> Tone:
    """Return the most urgent tone of `notices`."""
    order: tuple[Tone, ...] = ("bad", "warn", "info", "good")
    return min((notice.tone for notice in notices), key=order.index)


def dingtalk(url: str, secret: str, letter: Letter) -> Post:
    """Return a Markdown message; signed by timestamp (ms) and key in the query, where there is a key."""
    if secret:
        stamp = str(letter.now_s * 1000)
        signature = _signature(secret.encode(), f"{stamp}\n{secret}".encode())
        url += f"{'&' if '?' in url else '?'}timestamp={stamp}&sign={quote_plus(signature)}"
    body = {"title": subject(letter), "text": _markdown(letter, _ROBOT_BYTES, "#### {title}")}
    return _json(url, {"msgtype": "markdown", "markdown": body})


def wecom(url: str, secret: str, letter: Letter) -> Post:
    """Return a Markdown message of at most 4,096 bytes. The key is part of the address; nothing is signed."""
    colours = {tone: f'**<font color="{colour}">{{title}}</font>**' for tone, colour in _WECOM_COLOURS.items()}
    content = _markdown(letter, _WECOM_BYTES, "**{title}**", colours)
    return _json(url, {"msgtype": "markdown", "markdown": {"content": content}})


def feishu(url: str, secret: str, letter: Letter) -> Post:
    """Return a card; signed in the body by an HMAC of nothing, whose key is timestamp (s) and the robot's key."""
    card = {
        "header": {
            "title": {"tag": "plain_text", "content": subject(letter)},
            "template": _CARD_COLOURS[worst(letter.notices)],
        },
        "elements": [
            {"tag": "div", "text": {"tag": "lark_md", "content": _markdown(letter, _ROBOT_BYTES, "**{title}**")}}
        ],
    }
    body: dict[str, Any] = {"msg_type": "interactive", "card": card}
    if secret:
        stamp = str(letter.now_s)
        body |= {"timestamp": stamp, "sign": _signature(f"{stamp}\n{secret}".encode(), b"")}
    return _json(url, body)


def webhook(url: str, secret: str, letter: Letter) -> Post:
    """Return all notices as JSON, signed as Standard Webhooks say; `webhook-id` stays the same at every attempt."""
    notices = [
        {
            **{"title": notice.title(letter.language), "body": notice.body(letter.language), "tone": notice.tone},
            **{"link": f"{letter.address}{notice.link}" if notice.link else "", "data": notice.data},
        }
        for notice in letter.notices
    ]
    made = _json(url, {"id": letter.identity, "notices": notices})
    signed = f"{letter.identity}.{letter.now_s}.".encode() + made.content
    made.headers.update({"webhook-id": letter.identity, "webhook-timestamp": str(letter.now_s)})
    made.headers["webhook-signature"] = f"v1,{_signature(webhook_key(secret), signed)}"
    return made


def webhook_key(secret: str) -> bytes:
    """Return the bytes of a webhook's key: base64 after "whsec_", else the text itself."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


FORMATS: Mapping[Kind, Callable[[str, str, Letter], Post]] = {
    "webhook": webhook,
    "dingtalk": dingtalk,
    "wecom": wecom,
    "feishu": feishu,
}


def judge(kind: Kind, host: str, status: int, body: bytes) -> None:
    """Return if an answer says that the message was taken; raises Unreachable to try again, Refused if it is of no use.

    Robots answer 200 whatever happened; the code in the body counts.
    """
    if status in (408, 425, 429) or status >= 500:
        raise Unreachable(Text(f"{host} answered {status}", f"{host} 返回 {status}"))
    if not 200 <= status < 300:
        raise Refused(
            Text(f"{host} answered {status}", f"{host} 返回 {status}"),
            Text("compare the address with the one the other side shows", "请核对对方提供的地址"),
        )
    if kind == "webhook":
        return
    try:
        answer = json.loads(body)
        code = int(answer.get("errcode", answer.get("code", answer.get("StatusCode", 0))))
        said = str(answer.get("errmsg", answer.get("msg", answer.get("StatusMessage", ""))))[:300]
    except (ValueError, TypeError, AttributeError) as error:
        raise Unreachable(Text(f"{host} answered nothing a robot would", f"{host} 的应答不是机器人应答")) from error
    if code == 0:
        return
    what = Text(f"{host} answered {code}: {said}", f"{host} 返回 {code}：{said}")
    if code in _BUSY[kind]:
        raise Unreachable(what)
    raise Refused(
        what,
        Text(
            "compare address and signing key with the robot's settings; a keyword it asks for must be in the message",
            "请核对机器人的地址与加签密钥；若设置了关键词，消息中须包含该词",
        ),
    )


def _markdown(letter: Letter, limit: int, head: str, heads: Mapping[Tone, str] | None = None) -> str:
    """Return the notices in Markdown of at most `limit` bytes; those that do not fit are counted."""
    blocks: list[str] = []
    more = _MORE.to(letter.language)
    room = limit - len(more.encode()) - 8
    for index, notice in enumerate(letter.notices):
        title = notice.title(letter.language).translate(_PLAIN)
        lines = [(heads[notice.tone] if heads else head).format(title=title)]
        lines += [line.translate(_PLAIN) for line in notice.body(letter.language).splitlines()]
        if letter.address and notice.link:
            lines.append(f"[{_OPEN.to(letter.language)}]({letter.address}{notice.link})")
        block = "\n\n".join(filter(None, lines))
        if len("\n\n".join([*blocks, block]).encode()) > room:
            told = blocks or [_cut(block, room)]
            rest = len(letter.notices) - max(index, 1)
            return "\n\n".join([*told, more.format(count=rest)] if rest else told)
        blocks.append(block)
    return "\n\n".join(blocks)


def _cut(block: str, room: int) -> str:
    return block.encode()[: room - 3].decode(errors="ignore") + "…"


def _json(url: str, body: Mapping[str, Any]) -> Post:
    content = json.dumps(body, ensure_ascii=False).encode()
    return Post(url, {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Sunmao"}, content)


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
