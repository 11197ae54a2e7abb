"""Figures that are put together without the whole report are those of the report, to the bit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID

from cloud.production.figures import Question, Reasons, Recorded, by_month, good_parts, of_shift, report
from cloud.production.places import Machine
from cloud.production.record import ShiftRecord
from cloud.production.schemas import Granularity, Node
from cloud.production.time_elements import TimeElements
from protocols.text import Text

SITE = UUID(int=1)
MACHINES = [Machine(UUID(int=10 + number), f"press-{number}", SITE, None) for number in range(4)]
FIRST, LAST = date(2026, 1, 1), date(2026, 3, 31)
HOUR_US = 3_600_000_000


def recorded(random: Random, machine: Machine) -> Recorded:
    day = FIRST + timedelta(days=random.randrange(90))
    start = datetime(day.year, day.month, day.day, 8 * random.randrange(3), tzinfo=UTC)
    producing, unknown = random.randrange(6 * HOUR_US), random.randrange(HOUR_US)
    times = TimeElements(shift=8 * HOUR_US, breaks=random.choice([0, HOUR_US]), producing=producing, unknown=unknown)
    total = random.uniform(0, 500)
    record = ShiftRecord(
        times=times,
        total=random.choice([total, total, None]),
        good=random.choice([0.9 * total, 0.9 * total, None]),
        late=random.uniform(0, 5),
        late_good=random.uniform(0, 4),
        problems=random.choice([frozenset(), frozenset(), frozenset({"no_state"})]),
    )
    return Recorded(machine.id, day, Text("A", "A"), start, start + timedelta(hours=8), record)


def test_good_parts_and_months_of_machines_are_those_of_their_report() -> None:
    random, known = Random(5), 0
    for _ in range(30):
        found = [recorded(random, machine) for machine in MACHINES[:3] for _ in range(random.randrange(1, 9))]

        def told(
            granularity: Granularity,
            machine: Machine | None = None,
            found: list[Recorded] = found,
            *,
            each: bool = True,
        ):
            node = Node(kind="equipment", id=machine.id) if machine else Node(kind="site", id=SITE)
            own = [one for one in found if machine is None or one.equipment_id == machine.id]
            machines = [machine] if machine else MACHINES
            return report(Question(node, FIRST, LAST, granularity, each), machines, own, Reasons({}, {}))

        assert good_parts(found) == {row.equipment_id: row.good for row in told("total").machines}
        months = by_month(found)
        assert months.keys() == {one.equipment_id for one in found}
        for machine in MACHINES[:3]:
            rows = {row.first_day: (row.good, row.kpis["availability"].value) for row in told("month", machine).rows}
            assert months[machine.id] == rows
            known += sum(None not in each for each in rows.values())
        start = found[0].start
        rows = [(machine, row) for machine in MACHINES for row in told("shift", machine).rows if row.start == start]
        assert of_shift(start, MACHINES, found, Reasons({}, {})) == [
            row.model_copy(update={"equipment_id": machine.id, "equipment": machine.name}) for machine, row in rows
        ]
        shorter = told("day", each=False)
        assert shorter.machines == []
        assert shorter == told("day").model_copy(update={"machines": []})
    assert known > 20
