"""Dictionary entries as AAS concept descriptions with the data specification of IEC 61360 (IDTA 01003-a-3).

What IEC 61360 has no field for - class, quantity, aggregation, plausible range - stands in extensions of the same names. A value
of a coded entry is a concept of its own, since a value list names its values by reference only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from uuid import UUID

from basyx.aas import model

from cloud.dictionary.service import OWN, unit_symbol
from protocols.dictionary.entries import Entry
from protocols.text import Text

_IEC_61360 = "https://admin-shell.io/DataSpecificationTemplates/DataSpecificationIec61360/3"
UNIT = "urn:sunmao:unit:"
ENTRY = "urn:sunmao:entry:"


class Concept(NamedTuple):
    """What something means. `unit` is a UN/ECE Rec 20 code, "" where there is none; `values` are ids and names by code."""

    id: str
    name: Text
    definition: Text
    data_type: str
    unit: str = ""
    values: Mapping[str, tuple[str, Text]] = {}
    extensions: Mapping[str, str] = {}


def concept_of(entry: Entry, company: UUID) -> Concept:
    """Return the concept of a dictionary entry, a released one or one of `company`'s own; its id never changes."""
    own = entry.code.startswith(OWN)
    id_ = f"urn:sunmao:company:{company}:entry:{entry.code.removeprefix(OWN)}" if own else f"{ENTRY}{entry.code}"
    extensions = {
        "code": entry.code,
        "equipment_class": entry.equipment_class,
        "quantity_kind": entry.quantity_kind,
        "aggregation": entry.aggregation,
        "typical_min": "" if entry.typical_min is None else f"{entry.typical_min:.12g}",
        "typical_max": "" if entry.typical_max is None else f"{entry.typical_max:.12g}",
    }
    return Concept(
        id=id_,
        name=entry.name,
        definition=entry.definition,
        data_type=entry.data_type,
        unit=entry.unit,
        values={str(value): (f"{id_}:{value}", name) for value, name in entry.values.items()},
        extensions={name: value for name, value in extensions.items() if value},
    )


def described(concept: Concept) -> Iterator[model.ConceptDescription]:
    """Yield the concept description of `concept`, and those of its values."""
    pairs = {model.ValueReferencePair(value, _to_concept(id_)) for value, (id_, _) in concept.values.items()}
    yield _description(
        concept.id,
        model.DataSpecificationIEC61360(
            preferred_name=model.PreferredNameTypeIEC61360(concept.name._asdict()),
            definition=model.DefinitionTypeIEC61360(concept.definition._asdict()),
            data_type=model.DataTypeIEC61360[concept.data_type],
            unit=(unit_symbol(concept.unit) or "1") if concept.unit else None,
            unit_id=external(f"{UNIT}{concept.unit}") if concept.unit else None,
            value_list=pairs or None,
        ),
        [model.Extension(name, str, value) for name, value in concept.extensions.items()],
    )
    for value, (id_, name) in concept.values.items():
        preferred = model.PreferredNameTypeIEC61360(name._asdict())
        yield _description(id_, model.DataSpecificationIEC61360(preferred_name=preferred, value=value))


def meaning(concept: Concept) -> model.ModelReference[model.ConceptDescription]:
    """Return the semanticId of what `concept` describes.

    A model reference: what an external one points to, tools leave out of a package.
    """
    return _to_concept(concept.id)


def external(address: str) -> model.ExternalReference:
    """Return a reference to what is defined elsewhere."""
    return model.ExternalReference((model.Key(model.KeyTypes.GLOBAL_REFERENCE, address),))


def _to_concept(id_: str) -> model.ModelReference[model.ConceptDescription]:
    return model.ModelReference((model.Key(model.KeyTypes.CONCEPT_DESCRIPTION, id_),), model.ConceptDescription)


def _description(
    id_: str, content: model.DataSpecificationIEC61360, extensions: list[model.Extension] | None = None
) -> model.ConceptDescription:
    return model.ConceptDescription(
        id_,
        embedded_data_specifications=[model.EmbeddedDataSpecification(external(_IEC_61360), content)],
        extension=extensions or (),
    )
