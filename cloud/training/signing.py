"""The key that vouches for a company's models: made once, kept encrypted, its private half only in memory while it signs."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.core.db import AsyncConnection
from cloud.core.sealed import Seal
from cloud.core.settings import Secrets
from cloud.training import store
from models.bundle import check_onnx, checksums
from models.card import parse_card
from models.signing import public_key
from protocols.text import Text

_LOST = (
    Text("this company's signing key was stored under other secrets", "本企业的签名密钥由其他密钥加密"),
    Text(
        "restore secrets.json from the backup that belongs to this database",
        "请从与该数据库配套的备份中恢复 secrets.json",
    ),
)


class SignedFiles(NamedTuple):
    """The four files of a bundle, and the public key that verifies them."""

    card: bytes
    onnx: bytes
    checksums: bytes
    signature: bytes
    signer: str


class Signer:
    """Signs in the name of a tenant."""

    def __init__(self, secrets: Secrets) -> None:
        self._seal = Seal(secrets.lookup_key, "model signing key", _LOST)

    async def ensure(self, connection: AsyncConnection, tenant: UUID) -> None:
        """Make the tenant's key unless there is one, in the caller's transaction."""
        key = Ed25519PrivateKey.generate()
        await store.insert_key(connection, public_key(key), self._seal.close(tenant, tenant, key.private_bytes_raw()))

    async def sign(self, connection: AsyncConnection, tenant: UUID, card: bytes, onnx: bytes) -> SignedFiles:
        """Return the bundle of a model signed with the tenant's key.

        Raises BundleRefused for what would be refused at the box, Refused where the installation has other secrets now.
        """
        check_onnx(onnx, parse_card(card))
        key = await self._key(connection, tenant)
        lines = checksums(card, onnx)
        return SignedFiles(card, onnx, lines, key.sign(lines), public_key(key))

    async def vouch(self, connection: AsyncConnection, tenant: UUID, message: bytes) -> tuple[str, bytes]:
        """Return the tenant's public key, made if there is none, and its signature of what is no model.

        `message` must begin as no checksums do. Raises Refused where the installation has other secrets now.
        """
        await self.ensure(connection, tenant)
        key = await self._key(connection, tenant)
        return public_key(key), key.sign(message)

    async def _key(self, connection: AsyncConnection, tenant: UUID) -> Ed25519PrivateKey:
        row = await store.select_key(connection)
        assert row is not None  # noqa: S101 - a key is made with the first set
        return Ed25519PrivateKey.from_private_bytes(self._seal.open(tenant, tenant, row["sealed"]))
