"""What reads bytes from outside, one function each: it must give a value or its own refusal, whatever the bytes are.

The suite drives them with hypothesis (`test_targets.py`), `make fuzz` with atheris, which sees which lines were reached.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZipFile

import openpyxl
import zstandard
from onnx import TensorProto, helper
from pymodbus.framer import FramerRTU, FramerSocket

from cloud.core.errors import Invalid
from cloud.semantics.reading import read_concepts, read_requests
from cloud.semantics.reading import read_table as read_entries
from cloud.shelf.package import read_package
from cloud.suppliers.sheet import read_suppliers
from cloud.traceability.events import Wrong, events_of
from cloud.uploads.table import read_table
from edge_agent.buffer_care import peek, salvage, verify
from edge_agent.buffer_file import BufferFile
from edge_agent.config import parse_config
from edge_agent.onboard.point_list import read_point_list
from models.card import parse_card
from models.errors import BundleRefused
from models.onnx_outline import outline
from protocols.errors import ConfigError, Malformed, SunmaoError
from protocols.modbus.codec import decode as modbus_value
from protocols.modbus.config import ModbusPoint
from protocols.modbus.frames import explain_frame
from protocols.modbus.pdu import AnswerDecoder
from protocols.mqtt.codec import read_json
from protocols.mqtt.config import MqttPoint
from protocols.mqtt.edge_node import EdgeNode
from protocols.mqtt.sparkplug import DataType, Metric, ValueField, decode_payload, encode_payload, metric_value
from protocols.reading import GOOD, Reading
from protocols.uplink import codec
from protocols.uplink.messages import Batch, Inspection, PointRef

NOW_US = 1_767_571_200_000_000
EXAMPLES = Path(__file__).parents[2]


class Target(NamedTuple):
    """One reader: `run` raises for a fault of ours only; `seeds` are bytes it takes."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _wire(data: bytes) -> None:
    """A frame of the uplink, as it comes and as what is packed in it."""
    for payload in (data, zstandard.ZstdCompressor(level=1).compress(data)):
        with suppress(Malformed):
            packed = codec.encode(codec.decode(payload))
            assert codec.encode(codec.decode(packed)) == packed


def _batches() -> list[bytes]:
    ref = PointRef("press-1", "P", "active_power_total", "KWT")
    columns, texts = codec.columns_of(
        [(ref, Reading("P", value, GOOD, NOW_US, NOW_US)) for value in (1.5, None, "stopped", True)]
    )
    inspection = Inspection(
        id="0" * 36, device="camera-1", time=NOW_US, part="P-1", verdict="pass", score=1.0, review_limit=3.0,
        reject_limit=4.0, model="m", model_version="1", latency_us=5, picture=b"", heatmap=b"",
    )  # fmt: skip
    payload = codec.encode(Batch(columns=columns, texts=texts, inspections=[inspection]))
    return [payload, zstandard.ZstdDecompressor().decompress(payload)]


REGISTERS = [
    ModbusPoint.model_validate({"name": "p", "address": 0, **fields})
    for fields in (
        {"type": "uint16"}, {"type": "int32", "order": "CDAB"}, {"type": "float64"}, {"type": "string", "length": 4},
        {"type": "uint16", "bit": 3, "bits": 5}, {"type": "bool", "bit": 9},
    )
]  # fmt: skip


def _modbus(data: bytes) -> None:
    """Answers on either line, a frame explained, and what registers hold."""
    for framing in (FramerSocket, FramerRTU):
        used, answer = framing(AnswerDecoder(False)).handleFrame(data, 1, 1)
        assert 0 <= used <= len(data)
        assert answer is None or answer.dev_id == 1
    for serial in (False, True):
        for sent in (False, True):
            assert explain_frame(data, serial=serial, sent=sent).zh
    for point in REGISTERS:
        size = 2 * point.width
        modbus_value(point, data[:size].ljust(size, b"\0"))


def _mqtt_point(name: str, **fields: object) -> MqttPoint:
    return MqttPoint.model_validate({"name": name, **fields})


MESSAGES = [
    _mqtt_point("p", topic="t"),
    _mqtt_point("n", topic="t", numeric_text=True),
    _mqtt_point("v", topic="t", value="v", time="t", quality="q", good=[True]),
    _mqtt_point("d", topic="t", value="a.0.b", time="t", time_format="iso8601", scale=0.1),
]


def _mqtt_json(data: bytes) -> None:
    """A message with JSON, read by several points at once: what it says of them is what the uplink takes."""
    found = read_json(MESSAGES, data, NOW_US)
    codec.encode(Batch(columns=codec.columns_of([(PointRef("d", r.point, "", ""), r) for r in found])[0]))


def _sparkplug(data: bytes) -> None:
    """A Sparkplug B payload as a birth, then as data: told as readings, or no payload at all."""
    try:
        payload = decode_payload(data)
    except ValueError:
        return
    for metric in payload.metrics:
        for kind in DataType:
            metric_value(metric, kind)
    node = EdgeNode(
        "g/n", [_mqtt_point("a", sparkplug="g/n", metric="a"), _mqtt_point("d", sparkplug="g/n/x", metric="a")]
    )
    for kind, device in (("NBIRTH", ""), ("DBIRTH", "x"), ("NDATA", ""), ("DDATA", "x"), ("NDEATH", "")):
        with suppress(ValueError):
            node.take(kind, device, data, NOW_US)


def _births() -> list[bytes]:
    metrics = [
        Metric("a", 1, 1000, DataType.DOUBLE, field=ValueField.DOUBLE, raw=21.3),
        Metric("bdSeq", None, 1000, DataType.INT64, field=ValueField.LONG, raw=3),
        Metric("s", 2, 1000, DataType.STRING, field=ValueField.STRING, raw="on"),
    ]
    return [encode_payload(1000, 0, metrics)]


def _config(data: bytes) -> None:
    """A box's configuration."""
    with suppress(ConfigError, UnicodeDecodeError):
        parse_config(data.decode(), Path("agent.toml"))


def _in_file(name: str, read: Callable[[Path], object], data: bytes) -> None:
    with TemporaryDirectory(prefix="sunmao-fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        with suppress(SunmaoError):
            read(path)


def _buffer(path: Path) -> None:
    verify(path, lambda _done, _total: None)
    with suppress(SunmaoError):
        peek(path)
    salvage(path, path.parent / "salvaged", lambda _done, _total: None)


def _buffers() -> list[bytes]:
    with TemporaryDirectory(prefix="sunmao-fuzz-") as folder:
        path = Path(folder) / "buffer.db"
        with closing(BufferFile(path, 1 << 20)):
            pass
        return [path.read_bytes()]


def _sheet(data: bytes) -> None:
    """A table that somebody uploads."""
    with suppress(Invalid):
        for _ in read_table(data).rows:
            pass


def _workbooks() -> list[bytes]:
    book = openpyxl.Workbook()
    for row in (["name", "address", "type", "unit"], ["P", 40001, "float32", "kW"]):
        book.active.append(row)
    file, hollow = io.BytesIO(), io.BytesIO()
    book.save(file)
    with ZipFile(file) as whole, ZipFile(hollow, "w") as empty:
        for name in whole.namelist():
            empty.writestr(name, b"" if name == "docProps/core.xml" else whole.read(name))
    return [file.getvalue(), hollow.getvalue()]


def _suppliers(data: bytes) -> None:
    """A list of suppliers to invite."""
    with suppress(Invalid):
        read_suppliers(data)


def _concepts(data: bytes) -> None:
    """Entries of a dictionary, as a table or as AAS concepts."""
    for read in (read_entries, read_concepts):
        with suppress(Invalid):
            read_requests(read(data))


def _epcis(data: bytes) -> None:
    """A document of EPCIS events, after its JSON was read."""
    with suppress(Wrong, ValueError, RecursionError):
        document = json.loads(data)
        for each in events_of(document):
            json.dumps(each.body).encode()


def _events() -> list[bytes]:
    event = {
        "type": "TransformationEvent", "eventTime": "2026-11-27T08:00:00.000+08:00", "eventTimeZoneOffset": "+08:00",
        "inputQuantityList": [{"epcClass": "urn:epc:class:lgtin:6901234.000001.L7", "quantity": 2.5, "uom": "KGM"}],
        "outputEPCList": ["urn:epc:id:sgtin:6901234.000002.1"], "bizStep": "commissioning", "example:a": {"b": 1},
    }  # fmt: skip
    document = {
        "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"], "type": "EPCISDocument",
        "schemaVersion": "2.0", "creationDate": "2026-11-27T08:00:00Z", "epcisBody": {"eventList": [event]},
    }  # fmt: skip
    return [json.dumps(event).encode(), json.dumps(document).encode()]


def _outline(data: bytes) -> None:
    """A model file."""
    with suppress(BundleRefused):
        outline(data)


def _graphs() -> list[bytes]:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    return [helper.make_model(graph).SerializeToString()]


def _card(data: bytes) -> None:
    """A model's card."""
    with suppress(BundleRefused):
        parse_card(data)


def _package(data: bytes) -> None:
    """A package of the shelf."""
    with suppress(Invalid, UnicodeDecodeError):
        read_package(data.decode())


def _written(*names: str) -> list[bytes]:
    return [(EXAMPLES / name).read_bytes() for name in names]


CSV = "name,address,type,unit,description\nP,40001,float32,kW,active power\n电压,40003,uint16,V,\n".encode()
SUPPLIERS = b"credit_code,name,contact\n91310000MA1FL0000X,Works,a@example.com\n"

TARGETS = {
    "wire": Target(_wire, _batches),
    "modbus": Target(_modbus, lambda: [bytes.fromhex("00010000000701030400070007"), bytes.fromhex("0103020007f986")]),
    "mqtt_json": Target(_mqtt_json, lambda: [b'{"v":1.5,"t":1767571200,"q":true,"a":[{"b":"2"}]}', b'"21.5"']),
    "sparkplug": Target(_sparkplug, _births),
    "config": Target(_config, partial(_written, "edge_agent/sample.toml")),
    "buffer": Target(partial(_in_file, "buffer.db", _buffer), _buffers),
    "list_csv": Target(partial(_in_file, "points.csv", read_point_list), lambda: [CSV]),
    "list_xlsx": Target(partial(_in_file, "points.xlsx", read_point_list), _workbooks),
    "sheet": Target(_sheet, lambda: [CSV, *_workbooks()]),
    "suppliers": Target(_suppliers, lambda: [SUPPLIERS, *_workbooks()]),
    "concepts": Target(_concepts, lambda: [b"code,name\nx:a,A\n", b'{"conceptDescriptions": []}', *_workbooks()]),
    "epcis": Target(_epcis, _events),
    "outline": Target(_outline, _graphs),
    "card": Target(_card, lambda: [b'name = "m"\nversion = "1.0.0"\n']),
    "package": Target(_package, lambda: [b'{"format": 1, "manifest": {}}']),
}
