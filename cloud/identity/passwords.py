"""Hashes passwords and checks them, at most two at a time: argon2 takes 64 MiB each."""

from __future__ import annotations

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError


class Passwords:
    """argon2id with the library's settings."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._at_once = asyncio.Semaphore(2)
        self._decoy = self._hasher.hash(secrets.token_urlsafe())

    async def hashed(self, password: str) -> str:
        """Return the hash to store."""
        async with self._at_once:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def fits(self, password: str, password_hash: str | None) -> bool:
        """Return whether `password` is the one of this hash; without a hash the same work is done, for nothing."""
        async with self._at_once:
            return await asyncio.to_thread(self._fits, password_hash or self._decoy, password) and bool(password_hash)

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except VerificationError:
            return False
