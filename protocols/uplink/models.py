"""Wire schema of models on their way to boxes and of what became of them there; MessagePack as in `uplink.messages`.

    POST /api/v1/uplink/models       ModelsReport -> ModelsWanted  what each station runs -> what it shall run
    POST /api/v1/uplink/models/part  PartRequest  -> BundlePart    a piece of a bundle's file

A model is named by its digest, the SHA-256 of its checksums.txt. What a station shall run is a state, not a step: asked
again, after any loss, the answer is the same.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

MODELS = "/api/v1/uplink/models"
PART = "/api/v1/uplink/models/part"
PART_BYTES = 512 * 1024
"""Largest piece of a file in one answer."""


Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class ModelRecord(msgspec.Struct, frozen=True):
    """What the models of a watch over a machine, or over a value by the clock, said since its last order, at judgements independent of each other.

    A model that smooths over time says nearly the same twice in a row; so only as many judgements count as an average forgets.
    (Of an inspection station the cloud knows every part, and needs no record.)

    Attributes:
        judged, rejects, p95_us: of the model that decides: judgements, those beyond its reject limit, 95 % of the times to one.
        beside, beside_rejects, beside_p95_us: the same of the model beside it.
        beside_decided: what the deciding model rejected of the judgements in `beside`; `differing`: where only one of the two did.
    """

    judged: Count = 0
    rejects: Count = 0
    p95_us: Count = 0
    beside: Count = 0
    beside_rejects: Count = 0
    beside_p95_us: Count = 0
    beside_decided: Count = 0
    differing: Count = 0


class StationModels(msgspec.Struct, frozen=True):
    """What one inspection station, or watch over a machine or a value, runs.

    Attributes:
        station: its name in the configuration.
        running, previous, shadow: digests; "" where there is none.
        order: number of the last order it has dealt with, 0 for none.
        outcome: what became of that: "" (none yet), "trial", "done", "failed" or "returned".
        reason_en, reason_zh: why it failed or returned.
        task: of its models, "inspect", "health" or "seasonal"; `record`: of a watch.
    """

    station: str
    running: str
    previous: str = ""
    shadow: str = ""
    order: int = 0
    outcome: str = ""
    reason_en: str = ""
    reason_zh: str = ""
    task: str = "inspect"
    record: ModelRecord | None = None


class ModelsReport(msgspec.Struct, frozen=True):
    """The stations and watches of a box."""

    stations: list[StationModels]


class ModelOrder(msgspec.Struct, frozen=True):
    """What a station shall run.

    Attributes:
        station: its name in the configuration.
        number: grows with each change of what is wanted.
        run: digest of the model that decides; "" leaves what decides there.
        shadow: digest of the model that judges beside it and decides nothing; "" for none.
        latency_us: p95 of the new model's time above which the box returns to the one before; 0 for no limit.
    """

    station: str
    number: int
    run: str = ""
    shadow: str = ""
    latency_us: int = 0


class ModelsWanted(msgspec.Struct, frozen=True):
    """The orders for the stations that were reported."""

    orders: list[ModelOrder] = []


class PartRequest(msgspec.Struct, frozen=True):
    """Ask for the bytes of a bundle's file from `offset` on."""

    digest: str
    file: str
    offset: int


class BundlePart(msgspec.Struct, frozen=True):
    """At most `PART_BYTES` of a file of `size` bytes."""

    size: int
    content: bytes
