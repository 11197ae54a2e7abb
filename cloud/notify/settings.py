"""What the operator sets for sending: the file `notify.toml` in the cloud's folder. Without it no e-mail can be sent."""

from __future__ import annotations

import stat
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

import msgspec

from protocols.errors import ConfigError
from protocols.text import Text

Network = IPv4Network | IPv6Network


class Smtp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mail server that takes the cloud's e-mails.

    Attributes:
        sender: address in From, e.g. "Sunmao <alarms@example.com>".
        security: "starttls", "tls" from the first byte on, or "none"; then nothing is encrypted.
        user, password: "" where the server asks for none.
    """

    host: str
    sender: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Smtp({self.host}:{self.port})"


class NotifySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of notify.toml.

    Attributes:
        smtp: the mail server; None: e-mail channels say that there is none.
        allow_networks: private networks webhooks may be sent to, e.g. ["10.20.0.0/16"]; there also without https.
        address: where people reach this cloud, for the links in messages; "" leaves links out.
    """

    smtp: Smtp | None = None
    allow_networks: list[str] = []
    address: str = ""

    @property
    def allowed(self) -> list[Network]:
        """The networks of `allow_networks`; raises ValueError for what is none."""
        return [ip_network(text) for text in self.allow_networks]


def load_settings(data: Path) -> NotifySettings:
    """Return the settings in the folder `data`, the defaults where there is no file.

    Raises ConfigError if the file is wrong, or holds a password and others can read it.
    """
    path = data / "notify.toml"
    try:
        content = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return NotifySettings()
    except OSError as error:
        raise _wrong(path, Text(str(error), str(error))) from error
    try:
        found = msgspec.toml.decode(content, type=NotifySettings)
        found.allowed  # noqa: B018 - wrong networks are told at the start, not with the first message
    except (msgspec.MsgspecError, ValueError) as error:
        raise _wrong(path, Text(str(error), str(error))) from error
    if found.smtp and found.smtp.password and mode & 0o077:
        raise _wrong(
            path,
            Text(
                "it holds a password and other users can read it: chmod 600", "含有密码且其他用户可读，请执行 chmod 600"
            ),
        )
    return found


def _wrong(path: Path, what: Text) -> ConfigError:
    return ConfigError(
        Text(f"{path}: {what.en}", f"{path}：{what.zh}"),
        Text("see docs/alarms.md for a complete file", "完整示例见 docs/alarms.md"),
        key="notify.toml",
    )
