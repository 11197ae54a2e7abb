"""AAS environments as files: AASX packages, and the JSON of AAS part 1.

They are written part by part - in an AASX package each is a part of its own - since what is written at once keeps the process
from all else: 200 machines of 40 points would for more than a second.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from basyx.aas import model
from basyx.aas.adapter.aasx import AASXWriter, DictSupplementaryFileContainer
from basyx.aas.adapter.json import object_store_to_json

ShellFormat = Literal["aasx", "json"]
MEDIA_TYPES: dict[ShellFormat, str] = {
    "aasx": "application/asset-administration-shell-package",
    "json": "application/json",
}

Parts = Iterable[Iterable[model.Identifiable]]


def packed(parts: Parts, kind: ShellFormat) -> bytes:
    """Return a file with all objects of `parts`; of those with the same id the first counts."""
    return _aasx(_stores(parts)) if kind == "aasx" else _json(_stores(parts))


def _stores(parts: Parts) -> Iterator[model.DictIdentifiableStore]:
    seen = set[str]()
    for part in parts:
        store = model.DictIdentifiableStore()
        for one in part:
            if one.id not in seen:
                seen.add(one.id)
                store.add(one)
        yield store


def _aasx(stores: Iterable[model.DictIdentifiableStore]) -> bytes:
    file = io.BytesIO()
    with AASXWriter(file, failsafe=False) as writer:
        for number, store in enumerate(stores, start=1):
            # Not write_aas: it takes only concepts that a semanticId names, and none of a dictionary without shells.
            writer.write_all_aas_objects(f"/aasx/data-{number}.xml", store, DictSupplementaryFileContainer())
    return file.getvalue()


def _json(stores: Iterable[model.DictIdentifiableStore]) -> bytes:
    whole: dict[str, list[Any]] = defaultdict(list)
    for store in stores:
        for kind, objects in json.loads(object_store_to_json(store)).items():
            whole[kind] += objects
    return json.dumps(whole, ensure_ascii=False).encode()
