"""What else EPCIS 2.0 allows: every field comes back as it was captured, what is declared erroneous leads nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.traceability.events import Wrong, events_of
from tests.cloud.conftest import Cluster, Company
from tests.cloud.traceability.test_traceability import BOX, CAPS, RESIN, document, event, held, moulded, trace

OWN = {"mill": "https://mill.example/terms/", "mill:shift": {"@type": "xsd:integer"}}
PLACE = {"id": "urn:epc:id:sgln:6901234.00001.0"}
SENSORS = [
    {
        "type": "epcis:SensorElement",
        "sensorMetadata": {
            "time": "2026-11-27T08:00:00.000+08:00",
            "deviceID": "urn:epc:id:giai:6901234.77",
            "deviceMetadata": "https://id.gs1.org/8004/690123477",
            "rawData": "https://mill.example/raw/77",
            "bizRules": "https://mill.example/rules/5",
            "mill:room": "B",
        },
        "sensorReport": [
            {"type": "Temperature", "value": 21.0, "minValue": 20, "maxValue": 22.5, "sDev": 0.4, "uom": "CEL"},
            {"type": "Temperature", "percRank": 50, "percValue": 21.1, "meanValue": 21.2, "component": "mill:top"},
            {"type": "AbsoluteHumidity", "exception": "ALARM_CONDITION", "booleanValue": True},
            {"type": "mill:odour", "stringValue": "none", "hexBinaryValue": "0f", "uriValue": "geo:31.3,120.6"},
        ],
        "mill:literally": "\\u0000",
        "mill:nested": [{"mill:list": ["1", {"mill:deep": "2"}]}, 3, None],
    }
]
OBSERVED: dict[str, Any] = {"epcList": CAPS[:1], "action": "OBSERVE", "readPoint": PLACE}

FEATURES: dict[str, dict[str, Any]] = {
    "a shipment": event(
        "ObjectEvent",
        **OBSERVED,
        bizStep="shipping",
        disposition="in_transit",
        bizLocation={"id": "https://id.gs1.org/414/6901234000016/254/7"},
        bizTransactionList=[
            {"type": "po", "bizTransaction": "https://mill.example/po/8"},
            {"bizTransaction": "urn:x:y"},
        ],
        sourceList=[{"type": "location", "source": PLACE["id"], "id": "https://mill.example/from"}],
        destinationList=[{"type": "urn:epcglobal:cbv:sdt:owning_party", "destination": "urn:epc:id:pgln:6905678.00001"}],
        persistentDisposition={"set": ["completeness_verified"], "unset": ["completeness_inferred"]},
    ),
    "sensors": event("ObjectEvent", **OBSERVED, bizStep="sensor_reporting", sensorElementList=SENSORS),
    "sensors alone": event("ObjectEvent", action="OBSERVE", readPoint={"id": "geo:31.3,120.6"}, sensorElementList=SENSORS),
    "master data of a lot": event(
        "ObjectEvent",
        action="ADD",
        quantityList=[{"epcClass": RESIN, "quantity": 500, "uom": "KGM"}, {"epcClass": "urn:epc:idpat:sgtin:6901234.2.*"}],
        ilmd={"cbvmda:lotNumber": "LOT-7", "mill:drying": {"mill:hours": "4"}},
        certificationInfo=["https://mill.example/certificates/1"],
    ),
    "digital links": event(
        "AggregationEvent",
        action="OBSERVE",
        parentID="https://id.gs1.org/00/069012340000000025",
        childEPCs=["https://id.gs1.org/01/06901234000023/21/a%2F1?17=271231"],
        childQuantityList=[{"epcClass": "https://shop.example/01/06901234000023/10/L7", "quantity": 200.5, "uom": "KGM"}],
        eventID="ni:///sha-256;0a0b?ver=CBV2.0",
    ),
    "an installation": event("AssociationEvent", action="ADD", parentID=PLACE["id"], childQuantityList=[{"epcClass": RESIN}]),
    "all taken out": event("AssociationEvent", action="DELETE", parentID=BOX, eventID="urn:uuid:5f9a1d0e-0000-4000-8000-000000000001"),
    "a transaction of a pallet": event(
        "TransactionEvent", action="ADD", parentID=BOX, bizTransactionList=[{"bizTransaction": "urn:epc:id:gdti:6901234.00001.9"}]
    ),
    "both ends of a batch": event(
        "TransformationEvent",
        inputQuantityList=[{"epcClass": RESIN, "quantity": 1}],
        outputEPCList=CAPS[1:2],
        transformationID="urn:epc:id:gdti:6901234.00002.3",
        ilmd={"mill:grade": "A"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


def own_document(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = document(*({"mill:shift": 2, **one} for one in events)) | more
    return made | {"@context": [*made["@context"], OWN], "sender": PLACE["id"]}


async def stored(company: Company, made: dict[str, Any]) -> tuple[int, int]:
    answer = await company.http.post("/api/v1/trace/capture", json=made)
    assert answer.status_code == 201, answer.text
    return answer.json()["stored"], answer.json()["known"]


async def test_what_is_captured_comes_back_with_its_namespaces(company: Company) -> None:
    master = {"epcisHeader": {"epcisMasterData": {"vocabularyList": [{"type": "urn:epcglobal:epcis:vtype:ReadPoint"}]}}}
    sent = own_document(*FEATURES.values(), **master, creationDate="2026-11-27T08:00:00.0Z", schemaVersion=2.0)
    assert await stored(company, sent) == (len(FEATURES), 0)
    exported = (await company.http.get("/api/v1/trace/events", params={"perPage": 500})).json()
    found = {one["eventID"]: one for one in exported["epcisBody"]["eventList"]}
    for name, known in zip(FEATURES, events_of(sent), strict=True):
        added = {"eventID": known.id, "recordTime": found[known.id]["recordTime"], "@context": [OWN]}
        assert found[known.id] == {"mill:shift": 2, **FEATURES[name], **added}
    assert await stored(company, exported) == (0, len(FEATURES)), "events are the same under any context"


@pytest.mark.parametrize("identity", [{}, {"eventID": "urn:uuid:5f9a1d0e-0000-4000-8000-000000000002"}])
@pytest.mark.parametrize("first", ["event", "declaration"])
async def test_an_event_declared_erroneous_leads_nowhere(
    company: Company, identity: dict[str, str], first: str
) -> None:
    corrective = "urn:uuid:5f9a1d0e-0000-4000-8000-000000000003"
    wrong = moulded(RESIN, CAPS[0], **identity)
    declaration = wrong | {
        "errorDeclaration": {
            "declarationTime": "2026-11-28T08:00:00+08:00",
            "reason": "incorrect_data",
            "correctiveEventIDs": [corrective],
            "mill:clerk": "7",
        }
    }
    sent = [wrong, declaration] if first == "event" else [declaration, wrong]
    for one in sent:
        assert await stored(company, document(one)) == (1, 0)
    assert await stored(company, document(*sent)) == (0, 2)
    assert (await trace(company, "down", RESIN))["things"] == (await trace(company, "up", CAPS[0]))["things"] == []
    right = moulded(RESIN, CAPS[1], eventID=corrective)
    assert await stored(company, document(right, held("AggregationEvent", BOX, *CAPS[:2]))) == (2, 0)
    assert (await trace(company, "down", RESIN))["things"] == [CAPS[1], BOX]
    listed = await company.http.get("/api/v1/trace/events", params={"MATCH_anyEPC": CAPS[0]})
    told = [one for one in listed.json()["epcisBody"]["eventList"] if one["type"] == "TransformationEvent"]
    assert len(told) == 2, "both are kept"
    assert len({one["eventID"] for one in told}) == 1, "and are of one event"
    assert [one["errorDeclaration"] for one in told if "errorDeclaration" in one] == [declaration["errorDeclaration"]]
    assert await stored(company, listed.json()) == (0, 3)


async def test_what_two_events_say_stands_while_one_of_them_does(company: Company) -> None:
    declared = {"declarationTime": "2026-11-28T08:00:00Z", "reason": "did_not_occur"}
    again = {"eventTime": "2026-11-27T09:00:00.000+08:00"}
    await stored(company, document(moulded(RESIN, CAPS[0]), moulded(RESIN, CAPS[0]) | again))
    await stored(company, document(moulded(RESIN, CAPS[0], errorDeclaration=declared)))
    (step,) = (await trace(company, "down", RESIN))["steps"]
    assert step["event_time"] == "2026-11-27T01:00:00Z"
    await stored(company, document(moulded(RESIN, CAPS[0], errorDeclaration=declared) | again))
    assert (await trace(company, "down", RESIN))["steps"] == []


@pytest.mark.parametrize(
    ("made", "where"),
    [
        ({"@context": {}, "type": "EPCISQueryDocument", "epcisBody": {"queryResults": {}}}, "type"),
        ({"@context": {}, "@graph": [{"isA": "vtype:BusinessLocation"}]}, "type"),
        ({"isA": "EPCISDocument", "schemaVersion": "2.0"}, "type"),
        (document() | {"epcisHeader": {"epcisMasterData": {"vocabularyList": []}}}, "epcisHeader"),
        (document() | {"schemaVersion": "1.2"}, "schemaVersion"),
        (document(event("mill:OvenEvent")), "epcisBody.eventList[0].type"),
        (document(event("ObjectEvent", **OBSERVED)) | {"@context": 5}, "@context"),
        (document(event("ObjectEvent", **OBSERVED, bizStep="\0")), "epcisBody.eventList[0]"),
        (document(event("ObjectEvent", **OBSERVED, **{"mill:a": ["\ud800"]})), "epcisBody.eventList[0]"),
        (document(event("ObjectEvent", **OBSERVED, **{"mill:a": float("nan")})), "epcisBody.eventList[0]"),
        (event("ObjectEvent", **OBSERVED, errorDeclaration=[]), "errorDeclaration"),
        (event("ObjectEvent", **OBSERVED, errorDeclaration={}), "errorDeclaration.declarationTime"),
        (
            event("ObjectEvent", **OBSERVED, errorDeclaration={"declarationTime": "2026-11-28T08:00:00Z", "correctiveEventIDs": ["7"]}),
            "errorDeclaration.correctiveEventIDs[0]",
        ),
    ],
)  # fmt: skip
def test_what_is_not_taken_is_named(made: dict[str, Any], where: str) -> None:
    with pytest.raises(Wrong) as found:
        events_of(made)
    assert found.value.where == where
