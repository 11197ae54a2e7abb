"""Encrypts what a tenant keeps secret: readable only with the installation's secrets, which are not in the database."""

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
    """AES-256-GCM under a key derived (HKDF, RFC 5869) from a secret of the installation, another for every `purpose`.

    `lost` is what to say, and how to mend it, where the installation's secrets are other ones now.
    """

    def __init__(self, secret: str, purpose: str, lost: tuple[Text, Text]) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=f"sunmao {purpose}".encode()).derive(secret.encode())
        self._cipher = AESGCM(key)
        self._lost = lost

    def close(self, tenant: UUID, thing: UUID, plain: bytes) -> bytes:
        """Return `plain` encrypted. It opens for this thing of this tenant only, so rows cannot be exchanged."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, tenant.bytes + thing.bytes)

    def open(self, tenant: UUID, thing: UUID, sealed: bytes) -> bytes:
        """Return what was sealed; raises Refused where the installation's secrets are other ones now."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], tenant.bytes + thing.bytes)
        except InvalidTag as error:
            raise Refused(*self._lost) from error
