"""Ed25519 keys that vouch for bundles: the private key in a PEM file, the public key as 44 characters of base64."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from models.errors import InputError


def create_key(path: Path) -> str:
    """Write a new private key to `path` (mode 600, never over an existing file) and return its public key."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(
            "key", f"{path}: cannot write the key: {error.strerror}", f"{path}：无法写入密钥：{error.strerror}"
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return public_key(key)


def load_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in the PEM file `path`; raises InputError if there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise InputError(
            "key",
            f"{path}: cannot read the key: {error.strerror}; `sunmao-model key create {path}` makes one",
            f"{path}：无法读取密钥：{error.strerror}；可用 `sunmao-model key create {path}` 生成",
        ) from error
    except (ValueError, TypeError) as error:
        raise InputError("key", f"{path}: not an unencrypted PEM key", f"{path}：不是未加密的 PEM 密钥") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("key", f"{path}: not an Ed25519 key", f"{path}：不是 Ed25519 密钥")
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    """Return the base64 public key of `key`, as configurations list it under `trust`."""
    return b64encode(key.public_key().public_bytes_raw()).decode()


def signed_by(signature: bytes, message: bytes, trust: Sequence[str]) -> str | None:
    """Return the first key of `trust` whose signature of `message` this is, else None."""
    for trusted in trust:
        try:
            Ed25519PublicKey.from_public_bytes(b64decode(trusted, validate=True)).verify(signature, message)
        except InvalidSignature:
            continue
        except ValueError as error:
            raise InputError(
                "trust",
                f"'{trusted}' is not a base64 Ed25519 public key",
                f"“{trusted}”不是 base64 编码的 Ed25519 公钥",
            ) from error
        return trusted
    return None
