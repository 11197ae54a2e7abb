"""What a check finds: one thing looked at, how it is, and the next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from protocols.text import Text

Severity = Literal["ok", "look", "wrong"]
"""In order; works, but a person should look at it; does not work or must not stay so."""

_TITLES: Mapping[str, Text] = {
    "cloud/name": Text("cloud: name", "云端：域名解析"),
    "cloud/port": Text("cloud: connection", "云端：网络连接"),
    "cloud/tls": Text("cloud: encryption", "云端：加密与证书"),
    "cloud": Text("cloud: log-in", "云端：登录"),
    "clock": Text("clock", "时钟"),
    "buffer": Text("room for an outage", "断网缓存容量"),
    "security/files": Text("security: files", "安全：文件权限"),
    "security/connections": Text("security: connections", "安全：连接加密"),
    "security/certificates": Text("security: certificates", "安全：证书有效期"),
    "security/writes": Text("security: writing to devices", "安全：写入设备"),
    "security/user": Text("security: user of the agent", "安全：运行用户"),
    "security/listening": Text("security: open ports", "安全：监听端口"),
}

_PARTS: Mapping[str, str] = {"clock": "时钟", "camera": "相机"}


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at.

    Attributes:
        subject: a device's name, or one of a fixed set of codes ("cloud", "clock", "security/files", ...).
        severity: how it is.
        found: what was found, in one sentence.
        mend: the next step; empty where there is none.
        details: what the sentence sums up, such as every doubtful point.
    """

    subject: str
    severity: Severity
    found: Text
    mend: Text = Text("", "")
    details: Sequence[Text] = ()

    @property
    def ok(self) -> bool:
        """Whether a machine may go on: nothing is wrong."""
        return self.severity != "wrong"

    @property
    def title(self) -> Text:
        """What was looked at, for people."""
        device, slash, part = self.subject.rpartition("/")
        if self.subject in _TITLES:
            return _TITLES[self.subject]
        return Text(f"{device}: {part}", f"{device}：{_PARTS[part]}") if slash else Text(part, part)


def and_more(listed: Sequence[str], most: int = 5) -> str:
    """Return the first of `listed` in one line, and how many more there are."""
    more = f" +{len(listed) - most}" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
