"""Events of EPCIS 2.0 (GS1, June 2022; JSON binding): what is one, and which things it names. Pure.

Checked is what the standard demands of the five kinds of events: their fields, actions, times with offsets, identifiers as URIs. A
thing may be named by an EPC URI, a GS1 Digital Link, a Handle (88.x.y/...) or any URI of one's own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cloud.core.audit import canonical
from protocols.text import Text

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
_HANDLE = re.compile(r"88\.\d{1,6}(\.\d{1,10})*/[^\s<>\"{}|\\^`]+")
_OFFSET = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d")
_VERSION = re.compile(r"2\.0(\.\d+)?")
_CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
_NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")
_ACTIONS = ("ADD", "OBSERVE", "DELETE")
_LONGEST = 300

_COMMON = frozenset(
    [
        "type",
        "@context",
        "eventID",
        "eventTime",
        "eventTimeZoneOffset",
        "recordTime",
        "errorDeclaration",
        "certificationInfo",
        "bizStep",
        "disposition",
        "persistentDisposition",
        "readPoint",
        "bizLocation",
        "bizTransactionList",
        "sourceList",
        "destinationList",
        "sensorElementList",
    ]
)
_OWN: Mapping[str, frozenset[str]] = {
    "ObjectEvent": frozenset({"action", "epcList", "quantityList", "ilmd"}),
    "AggregationEvent": frozenset({"action", "parentID", "childEPCs", "childQuantityList"}),
    "AssociationEvent": frozenset({"action", "parentID", "childEPCs", "childQuantityList"}),
    "TransactionEvent": frozenset({"action", "parentID", "epcList", "quantityList"}),
    "TransformationEvent": frozenset(
        {"inputEPCList", "inputQuantityList", "outputEPCList", "outputQuantityList", "transformationID", "ilmd"}
    ),
}


class Wrong(Exception):
    """Something that is no event, or no document; says where and what."""

    def __init__(self, where: str, what: Text) -> None:
        super().__init__(f"{where}: {what.en}")
        self.where, self.what = where, what


class Event(NamedTuple):
    """A checked event: what is stored of it, which things it names, and what came of what (used, made).

    Attributes:
        declares: the id of the event that this one declares erroneous; it says itself nothing that leads anywhere.
    """

    id: str
    declares: str | None
    kind: str
    time: datetime
    biz_step: str | None
    body: dict[str, Any]
    things: frozenset[str]
    links: frozenset[tuple[str, str]]


def events_of(document: object) -> list[Event]:
    """Return the events of an EPCISDocument, or of a single bare event; raises Wrong for the first thing that is amiss."""
    if not isinstance(document, dict):
        raise Wrong("", Text("a document is an object", "文档应为对象"))
    if str(document.get("type")) in _OWN:
        return [_event(document, "")]
    if document.get("type") != "EPCISDocument":
        raise Wrong(
            "type", Text("an EPCISDocument or one of the five events is expected", "应为 EPCISDocument 或五种事件之一")
        )
    if not _VERSION.fullmatch(str(document.get("schemaVersion"))):
        raise Wrong("schemaVersion", Text("2.0 is expected", "应为 2.0"))
    _time(document.get("creationDate"), "creationDate")
    body = document.get("epcisBody")
    listed = body.get("eventList") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        raise Wrong("epcisBody.eventList", Text("a list of events is expected", "应为事件列表"))
    if not listed and document.get("epcisHeader"):
        raise Wrong("epcisHeader", Text("master data is not kept, and there are no events", "不保存主数据，且没有事件"))
    own = _contexts(document, "")
    found = []
    for place, each in enumerate(listed):
        at = f"epcisBody.eventList[{place}]."
        if own and isinstance(each, dict):
            each = each | {"@context": [*own, *(one for one in _contexts(each, at) if one not in own)]}  # noqa: PLW2901
        found.append(_event(each, at))
    return found


def _contexts(holder: Mapping[str, Any], at: str) -> list[Any]:
    """Return what is said of namespaces besides the standard's own."""
    said = holder.get("@context", [])
    listed = said if isinstance(said, list) else [said]
    if not all(isinstance(one, str | dict) for one in listed):
        raise Wrong(
            f"{at}@context", Text("an address, an object or a list of them is expected", "应为地址、对象或其列表")
        )
    return [one for one in listed if one != _CONTEXT]


def _event(event: object, at: str) -> Event:
    if not isinstance(event, dict):
        raise Wrong(at.rstrip("."), Text("an event is an object", "事件应为对象"))
    kind = str(event.get("type"))
    if kind not in _OWN:
        raise Wrong(f"{at}type", Text("it is none of the five kinds of events", "不属于五种事件类型"))
    for name in event:
        # What is in a namespace of one's own is allowed anywhere (EPCIS 2.0, 7.1).
        if name not in _COMMON and name not in _OWN[kind] and ":" not in name:
            raise Wrong(f"{at}{name}", Text(f"a {kind} has no such field", f"{kind} 没有该字段"))
    time = _time(event.get("eventTime"), f"{at}eventTime")
    if not _OFFSET.fullmatch(str(event.get("eventTimeZoneOffset", ""))):
        raise Wrong(f"{at}eventTimeZoneOffset", Text("an offset as +08:00 is expected", "应为 +08:00 这样的时区偏移"))
    action = event.get("action")
    if kind != "TransformationEvent" and action not in _ACTIONS:
        raise Wrong(f"{at}action", Text("ADD, OBSERVE or DELETE is expected", "应为 ADD、OBSERVE 或 DELETE"))
    if not _storable(event):
        raise Wrong(at.rstrip(".") or kind, Text("it holds NaN, or a character that is none", "含有 NaN 或无效字符"))
    things, links = _NAMED[kind](event, at)
    identity, declares = _identity(event, at), None
    if event.get("errorDeclaration") is not None:
        _check_declaration(event["errorDeclaration"], f"{at}errorDeclaration")
        identity, declares = _hash(event | {"eventID": identity}), identity
        links = []
    return Event(
        id=identity,
        declares=declares,
        kind=kind,
        time=time,
        biz_step=str(event["bizStep"]) if event.get("bizStep") else None,
        body=event,
        things=frozenset(things),
        links=frozenset((used, made) for used, made in links if used != made) if action != "DELETE" else frozenset(),
    )


_Named = tuple[list[str], list[tuple[str, str]]]


def _object(event: Mapping[str, Any], at: str) -> _Named:
    things = _epcs(event, "epcList", at) + _quantities(event, "quantityList", at)
    if not things and not event.get("sensorElementList"):
        raise Wrong(
            f"{at}epcList", Text("it names nothing: epcList or quantityList", "未指明对象：epcList 或 quantityList")
        )
    return things, []


def _held(event: Mapping[str, Any], at: str) -> _Named:
    children = _epcs(event, "childEPCs", at) + _quantities(event, "childQuantityList", at)
    parent = event.get("parentID")
    if parent is None and (event["action"] != "OBSERVE" or event["type"] == "AssociationEvent"):
        raise Wrong(f"{at}parentID", Text("it is missing", "缺少该字段"))
    if event["action"] != "DELETE" and not children:
        raise Wrong(f"{at}childEPCs", Text("it names nothing: childEPCs or childQuantityList", "未指明对象"))
    if parent is None:
        return children, []
    parent = _uri(parent, f"{at}parentID")
    return [parent, *children], [(child, parent) for child in children] if event["action"] == "ADD" else []


def _transaction(event: Mapping[str, Any], at: str) -> _Named:
    if not event.get("bizTransactionList"):
        raise Wrong(f"{at}bizTransactionList", Text("it is missing", "缺少该字段"))
    things = _epcs(event, "epcList", at) + _quantities(event, "quantityList", at)
    if event.get("parentID") is not None:
        things.append(_uri(event["parentID"], f"{at}parentID"))
    if not things and event["action"] != "DELETE":
        raise Wrong(f"{at}epcList", Text("it names nothing", "未指明对象"))
    return things, []


def _transformation(event: Mapping[str, Any], at: str) -> _Named:
    if event.get("action") is not None:
        raise Wrong(f"{at}action", Text("a TransformationEvent has none", "TransformationEvent 没有该字段"))
    used = _epcs(event, "inputEPCList", at) + _quantities(event, "inputQuantityList", at)
    made = _epcs(event, "outputEPCList", at) + _quantities(event, "outputQuantityList", at)
    through = event.get("transformationID")
    if through is None and not (used and made):
        raise Wrong(
            f"{at}inputEPCList",
            Text("inputs and outputs are expected, or a transformationID", "应有输入和输出，或 transformationID"),
        )
    if not used and not made:
        raise Wrong(f"{at}inputEPCList", Text("it names nothing", "未指明对象"))
    if through is None:
        return used + made, [(one, other) for one in used for other in made]
    # What goes in and what comes out at different times is joined by the transformation's own name.
    middle = _uri(through, f"{at}transformationID")
    return [*used, *made], [(one, middle) for one in used] + [(middle, other) for other in made]


_NAMED = {
    "ObjectEvent": _object,
    "AggregationEvent": _held,
    "AssociationEvent": _held,
    "TransactionEvent": _transaction,
    "TransformationEvent": _transformation,
}


def _epcs(event: Mapping[str, Any], name: str, at: str) -> list[str]:
    listed = event.get(name, [])
    if not isinstance(listed, list):
        raise Wrong(f"{at}{name}", Text("a list is expected", "应为列表"))
    return [_uri(each, f"{at}{name}[{place}]") for place, each in enumerate(listed)]


def _quantities(event: Mapping[str, Any], name: str, at: str) -> list[str]:
    listed = event.get(name, [])
    if not isinstance(listed, list):
        raise Wrong(f"{at}{name}", Text("a list is expected", "应为列表"))
    found = []
    for place, each in enumerate(listed):
        where = f"{at}{name}[{place}]"
        if not isinstance(each, dict) or "epcClass" not in each:
            raise Wrong(where, Text("an epcClass is expected", "应有 epcClass"))
        amount = each.get("quantity")
        if amount is not None and (isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 0):
            raise Wrong(f"{where}.quantity", Text("a number of 0 or more is expected", "应为非负数"))
        if "uom" in each and amount is None:
            raise Wrong(f"{where}.uom", Text("a unit without a quantity", "有单位却没有数量"))
        found.append(_uri(each["epcClass"], f"{where}.epcClass"))
    return found


def thing_of(text: str) -> str | None:
    """Return how a thing is named here: a URI as it stands, a Handle as hdl:...; None for what names none."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if _HANDLE.fullmatch(text):
        return f"hdl:{text}"
    return text if _URI.fullmatch(text) else None


def _uri(value: object, where: str) -> str:
    found = thing_of(value) if isinstance(value, str) else None
    if found is None:
        raise Wrong(
            where, Text("a URI is expected, or a Handle as 88.118.8/abc", "应为 URI，或 88.118.8/abc 这样的 Handle")
        )
    return found


def _time(value: object, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not isinstance(value, str):
        raise Wrong(where, Text("a time with its offset is expected", "应为带时区的时间"))
    return found


def _storable(event: Mapping[str, Any]) -> bool:
    """Return whether it is JSON that PostgreSQL takes: no NaN, no half of a surrogate pair, no U+0000."""
    try:
        text = canonical(event)
        text.encode()
    except ValueError:
        return False
    return not _NUL.search(text)


def _check_declaration(declaration: object, where: str) -> None:
    if not isinstance(declaration, dict):
        raise Wrong(where, Text("an object is expected", "应为对象"))
    _time(declaration.get("declarationTime"), f"{where}.declarationTime")
    _epcs(declaration, "correctiveEventIDs", f"{where}.")


def _identity(event: Mapping[str, Any], at: str) -> str:
    """Return the eventID, or what stands for one: the same event sent twice, or declared erroneous, is the same."""
    given = event.get("eventID")
    if given is not None:
        return _uri(given, f"{at}eventID")
    return _hash({name: event[name] for name in event if name != "errorDeclaration"})


def _hash(event: Mapping[str, Any]) -> str:
    content = canonical({name: event[name] for name in event if name not in ("recordTime", "@context")})
    return f"ni:///sha-256;{hashlib.sha256(content.encode()).hexdigest()}?ver=sunmao"


def document_of(events: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """Return events as an EPCISDocument."""
    return {
        "@context": [_CONTEXT],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": now.isoformat(timespec="milliseconds"),
        "epcisBody": {"eventList": list(events)},
    }
