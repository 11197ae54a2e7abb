"""Wire schema of models on their way to boxes and of what became of them there; MessagePack as in `uplink.messages`.

    POST /api/v1/uplink/models       ModelsReport -> ModelsWanted  what each station runs -> what it shall run
    POST /api/v1/uplink/models/part  PartRequest  -> BundlePart    a piece of a bundle's file

A model is named by its digest, the SHA-256 of its checksums.txt. What a station shall run is a state, not a step: asked
again, after any loss, the answer is the same.
"""

from __future__ import annotations

import msgspec

MODELS = "/api/v1/uplink/models"
PART = "/api/v1/uplink/models/part"
PART_BYTES = 512 * 1024
"""Largest piece of a file in one answer."""


class StationModels(msgspec.Struct, frozen=True):
    """What one inspection station runs.

    Attributes:
        station: its name in the configuration.
        running, previous, shadow: digests; "" where there is none.
        order: number of the last order it has dealt with, 0 for none.
        outcome: what became of that: "" (none yet), "trial", "done", "failed" or "returned".
        reason_en, reason_zh: why it failed or returned.
    """

    station: str
    running: str
    previous: str = ""
    shadow: str = ""
    order: int = 0
    outcome: str = ""
    reason_en: str = ""
    reason_zh: str = ""


class ModelsReport(msgspec.Struct, frozen=True):
    """The stations of a box."""

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
