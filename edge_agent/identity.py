"""Who this agent is: an Ed25519 key that never leaves the box, the enrolment that pinned it, and the log-in by nonce.

Files in the state directory: `agent.key` (PKCS 8, readable by its owner only), `identity.json` (what the cloud said).
No clock is needed: a token's life counts from its receipt, on the monotonic clock.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edge_agent import __version__
from edge_agent.atomic_file import write_file
from edge_agent.cloud_link import CloudLink
from protocols.errors import ConfigError, Unreachable
from protocols.reading import now_us
from protocols.text import Text
from protocols.uplink.messages import (
    ChallengeReply,
    ChallengeRequest,
    EnrolReply,
    EnrolRequest,
    TokenReply,
    TokenRequest,
)

ENROL = "/api/v1/agents/enrol"
CHALLENGE = "/api/v1/agents/challenge"
TOKEN = "/api/v1/agents/token"  # noqa: S105 - a path
RENEW_BEFORE = 0.2
"""Part of a token's life that is left when a new one is fetched."""
RENEW_AGAIN_S = 10.0


class Identity(msgspec.Struct, frozen=True):
    """Who the cloud says this agent is, and where it was enrolled."""

    agent_id: str
    tenant: str
    site: str
    url: str


def load_identity(state_dir: Path) -> Identity | None:
    """Return who this agent is, None if it is not enrolled; raises ConfigError if the file cannot be read."""
    path = state_dir / "identity.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise _unreadable(path, error) from error


async def enrol(state_dir: Path, url: str, code: str, name: str, ca: Path | None = None) -> Identity:
    """Enrol this agent with a one-time code and keep who it now is; `url` and `ca` are as for `CloudLink`.

    The key is made at the first try and kept, so that an enrolment that broke half-way is repeated with the same key.
    Raises Refused for a code that is wrong, used or expired, Unreachable, Malformed, ConfigError.
    """
    code = code.strip().upper()
    key = _key(state_dir, create=True)
    request = EnrolRequest(
        code, name, key.public_key().public_bytes_raw(), key.sign(b"sunmao-enrol:" + code.encode()), __version__
    )
    async with CloudLink(url, ca) as link:
        reply = await link.post(ENROL, request, EnrolReply)
    identity = Identity(reply.agent_id, reply.tenant, reply.site, url)
    write_file(state_dir / "identity.json", msgspec.json.format(msgspec.json.encode(identity)))
    return identity


class Login:
    """Gets and keeps the bearer token of an enrolled agent."""

    def __init__(self, state_dir: Path, link: CloudLink) -> None:
        self._state_dir = state_dir
        self._link = link
        self.clock_offset_us: int | None = None
        """The cloud's clock minus this box's, as found at the last log-in."""
        self._token = ""
        self._renew_at = self._expires_at = 0.0
        self._logging_in = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that is good for a while, logging in if need be; raises as `CloudLink.post` and ConfigError.

        A cloud that has no time for a new one is asked again later, as long as the old one is good: so an agent that
        delivers is not held up by the thousands that come back.
        """
        async with self._logging_in:
            if time.monotonic() >= self._renew_at:
                try:
                    await self._log_in()
                except Unreachable:
                    if time.monotonic() >= self._expires_at:
                        raise
                    self._renew_at = time.monotonic() + RENEW_AGAIN_S
            return self._token

    async def _log_in(self) -> None:
        identity = load_identity(self._state_dir)
        if identity is None:
            raise not_enrolled()
        challenge = await self._link.post(CHALLENGE, ChallengeRequest(identity.agent_id), ChallengeReply)
        signed = b"sunmao-login:" + identity.agent_id.encode() + challenge.nonce
        signature = _key(self._state_dir, create=False).sign(signed)
        asked, sent = time.monotonic(), now_us()
        reply = await self._link.post(TOKEN, TokenRequest(identity.agent_id, challenge.nonce, signature), TokenReply)
        self._token = reply.token
        self.clock_offset_us = reply.server_time - (sent + now_us()) // 2
        self._renew_at = asked + reply.expires_in_s * (1 - RENEW_BEFORE)
        self._expires_at = asked + reply.expires_in_s

    def forget(self) -> None:
        """Drop the token, because the cloud no longer takes it."""
        self._renew_at = self._expires_at = 0.0


def not_enrolled() -> ConfigError:
    """Return what to say when there is no identity yet."""
    return ConfigError(
        Text("this agent is not enrolled", "本代理尚未注册"),
        Text(
            "run `sunmao-edge enrol CODE` with a code from the cloud",
            "请用云端生成的注册码运行 `sunmao-edge enrol 注册码`",
        ),
    )


def _key(state_dir: Path, *, create: bool) -> Ed25519PrivateKey:
    path = state_dir / "agent.key"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError as error:
        if not create:
            raise not_enrolled() from error
        return _new_key(path)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unreadable(path, error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(path, TypeError("not an Ed25519 key"))
    return key


def _new_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    except OSError as error:
        raise ConfigError(
            Text(f"cannot be written: {error.strerror}", f"无法写入：{error.strerror}"),
            Text("make the folder writable for this user", "请为当前用户开放该文件夹的写权限"),
            key=str(path),
        ) from error
    return key


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        Text(f"cannot be read: {error}", f"无法读取：{error}"),
        Text("restore the file, or remove it and enrol again", "请恢复该文件，或删除后重新注册"),
        key=str(path),
    )
