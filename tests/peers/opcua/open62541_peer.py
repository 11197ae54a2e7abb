"""An OPC UA server by open62541 (its Python distribution o6), in a process of its own.

`python open62541_peer.py PKI_FOLDER [SPECIFICATION ...]`: secured with the certificate in PKI_FOLDER/own, trusting the
clients in PKI_FOLDER/trusted at its start. A specification is a package of o6.ns, "di", which the server then knows, or an
object type of one, "robotics.MotionDeviceSystemType", of which there will be one machine; those it builds on come first.
Prints one line of JSON when it listens.
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
    for n in range(TAGS):
        server.addVariable(f"Tag{n}", line, float(n), nodeId=f"ns=1;s=Line.Tag{n}")
    history = o6.History(capacity=5000)
    counter = server.addVariable("Temperature", line, 0.0, nodeId="ns=1;s=Line.Temperature", historizing=history)
    server.addVariable("Setpoint", line, o6.Int16(10), nodeId="ns=1;s=Line.Setpoint")
    server.addVariable("Guarded", line, 1.0, nodeId="ns=1;s=Line.Guarded")
    server.addVariable("Fixed", line, 1.0, nodeId="ns=1;s=Line.Fixed", writable=False)
    modules = {name: importlib.import_module(f"o6.ns.{name.partition('.')[0]}") for name in specifications}
    for module in modules.values():
        server.ns.append(module)
    server.start()
    for name, module in modules.items():
        package, _, kind = name.partition(".")
        if kind:
            parent = o6.NodeId("ns=machinery;i=1001") if package == "machine_tool" else server.objectsNode  # Machines
            machine = getattr(module.objtypes, kind)(parent=parent, browseName=f"My{kind}")
            for holder in ("identification", "machineInformation"):
                if hasattr(machine, holder):
                    getattr(machine, holder).serialNumber(f"SN-{package}")
                    getattr(machine, holder).manufacturer(o6.LocalizedText("Acme"))
    print(json.dumps({"port": port}), flush=True)
    for count in itertools.count(1):
        counter(float(count))
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
