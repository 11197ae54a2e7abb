"""One session with one server: secure channel, limits, namespace table; the place where asyncua's failures end.

asyncua's own `Client` is used for its handshake only. Its supervisor, publish loop and watchdog are not started: they
log and retry by themselves, while here a failure has to reach the agent, once, as one of the four fates.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, TypeVar

from asyncua import Client, ua
from asyncua.crypto import security_policies
from asyncua.ua import uaerrors

from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.opcua.certificates import (
    Identity,
    check_trusted,
    expiry_notice,
    load_pair,
    own_identity,
    server_certificate,
)
from protocols.opcua.config import OpcuaConnection
from protocols.opcua.failures import fate
from protocols.opcua.profiles import Profile, profiles, recognise
from protocols.opcua.transport import MAX_CHUNKS, MAX_MESSAGE_BYTES, Transport, silence
from protocols.reading import now_us
from protocols.text import Text

_SESSION_S = 60
"""A server forgets a session this long after its agent was killed; few machines allow more than five sessions."""

_POLICIES = {
    "basic256sha256": security_policies.SecurityPolicyBasic256Sha256,
    "aes128sha256rsaoaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "aes256sha256rsapss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}

_MODES = {"sign": ua.MessageSecurityMode.Sign, "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt}

Operation = Literal["read", "monitor", "browse", "history"]
_LIMIT_NODES: dict[Operation, int] = {
    "read": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "monitor": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    "browse": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "history": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
}
_DEFAULT_LIMIT = 500
"""Operations in one request where the server sets no limit (or 0, which means none)."""

_BUILD_INFO = {
    "manufacturer": ua.ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    "product": ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    "product_uri": ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductUri,
    "software_version": ua.ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
    "build_number": ua.ObjectIds.Server_ServerStatus_BuildInfo_BuildNumber,
}

_TOO_MANY = (uaerrors.BadTooManyOperations, uaerrors.BadEncodingLimitsExceeded, uaerrors.BadResponseTooLarge)

T = TypeVar("T")
R = TypeVar("R")


class Session:
    """One session; opened once, closed once.

    Attributes:
        namespaces: the server's namespace URIs by index, as read when the session was opened.
        build: the server's build information, of manufacturer, product, product_uri, software_version and build_number
            what it gives.
        profile: what is known of such a server, if anything is.
        notices: what a person should know of the connection.
    """

    def __init__(self, device: str, connection: OpcuaConnection) -> None:
        self.namespaces: list[str] = []
        self.build: dict[str, str] = {}
        self.profile: Profile | None = None
        self.notices: list[Text] = []
        self._device = device
        self._connection = connection
        self._client: Client | None = None
        self._asking: Client | None = None
        self._identity: Identity | None = None
        self._limits: dict[Operation, int] = dict.fromkeys(_LIMIT_NODES, _DEFAULT_LIMIT)
        self._maintenance: asyncio.Task[None] | None = None

    @property
    def services(self) -> Any:
        """asyncua's service calls; to be used inside `failures_named`. Raises Unreachable if the session is closed."""
        if self._client is None:
            raise self._not_open()
        return self._client.uaclient.session

    @property
    def maintenance(self) -> asyncio.Task[None]:
        """The task that keeps session and channel alive; it ends only by a failure."""
        if self._maintenance is None:
            raise self._not_open()
        return self._maintenance

    async def open(self) -> None:
        """Connect, log in, read limits and namespaces. Raises ConfigError, Unreachable, Refused or Malformed."""
        silence("asyncua.client", "asyncua.uaprotocol", "asyncua.crypto")
        connection = self._connection
        try:
            with self.failures_named():
                policy = None if connection.security == "none" else await self._security_policy(connection.security)
                client = self._new_client()
                if policy is not None:
                    client.security_policy = policy
                    client.uaclient.set_security(policy)
                self._client = client
                await client.connect_socket()
                await client.send_hello()
                await client.open_secure_channel()
                await client.create_session()
                await self._log_in(client)
                await self._read_capabilities()
        except BaseException as error:
            if isinstance(error, Unreachable):
                error.answered = self._reached()
            await self._drop()
            raise
        self._maintenance = asyncio.create_task(self._maintain(client), name=f"opcua-maintain-{self._device}")

    async def offered_endpoints(self) -> list[Any]:
        """Return the server's endpoints, without a session. Raises Unreachable or Malformed."""
        silence("asyncua.client", "asyncua.uaprotocol", "asyncua.crypto")
        with self.failures_named():
            return list(await self._new_client().connect_and_get_server_endpoints())

    async def close(self) -> None:
        """Say good-bye where the server still listens, and drop the connection."""
        if self._maintenance is not None:
            self._maintenance.cancel()
            with suppress(asyncio.CancelledError, SunmaoError):
                await self._maintenance
            self._maintenance = None
        client = self._client
        if client is None:
            return
        # A task of its own: asyncua's calls end in a CancelledError of its own kind when their answer meets a time-out.
        leaving = asyncio.create_task(self._say_good_bye(client), name=f"opcua-close-{self._device}")
        try:
            await asyncio.wait({leaving}, timeout=min(self._connection.timeout_s, 0.5))
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await self._drop()

    async def _say_good_bye(self, client: Client) -> None:
        await client.close_session()
        await client.close_secure_channel()

    async def refresh_namespaces(self) -> None:
        """Read the server's namespace table again."""
        ((table, _),) = await self.read([ua.NodeId(ua.ObjectIds.Server_NamespaceArray)])
        with self.failures_named():
            table.StatusCode.check()
            self.namespaces = list(table.Value.Value)

    async def read(
        self, nodes: Sequence[ua.NodeId], attribute: int = ua.AttributeIds.Value
    ) -> list[tuple[ua.DataValue, int]]:
        """Return each node's attribute with the time it arrived (microseconds UTC), in order."""

        async def read(part: Sequence[ua.NodeId]) -> list[tuple[ua.DataValue, int]]:
            parameters = ua.ReadParameters(
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                NodesToRead=[ua.ReadValueId(NodeId=node, AttributeId=attribute) for node in part],
            )
            values = await self.services.read(parameters)
            arrival = now_us()
            return [(value, arrival) for value in values]

        return await self.in_parts("read", nodes, read)

    async def in_parts(
        self,
        operation: Operation,
        items: Sequence[T],
        request: Callable[[Sequence[T]], Awaitable[list[R]]],
        *,
        besides: tuple[type[Exception], ...] = (),
    ) -> list[R]:
        """Return the answers to `items`, asked for in requests no larger than the server allows.

        A server that allows less than it says (BadTooManyOperations) is asked for half as many from then on. Raises
        Malformed if an answer has another length than its request; exceptions of asyncua in `besides` pass unchanged.
        """
        answers: list[R] = []
        while len(answers) < len(items):
            part = items[len(answers) : len(answers) + self._limits[operation]]
            try:
                with self.failures_named(besides=(*besides, *_TOO_MANY) if len(part) > 1 else besides):
                    answer = await request(part)
            except _TOO_MANY:
                self._limits[operation] = len(part) // 2
                continue
            if len(answer) != len(part):
                raise Malformed(
                    Text(
                        f"{len(part)} things asked for in one request, {len(answer)} answered",
                        f"一次请求 {len(part)} 项，返回 {len(answer)} 项",
                    ),
                    key=self._device,
                )
            answers += answer
        return answers

    @contextmanager
    def failures_named(self, besides: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Turn whatever asyncua raises inside into one of the four fates; `besides` passes unchanged."""
        try:
            yield
        except Exception as error:
            if isinstance(error, (SunmaoError, *besides)):
                raise
            socket = self._client.uaclient.protocol if self._client is not None else None
            raise fate(error, self._device, self._connection, self._identity, socket) from error

    async def _security_policy(self, security: str) -> Any:
        connection, policy = self._connection, _POLICIES[security]
        # In a thread, for a new key takes a small box seconds, in which other devices want to be read.
        identity = await asyncio.to_thread(own_identity, connection.certificate, connection.key, "edge")
        self._identity = identity
        self.check_expiry()
        self._asking = self._new_client()
        endpoints = await self._asking.connect_and_get_server_endpoints()
        self._asking = None
        mode = _MODES[connection.security_mode]
        for endpoint in endpoints:
            if endpoint.SecurityPolicyUri == policy.URI and endpoint.SecurityMode == mode:
                certificate = server_certificate(endpoint.ServerCertificate)
                check_trusted(certificate, endpoint.Server.ApplicationUri, connection.trust_dir)
                return policy(certificate, identity.certificate, identity.key, mode)
        offered = sorted(
            {f"{e.SecurityPolicyUri.rpartition('#')[2]}/{e.SecurityMode.name.removesuffix('_')}" for e in endpoints}
        )
        raise Refused(
            Text(
                f"the server does not offer {security} with {mode.name}; it offers {', '.join(offered)}",
                f"服务器不支持 {security}/{mode.name}，仅支持 {', '.join(offered)}",
            ),
            Text("enable it at the server, or choose another security", "请在服务器上启用，或更改 security"),
            key=self._device,
        )

    async def _log_in(self, client: Client) -> None:
        connection = self._connection
        if connection.user_certificate is None or connection.user_key is None:
            password = connection.password.get_secret_value() if connection.password else None
            await client.activate_session(connection.user, password)
        else:
            user = await asyncio.to_thread(load_pair, connection.user_certificate, connection.user_key)
            client.user_certificate, client.user_private_key = user
            await client.activate_session(certificate=user.certificate)

    def check_expiry(self) -> None:
        """Add a notice if this agent's certificate ends within `certificates.WARN`."""
        if self._identity is None:
            return
        notice = expiry_notice(self._identity.certificate, self._connection.certificate)
        if notice is not None and notice not in self.notices:
            self.notices.append(notice)

    def _new_client(self) -> Client:
        """A client for one connection: asyncua's hang when used a second time."""
        client = Client(self._connection.endpoint, timeout=self._connection.timeout_s)
        client.uaclient = Transport(self._connection.timeout_s)
        client.name = client.description = "Sunmao"
        client.product_uri = "urn:sunmao:edge"
        client.application_uri = self._identity.application_uri if self._identity else "urn:sunmao:edge"
        client.session_timeout = _SESSION_S * 1000
        client.max_messagesize = MAX_MESSAGE_BYTES
        client.max_chunkcount = MAX_CHUNKS
        return client

    async def _read_capabilities(self) -> None:
        await self.refresh_namespaces()
        build = await self.read([ua.NodeId(node) for node in _BUILD_INFO.values()])
        self.build = {
            name: str(data.Value.Value)
            for name, (data, _) in zip(_BUILD_INFO, build, strict=True)
            if data.StatusCode.is_good() and data.Value.Value
        }
        chosen = self._connection.profile
        self.profile = recognise(self.build) if chosen is None else profiles().get(chosen)
        limits = await self.read([ua.NodeId(node) for node in _LIMIT_NODES.values()])
        known = self.profile.nodes_per_call.value if self.profile and self.profile.nodes_per_call else None
        for operation, (limit, _) in zip(_LIMIT_NODES, limits, strict=True):
            value = limit.Value.Value
            said = value if limit.StatusCode.is_good() and isinstance(value, int) and value > 0 else None
            most = min(filter(None, (said, known)), default=_DEFAULT_LIMIT)
            self._limits[operation] = self._connection.per_request or most

    async def _maintain(self, client: Client) -> None:
        lifetime_s = client.secure_channel_timeout / 1000
        issued = time.monotonic()
        while True:
            await asyncio.sleep(min(client.session_timeout / 1000, lifetime_s) / 4)
            await self.read([ua.NodeId(ua.ObjectIds.Server_ServerStatus_State)])
            self.check_expiry()
            if time.monotonic() - issued > lifetime_s / 2:
                with self.failures_named():
                    await client.open_secure_channel(renew=True)
                    client.uaclient.revolve_security_token()
                issued = time.monotonic()

    def _reached(self) -> bool:
        """Return whether anybody took the connection now being opened."""
        return any(client is not None and client.uaclient.reached for client in (self._client, self._asking))

    def _not_open(self) -> Unreachable:
        endpoint = self._connection.endpoint
        return Unreachable(Text(f"not connected to {endpoint}", f"尚未连接 {endpoint}"), key=self._device)

    async def _drop(self) -> None:
        client, self._client = self._client, None
        protocol = client.uaclient.protocol if client is not None else None
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()
            await asyncio.sleep(0)  # the transport closes its socket in the loop's next round
