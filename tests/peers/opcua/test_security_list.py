"""The interoperability list of open62541 (its tests/interop/README.md, T-1 to T-9) with two foreign servers.

T-1 no security, T-2 a user without encryption, T-3 reading, T-4 writing in place of a method call, T-5 to T-7 the three
policies, signed and also encrypted, T-8 a user over each of them, T-9 a user by certificate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.driver import WriteRule
from protocols.errors import Refused
from protocols.opcua.certificates import own_identity
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.driver import OpcuaDriver
from protocols.opcua.trust import approve, known_certificates
from tests.peers.opcua.peer_programs import Peer, node_opcua, open62541
from tests.protocols.opcua.opcua_stand import Inbox, opened

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

POLICIES = ("basic256sha256", "aes128sha256rsaoaep", "aes256sha256rsapss")
MODES = ("sign", "sign_and_encrypt")


class Stack(NamedTuple):
    """A running server and the folder of an agent that trusts it and that it trusts."""

    name: str
    peer: Peer
    folder: Path

    def fields(self, security: str, mode: str = "sign_and_encrypt", **more: Any) -> dict[str, Any]:
        return {**agent(self.folder), "security": security, "security_mode": mode, "timeout_s": 10, **more}

    def point(self, name: str, **more: Any) -> OpcuaPoint:
        return OpcuaPoint(name=name, node=f"nsu={self.peer.namespace};s=Line.{name}", **more)

    async def works(self, driver: OpcuaDriver) -> None:
        """Read and subscribe."""
        tags, inbox = [self.point("Tag7"), self.point("Tag8")], Inbox()
        assert [reading.value for reading in await driver.read(tags)] == [7.0, 8.0]
        await driver.subscribe(tags, 0.2, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == 2)


def agent(folder: Path) -> dict[str, Any]:
    own = folder / "own"
    return {"certificate": own / "certificate.der", "key": own / "private-key.pem", "trust_dir": folder / "trusted"}


STACKS: dict[str, Callable[[Path], AbstractAsyncContextManager[Peer]]] = {
    "node-opcua": node_opcua,
    "open62541": open62541,
}
CLIENTS = {"node-opcua": "applications/trusted/certs", "open62541": "trusted"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(STACKS))
async def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    pki, folder = tmp_path_factory.mktemp("peer"), tmp_path_factory.mktemp("agent")
    files = agent(folder)
    identity = own_identity(files["certificate"], files["key"], "edge")
    for clients in (CLIENTS[request.param], "users/trusted/certs"):
        (pki / clients).mkdir(parents=True)
        (pki / clients / "agent.der").write_bytes(identity.certificate.public_bytes(Encoding.DER))
    async with STACKS[request.param](pki) as peer:
        yield Stack(request.param, peer, folder)


async def test_an_unknown_server_is_listed_and_trusted_in_one_action(stack: Stack) -> None:
    fields = stack.fields("basic256sha256")
    with pytest.raises(Refused, match="not trusted"):
        async with opened(stack.peer, **fields):
            pass
    (waiting,) = known_certificates(fields["trust_dir"])
    assert (waiting.trusted, len(waiting.fingerprint)) == (False, 95)
    with pytest.raises(Refused, match=waiting.fingerprint):
        async with opened(stack.peer, **fields):
            pass
    assert approve(fields["trust_dir"], waiting.fingerprint.lower().replace(":", "")).trusted
    async with opened(stack.peer, **fields) as driver:
        await stack.works(driver)


async def test_without_security_with_and_without_a_user(stack: Stack) -> None:
    for user in ({}, {"user": "op", "password": "pw"}):
        async with opened(stack.peer, security="none", **user) as driver:
            await stack.works(driver)
    with pytest.raises(Refused, match="user 'op'"):
        async with opened(stack.peer, security="none", user="op", password="wrong"):
            pass


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("security", POLICIES)
async def test_every_policy_with_and_without_a_user(stack: Stack, security: str, mode: str) -> None:
    for user in ({}, {"user": "op", "password": "pw"}):
        async with opened(stack.peer, **stack.fields(security, mode, **user)) as driver:
            await stack.works(driver)
    with pytest.raises(Refused, match="user 'op'"):
        async with opened(stack.peer, **stack.fields(security, mode, user="op", password="wrong")):
            pass


async def test_writing_what_may_be_written(stack: Stack) -> None:
    rule = WriteRule(min=0, max=1000)
    setpoint = stack.point("Setpoint", write=rule)
    async with opened(stack.peer, **stack.fields("aes256sha256rsapss", user="op", password="pw")) as driver:
        await driver.write(setpoint, 17)
        (reading,) = await driver.read([setpoint])
        for name in ("Guarded", "Fixed"):
            with pytest.raises(Refused, match=f"{name}.*Bad"):
                await driver.write(stack.point(name, write=rule), 2)
    assert reading.value == 17


async def test_a_user_by_certificate(stack: Stack) -> None:
    if stack.name == "open62541":
        pytest.skip("its Python server offers names and anonymous users only")
    files = agent(stack.folder)
    user = {"user_certificate": files["certificate"], "user_key": files["key"]}
    for security in ("none", "basic256sha256"):
        async with opened(stack.peer, **stack.fields(security, **user)) as driver:
            await stack.works(driver)


async def test_a_stranger_is_told_what_to_do_at_the_server(stack: Stack, tmp_path: Path) -> None:
    """The agent's certificate is not trusted by the server: a sentence, not the name of an exception."""
    fields = {**stack.fields("basic256sha256"), **agent(tmp_path), "trust_dir": stack.folder / "trusted"}
    with pytest.raises(Refused, match=r"at the server, trust .*certificate\.der; its SHA-256 fingerprint is"):
        async with opened(stack.peer, **fields):
            pass
