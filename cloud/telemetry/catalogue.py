"""Which points there are: by number, by what they mean, and found by what people type - never more of them than are shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import TypeVar
from uuid import UUID

from cloud.core.db import AsyncConnection, Database
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.core.search import rank, words_of
from cloud.dictionary.service import entries_of, unit_symbol
from cloud.telemetry.export import unit_of
from cloud.telemetry.schemas import Point
from cloud.telemetry.store import query as store
from protocols.dictionary.entries import Entry

_NOT = 2**20
"""Rank of what a word does not describe."""

K = TypeVar("K")

_Kind = tuple[str, str]
"""A point's own name and the code of its entry: a plant has thousands of points and few kinds of them."""
_Named = tuple[int, UUID, str, str]
"""Series, machine, and the kind."""
_Machine = tuple[UUID, str, str, str | None]
"""Id, label, site and line."""
_Ranks = Sequence[tuple[Mapping[_Kind, int], Mapping[UUID, int]]]


class _Described:
    """Kinds of points and the machines of a company, by name in either language, machine, own name, code, site and line.

    A word is compared with each kind of point and with each machine once, not with each point.
    """

    def __init__(self, kinds: Iterable[_Kind], machines: Sequence[_Machine], entries: Mapping[str, Entry]) -> None:
        self.machines = {
            machine: (place, ((2, label), (5, site), (6, line or "")))
            for place, (machine, label, site, line) in enumerate(machines)
        }
        self.kinds: dict[_Kind, tuple[tuple[int, str], ...]] = {}
        for kind in kinds:
            entry = entries.get(kind[1])
            names = ((0, entry.name.en), (1, entry.name.zh)) if entry else ()
            if entry is None or entry.data_type != "STRING":
                self.kinds[kind] = (*names, (3 if entry else 0, kind[0]), (4, kind[1]))

    def ranks(self, words: Sequence[str]) -> _Ranks:
        """Return how far each word is from each kind, and from each machine."""
        return [
            (
                {kind: _ranked(word, texts) for kind, texts in self.kinds.items()},
                {machine: _ranked(word, texts) for machine, (_, texts) in self.machines.items()},
            )
            for word in words
        ]

    def best(self, points: Iterable[_Named], ranks: _Ranks, most: int) -> list[int]:
        """Return at most `most` series of `points` that every word describes, best first."""
        found = []
        for series, machine, name, code in points:
            kind = (name, code)
            if kind not in self.kinds or machine not in self.machines:
                continue
            far = sum(min(kinds[kind], machines[machine]) for kinds, machines in ranks)
            if far < _NOT:
                found.append((far, self.machines[machine][0], name, series))
        return [series for *_, series in nsmallest(most, found)]


class PointIndex:
    """The points of a company, found by what people type."""

    def __init__(self, points: Sequence[_Named], machines: Sequence[_Machine], entries: Mapping[str, Entry]) -> None:
        self._points = points
        self._described = _Described({(name, code) for *_, name, code in points}, machines, entries)

    def find(self, typed: str, most: int) -> list[int]:
        """Return at most `most` series that every word of `typed` describes, best first; none where nothing is typed."""
        words = words_of(typed)
        return self._described.best(self._points, self._described.ranks(words), most) if words else []


class Catalogue:
    """The points of a tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def index(self, scope: TenantScope) -> PointIndex:
        """Return what finds points by what people type, to ask it often; of 20 000 it takes about 3 MB."""
        async with self._db.tenant(scope) as connection:
            points = await store.select_point_names(connection)
            machines = await store.select_machine_names(connection)
            entries = await entries_of(connection, {code for *_, code in points})
        return PointIndex(points, machines, entries)

    async def find(self, scope: TenantScope, typed: str, most: int, equipment_id: UUID | None = None) -> list[Point]:
        """Return at most `most` points, of one machine or of all, that every word of `typed` describes, best first.

        It finds what `index` does; only points that a kind or a machine suggests are read.
        """
        words = words_of(typed)
        if not words:
            return []
        async with self._db.tenant(scope) as connection:
            kinds = await store.select_point_kinds(connection, equipment_id)
            machines = await store.select_machine_names(connection)
            described = _Described(kinds, machines, await entries_of(connection, {code for _, code in kinds}))
            ranks = described.ranks(words)
            near = [(_near(of_kinds), _near(of_machines)) for of_kinds, of_machines in ranks]
            points = await store.select_point_names(connection, equipment_id, near)
        return await self.of(scope, described.best(points, ranks, most))

    async def of(self, scope: TenantScope, series: Sequence[int]) -> list[Point]:
        """Return those of `series` that are current points of the tenant, in their order."""
        async with self._db.tenant(scope) as connection:
            found = await points_within(connection, await store.select_points_of(connection, series))
        known = {one.series_id: one for one in found}
        return [known[one] for one in series if one in known]

    async def each_meaning(self, scope: TenantScope) -> list[Point]:
        """Return a point of each meaning that any has, by its code: what can be asked for by meaning."""
        async with self._db.tenant(scope) as connection:
            return await points_within(connection, await store.select_each_meaning(connection))

    async def meaning(
        self, scope: TenantScope, entries: Collection[str], equipment_class: str | None, most: int
    ) -> list[int]:
        """Return at most `most` series that mean one of `entries`, in their order, of one class of machines or of all."""
        async with self._db.tenant(scope) as connection:
            return await store.select_meaning(connection, list(entries), equipment_class, most)


async def points_within(connection: AsyncConnection, rows: Sequence[Row]) -> list[Point]:
    """Return the points of `rows`, with what the dictionary says of them."""
    entries = await entries_of(connection, {row["property"] for row in rows})
    return [_point(row, entries.get(row["property"])) for row in rows]


def _near(ranks: Mapping[K, int]) -> list[K]:
    return [one for one, far in ranks.items() if far < _NOT]


def _ranked(word: str, texts: Iterable[tuple[int, str]]) -> int:
    found = rank(word, texts)
    return _NOT if found is None else found


def _point(row: Row, entry: Entry | None) -> Point:
    unit = unit_of(row, entry)
    return Point(
        **row | {"unit": unit},
        name_en=entry.name.en if entry else row["name"],
        name_zh=entry.name.zh if entry else row["name"],
        unit_symbol=unit_symbol(unit),
        data_type=entry.data_type if entry else None,
        aggregation=entry.aggregation if entry else "avg",
        values={value: name._asdict() for value, name in entry.values.items()} if entry else {},
    )
