"""Reads entries that a company brings along: a table, or concept descriptions of an AASX package or of AAS JSON.

Nothing is unpacked before it is known how large it becomes, and a file that declares a document type is refused unread: with one an
XML file of a page can become gigabytes, or reach for other files.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

from basyx.aas import model
from basyx.aas.adapter.aasx import AASXReader, DictSupplementaryFileContainer
from basyx.aas.adapter.json import read_aas_json_file
from pydantic import ValidationError

from cloud.core.errors import Invalid, field_faults
from cloud.dictionary.schemas import EntryRequest, RowFault
from cloud.dictionary.service import OWN
from cloud.semantics.concepts import ENTRY, UNIT
from cloud.semantics.entry_table import COLUMNS
from protocols.dictionary.units import load_units
from protocols.text import Text

MOST_ROWS = 1000
MOST_UNPACKED = 8 * 1024 * 1024
_MOST_PARTS = 1000
_TYPES = {"INTEGER_MEASURE": "INTEGER_COUNT", "REAL_COUNT": "REAL_MEASURE", "STRING_TRANSLATABLE": "STRING"}
"""Types of IEC 61360 that differ from one of ours by nothing that is stored."""
_USUAL = {"REAL_MEASURE": "avg"}
_DOCUMENT_TYPE = tuple(
    word.encode(encoding) for word in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le", "utf-16-be")
)


class Written(NamedTuple):
    """An entry as it stands in a file: `row` is its number there, `fields` those of `EntryRequest` that are filled in."""

    row: int
    fields: dict[str, str]

    def fault(self, what: Text) -> RowFault:
        """Return what is wrong with it."""
        return RowFault(row=self.row, code=self.fields.get("code", ""), message_en=what.en, message_zh=what.zh)


def read_requests(written: Sequence[Written]) -> tuple[list[EntryRequest], list[RowFault]]:
    """Return what `written` asks for, and what is wrong with each that asks for nothing valid."""
    requests, faults = [], []
    for one in written:
        try:
            requests.append(EntryRequest.model_validate(one.fields))
        except ValidationError as error:
            found = [dict(fault) for fault in error.errors()]
            for en, zh in zip(field_faults(found, "en"), field_faults(found, "zh"), strict=True):
                where = f"{en['where']}: " if en["where"] else ""
                faults.append(one.fault(Text(where + en["message"], where + zh["message"])))
    return requests, faults


def read_table(content: bytes) -> list[Written]:
    """Return the rows of a CSV file with the columns of the export; raises Invalid for what is none."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise Invalid(Text("The file is no CSV.", "文件不是 CSV。"))
    try:
        heading, *rows = csv.reader(io.StringIO(text, newline=""))
    except (csv.Error, ValueError) as error:
        raise Invalid(Text("The file is no CSV with a heading.", "文件不是带表头的 CSV。")) from error
    if unknown := [name for name in heading if name not in COLUMNS]:
        known = ", ".join(COLUMNS)
        raise Invalid(
            Text(
                f"Unknown column '{unknown[0][:40]}'; known are: {known}", f"未知列“{unknown[0][:40]}”，可用列：{known}"
            )
        )
    _few(len(rows))
    return [
        Written(number, {name: cell for name, cell in zip(heading, row, strict=False) if cell and name in _FIELDS})
        for number, row in enumerate(rows, 2)
        if any(row)
    ]


def read_concepts(content: bytes) -> list[Written]:
    """Return the concept descriptions of an AASX package or of AAS JSON; raises Invalid for what is neither.

    Values of coded entries are no entries, and left aside.
    """
    try:
        objects = _package(content) if content[:2] == b"PK" else _document(content)
    except Invalid:
        raise
    # What is amiss in a file comes out of basyx, and of the XML and ZIP below it, as nearly anything.
    except Exception as error:
        said = str(error)[:300] or type(error).__name__
        raise Invalid(
            Text(f"Neither a valid AASX package nor valid AAS JSON: {said}", f"不是有效的 AASX 包或 AAS JSON：{said}")
        ) from error
    found = [one for one in objects if isinstance(one, model.ConceptDescription)]
    _few(len(found))
    described = ((one, content) for one in found if (content := _iec(one)) is not None and content.value is None)
    return [Written(number, dict(_fields(one, content))) for number, (one, content) in enumerate(described, 1)]


_FIELDS = frozenset(EntryRequest.model_fields)


def _package(content: bytes) -> model.DictIdentifiableStore:
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED:
                raise Invalid(
                    Text(
                        f"The package has more than {_MOST_PARTS} parts or unpacks to more than {MOST_UNPACKED >> 20} MiB.",
                        f"包内文件超过 {_MOST_PARTS} 个，或解压后超过 {MOST_UNPACKED >> 20} MiB。",
                    )
                )
            for part in parts:
                _refuse_document_type(archive.read(part))
    except BadZipFile as error:
        raise Invalid(Text("The package is damaged.", "文件包已损坏。")) from error
    store = model.DictIdentifiableStore()
    with AASXReader(io.BytesIO(content), failsafe=False) as reader:
        reader.read_into(store, DictSupplementaryFileContainer())
    return store


def _document(content: bytes) -> model.DictIdentifiableStore:
    return read_aas_json_file(io.StringIO(content.decode("utf-8-sig")), failsafe=False)


def _refuse_document_type(part: bytes) -> None:
    if any(word in part for word in _DOCUMENT_TYPE):
        raise Invalid(
            Text(
                "The package declares a document type (DTD), which no AASX file needs; it is not read.",
                "包中含有文档类型声明(DTD)，AASX 文件不需要它，已拒绝读取。",
            )
        )


def _few(count: int) -> None:
    if count > MOST_ROWS:
        raise Invalid(
            Text(f"More than {MOST_ROWS} entries; divide the file.", f"条目超过 {MOST_ROWS} 个，请拆分文件。")
        )


def _iec(concept: model.ConceptDescription) -> Any:
    """Return what IEC 61360 says of a concept description; None where it does not say it so."""
    for specification in concept.embedded_data_specifications:
        if isinstance(specification.data_specification_content, model.DataSpecificationIEC61360):
            return specification.data_specification_content
    return None


def _fields(concept: model.ConceptDescription, content: Any) -> Iterator[tuple[str, str]]:
    told = {one.name: str(one.value) for one in concept.extension if one.value is not None}
    names, definitions = _texts(content.preferred_name), _texts(content.definition or {})
    data_type = content.data_type.name if content.data_type else "REAL_MEASURE"
    data_type = _TYPES.get(data_type, data_type)
    fields = {
        "code": _code(concept, told, names.get("en", "")),
        "equipment_class": told.get("equipment_class", ""),
        **{f"name_{language}": text for language, text in names.items()},
        **{f"definition_{language}": text for language, text in definitions.items()},
        "unit": _unit(content),
        "data_type": data_type,
        "aggregation": told.get("aggregation", _USUAL.get(data_type, "last")),
        "typical_min": told.get("typical_min", ""),
        "typical_max": told.get("typical_max", ""),
    }
    yield from ((name, value) for name, value in fields.items() if value)


def _code(concept: model.ConceptDescription, told: dict[str, str], name: str) -> str:
    """Return the code of an entry: a released one, that of a company's own, or one made of what others call it."""
    if str(concept.id).startswith(ENTRY):
        return str(concept.id).removeprefix(ENTRY)
    if told.get("code", "").startswith(OWN):
        return told["code"]
    plain = re.sub(r"[^a-z0-9]+", "_", (concept.id_short or name).lower()).strip("_")[:60]
    return f"{OWN}{plain}"


def _texts(texts: Any) -> dict[str, str]:
    """Return the Chinese and the English one, of whatever region."""
    found: dict[str, str] = {}
    for language in texts:
        short = language.partition("-")[0].lower()
        if short in ("zh", "en"):
            found.setdefault(short, texts[language].strip())
    return found


def _unit(content: Any) -> str:
    """Return the UN/ECE code of a unit, or what is written where it is none of ours."""
    for key in content.unit_id.key if content.unit_id else ():
        if key.value.startswith(UNIT):
            return str(key.value.removeprefix(UNIT))
    symbol = content.unit or ""
    return next((code for code, unit in load_units().items() if symbol in (unit.symbol, code)), symbol)
