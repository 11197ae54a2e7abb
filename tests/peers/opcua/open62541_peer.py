"""An OPC UA server by open62541 (its Python distribution o6), in a process of its own.

`python open62541_peer.py PKI_FOLDER [SPECIFICATION ...]`: secured with the certificate in PKI_FOLDER/own, trusting the
clients in PKI_FOLDER/trusted at its start; each specification is an object type of o6.ns, "robotics.MotionDeviceSystemType",
of which there will be one machine. Prints one line of JSON when it listens.
"""

from __future__ import annotations

import importlib
import itertools
import json
import socket
import sys
import time
from pathlib import Path

import o6
from o6.ns import ns0

TAGS = 1000


class Users(o6.server.AccessControl):
    """Lets in anybody, and the user op with password pw."""

    def __init__(self) -> None:
        super().__init__(anonymous=True, username=True)

    def activateSession(self, endpoint, certificate, session, token):  # noqa: N802
        if isinstance(token, ns0.datatypes.AnonymousIdentityToken):
            return "anonymous"
        if str(token.userName) == "op" and bytes(token.password) == b"pw":
            return "op"
        raise o6.StatusCodeError(o6.StatusCode.BAD_IDENTITY_TOKEN_REJECTED)

    def getUserAccessLevel(self, session, node):  # noqa: N802
        return 0x01 if "Guarded" in str(node) else 0xFF


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(pki: Path, specifications: list[str]) -> None:
    port = free_port()
    o6.ns.namespace("plant", uri="urn:peer:plant", version="1.0")
    server = o6.Server(
        port,
        certificate=pki / "own" / "certificate.der",
        privateKey=pki / "own" / "private-key.der",
        trustList=sorted((pki / "trusted").iterdir()),
        applicationUri=(pki / "own" / "application-uri").read_text(),
        accessControl=Users(),
        allowNonePolicyPassword=True,
    )
    server.config.setHistoryDatabase()
    line = server.addObject("Line", server.objectsNode)
    tags = [server.addVariable(f"Tag{n}", line, float(n), nodeId=f"ns=1;s=Line.Tag{n}") for n in range(TAGS)]
    history = o6.History(capacity=5000)
    counter = server.addVariable("Temperature", line, 0.0, nodeId="ns=1;s=Line.Temperature", historizing=history)
    server.addVariable("Setpoint", line, o6.Int16(10), nodeId="ns=1;s=Line.Setpoint")
    server.addVariable("Guarded", line, 1.0, nodeId="ns=1;s=Line.Guarded")
    server.addVariable("Fixed", line, 1.0, nodeId="ns=1;s=Line.Fixed", writable=False)
    server.start()
    for number, name in enumerate(specifications, 1):
        package, _, kind = name.rpartition(".")
        module = importlib.import_module(f"o6.ns.{package}")
        server.ns.append(module)
        getattr(module.objtypes, kind)(parent=server.objectsNode, browseName=f"Machine{number}")
    print(json.dumps({"port": port}), flush=True)
    for count in itertools.count(1):
        counter(float(count))
        if specifications and count % 20 == 0:
            tags[0](0.0)
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
