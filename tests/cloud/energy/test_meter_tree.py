"""Which meters measure what, told of any trees as the words of it say - without a database."""

from __future__ import annotations

from random import Random
from uuid import UUID

from cloud.energy.meter_tree import Forest, Place, with_parts
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
    for _ in range(200):
        meters = [
            meter(number, random.choice([*MACHINES, None]), random.choice([None, *range(number)]))
            for number in range(8)
        ]
        turns = {
            one.id: [one.model_copy(update={"id": UUID(int=1000 * (turn + 1) + number), "equipment_id": machine})
                     for turn, machine in enumerate(random.sample(MACHINES, 2))]
            for number, one in enumerate(meters) if random.random() < 0.3
        }  # fmt: skip
        forest = Forest(meters, {machine: Place(SITE, random.choice(LINES)) for machine in MACHINES}, turns)
        known = {one.id: one for one in meters}

        def above(one: Meter, known: dict[UUID, Meter] = known) -> list[Meter]:
            return [known[one.parent_id], *above(known[one.parent_id])] if one.parent_id else []

        for machine in MACHINES:
            measuring = {
                one.id: [turn for turn in turns.get(one.id, [one]) if turn.equipment_id == machine] for one in meters
            }
            topmost = [
                turn
                for one in meters
                if not any(measuring[each.id] for each in above(one))
                for turn in measuring[one.id]
            ]
            assert forest.of_equipment(machine) == topmost


def test_a_computed_meter_is_wanted_with_all_it_is_computed_from() -> None:
    known = {one.id: one for one in (meter(0), meter(1), meter(2, parts=(0, 5)), meter(3, parts=(2,)), meter(4))}
    assert with_parts(known, [UUID(int=103), UUID(int=999)]) == {UUID(int=100 + number) for number in (0, 2, 3)}
