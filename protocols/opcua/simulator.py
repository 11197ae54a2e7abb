"""Serves points over real OPC UA, for tests, demos and training."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.common.node import Node
from asyncua.common.utils import ServiceError
from asyncua.server import Server

from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError, Refused
from protocols.opcua.certificates import check_trusted, own_identity
from protocols.opcua.codec import UA_NAMESPACE, NodeAddress, unit_information
from protocols.opcua.config import OpcuaPoint, Security
from protocols.opcua.transport import silence
from protocols.reading import BAD_SENSOR_FAILURE, Value
from protocols.text import Text

_POLICIES = {
    "none": ua.SecurityPolicyType.NoSecurity,
    "basic256sha256": ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    "aes128sha256rsaoaep": ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    "aes256sha256rsapss": ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
}
_TYPES = {
    "BOOLEAN": ua.VariantType.Boolean,
    "INTEGER_COUNT": ua.VariantType.Int64,
    "REAL_MEASURE": ua.VariantType.Double,
    "STRING": ua.VariantType.String,
}
_EMPTY: dict[ua.VariantType, Any] = {ua.VariantType.Boolean: False, ua.VariantType.String: ""}


class OpcuaSimulator:
    """An OPC UA server with exactly the given points; see `protocols.driver.Simulator`.

    Nodes with text identifiers lie in folders after their parts ("Barrel.Zone1.Temperature"). A value of None is
    served as a broken sensor is: the last value, with BadSensorFailure. Points of the standard namespace are the
    server's own.

    Args:
        points: what to serve.
        values: gives the present engineering values by point name, at each tick; changed ones are written.
        port: 0 = the system's choice.
        tick_s: seconds between two calls of `values`.
        security: the only security offered.
        pki: folder of the server's own certificate, made on first use; needed unless `security` is "none".
        trust_dir: client certificates let in; all are where absent.
        namespaces: namespace URIs to register before those of the points, and so the order of the indices.
    """

    def __init__(
        self,
        points: Sequence[OpcuaPoint],
        values: Callable[[], Mapping[str, Value]],
        *,
        port: int = 0,
        tick_s: float = 1.0,
        security: Security = "none",
        pki: Path | None = None,
        trust_dir: Path | None = None,
        namespaces: Sequence[str] = (),
    ) -> None:
        if security != "none" and pki is None:
            raise ConfigError(
                Text(
                    f"security '{security}' needs a folder for the certificate", f"安全方式“{security}”需要证书文件夹"
                ),
                key="pki",
            )
        self._points = [point for point in points if _address(point).namespace != UA_NAMESPACE]
        self._values = values
        self._port = port
        self._tick_s = tick_s
        self._security = security
        self._pki = pki
        self._trust_dir = trust_dir
        self._namespaces = namespaces
        self._server: Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._nodes: dict[str, tuple[ua.NodeId, ua.VariantType]] = {}
        self._served: dict[str, tuple[Value, bool]] = {}

    async def start(self) -> str:
        """Listen on 127.0.0.1 and return the endpoint; raises ConfigError if the port is taken."""
        silence("asyncua.server", "asyncua.common", "asyncua.uaprotocol", "asyncua.crypto")
        server = Server()
        await server.init()
        server.set_server_name("Sunmao simulator")
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self._port}/sunmao")
        server.set_security_policy([_POLICIES[self._security]])
        if self._pki is not None:
            identity = own_identity(self._pki / "certificate.der", self._pki / "private-key.pem", "simulator")
            server.iserver.certificate, server.iserver.private_key = identity.certificate, identity.key
            await server.set_application_uri(identity.application_uri)
        if self._trust_dir is not None:
            server.iserver.certificate_validator = self._check_client
        await self._add_points(server)
        self._server, self._served = server, {}
        await self.write_changes()
        try:
            await server.start()
        except OSError as error:
            self._server = None
            raise ConfigError(
                Text(f"port {self._port}: {error.strerror}", f"端口 {self._port}：{error.strerror}"),
                Text("choose another port", "请换一个端口"),
                key="port",
            ) from error
        self._ticking = asyncio.create_task(self._tick(), name="opcua-simulator")
        return f"opc.tcp://127.0.0.1:{server.bserver.port}/sunmao"

    async def stop(self) -> None:
        """Stop listening and drop every client."""
        server, self._server = self._server, None
        ticking, self._ticking = self._ticking, None
        if server is None or ticking is None:
            return
        clock = server.iserver.time_task
        server.iserver.time_task = None  # asyncua would wait for its next second
        for task in (ticking, clock):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        subscriptions = server.iserver.subscription_service
        await subscriptions.delete_subscriptions(list(subscriptions.subscriptions))  # they keep sessions alive
        await server.stop()

    async def mute(self) -> None:
        """Let all present subscriptions die without a word while the connections stay up."""
        if self._server is not None:
            for subscription in list(self._server.iserver.subscription_service.subscriptions.values()):
                await subscription.stop()

    async def _check_client(self, certificate: Any, application: ua.ApplicationDescription) -> None:
        try:
            check_trusted(certificate, application.ApplicationUri, self._trust_dir or Path())
        except Refused as error:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted) from error

    async def _add_points(self, server: Server) -> None:
        for uri in self._namespaces:
            await server.register_namespace(uri)
        present = self._values()
        nodes: dict[ua.NodeId, Node] = {}
        for point in sorted(self._points, key=lambda point: str(_address(point))):
            address = _address(point)
            index = await server.register_namespace(address.namespace)
            node_id = ua.NodeId(address.identifier, index)
            parent, name = await _folder(server, nodes, node_id, point.name)
            kind = _variant_type(point, present.get(point.name))
            node = await parent.add_variable(node_id, ua.QualifiedName(name, index), _EMPTY.get(kind, 0), kind)
            if point.description:
                await node.write_attribute(
                    ua.AttributeIds.Description, ua.DataValue(ua.Variant(ua.LocalizedText(point.description)))
                )
            unit = _unit(point)
            if unit is not None:
                await node.add_property(
                    ua.NodeId(0, index), ua.QualifiedName("EngineeringUnits", 0), unit_information(unit)
                )
            if point.low is not None and point.high is not None:
                await node.add_property(
                    ua.NodeId(0, index), ua.QualifiedName("EURange", 0), ua.Range(Low=point.low, High=point.high)
                )
            nodes[node_id] = node
            self._nodes[point.name] = (node_id, kind)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            await self.write_changes()

    async def write_changes(self) -> None:
        """Serve the present values now; done by itself at every tick while the simulator runs."""
        if self._server is None:
            return
        values = self._values()
        now = datetime.now(UTC)
        for point in self._points:
            node_id, kind = self._nodes[point.name]
            value = values.get(point.name)
            last, _ = self._served.get(point.name, (_EMPTY.get(kind, 0), True))
            served = (last, False) if value is None else (_raw(point, value, kind), True)
            if served == self._served.get(point.name):
                continue
            self._served[point.name] = served
            status = ua.StatusCode(0 if value is not None else BAD_SENSOR_FAILURE.status_code)
            data = ua.DataValue(ua.Variant(served[0], kind), status, SourceTimestamp=now, ServerTimestamp=now)
            await self._server.write_attribute_value(node_id, data)


def _address(point: OpcuaPoint) -> NodeAddress:
    """Return the node that serves `point`; one given by its place lies there, on the machine "Machine"."""
    return point.address or NodeAddress("urn:sunmao:simulator", (point.path or "").replace("*", "Machine"))


async def _folder(server: Server, nodes: dict[ua.NodeId, Node], node_id: ua.NodeId, name: str) -> tuple[Node, str]:
    """Return the parent a node belongs under, made where missing, and the node's own browse name."""
    parent = server.nodes.objects
    if not isinstance(node_id.Identifier, str):
        return parent, name
    parts = [(match.end(), match[1]) for match in re.finditer(r"([^./]+)(?:[./]|$)", node_id.Identifier)]
    for end, part in parts[:-1]:
        folder_id = ua.NodeId(node_id.Identifier[:end].rstrip("./"), node_id.NamespaceIndex)
        if folder_id not in nodes:
            nodes[folder_id] = await parent.add_folder(folder_id, ua.QualifiedName(part, node_id.NamespaceIndex))
        parent = nodes[folder_id]
    return parent, parts[-1][1] if parts else name


def _variant_type(point: OpcuaPoint, value: Value) -> ua.VariantType:
    """The type a machine would use: as the dictionary says of the property, else as the value is."""
    if point.property is not None:
        kind = _TYPES[load_dictionary().entry(point.property).data_type]
    elif isinstance(value, bool):
        kind = ua.VariantType.Boolean
    elif isinstance(value, str):
        kind = ua.VariantType.String
    else:
        kind = ua.VariantType.Int64 if isinstance(value, int) else ua.VariantType.Double
    scaled = point.scale != 1.0 or point.offset != 0.0
    return ua.VariantType.Double if scaled and kind is ua.VariantType.Int64 else kind


def _raw(point: OpcuaPoint, value: float | bool | str, kind: ua.VariantType) -> float | bool | str:
    if kind is ua.VariantType.String:
        return str(value)
    if kind is ua.VariantType.Boolean:
        return bool(value)
    raw = point.raw(float(value))
    return round(raw) if kind is ua.VariantType.Int64 else raw


def _unit(point: OpcuaPoint) -> str | None:
    """The unit the machine declares; none where there is nothing to declare (C62 = one)."""
    unit = point.unit
    if unit is None and point.property is not None:
        unit = load_dictionary().entry(point.property).unit
    return None if unit in {None, "", "C62"} else unit
