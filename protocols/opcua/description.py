"""What an OPC UA server says of itself before anything is configured: endpoints, maker, companion specifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from protocols.errors import Refused
from protocols.opcua.config import OpcuaConnection
from protocols.opcua.session import Session

COMPANION_SPECIFICATIONS: Mapping[str, str] = {
    "http://opcfoundation.org/UA/DI/": "OPC 10000-100 Devices",
    "http://opcfoundation.org/UA/IA/": "OPC 10000-200 Industrial Automation",
    "http://opcfoundation.org/UA/Machinery/": "OPC 40001 Machinery",
    "http://opcfoundation.org/UA/MachineTool/": "OPC 40501 Machine Tools",
    "http://opcfoundation.org/UA/CNC": "OPC 40502 CNC",
    "http://opcfoundation.org/UA/PlasticsRubber/GeneralTypes/": "OPC 40083 Plastics and Rubber, general types",
    "http://opcfoundation.org/UA/PlasticsRubber/IMM2MES/": "OPC 40077 Injection moulding machines to MES (EUROMAP 77)",
    "http://opcfoundation.org/UA/PlasticsRubber/TCD/": "OPC 40082-1 Temperature control devices (EUROMAP 82.1)",
    "http://opcfoundation.org/UA/PlasticsRubber/HotRunner/": "OPC 40082-2 Hot runner devices (EUROMAP 82.2)",
    "http://opcfoundation.org/UA/PlasticsRubber/Extrusion/GeneralTypes/": "OPC 40084 Extrusion, general types",
    "http://opcfoundation.org/UA/Robotics/": "OPC 40010 Robotics",
    "http://opcfoundation.org/UA/Pumps/": "OPC 40223 Pumps and vacuum pumps",
    "http://opcfoundation.org/UA/MachineVision": "OPC 40100 Machine Vision",
    "http://opcfoundation.org/UA/PackML/": "OPC 30050 PackML",
    "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/": "OPC 10031-4 ISA-95 job control",
    "http://www.OPCFoundation.org/UA/2013/01/ISA95": "OPC 10030 ISA-95",
    "http://opcfoundation.org/UA/PADIM/": "OPC 30081 Process Automation Devices",
}
"""Namespace URI -> published specification (opcfoundation.org, "OPC UA Information Models")."""


class Endpoint(NamedTuple):
    """One way into a server: its URL, the security policy's name, the mode, and how users may log in."""

    url: str
    policy: str
    mode: str
    users: tuple[str, ...]


class ServerDescription(NamedTuple):
    """What a server tells. `build` and `namespaces` are empty where it tells them to trusted clients only."""

    application: str
    endpoints: tuple[Endpoint, ...]
    build: dict[str, str]
    namespaces: tuple[str, ...]

    @property
    def companions(self) -> list[str]:
        """The companion specifications the server knows, by its namespaces."""
        return [COMPANION_SPECIFICATIONS[uri] for uri in self.namespaces if uri in COMPANION_SPECIFICATIONS]


async def describe_server(endpoint: str, timeout_s: float = 2.0) -> ServerDescription:
    """Ask the server at `endpoint` (opc.tcp://host:port) who it is; reads only. Raises Unreachable or Malformed.

    Endpoints need no log-in (Part 4, 5.4.4). The build information and the namespaces are read in a session without
    security, if the server lets one in.
    """
    connection = OpcuaConnection.model_validate({"endpoint": endpoint, "security": "none", "timeout_s": timeout_s})
    session = Session(endpoint, connection)
    described = await session.offered_endpoints()
    application = described[0].Server.ApplicationName.Text or "" if described else ""
    endpoints = tuple(
        Endpoint(
            e.EndpointUrl or "",
            (e.SecurityPolicyUri or "").rpartition("#")[2],
            e.SecurityMode.name.removesuffix("_"),
            tuple(sorted({token.TokenType.name for token in e.UserIdentityTokens or ()})),
        )
        for e in described
    )
    build: dict[str, str] = {}
    namespaces: tuple[str, ...] = ()
    if any(e.policy == "None" for e in endpoints):
        try:
            await session.open()
            namespaces = tuple(session.namespaces)
            build = dict(session.build)
        except Refused:
            pass  # it lets nobody in without a user: the endpoints are all it tells
        finally:
            await session.close()
    return ServerDescription(application, endpoints, build, namespaces)
