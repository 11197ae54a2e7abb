"""What is told of a server before anything is configured: its machines, by the types they are made from."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asyncua import Server, ua
from asyncua.common.node import Node

from protocols.opcua.description import ServerDescription, describe_server
from protocols.opcua.specifications import SPECIFICATIONS, specification, specifications

pytestmark = pytest.mark.asyncio(loop_scope="module")

MACHINERY, DI, VENDOR = "http://opcfoundation.org/UA/Machinery/", "http://opcfoundation.org/UA/DI/", "urn:acme:lathes"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def described() -> AsyncIterator[ServerDescription]:
    """A works with a lathe of its maker's own type, a device that identifies itself, and things that are no machine."""
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/works")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    tools = await server.register_namespace("http://opcfoundation.org/UA/MachineTool/")
    machinery, di, vendor = [await server.register_namespace(uri) for uri in (MACHINERY, DI, VENDOR)]
    types = server.nodes.base_object_type
    tool_type = await types.add_object_type(tools, "MachineToolType")
    lathe_type = await (await tool_type.add_object_type(vendor, "LatheType")).add_object_type(vendor, "Lathe500Type")
    nameplate_type = await types.add_object_type(machinery, "MachineIdentificationType")
    device_type = await types.add_object_type(di, "DeviceType")
    plain_type = await types.add_object_type(vendor, "RecipeType")

    async def an_object(parent: Node, index: int, name: str, kind: Node) -> Node:
        return await parent.add_object(ua.NodeId(0, index), ua.QualifiedName(name, index), kind.nodeid)

    machines = await server.nodes.objects.add_folder(
        ua.NodeId(1001, machinery), ua.QualifiedName("Machines", machinery)
    )
    hall = await machines.add_folder(ua.NodeId("Hall", vendor), ua.QualifiedName("Hall 2", vendor))
    lathe = await an_object(hall, vendor, "Lathe", lathe_type)
    nameplate = await an_object(lathe, machinery, "Identification", nameplate_type)
    for name, value in (("Manufacturer", ua.LocalizedText("Acme")), ("SerialNumber", "L-17"), ("Model", "")):
        await nameplate.add_property(ua.NodeId(0, machinery), ua.QualifiedName(name, di), value)
    devices = await server.nodes.objects.add_object(ua.NodeId(5001, di), ua.QualifiedName("DeviceSet", di))
    drive = await an_object(devices, vendor, "Drive", device_type)
    await drive.add_property(ua.NodeId(0, vendor), ua.QualifiedName("Model", di), "D-1")
    await an_object(server.nodes.objects, vendor, "Recipe", plain_type)
    async with server:
        yield await describe_server(f"opc.tcp://127.0.0.1:{server.bserver.port}/works")


async def test_a_machine_is_known_by_the_line_of_its_types(described: ServerDescription) -> None:
    found = {machine.path: machine for machine in described.machines}
    assert set(found) == {"Machines/Hall 2/Lathe", "DeviceSet/Drive"}
    lathe = found["Machines/Hall 2/Lathe"]
    assert (lathe.type_name, lathe.type_namespace) == ("Lathe500Type", VENDOR)
    assert lathe.specifications == ("OPC 40501 Machine Tools", "OPC 40001-1 Machinery")
    assert lathe.identification == {"manufacturer": "Acme", "serial_number": "L-17"}
    assert found["DeviceSet/Drive"].identification == {"model": "D-1"}
    assert found["DeviceSet/Drive"].specifications == ("OPC 10000-100 Devices",)


async def test_specifications_are_named_by_their_namespaces(described: ServerDescription) -> None:
    assert described.companions == ["OPC 40501 Machine Tools", "OPC 40001-1 Machinery", "OPC 10000-100 Devices"]
    assert specifications(["http://opcfoundation.org/UA/", VENDOR]) == []
    assert specification("http://opcfoundation.org/UA/PlasticsRubber/Extrusion_v2/MeltPump/") is not None
    asked = (
        "Machinery",
        "Machine Tools",
        "EUROMAP 77",
        "EUROMAP 83",
        "Robotics",
        "Pumps",
        "ISA-95",
        "PackML",
        "Industrial",
    )
    assert [name for name in asked if not any(name in each for each in SPECIFICATIONS.values())] == []
