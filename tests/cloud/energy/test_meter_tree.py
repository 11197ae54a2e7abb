"""Which meters measure what, told of any trees as the words of it say - without a database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from uuid import UUID

from cloud.energy.meter_tree import Era, Forest, Place, with_parts
from cloud.energy.schemas import Meter, MeterPart

SITE = UUID(int=1)
LINES = [UUID(int=2), UUID(int=3), None]
MACHINES = [UUID(int=10 + number) for number in range(4)]


def meter(number: int, equipment: UUID | None = None, parent: int | None = None, parts: tuple[int, ...] = ()) -> Meter:
    return Meter.model_construct(
        id=UUID(int=100 + number), basis="virtual" if parts else "counter", equipment_id=equipment, line_id=None, ignored=False,
        parent_id=None if parent is None else UUID(int=100 + parent),
        parts=[MeterPart(meter_id=UUID(int=100 + part), factor=1) for part in parts],
    )  # fmt: skip


def test_a_machines_meters_are_the_topmost_that_measure_it_in_any_trees() -> None:
    random = Random(3)
    hours = [datetime(2026, 11, 28, hour, tzinfo=UTC) for hour in range(4)]
    for _ in range(200):
        eras = []
        for begin, end in pairwise(hours[: random.randint(2, 4)]):
            meters = [
                meter(number, random.choice([*MACHINES, None]), random.choice([None, *range(number)]))
                for number in range(8)
            ]
            eras.append(Era(begin, end, {one.id: one for one in meters}))
        forest = Forest(eras, {machine: Place(SITE, random.choice(LINES)) for machine in MACHINES})

        def above(one: Meter, known: Mapping[UUID, Meter]) -> list[Meter]:
            return [known[one.parent_id], *above(known[one.parent_id], known)] if one.parent_id else []

        for machine in MACHINES:
            topmost: dict[UUID, list[int]] = {}
            for number, era in enumerate(eras):
                for one in era.meters.values():
                    higher = [each.equipment_id for each in above(one, era.meters)]
                    if one.equipment_id == machine and machine not in higher:
                        topmost.setdefault(one.id, []).append(number)
            found = forest.of_equipment(machine)
            assert {
                part.meter_id: list(part.eras) for part in map(forest.part_of, (one.id for one in found))
            } == topmost
            assert len({one.id for one in found}) == len(found) == len(topmost)


def test_a_computed_meter_is_wanted_with_all_it_is_computed_from() -> None:
    known = {one.id: one for one in (meter(0), meter(1), meter(2, parts=(0, 5)), meter(3, parts=(2,)), meter(4))}
    assert with_parts(known, [UUID(int=103), UUID(int=999)]) == {UUID(int=100 + number) for number in (0, 2, 3)}
