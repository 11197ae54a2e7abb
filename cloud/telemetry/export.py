"""Any span of any series as a file: read page by page, so that memory stays the same however much there is.

Every page is a transaction of its own: a slow reader holds neither a connection nor a snapshot. Tables for people have a
row per instant and a column per point, the time on the site's clock and in UTC; a bad reading is an empty cell. Parquet has
a row per reading with its quality.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.dictionary.service import OWN, entries_of, unit_symbol
from cloud.telemetry.columns import instant
from cloud.telemetry.meanings import UNKNOWN_UNIT
from cloud.telemetry.retained import Retained
from cloud.telemetry.schemas import ExportFormat
from cloud.telemetry.store import arrays, query
from cloud.telemetry.store.arrays import Readings
from protocols.dictionary.entries import Entry
from protocols.text import Language, Text

MAX_SERIES = 200
_PAGE = 50_000  # readings read at once
_CELLS = 2_000_000  # cells of a page of the wide table
_FIRST_SPAN = timedelta(hours=1)
_LONGEST_SPAN = timedelta(days=64)
_SHORTEST_SPAN = timedelta(seconds=1)


class Column(NamedTuple):
    """One series of an export.

    Attributes:
        name: of the dictionary entry, the point's own where it is not mapped.
        unit: what people read.
    """

    series_id: int
    equipment: str
    point: str
    property: str
    name: Text
    unit: str

    def heading(self, language: Language) -> str:
        """Return what stands above the column."""
        name = self.name.to(language)
        words = f"{self.equipment} {name}" + (f" [{self.point}]" if name != self.point else "")
        return f"{words} ({self.unit})" if self.unit else words


class Page(NamedTuple):
    """Readings of some of the span, oldest first; pages part between instants. `until` tells how far it goes."""

    numbers: arrays.Readings
    texts: list[query.Row]
    until: datetime


class Plan(NamedTuple):
    """What is exported: `columns` over [start, end), times on the clock of `zone`, words in `language`."""

    columns: Sequence[Column]
    start: datetime
    end: datetime
    zone: ZoneInfo
    language: Language


class Writer(Protocol):
    """Makes a file of pages; what it gives, in its order, is the file."""

    def write(self, page: Page) -> Iterator[bytes]:
        """Take a page; yield what of the file is ready."""

    def finish(self) -> Iterator[bytes]:
        """Yield the rest."""

    def close(self) -> None:
        """Let go of what is held, the file finished or not."""


class Export:
    """One export of a tenant. Use `plan`, then `file`."""

    def __init__(self, db: Database, scope: TenantScope, retained: Retained) -> None:
        self._db = db
        self._scope = scope
        self._retained = retained

    async def plan(self, series: Sequence[int], start: datetime, end: datetime, language: Language) -> Plan:
        """Return what to export of `series`, times on the clock of the first one's site.

        Raises NotFound for series that are not the tenant's, Invalid for none, too many, or no span.
        """
        wanted = list(dict.fromkeys(series))
        if not wanted:
            raise NotFound
        if len(wanted) > MAX_SERIES:
            raise Invalid(
                Text(
                    f"{len(wanted)} points in one file; choose at most {MAX_SERIES}.",
                    f"一个文件包含 {len(wanted)} 个数据点；最多可选 {MAX_SERIES} 个。",
                )
            )
        if start >= end:
            raise Invalid(Text("The end is not after the start.", "结束时间须晚于开始时间。"))
        async with self._db.tenant(self._scope) as connection:
            known = {row["series_id"]: row for row in await query.select_named_series(connection, wanted)}
            entries = await entries_of(connection, {row["property"] for row in known.values()})
        if any(one not in known for one in wanted):
            raise NotFound
        columns = [_column(known[one], entries.get(known[one]["property"])) for one in wanted]
        return Plan(columns, start, end, ZoneInfo(known[wanted[0]]["time_zone"]), language)

    async def pages(self, plan: Plan) -> AsyncIterator[Page]:
        """Yield the readings of `plan`, from its start to its end."""
        series = [column.series_id for column in plan.columns]
        limit = max(min(_PAGE, _CELLS // len(series)), 1000)
        at, span = plan.start, _FIRST_SPAN
        while at < plan.end:
            until = min(at + span, plan.end)
            texts, numbers, until = await self._db.read(self._scope, partial(self._page, series, (at, until), limit))
            if len(numbers) >= limit:
                until = min(until, instant(int(numbers.time[-1]) + 1))
                texts = [text for text in texts if text["time"] < until]
            found = len(numbers) + len(texts)
            yield Page(numbers, texts, until)
            if found >= limit:
                span = max(span / 2, _SHORTEST_SPAN)
            elif found < limit // 2:
                span = min(span * 2, _LONGEST_SPAN)
            at = until

    async def _page(
        self, series: Sequence[int], span: tuple[datetime, datetime], limit: int, connection: AsyncConnection
    ) -> tuple[list[Row], Readings, datetime]:
        """Return texts, numbers and the end of the part of `span` that has about `limit` of each."""
        at, until = span
        texts = await query.select_texts(connection, series, at, until, limit)
        if len(texts) >= limit:
            until = texts[-1]["time"] + timedelta(microseconds=1)
        return texts, await self._retained.numbers(connection, series, at, until, limit), until

    async def file(
        self, plan: Plan, kind: ExportFormat, progress: Callable[[float], None] = lambda share: None
    ) -> AsyncIterator[bytes]:
        """Yield the file piece by piece; `progress` is told the share of the span that is done."""
        writer = await asyncio.to_thread(_writer, kind, plan)
        try:
            async for page in self.pages(plan):
                for piece in await asyncio.to_thread(list, writer.write(page)):
                    yield piece
                progress((page.until - plan.start) / (plan.end - plan.start))
            pieces = writer.finish()
            while piece := await asyncio.to_thread(next, pieces, b""):
                yield piece
        finally:
            with suppress(OSError):
                writer.close()


class Wide(NamedTuple):
    """A page as a table: row i is of `time[i]`; `cells[j]` is the column j, None where there is nothing usable."""

    time: np.ndarray[tuple[int], np.dtype[np.int64]]
    cells: list[list[float | str | None]]


def widened(page: Page, columns: Sequence[Column]) -> Wide:
    """Return `page` with a row per instant. Readings of one series and instant beyond the first get rows of their own."""
    place = {column.series_id: index for index, column in enumerate(columns)}
    time = np.concatenate([page.numbers.time, np.array([text["us"] for text in page.texts], np.int64)])
    series = np.concatenate([page.numbers.series, np.array([text["series_id"] for text in page.texts], np.int32)])
    if not len(time):
        return Wide(time, [[] for _ in columns])
    order = np.lexsort((series, time))
    time, series = time[order], series[order]
    index = np.arange(len(time))
    begins = np.append(True, (time[1:] != time[:-1]) | (series[1:] != series[:-1]))
    again = index - np.maximum.accumulate(np.where(begins, index, 0))
    by_row = np.lexsort((again, time))
    time, again, order = time[by_row], again[by_row], order[by_row]
    first = np.append(True, (time[1:] != time[:-1]) | (again[1:] != again[:-1]))
    row_of = np.empty(len(order), np.int64)
    row_of[order] = np.cumsum(first) - 1
    table = np.full((len(columns), int(first.sum())), np.nan)
    usable = page.numbers.quality >= 0
    numbers = row_of[: len(page.numbers)]
    column_of = np.array([place[one] for one in page.numbers.series.tolist()], np.int64)
    table[column_of[usable], numbers[usable]] = page.numbers.value[usable]
    cells: list[list[float | str | None]] = [
        [None if value != value else value for value in column.tolist()]  # noqa: PLR0124 - NaN
        for column in table
    ]
    for text, row in zip(page.texts, row_of[len(page.numbers) :].tolist(), strict=True):
        if text["quality"] >= 0:
            cells[place[text["series_id"]]][row] = text["text"]
    return Wide(time[first], cells)


def local_times(
    time: np.ndarray[tuple[int], np.dtype[np.int64]], zone: ZoneInfo
) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Return instants in microseconds UTC as the site's wall clock. Offsets change at quarters of an hour only."""
    quarters, which = np.unique(time // 900_000_000, return_inverse=True)
    offsets = np.array(
        [_offset_us(instant(quarter * 900_000_000), zone) for quarter in quarters.tolist()],
        np.int64,
    )
    return (time + offsets[which]).astype("datetime64[us]")


def _offset_us(time: datetime, zone: ZoneInfo) -> int:
    return (time.astimezone(zone).utcoffset() or timedelta()) // timedelta(microseconds=1)


def _writer(kind: ExportFormat, plan: Plan) -> Writer:
    if kind == "parquet":
        from cloud.telemetry.parquet import ParquetFile  # noqa: PLC0415 - half a second, and not everyone exports

        return ParquetFile(plan)
    if kind == "xlsx":
        from cloud.telemetry.workbook import Workbook  # noqa: PLC0415

        return Workbook(plan)
    from cloud.telemetry.csv_file import CsvFile  # noqa: PLC0415

    return CsvFile(plan)


def headings(plan: Plan) -> list[str]:
    """Return the first row of a table."""
    clock = Text(f"Time ({plan.zone.key})", f"时间 ({plan.zone.key})")
    utc = Text("Time (UTC)", "时间 (UTC)")
    return [clock.to(plan.language), utc.to(plan.language), *(one.heading(plan.language) for one in plan.columns)]


def _column(row: query.Row, entry: Entry | None) -> Column:
    name = entry.name if entry else Text(row["name"], row["name"])
    return Column(
        row["series_id"], row["equipment"], row["name"], row["property"], name, unit_symbol(unit_of(row, entry))
    )


def unit_of(row: query.Row, entry: Entry | None) -> str:
    """Return the unit of a series; one that its agent does not know is that of the company's own entry."""
    own = entry if entry and row["property"].startswith(OWN) else None
    return own.unit if own and row["unit"] == UNKNOWN_UNIT else str(row["unit"])


MEDIA: dict[ExportFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
