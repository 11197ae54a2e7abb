"""The record of computing time that both sides sign: a chain of beats of one attempt. Pure.

A beat is canonical JSON of what the worker says: job, attempt, number, milliseconds since its begin, computing time of its
processes, by what it computes, how far it is, and the checkpoint that is safe. Its hash is SHA-256 of the hash before (32
zero bytes before the first) and of the beat. The worker signs the hash with its key, the platform signs it when it
acknowledges the beat: so who has the last one of a chain has all of it, with both names under it.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

START = bytes(32)


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is safe: a file by its content, and how many of the job's items it has."""

    digest: str
    done: int


class Beat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker says every few seconds."""

    job: str
    attempt: int
    seq: int
    used_ms: int
    cpu_ms: int
    chip: str
    stage: str
    done: int
    total: int
    checkpoint: Checkpoint | None = None


def written(beat: Beat) -> str:
    """Return the beat as the text that is signed."""
    return json.dumps(msgspec.to_builtins(beat), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def read(text: str) -> Beat:
    """Return the beat that `text` is; raises ValueError if it is none, or is written otherwise."""
    try:
        beat = msgspec.json.decode(text, type=Beat)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if written(beat) != text:
        raise ValueError("it is not written canonically")
    return beat


def chained(before: bytes, text: str) -> bytes:
    """Return the hash of a beat that follows the one with the hash `before`."""
    return hashlib.sha256(before + text.encode()).digest()


def platform_key(secret: str) -> Ed25519PrivateKey:
    """Return the key by which this installation signs meters and receipts; it follows from one of its secrets."""
    seed = HKDF(SHA256(), 32, salt=None, info=b"sunmao compute receipts").derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public half as base64."""
    return b64encode(key.public_key().public_bytes_raw()).decode()


def signed(key: Ed25519PrivateKey, content: bytes) -> str:
    """Return the signature of `content` as base64."""
    return b64encode(key.sign(content)).decode()


def holds(public: str, signature: str, content: bytes) -> bool:
    """Return whether `signature` is that of the key `public` under `content`; False also for what is no key."""
    try:
        Ed25519PublicKey.from_public_bytes(b64decode(public, validate=True)).verify(
            b64decode(signature, validate=True), content
        )
    except (InvalidSignature, NotBase64, ValueError):
        return False
    return True
