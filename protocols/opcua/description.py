"""What an OPC UA server says of itself before anything is configured: endpoints, maker, companion specifications."""

from __future__ import annotations

from typing import NamedTuple

from protocols.errors import Refused
from protocols.opcua.config import OpcuaConnection
from protocols.opcua.machines import Machine, find_machines
from protocols.opcua.session import Session
from protocols.opcua.specifications import specifications


class Endpoint(NamedTuple):
    """One way into a server: its URL, the security policy's name, the mode, and how users may log in."""

    url: str
    policy: str
    mode: str
    users: tuple[str, ...]


class ServerDescription(NamedTuple):
    """What a server tells. `build`, `namespaces` and `machines` are empty where it tells them to trusted clients only."""

    application: str
    endpoints: tuple[Endpoint, ...]
    build: dict[str, str]
    namespaces: tuple[str, ...]
    machines: tuple[Machine, ...] = ()

    @property
    def companions(self) -> list[str]:
        """The companion specifications the server knows, by its namespaces."""
        return specifications(self.namespaces)


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
    machines: tuple[Machine, ...] = ()
    if any(e.policy == "None" for e in endpoints):
        try:
            await session.open()
            namespaces = tuple(session.namespaces)
            build = dict(session.build)
            with session.failures_named():
                machines = tuple(await find_machines(session))
        except Refused:
            pass  # it lets nobody in without a user: the endpoints are all it tells
        finally:
            await session.close()
    return ServerDescription(application, endpoints, build, namespaces, machines)
