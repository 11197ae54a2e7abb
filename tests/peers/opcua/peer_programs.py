"""The foreign servers: where their programs come from, and how one is run."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from protocols.opcua.certificates import own_identity

HERE = Path(__file__).parent
INSTALLED = HERE.parents[2] / ".dev" / "peers"
START_S = 60.0

O6 = "o6==2.2.0"
"""open62541 1.5.8 with a Python server around it; without a licence key it runs for ten minutes, commercially too."""


class Peer(str):
    """The endpoint of a running server, which can be told to change."""

    process: asyncio.subprocess.Process
    namespace: str

    async def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        await self.process.stdin.drain()


def node_modules() -> Path:
    """Return the folder of node-opcua, installed once per checkout into an ignored folder; skips where it can not be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("NOT TESTED against node-opcua: node and npm are not installed")
    wanted = (HERE / "package.json").read_text(encoding="utf-8")
    folder = INSTALLED / "opcua"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(wanted, encoding="utf-8")
    arguments = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    _install("node-opcua", [npm, "install", *arguments], folder, wanted)
    return folder / "node_modules"


def o6_packages() -> Path:
    """Return the folder of o6, installed once per checkout into an ignored folder; skips where it can not be."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        pytest.skip("NOT TESTED against open62541: uv is not installed")
    folder = INSTALLED / "o6"
    arguments = ["--quiet", "--python", sys.executable, "--no-deps", "--target", str(folder)]
    _install("open62541", [uv, "pip", "install", *arguments, O6], folder, O6)
    return folder


def _install(name: str, command: Sequence[str], folder: Path, wanted: str) -> None:
    """Run `command` in `folder` unless `wanted` is there; several test processes may ask at once."""
    folder.mkdir(parents=True, exist_ok=True)
    installed = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.read_text(encoding="utf-8") == wanted:
            return
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"NOT TESTED against {name}: it cannot be installed: {done.stderr[-300:]}")
        installed.write_text(wanted, encoding="utf-8")


@asynccontextmanager
async def node_opcua(pki: Path, port: int = 0, namespaces: Sequence[str] = (), limit: int = 100) -> AsyncIterator[Peer]:
    """Run node-opcua; it trusts the certificates in `pki`/applications/trusted/certs."""
    command = ["node", str(HERE / "peer.js"), str(port), str(pki), str(limit), *namespaces]
    async with _running(command, {"NODE_PATH": str(node_modules())}) as (process, port):
        peer = Peer(f"opc.tcp://127.0.0.1:{port}/peer")
        peer.process, peer.namespace = process, "urn:peer:plant"
        yield peer


@asynccontextmanager
async def open62541(pki: Path, specifications: Sequence[str] = ()) -> AsyncIterator[Peer]:
    """Run open62541 with one machine of each object type of `specifications`; it trusts those in `pki`/trusted."""
    own = pki / "own"
    identity = own_identity(own / "certificate.der", own / "private-key.pem", "open62541")
    key = identity.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (own / "private-key.der").write_bytes(key)
    (own / "application-uri").write_text(identity.application_uri, encoding="utf-8")
    (pki / "trusted").mkdir(exist_ok=True)
    command = [sys.executable, str(HERE / "open62541_peer.py"), str(pki), *specifications]
    async with _running(command, {"PYTHONPATH": str(o6_packages())}) as (process, port):
        peer = Peer(f"opc.tcp://127.0.0.1:{port}")
        peer.process, peer.namespace = process, identity.application_uri
        yield peer


@asynccontextmanager
async def _running(
    command: Sequence[str], environment: dict[str, str]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            async for line in process.stdout:
                if line.startswith(b'{"port"'):
                    break
            else:
                pytest.fail("the peer ended before it listened")
        yield process, int(json.loads(line)["port"])
    finally:
        process.kill()
        await process.communicate()
