"""The buffer's file: SQLite in WAL mode with synchronous=FULL, so that a commit that returned survives a power cut.

What a damaged disk may do to it is found in three ways: SQLite's own checks, a CRC over each frame with its number, and
a CRC over the state row (identity and counters). `Damaged` tells the owner to set the file aside.

One thread at a time. Sizes in bytes, times in microseconds UTC; "rows" are readings.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import msgspec

from edge_agent.atomic_file import sync
from edge_agent.buffer_state import Gap, Group, Settled, State, Stats, by_count, by_size
from edge_agent.normalise import Mark
from protocols.reading import now_us
from protocols.uplink.codec import columns_of, encode
from protocols.uplink.messages import LANES, Batch, Frame, Verdict

TAKEN_REMEMBERED = 100_000
"""How many ids of inspections are remembered, so that the file stays bounded."""
FRAME_OVERHEAD = 80
"""What a frame takes besides its payload, bytes: its columns and its entry in the index."""
OUTDATED_AT_ONCE = 500
"""How many frames one commit drops for their age, so that none takes long."""

GAPS = "history gaps"
"""Where the table of marks keeps gaps: no device has a space in its name, and an agent before this one still reads the file."""

_QUALITY, _EVENTS, _TELEMETRY = range(len(LANES))
_SCHEMA = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), packed BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE frame (seq INTEGER PRIMARY KEY, lane INTEGER NOT NULL, rows INTEGER NOT NULL, time INTEGER NOT NULL,
                    size INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE INDEX frame_by_lane ON frame (lane, seq, rows, size, time);
CREATE TABLE aside (seq INTEGER PRIMARY KEY, rows INTEGER NOT NULL, reason TEXT NOT NULL, payload BLOB);
CREATE TABLE mark (device TEXT, point TEXT, packed BLOB NOT NULL, PRIMARY KEY (device, point)) WITHOUT ROWID;
CREATE TABLE taken (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
PRAGMA user_version = 1;
"""
FRAME = "seq, lane, rows, time, CAST(payload AS BLOB), crc"
"""The columns that `intact` judges. CAST: a flipped bit may call the payload a text, which would be decoded."""
_CHECKED_AT_OPEN = 64 * 1024 * 1024
"""Files up to this size are checked wholly when opened; larger ones are found damaged where they are touched."""


class Damaged(Exception):
    """The file's content cannot be trusted."""


class BufferFile:
    """An open buffer file.

    Args:
        path: where it is; made with a new epoch if absent.
        limit: largest size on disk, write-ahead log included.
        age: longest time that telemetry waits, microseconds; None for any time.

    Raises Damaged, sqlite3.Error or OSError.
    """

    def __init__(self, path: Path, limit: int, age: int | None = None) -> None:
        # What an agent killed in mid-commit left unsynced will be read as committed: first make that true.
        with suppress(FileNotFoundError):
            sync(Path(f"{path}-wal"))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._page = int(self._pragma("page_size"))
            self.set_limits(limit, age)
            if self._pragma("user_version") == 0:
                self._create()
            else:
                _check(self._db, wholly=self._pragma("page_count") * self._page <= _CHECKED_AT_OPEN)
            self.state = read_state(self._db)
            frames, rows = self._db.execute("SELECT count(*), total(rows) FROM frame").fetchone()
            self.state.frames, self.state.rows = frames, int(rows)
        except BaseException:
            self._db.close()
            raise
        self._live_after = self.state.seq
        self._written_rows = self._written_bytes = 0

    def write(self, group: Group) -> int:
        """Commit `group`; return how many rows were dropped to stay within the limit. On any error nothing changed."""
        with self._transaction() as state:
            state.collected += group.lost
            state.dropped += group.lost
            for settled in group.settled:
                self._settle(state, settled)
            for count, gathered in by_count(group.rows):
                self._insert(state, _TELEMETRY, count, Batch(columns=gathered.columns(), texts=gathered.texts))
            for inspections in by_size([item for item in group.inspections if self._take_id(item[0].id)]):
                rows = [row for _, readings in inspections for row in readings]
                columns, texts = columns_of(rows)
                batch = Batch(columns=columns, texts=texts, inspections=[item for item, _ in inspections])
                self._insert(state, _QUALITY, len(rows), batch)
                state.inspections += len(inspections)
            if group.opinions:  # in the lane of their inspections, behind them
                self._insert(state, _QUALITY, 0, Batch(opinions=group.opinions))
            if group.events:
                self._insert(state, _EVENTS, 0, Batch(events=group.events))
                state.events += len(group.events)
            self._db.executemany(
                "INSERT INTO mark VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET packed = excluded.packed",
                [
                    *((ref.device, ref.name, msgspec.msgpack.encode(mark)) for ref, mark in group.marks.items()),
                    *((GAPS, device, msgspec.msgpack.encode(gaps)) for device, gaps in group.gaps.items()),
                ],
            )
            return self._make_room(state)

    def adopt(self, epoch: str, frames: Sequence[tuple[Any, ...]]) -> None:
        """Take frames, as columns `FRAME`, that another file held under `epoch`; for a buffer that has none of its own."""
        with self._transaction() as state:
            state.epoch = epoch
            for seq, lane, rows, time, payload, crc in frames:
                self._db.execute(
                    "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (seq, lane, rows, time, len(payload), crc, payload),
                )
                state.seq, state.frames = max(state.seq, seq), state.frames + 1
                state.rows, state.collected = state.rows + rows, state.collected + rows

    def take(self, most: int) -> list[Frame]:
        """Return frames to send, about `most` bytes, in the order of their numbers.

        First what was committed since the last call, up to seven eighths of `most`, so that live values do not wait
        behind a backlog; then the backlog, oldest first, lane by lane. Frames that fail their CRC are set aside.
        """
        chosen = self._choose("seq > ? ORDER BY seq DESC", (self._live_after,), most * 7 // 8, set())
        self._live_after = self.state.seq
        room = most - sum(chosen.values())
        for lane in range(len(LANES)):
            more = self._choose("lane = ? ORDER BY seq", (lane,), room, set(chosen))
            chosen |= more
            room -= sum(more.values())
        frames, broken = [], []
        for seq in sorted(chosen):
            row = self._db.execute(f"SELECT {FRAME} FROM frame WHERE seq = ?", (seq,)).fetchone()  # noqa: S608 - our own text
            if row is None:
                raise Damaged(f"frame {seq} is in the index only")
            if intact(row):
                frames.append(Frame(seq, row[4]))
            else:
                broken.append(Verdict(seq, "damaged on disk"))
        if broken:
            self.settle(Settled(self.state.epoch, [], broken))
        return frames

    def postpone(self) -> None:
        """Count all that waits as backlog; to be called when a delivery failed."""
        self._live_after = self.state.seq

    def settle(self, settled: Settled) -> None:
        """Forget the frames the cloud has stored and set aside those it refused; of another epoch's it says nothing."""
        with self._transaction() as state:
            self._settle(state, settled)

    def marks(self, device: str) -> dict[str, Mark]:
        """Return the marks of a device by point name."""
        rows = self._db.execute("SELECT point, packed FROM mark WHERE device = ?", (device,))
        try:
            return {point: msgspec.msgpack.decode(packed, type=Mark) for point, packed in rows}
        except (msgspec.MsgspecError, TypeError) as error:
            raise Damaged(str(error)) from error

    def gaps(self, device: str) -> list[Gap]:
        """Return what was left to fetch of a device's history."""
        row = self._db.execute("SELECT packed FROM mark WHERE device = ? AND point = ?", (GAPS, device)).fetchone()
        try:
            return [] if row is None else msgspec.msgpack.decode(row[0], type=list[Gap])
        except (msgspec.MsgspecError, TypeError) as error:
            raise Damaged(str(error)) from error

    def stats(self) -> Stats:
        """Return the counters and what waits."""
        return stats_of(self._db, self.state, self._limit, self._bytes_per_row())

    def set_limits(self, limit: int, age: int | None) -> None:
        """Keep to another largest size and age from the next write on."""
        self._limit, self._age = limit, age
        # Nine tenths for the file and a twentieth for the log leave room for one group.
        self._allowed_pages = limit * 9 // 10 // self._page
        self._db.execute(f"PRAGMA wal_autocheckpoint = {min(max(limit // 20 // self._page, 16), 1000)}")

    def close(self) -> None:
        """Close the file; SQLite folds the write-ahead log into it."""
        self._db.close()

    def _pragma(self, name: str) -> Any:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    def _create(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";")[:-1]:
            self._db.execute(statement)
        self._save(State(epoch=str(uuid4())))
        self._db.execute("COMMIT")

    @contextmanager
    def _transaction(self) -> Iterator[State]:
        """Run a block as one transaction on a copy of the state, which becomes the state when it is on disk."""
        state = msgspec.structs.replace(self.state)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield state
            self._save(state)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.state = state

    def _save(self, state: State) -> None:
        packed = msgspec.msgpack.encode(state)
        self._db.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (packed, crc32(packed)))

    def _insert(self, state: State, lane: int, rows: int, batch: Batch) -> None:
        """Add a frame. Its number is never used again in this epoch, whatever becomes of the frame."""
        state.seq += 1
        state.collected += rows
        state.frames += 1
        state.rows += rows
        payload, time = encode(batch), now_us()
        self._written_rows += rows
        self._written_bytes += _on_disk(len(payload) + FRAME_OVERHEAD, self._page)
        self._db.execute(
            "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?)",
            (state.seq, lane, rows, time, len(payload), _crc(state.seq, lane, rows, time, payload), payload),
        )

    def _settle(self, state: State, settled: Settled) -> None:
        if settled.epoch != state.epoch:
            return
        for seq in settled.stored:
            self._remove(state, seq)
        for verdict in settled.refused:
            state.frames_set_aside += self._db.execute(
                "INSERT OR REPLACE INTO aside SELECT seq, rows, ?, payload FROM frame WHERE seq = ?",
                (verdict.reason, verdict.seq),
            ).rowcount
            state.set_aside += self._remove(state, verdict.seq)

    def _bytes_per_row(self) -> float:
        return self._written_bytes / self._written_rows if self._written_rows else 0.0

    def _remove(self, state: State, seq: int) -> int:
        """Delete a frame, if it is there, and return its rows."""
        found = self._db.execute("SELECT rows FROM frame WHERE seq = ?", (seq,)).fetchone()
        if found is None:
            return 0
        self._db.execute("DELETE FROM frame WHERE seq = ?", (seq,))
        state.frames -= 1
        state.rows -= found[0]
        return int(found[0])

    def _take_id(self, inspection: str) -> bool:
        """Remember an inspection's id; False if it was taken before."""
        new = self._db.execute("INSERT OR IGNORE INTO taken (id) VALUES (?)", (inspection,)).rowcount == 1
        if new:
            self._db.execute(
                "DELETE FROM taken WHERE number <= (SELECT max(number) FROM taken) - ?", (TAKEN_REMEMBERED,)
            )
        return new

    def _choose(self, where: str, values: tuple[int, ...], most: int, without: set[int]) -> dict[int, int]:
        """Return numbers and sizes of frames, as many as `most` bytes hold, or the first one if it alone is larger."""
        chosen: dict[int, int] = {}
        if most <= 0:
            return chosen
        for seq, size in self._db.execute(f"SELECT seq, size FROM frame WHERE {where}", values):  # noqa: S608 - our own text
            if seq in without:
                continue
            if chosen and size > most:
                break
            chosen[seq] = size
            most -= size
        return chosen

    def _make_room(self, state: State) -> int:
        """Drop telemetry that is too old; then, until the file fits, refused frames and the oldest of the last lane."""
        before = state.dropped
        for seq in self._outdated():
            state.dropped += self._remove(state, seq)
        while self._used_pages() > self._allowed_pages:
            if self._db.execute("DELETE FROM aside WHERE seq = (SELECT min(seq) FROM aside)").rowcount:
                continue
            (oldest,) = self._db.execute(
                "SELECT min(seq) FROM frame WHERE lane = (SELECT max(lane) FROM frame)"
            ).fetchone()
            if oldest is None:
                break
            state.dropped += self._remove(state, oldest)
        if self._pragma("page_count") > self._allowed_pages:
            self._db.execute("PRAGMA incremental_vacuum(256)").fetchall()
        return state.dropped - before

    def _outdated(self) -> list[int]:
        if self._age is None:
            return []
        cutoff = now_us() - self._age
        oldest = self._db.execute(
            "SELECT seq, time FROM frame WHERE lane = ? ORDER BY seq LIMIT ?", (_TELEMETRY, OUTDATED_AT_ONCE)
        )
        return [seq for seq, _ in takewhile(lambda row: row[1] < cutoff, oldest)]

    def _used_pages(self) -> int:
        return int(self._pragma("page_count") - self._pragma("freelist_count"))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a buffer for reading only; another process may be using it."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        yield db
    finally:
        db.close()


def stats_of(db: sqlite3.Connection, state: State, limit: int, bytes_per_row: float = 0.0) -> Stats:
    """Return the statistics of an open file."""
    first = db.execute("SELECT time FROM frame ORDER BY seq LIMIT 1").fetchone()
    pages, free, page = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    oldest = first[0] if first else 0
    return Stats(state, state.frames, state.rows, (pages - free) * page, limit, oldest, bytes_per_row)


def read_state(db: sqlite3.Connection) -> State:
    """Return identity and counters; raises Damaged if they are not as they were written."""
    row = db.execute("SELECT packed, crc FROM state").fetchone()
    if row is None or not isinstance(row[0], bytes) or crc32(row[0]) != row[1]:
        raise Damaged("the state row does not match its CRC")
    return msgspec.msgpack.decode(row[0], type=State)


def _on_disk(size: int, page: int) -> int:
    """Return what a row of `size` bytes takes: its share of a page with as many of its like, or whole pages."""
    return page // (page // size) if size <= page else -(-size // page) * page


def _check(db: sqlite3.Connection, *, wholly: bool) -> None:
    """Raise Damaged if the tables are not ours, or, where it is looked at `wholly`, anything else is wrong.

    What is written into a file that is found damaged later is set aside with it.
    """
    tables = "SELECT name, sql FROM sqlite_schema ORDER BY name"
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_SCHEMA)
        if db.execute(tables).fetchall() != model.execute(tables).fetchall():
            raise Damaged("its tables are not as they were made")
    # Not quick_check, which looks at no index.
    if wholly and (found := db.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        raise Damaged(found)


def _crc(seq: int, lane: int, rows: int, time: int, payload: bytes) -> int:
    return crc32(payload, crc32(b"%d %d %d %d" % (seq, lane, rows, time)))


def intact(row: tuple[Any, ...]) -> bool:
    """Whether the columns `FRAME` of a row are as they were written."""
    seq, lane, rows, time, payload, crc = row
    if not all(isinstance(number, int) for number in (seq, lane, rows, time)):
        raise Damaged(f"frame {seq} is not a frame")
    return isinstance(payload, bytes) and _crc(seq, lane, rows, time, payload) == crc
