"""Events of EPCIS 2.0: what is one and what is not, and what of them leads where."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest

from cloud.traceability.events import Wrong, events_of, thing_of
from tests.cloud.conftest import Cluster, Company, NewCompany

AT = {"eventTime": "2026-11-27T08:00:00.000+08:00", "eventTimeZoneOffset": "+08:00"}
RESIN = "urn:epc:class:lgtin:6901234.000001.LOT-7"
OTHER_RESIN = "urn:epc:class:lgtin:6901234.000001.LOT-8"
CAPS = [f"urn:epc:id:sgtin:6901234.000002.{number}" for number in range(4)]
BOX = "https://id.gs1.org/00/069012340000000018"
CAR = "88.118.8/car-1"


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **AT, **more}


def moulded(lot: str, *caps: str, **more: Any) -> dict[str, Any]:
    used = [{"epcClass": lot, "quantity": 2.5, "uom": "KGM"}]
    return event(
        "TransformationEvent", inputQuantityList=used, outputEPCList=list(caps), bizStep="commissioning", **more
    )


def held(kind: str, parent: str, *children: str, action: str = "ADD") -> dict[str, Any]:
    return event(kind, parentID=parent, childEPCs=list(children), action=action, bizStep="packing")


def document(*events: dict[str, Any]) -> dict[str, Any]:
    return {
        "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-11-27T08:00:00Z",
        "epcisBody": {"eventList": list(events)},
    }


GOOD = [
    event("ObjectEvent", epcList=CAPS[:2], action="OBSERVE", **{"example:shift": "early"}),
    event("ObjectEvent", epcList=[], action="OBSERVE", sensorElementList=[{"sensorReport": [{"type": "Temperature"}]}]),
    held("AggregationEvent", BOX, *CAPS[:2]),
    event("AggregationEvent", childEPCs=CAPS[:1], action="OBSERVE"),
    event("AggregationEvent", parentID=BOX, action="DELETE"),
    held("AssociationEvent", CAR, BOX),
    event(
        "TransactionEvent",
        bizTransactionList=[{"type": "po", "bizTransaction": "urn:x:1"}],
        epcList=CAPS[:1],
        action="ADD",
    ),
    moulded(RESIN, *CAPS),
    event("TransformationEvent", inputEPCList=CAPS[:1], transformationID="urn:example:batch:1"),
]


def test_the_five_kinds_are_taken() -> None:
    found = events_of(document(*GOOD))
    assert [one.kind for one in found] == [one["type"] for one in GOOD]
    assert len({one.id for one in found}) == len(GOOD)
    assert events_of(GOOD[0])[0] == found[0], "a bare event is the same event"
    assert found[7].links == {(RESIN, cap) for cap in CAPS}
    assert found[2].links == {(cap, BOX) for cap in CAPS[:2]}
    assert found[5].links == {(BOX, "hdl:88.118.8/car-1")}
    assert found[4].links == found[6].links == frozenset()
    assert found[8].links == {(CAPS[0], "urn:example:batch:1")}
    again = copy.deepcopy(GOOD[0]) | {"recordTime": "2026-11-27T09:00:00Z"}
    assert events_of(again)[0].id == found[0].id


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"type": "MovementEvent"}, "type"), ({"eventTime": "yesterday"}, "eventTime"), ({"eventTime": "2026-11-27T08:00:00"}, "eventTime"),
        ({"eventTimeZoneOffset": "8"}, "eventTimeZoneOffset"), ({"action": "MOVE"}, "action"), ({"colour": "red"}, "colour"),
        ({"epcList": ["no uri"]}, "epcList[0]"), ({"epcList": "x"}, "epcList"), ({"epcList": []}, "epcList"),
        ({"quantityList": [{"quantity": 1}]}, "quantityList[0]"), ({"parentID": BOX}, "parentID"), ({"eventID": "none"}, "eventID"),
        ({"quantityList": [{"epcClass": RESIN, "quantity": -1}]}, "quantityList[0].quantity"),
        ({"quantityList": [{"epcClass": RESIN, "uom": "KGM"}]}, "quantityList[0].uom"),
    ],
)  # fmt: skip
def test_what_is_amiss_is_named(change: dict[str, Any], where: str) -> None:
    wrong = event("ObjectEvent", epcList=CAPS[:1], action="ADD") | change
    with pytest.raises(Wrong) as found:
        events_of(document(GOOD[0], wrong))
    assert found.value.where == f"epcisBody.eventList[1].{where}"
    assert found.value.what.zh


@pytest.mark.parametrize(
    "wrong",
    [
        event("AggregationEvent", childEPCs=CAPS, action="ADD"), event("AggregationEvent", parentID=BOX, action="ADD"),
        event("AssociationEvent", childEPCs=CAPS, action="OBSERVE"), event("TransactionEvent", epcList=CAPS, action="ADD"),
        event("TransformationEvent", inputEPCList=CAPS), event("TransformationEvent", transformationID="urn:x:1"),
        moulded(RESIN, *CAPS, action="ADD"),
    ],
)  # fmt: skip
def test_what_a_kind_lacks_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Wrong):
        events_of(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"type": "EPCISDocument"},
        {"type": {}},
        document() | {"schemaVersion": "1.2"},
        document() | {"epcisBody": {}},
    ],
)
def test_what_is_no_document_is_refused(wrong: object) -> None:
    with pytest.raises(Wrong):
        events_of(wrong)
    assert events_of(document()) == []


def test_things_are_named_by_uri_or_handle() -> None:
    assert thing_of(" 88.118.8/car-1 ") == "hdl:88.118.8/car-1"
    assert thing_of(BOX) == BOX
    assert [thing_of(text) for text in ("", "LOT 7", "a" * 400, "88.1/x y", "10.1000/x")] == [None] * 5


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def captured(company: Company, *events: dict[str, Any]) -> httpx.Response:
    return await company.http.post("/api/v1/trace/capture", json=document(*events))


async def trace(company: Company, way: str, thing: str) -> dict[str, Any]:
    answer = await company.http.get(f"/api/v1/trace/{way}", params={"thing": thing})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_recall_reaches_what_was_made_and_nothing_else(company: Company, new_company: NewCompany) -> None:
    events = [
        moulded(RESIN, *CAPS[:2]),
        moulded(OTHER_RESIN, *CAPS[2:]),
        held("AggregationEvent", BOX, *CAPS[:3]),
        held("AssociationEvent", CAR, BOX),
        held("AggregationEvent", BOX, CAPS[0], action="DELETE"),
    ]
    assert (await captured(company, *events)).json() == {"stored": 5, "known": 0}
    assert (await captured(company, *events)).json() == {"stored": 0, "known": 5}
    down = await trace(company, "down", RESIN)
    assert down["things"] == [*CAPS[:2], BOX, "hdl:88.118.8/car-1"]
    assert (down["ends"], down["complete"]) == (["hdl:88.118.8/car-1"], True)
    assert [(step["used"], step["made"], step["depth"]) for step in down["steps"]][-1] == (BOX, "hdl:88.118.8/car-1", 3)
    up = await trace(company, "up", CAR)
    assert set(up["ends"]) == {RESIN, OTHER_RESIN}
    assert (await trace(company, "up", CAPS[0]))["things"] == [RESIN]
    unknown = await company.http.get("/api/v1/trace/up", params={"thing": "urn:example:nothing"})
    assert unknown.status_code == 404
    assert (await company.http.get("/api/v1/trace/up", params={"thing": "no uri"})).status_code == 422
    # A ring of events - a pallet that holds a box that holds the pallet - ends all the same.
    await captured(
        company, held("AggregationEvent", "urn:a:1", "urn:b:1"), held("AggregationEvent", "urn:b:1", "urn:a:1")
    )
    assert (await trace(company, "down", "urn:a:1"))["things"] == ["urn:b:1"]
    half = await captured(company, held("AggregationEvent", "urn:c:1", "urn:d:1"), event("ObjectEvent", action="ADD"))
    assert half.status_code == 422
    assert (await company.http.get("/api/v1/trace/up", params={"thing": "urn:c:1"})).status_code == 404, "rolled back"
    stranger = await new_company()
    assert (await stranger.http.get("/api/v1/trace/down", params={"thing": RESIN})).status_code == 404


async def test_of_events_that_say_the_same_the_earliest_is_told(company: Company) -> None:
    late = moulded(RESIN, CAPS[0]) | {"eventTime": "2026-11-27T09:00:00+08:00", "bizStep": "accepting"}
    await captured(company, late, moulded(RESIN, CAPS[0]))
    (step,) = (await trace(company, "down", RESIN))["steps"]
    assert (step["event_time"], step["biz_step"]) == ("2026-11-27T00:00:00Z", "commissioning")


async def test_events_are_asked_for_as_the_standard_has_it(company: Company) -> None:
    for hour in range(5):
        late = {"eventTime": f"2026-11-27T0{hour}:00:00.000+08:00"}
        await captured(
            company, event("ObjectEvent", epcList=[CAPS[hour % 2]], action="OBSERVE", bizStep="shipping") | late
        )
    await captured(company, moulded(RESIN, *CAPS))
    get = company.http.get

    async def asked(**query: Any) -> list[dict[str, Any]]:
        answer = await get("/api/v1/trace/events", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["epcisBody"]["eventList"])

    assert len(await asked()) == 6
    assert len(await asked(MATCH_anyEPC=CAPS[0])) == 4
    assert len(await asked(EQ_bizStep="shipping")) == 5
    assert len(await asked(eventType="TransformationEvent")) == 1
    window = {"GE_eventTime": "2026-11-27T01:00:00+08:00", "LT_eventTime": "2026-11-27T03:00:00+08:00"}
    assert len(await asked(**window)) == 2
    seen: list[str] = []
    token = None
    while True:
        answer = await get("/api/v1/trace/events", params={"perPage": 4} | ({"nextPageToken": token} if token else {}))
        page = answer.json()["epcisBody"]["eventList"]
        seen += [one["eventID"] for one in page]
        token = answer.headers.get("x-next-page-token")
        if not token:
            break
    assert len(seen) == len(set(seen)) == 6
    exported = (await get("/api/v1/trace/events")).json()
    assert (await company.http.post("/api/v1/trace/capture", json=exported)).json() == {"stored": 0, "known": 6}
    assert (await get("/api/v1/trace/events", params={"nextPageToken": "x"})).status_code == 422
