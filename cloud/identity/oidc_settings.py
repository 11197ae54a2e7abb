"""What the operator sets for log-in at an OpenID Connect provider: the file `oidc.toml` in the cloud's folder."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from protocols.errors import ConfigError
from protocols.text import Text


class OidcSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of oidc.toml.

    Attributes:
        issuer: the provider, exactly as it names itself, e.g. "https://login.example.com/realms/works".
        client_id, client_secret: what the provider knows this cloud by; no secret for a public client.
        name: what the button says, e.g. "Example works".
        address: where browsers reach this cloud, e.g. "https://sunmao.example.com"; "" takes it from each request. The
            provider has to allow `<address>/login/oidc/callback`.
    """

    issuer: str
    client_id: str
    client_secret: str = ""
    name: str = ""
    address: str = ""

    def __repr__(self) -> str:
        return f"OidcSettings({self.issuer})"


def load_oidc(data: Path) -> OidcSettings | None:
    """Return the settings in the folder `data`, None where there is no file.

    Raises ConfigError if the file is wrong, or holds a secret and others can read it.
    """
    path = data / "oidc.toml"
    try:
        content = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
        found = msgspec.toml.decode(content, type=OidcSettings)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise _wrong(path, Text(str(error), str(error))) from error
    if not is_safe(found.issuer):
        raise _wrong(path, Text("'issuer' has to be an https address", "“issuer”须为 https 地址"))
    if found.client_secret and mode & 0o077:
        raise _wrong(
            path,
            Text(
                "it holds a secret and other users can read it: chmod 600", "含有密钥且其他用户可读，请执行 chmod 600"
            ),
        )
    return found


def is_safe(url: str) -> bool:
    """Return whether what is asked there cannot be overheard: https, or this very machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"))


def _wrong(path: Path, what: Text) -> ConfigError:
    return ConfigError(
        Text(f"{path}: {what.en}", f"{path}:{what.zh}"),
        Text("docs/people.md shows a complete one", "docs/people.md 中有完整示例"),
        key="oidc.toml",
    )
