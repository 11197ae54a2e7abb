"""Which picture a fit learns from and which only judges it: by the part it shows, the same in every fit.

A model judged by parts it has learnt from looks better than it is, and so does one of two versions if a part moves from
the judging to the learning side between them. So a part's side follows from its name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

HELD_BACK_ONE_IN = 6
"""One good part in so many is held back."""

Use = Literal["learn", "held_good", "held_bad"]


class Candidate(NamedTuple):
    """A picture there is: uploaded (`digest`), or of an inspection; what it shows, whether the part is good, and else what is wrong."""

    part: str
    good: bool
    digest: str | None
    inspection_id: str | None = None
    defect: str = ""


class Chosen(msgspec.Struct, frozen=True):
    """A picture of a fit: its content by SHA-256, where it lies, what it is used for, and what is wrong with the part."""

    digest: str
    part: str
    use: Use
    inspection: str | None = None
    defect: str = ""


class Chosens(NamedTuple):
    """The pictures of a fit."""

    learn: list[Candidate]
    held_good: list[Candidate]
    held_bad: list[Candidate]


def held_back(part: str) -> bool:
    """Return whether a good part of this name judges and is never learnt from."""
    return int.from_bytes(sha256(part.encode()).digest()[:8], "big") % HELD_BACK_ONE_IN == 0


def choose(candidates: Iterable[Candidate]) -> Chosens:
    """Return what each picture is used for. A part of which one picture is a defect is not learnt from.

    Where a picture is there twice, the last of `candidates` counts.
    """
    latest = {each.digest or each.inspection_id: each for each in candidates}.values()
    spoilt = {each.part for each in latest if not each.good}
    chosen = Chosens([], [], [])
    for each in latest:
        if not each.good:
            chosen.held_bad.append(each)
        elif held_back(each.part):
            chosen.held_good.append(each)
        elif each.part not in spoilt:
            chosen.learn.append(each)
    return chosen


def listed(chosen: Chosens) -> list[Chosen]:
    """Return the pictures for a task description; all need their digest."""
    sides: tuple[tuple[Use, list[Candidate]], ...] = (
        ("learn", chosen.learn),
        ("held_good", chosen.held_good),
        ("held_bad", chosen.held_bad),
    )
    return [
        Chosen(each.digest or "", each.part, use, each.inspection_id, each.defect)
        for use, candidates in sides
        for each in candidates
    ]
