"""The dictionary as files: what comes back is what was released, in both languages."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from basyx.aas import model
from basyx.aas.adapter.json import read_aas_json_file

from protocols.dictionary.entries import load_dictionary
from tests.cloud.conftest import Cluster, Company
from tests.cloud.semantics.test_shells import iec, kinds, opened


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


async def exported(company: Company, format: str) -> Any:
    answer = await company.http.get("/api/v1/dictionary:export", params={"format": format})
    assert answer.status_code == 200, answer.text
    return answer


async def test_the_table_has_every_entry_in_both_languages(company: Company) -> None:
    answer = await exported(company, "csv")
    assert answer.content.startswith("\ufeff".encode())
    rows = {row["code"]: row for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))}
    assert list(rows) == list(load_dictionary())
    for code, entry in load_dictionary().items():
        row = rows[code]
        assert (row["name_zh"], row["name_en"]) == (entry.name.zh, entry.name.en)
        assert (row["definition_zh"], row["unit"], row["aggregation"]) == (
            entry.definition.zh,
            entry.unit,
            entry.aggregation,
        )
    assert "3 = 运行 / Executing" in rows["machine_state"]["values"]


@pytest.mark.parametrize("format", ["aasx", "json"])
async def test_concept_descriptions_come_back_whole(company: Company, format: str) -> None:
    answer = await exported(company, format)
    store = opened(answer.content) if format == "aasx" else read_aas_json_file(io.StringIO(answer.text), failsafe=False)
    values = sum(len(entry.values) for entry in load_dictionary().values())
    assert kinds(store) == {
        "AssetAdministrationShell": 0,
        "Submodel": 0,
        "ConceptDescription": len(load_dictionary()) + values,
    }
    for code, entry in load_dictionary().items():
        concept = store.get_item(f"urn:sunmao:entry:{code}")
        content = iec(concept)
        assert (content.preferred_name["zh"], content.preferred_name["en"]) == (entry.name.zh, entry.name.en)
        assert (content.definition["zh"], content.definition["en"]) == (entry.definition.zh, entry.definition.en)
        assert content.data_type is model.DataTypeIEC61360[entry.data_type]
        assert content.unit_id.key[0].value == f"urn:sunmao:unit:{entry.unit}"
        extensions = {one.name: one.value for one in concept.extension}
        assert (extensions["aggregation"], extensions["equipment_class"]) == (entry.aggregation, entry.equipment_class)
        named = {pair.value: iec(store.get_item(pair.value_id.key[0].value)) for pair in content.value_list or ()}
        assert {value: one.preferred_name["zh"] for value, one in named.items()} == {
            str(value): name.zh for value, name in entry.values.items()
        }
