"""Signed bundles of one small model under several versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.bundle import LIMITS, packed, read_bundle, write_bundle
from models.signing import public_key
from tests.edge_agent.inspect.conftest import SignedBundle


@dataclass
class Shelf:
    """Versions "1", "2" and "3" of one model, signed by one key."""

    folder: Path
    trust: str
    digests: dict[str, str]

    def files(self, version: str) -> dict[str, bytes]:
        return {name: (self.folder / version / name).read_bytes() for name in LIMITS}

    def zip(self, version: str, **changed: bytes) -> bytes:
        names = {name.replace(".", "_"): name for name in LIMITS}
        return packed("bundle", self.files(version) | {names[key]: content for key, content in changed.items()})


def shelf(folder: Path, model: SignedBundle) -> Shelf:
    """Write the versions to `folder`."""
    key = Ed25519PrivateKey.generate()
    trust = public_key(key)
    found = read_bundle(model.folder, model.trust)
    digests = {}
    for version in ("1", "2", "3"):
        write_bundle(folder / version, msgspec.structs.replace(found.card, version=version), found.onnx, key)
        digests[version] = read_bundle(folder / version, [trust]).digest
    return Shelf(folder, trust, digests)
