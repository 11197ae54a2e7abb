"""OPC UA without security; `tests/protocols/opcua` holds the secured connections to their own promises."""

from __future__ import annotations

from protocols.opcua.config import OpcuaPoint
from tests.conformance.case import DriverCase

PLANT = "nsu=urn:test:plant"

POINTS = [
    OpcuaPoint.model_validate(fields)
    for fields in (
        {"name": "temperature", "node": f"{PLANT};s=Barrel.Zone1.Temperature", "unit": "CEL"},
        {"name": "pressure", "node": f"{PLANT};s=Hydraulics.Pressure", "scale": 0.1, "offset": 1.0},
        {"name": "shots", "node": f"{PLANT};i=17"},
        {"name": "recipe", "node": f"{PLANT};s=Recipe"},
        {"name": "running", "node": f"{PLANT};g=5ce9dbce-5d79-434c-9ac3-1cfba9a6e92c"},
        {"name": "broken", "node": "nsu=urn:test:sensors;s=Broken"},
    )
]
FIRST = {"temperature": 21.5, "pressure": 2.5, "shots": 2**40 + 1, "recipe": "A42", "running": True, "broken": None}
SECOND = {"temperature": -0.25, "pressure": 7.1, "shots": 2**40 + 2, "recipe": "007", "running": False, "broken": 3.5}

CASES = [
    DriverCase(
        name="opcua",
        protocol="opcua",
        points=POINTS,
        values=FIRST,
        other_values=SECOND,
        absent=OpcuaPoint(name="absent", node=f"{PLANT};s=Absent"),
        address=lambda port: f"opc.tcp://127.0.0.1:{port}",
        connection=lambda address: {"endpoint": address, "security": "none"},
        refused_connections=[
            {"endpoint": "127.0.0.1:4840"},
            {"endpoint": "opc.tcp://:4840"},
            {"endpoint": "opc.tcp://127.0.0.1:99999"},
            {"endpoint": "opc.tcp://user:secret@127.0.0.1"},
            {"security": "basic128rsa15"},
            {"password": "secret"},
            {"mode": "push"},
            {"publishing_s": 0},
            {"timeout_s": 0},
            {"endpiont": "opc.tcp://127.0.0.1"},
        ],
        refused_points=[
            {"name": "p"},
            {"name": "p", "node": ""},
            {"name": "p", "node": "Barrel.Zone1"},
            {"name": "p", "node": "ns=2;s=Barrel.Zone1"},
            {"name": "p", "node": "nsu=urn:test:plant"},
            {"name": "p", "node": "nsu=urn:test:plant;i=x"},
            {"name": "p", "node": "nsu=urn:test:plant;i=4294967296"},
            {"name": "p", "node": "nsu=urn:test:plant;g=1234"},
            {"name": "p", "node": "nsu=urn:test:plant;b=?"},
        ],
        nonsense=b"HTTP/1.1 400 Bad Request\r\n\r\n",
        simulator_options={"tick_s": 0.02},
    )
]
