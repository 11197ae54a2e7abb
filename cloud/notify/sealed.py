"""Encrypts what a channel keeps secret: readable only with the installation's secrets, which are not in the database."""

from __future__ import annotations

import secrets
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocols.errors import Refused
from protocols.text import Text

_NONCE_BYTES = 12


class Seal:
    """AES-256-GCM under a key derived (HKDF, RFC 5869) from a secret of the installation."""

    def __init__(self, secret: str) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"sunmao notify channel").derive(secret.encode())
        self._cipher = AESGCM(key)

    def close(self, tenant: UUID, channel: UUID, plain: bytes) -> bytes:
        """Return `plain` encrypted. It opens for this channel of this tenant only, so rows cannot be exchanged."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, tenant.bytes + channel.bytes)

    def open(self, tenant: UUID, channel: UUID, sealed: bytes) -> bytes:
        """Return what was sealed; raises Refused where the installation's secrets are other ones now."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], tenant.bytes + channel.bytes)
        except InvalidTag as error:
            raise Refused(
                Text("the channel's address was stored under other secrets", "该渠道的地址由其他密钥加密"),
                Text("enter its address and key again", "请重新填写地址与密钥"),
            ) from error
