"""A machine as an Asset Administration Shell (AAS part 1, version 3) with three submodels.

Nameplate (IDTA 02006-3-0) and TechnicalData (IDTA 02003-1-2) have what is known; what nobody has said is left out.
OperationalData is our own: a property per point with its latest reading, and the KPIs of ISO 22400-2 as the pages show them. Of
a value, its time, its quality (the name OPC UA has for it) and its unit (UN/ECE Rec 20) are qualifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

from basyx.aas import model
from basyx.aas.model import datatypes

from cloud.production.schemas import KpiRow, KpiValue
from cloud.production.service import KPIS
from cloud.semantics.concepts import Concept, concept_of, described, external, meaning
from cloud.semantics.twin import Twin
from cloud.telemetry.schemas import Latest, Point
from protocols.reading import Quality
from protocols.text import Text

_NAMEPLATE = "https://admin-shell.io/idta/nameplate/3/0/Nameplate"
_TECHNICAL_DATA = "https://admin-shell.io/ZVEI/TechnicalData"
_CDD = "0112/2///61987#"
"""Identifiers of the IEC Common Data Dictionary, as the template of the nameplate names them."""

_RUN_TIME = Concept(
    "urn:sunmao:concept:planned_run_time",
    Text("Planned run time per item (PRI)", "单件计划运行时间(PRI)"),
    Text("How long one item takes at the planned speed of the machine", "设备按计划速度生产一件产品所需的时间"),
    "REAL_MEASURE",
    "SEC",
)
_INSTALLED = Concept(
    "urn:sunmao:concept:installed_on",
    Text("Date of installation", "安装日期"),
    Text("Day on which the machine was set up where it stands", "设备在现场安装的日期"),
    "DATE",
)

_Value = float | int | bool | str | None


def objects_of(twin: Twin) -> Iterator[model.Identifiable]:
    """Yield the shell of a machine, its submodels, and a concept description for whatever they mean."""
    equipment = twin.equipment
    concepts: dict[str, Concept] = {}
    submodels = [_nameplate(twin), _technical_data(twin, concepts), _operational_data(twin, concepts)]
    numbers = [model.SpecificAssetId("assetNumber", _plain(equipment.asset_number))] if equipment.asset_number else []
    yield model.AssetAdministrationShell(
        model.AssetInformation(
            global_asset_id=f"urn:sunmao:equipment:{equipment.id}",
            specific_asset_id=numbers,
            asset_type=_plain(equipment.equipment_class) or None,
        ),
        f"urn:sunmao:shell:{equipment.id}",
        id_short=_id_short(equipment.label, "equipment"),
        display_name=_names(Text(equipment.label, equipment.label)),
        description=_texts(Text(equipment.path[:1000], equipment.path[:1000])),
        submodel={model.ModelReference.from_referable(one) for one in submodels},
    )
    yield from submodels
    for concept in concepts.values():
        yield from described(concept)


def _nameplate(twin: Twin) -> model.Submodel:
    equipment, device = twin.equipment, twin.model
    asset = f"urn:sunmao:equipment:{equipment.id}"
    found: list[model.SubmodelElement] = [
        model.Property("URIOfTheProduct", datatypes.AnyURI, asset, semantic_id=external(f"{_CDD}ABN590#002"))
    ]
    if device:
        found += [
            model.MultiLanguageProperty(
                "ManufacturerName",
                model.MultiLanguageTextType({"en": device.manufacturer}),
                semantic_id=external(f"{_CDD}ABA565#009"),
            ),
            model.MultiLanguageProperty(
                "ManufacturerProductDesignation",
                model.MultiLanguageTextType(device.name._asdict()),
                semantic_id=external(f"{_CDD}ABA567#009"),
            ),
            model.Property("ManufacturerProductType", str, device.model, semantic_id=external(f"{_CDD}ABA300#008")),
        ]
    if made := equipment.made_on:
        found += [
            model.Property("YearOfConstruction", str, str(made.year), semantic_id=external(f"{_CDD}ABP000#002")),
            model.Property("DateOfManufacture", datatypes.Date, _date(made), semantic_id=external(f"{_CDD}ABB757#007")),
        ]
    return _submodel(twin, "Nameplate", _NAMEPLATE, found)


def _technical_data(twin: Twin, concepts: dict[str, Concept]) -> model.Submodel:
    equipment, device = twin.equipment, twin.model
    general: list[model.SubmodelElement] = []
    if device:
        general = [
            model.Property(
                "ManufacturerName",
                str,
                device.manufacturer,
                semantic_id=external(f"{_TECHNICAL_DATA}/ManufacturerName/1/1"),
            ),
            model.MultiLanguageProperty(
                "ManufacturerProductDesignation",
                model.MultiLanguageTextType(device.name._asdict()),
                semantic_id=external(f"{_TECHNICAL_DATA}/ManufacturerProductDesignation/1/1"),
            ),
        ]
    properties: list[model.SubmodelElement] = []
    if equipment.rated_power_kw is not None:
        rated = _used(concept_of(twin.entries["rated_power"], twin.company), concepts)
        properties.append(_property("RatedPower", float, equipment.rated_power_kw, rated, unit="KWT"))
    if twin.run_time_s is not None:
        properties.append(
            _property("PlannedRunTime", float, twin.run_time_s, _used(_RUN_TIME, concepts), unit=_RUN_TIME.unit)
        )
    if equipment.installed_on:
        installed = _date(equipment.installed_on)
        properties.append(
            model.Property(
                "InstalledOn",
                datatypes.Date,
                installed,
                display_name=_names(_INSTALLED.name),
                semantic_id=meaning(_used(_INSTALLED, concepts)),
            )
        )
    return _submodel(
        twin,
        "TechnicalData",
        f"{_TECHNICAL_DATA}/Submodel/1/2",
        [
            _collection("GeneralInformation", general, external(f"{_TECHNICAL_DATA}/GeneralInformation/1/1")),
            _collection("TechnicalProperties", properties, external(f"{_TECHNICAL_DATA}/TechnicalProperties/1/1")),
        ],
    )


def _operational_data(twin: Twin, concepts: dict[str, Concept]) -> model.Submodel:
    points, taken = [], set[str]()
    for point in twin.points:
        entry = twin.entries.get(point.property)
        concept = _used(concept_of(entry, twin.company), concepts) if entry else None
        id_short = _unlike(_id_short(point.property or point.name, "point"), taken)
        points.append(_point(id_short, point, twin.latest.get(point.series_id), concept))
    parts = [_collection("Points", points)]
    if twin.shift:
        parts.append(_kpis(twin.shift, concepts))
    return _submodel(twin, "OperationalData", "urn:sunmao:submodel:OperationalData:1", parts)


def _point(id_short: str, point: Point, latest: Latest | None, concept: Concept | None) -> model.Property:
    kind, value = _typed(point, latest.value if latest else None)
    qualifiers: list[model.Qualifier] = [_qualifier("PointName", str, _plain(point.name))]
    if latest:
        qualifiers += [
            _qualifier("Timestamp", datetime, latest.time.astimezone(UTC)),
            _qualifier("Quality", str, Quality(latest.quality).cause),
        ]
    return _property(
        id_short, kind, value, concept, unit=point.unit, qualifiers=qualifiers, name=Text(point.name_en, point.name_zh)
    )


def _kpis(row: KpiRow, concepts: dict[str, Concept]) -> model.SubmodelElementCollection:
    found = [_kpi(value, _used(_kpi_concept(value), concepts)) for value in row.kpis.values() if value.code in KPIS]
    return _collection(
        "KPIs",
        found,
        description=_texts(row.shift),
        qualifiers=[
            _qualifier("ProductionDay", datatypes.Date, _date(row.first_day)),
            _qualifier("Start", datetime, row.start.astimezone(UTC)),
            _qualifier("End", datetime, row.until.astimezone(UTC)),
        ],
    )


def _kpi(value: KpiValue, concept: Concept) -> model.Property:
    complete = value.completeness
    qualifiers = (
        [] if complete is None else [_qualifier("Completeness", str, repr(complete))]
    )  # a number 0 basyx leaves out
    remark = value.reason if value.value is None else value.warning
    return _property(
        value.code, float, value.value, concept, unit=value.unit, qualifiers=qualifiers, name=value.name, remark=remark
    )


def _kpi_concept(value: KpiValue) -> Concept:
    name, per = value.name, " /h" if value.per == "HUR" else ""
    return Concept(
        f"urn:sunmao:kpi:{value.code}",
        name,
        Text(
            f"{name.en} of a machine as in ISO 22400-2: {value.formula}{per}",
            f"设备的{name.zh}，按 ISO 22400-2 计算：{value.formula}{per}",
        ),
        "REAL_MEASURE",
        value.unit,
    )


def _typed(point: Point, value: float | str | None) -> tuple[type, _Value]:
    """Return the XSD type of a point's values, and `value` in it; a value unlike its entry keeps its own type."""
    if isinstance(value, str) or (value is None and point.data_type == "STRING"):
        return str, _plain(value) if value else value
    if point.data_type == "BOOLEAN" and value in (None, 0, 1):
        return bool, None if value is None else bool(value)
    if point.data_type == "INTEGER_COUNT" and (value is None or value.is_integer()):
        return datatypes.Long, None if value is None else datatypes.Long(int(value))
    return float, value


def _property(
    id_short: str,
    kind: type,
    value: _Value,
    concept: Concept | None,
    *,
    unit: str,
    qualifiers: Iterable[model.Qualifier] = (),
    name: Text | None = None,
    remark: Text | None = None,
) -> model.Property:
    name = name or (concept.name if concept else None)
    return model.Property(
        id_short,
        kind,
        value,
        display_name=_names(name) if name else None,
        description=_texts(remark) if remark else None,
        semantic_id=meaning(concept) if concept else None,
        qualifier=[*qualifiers, *([_qualifier("Unit", str, unit)] if unit else [])],
    )


def _qualifier(name: str, kind: type, value: object) -> model.Qualifier:
    return model.Qualifier(name, kind, value, kind=model.QualifierKind.VALUE_QUALIFIER)


def _collection(
    id_short: str,
    elements: Iterable[model.SubmodelElement],
    semantic_id: model.Reference | None = None,
    *,
    description: model.MultiLanguageTextType | None = None,
    qualifiers: Iterable[model.Qualifier] = (),
) -> model.SubmodelElementCollection:
    return model.SubmodelElementCollection(
        id_short, elements, semantic_id=semantic_id, description=description, qualifier=qualifiers
    )


def _submodel(twin: Twin, name: str, semantic_id: str, elements: Iterable[model.SubmodelElement]) -> model.Submodel:
    id_ = f"urn:sunmao:submodel:{twin.equipment.id}:{name}"
    return model.Submodel(id_, elements, id_short=name, semantic_id=external(semantic_id))


def _used(concept: Concept, concepts: dict[str, Concept]) -> Concept:
    return concepts.setdefault(concept.id, concept)


def _names(text: Text) -> model.MultiLanguageNameType:
    return model.MultiLanguageNameType({"zh": _plain(text.zh)[:_LONGEST_NAME], "en": _plain(text.en)[:_LONGEST_NAME]})


_LONGEST_NAME = 128


def _texts(text: Text) -> model.MultiLanguageTextType | None:
    return model.MultiLanguageTextType({"zh": _plain(text.zh), "en": _plain(text.en)}) if text.en and text.zh else None


def _plain(text: str) -> str:
    """Return `text` with a mark for each character that AAS, as XML, cannot hold: a device may say anything."""
    return _UNFIT.sub("\ufffd", text)


_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _date(day: date) -> datatypes.Date:
    return datatypes.Date(day.year, day.month, day.day)


def _id_short(name: str, otherwise: str) -> str:
    """Return `name` as an idShort, of Latin letters, digits and underscores; `otherwise` where nothing of it is left."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:100]
    if not plain:
        return otherwise
    return plain if plain[0].isalpha() else f"{otherwise}_{plain}"


def _unlike(id_short: str, taken: set[str]) -> str:
    """Return `id_short`, numbered where it is taken already, in capitals or not, and take it."""
    found, number = id_short, 1
    while found.lower() in taken:
        number += 1
        found = f"{id_short}_{number}"
    taken.add(found.lower())
    return found
