"""What a person can do with a buffer's file besides running the agent: look at it, verify it, salvage a damaged one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from edge_agent.buffer import FILE
from edge_agent.buffer_file import FRAME, BufferFile, Damaged, intact, read_state, reading, stats_of
from edge_agent.buffer_state import State, Stats
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Text

SALVAGED = "salvaged"
"""Folder of the state directory for what was rescued, one buffer per damaged file."""

_PAGE = 4096
"""Size of SQLite's pages, its default."""
_NO_LIMIT = 1 << 50
_AT_ONCE = 1000
"""Frames that one commit rescues."""
_MOST_BETWEEN = 1_000_000
"""How many numbers are tried one by one in the gap that damage leaves between both ends."""


def peek(path: Path) -> Stats:
    """Return the statistics of a buffer another process may be using; raises SunmaoError if it is damaged."""
    try:
        with reading(path) as db:
            being_made = db.execute("SELECT 1 FROM sqlite_schema").fetchone() is None
            return stats_of(db, read_state(db), 0) if not being_made else Stats(State(epoch=""), 0, 0, 0, 0, 0)
    except (sqlite3.Error, Damaged, UnicodeError) as error:
        raise SunmaoError(
            Text(f"the buffer cannot be read: {error}", f"无法读取缓存：{error}"),
            Text("the agent sets a damaged buffer aside when it starts", "代理启动时会将损坏的缓存另存"),
            key=str(path),
        ) from error


def verify(path: Path, progress: Callable[[int, int], None]) -> list[str]:
    """Check structure and every frame of a buffer another process may be using; return what is wrong, in English.

    `progress(done, total)` is called for every frame.
    """
    try:
        with reading(path) as db:
            wrong = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            read_state(db)
            total = db.execute("SELECT count(*) FROM frame").fetchone()[0]
            frames = db.execute(f"SELECT {FRAME} FROM frame ORDER BY seq")  # noqa: S608 - our own text
            for done, row in enumerate(frames, 1):
                if not intact(row):
                    wrong.append(f"frame {row[0]}: content does not match its CRC")
                progress(done, total)
            return wrong
    except (sqlite3.Error, Damaged, UnicodeError) as error:
        return [str(error)]


class Salvage(msgspec.Struct, frozen=True):
    """What became of a damaged buffer.

    Attributes:
        source, into: the damaged file, and the folder of the buffer that now holds what could be read.
        frames, rows: what was rescued.
        lost_frames: frames that are known to have been there and cannot be read.
        lost_rows: readings known to have waited and not rescued; None where the file no longer says how many there were.
        epoch_kept: the buffer's identity was readable, so that the cloud recognises what it has stored before.
    """

    source: str
    into: str
    frames: int
    rows: int
    lost_frames: int
    lost_rows: int | None
    epoch_kept: bool

    @property
    def whole(self) -> bool:
        """Whether nothing was lost."""
        return not self.lost_frames and self.lost_rows == 0 and self.epoch_kept


def salvage(source: Path, into: Path, progress: Callable[[int, int], None]) -> Salvage:
    """Put every frame of the buffer `source` whose checksum is right into a new buffer in the folder `into`.

    Frames keep their numbers, and the buffer its epoch where that can be read, so that what the cloud has already is
    recognised. `source` is not touched. `progress(done, total)` is called for every number tried. Raises ConfigError if
    `into` exists or cannot be written, or nothing of `source` can be read.
    """
    try:
        into.mkdir(parents=True)
        with TemporaryDirectory(dir=into) as work:
            copy = Path(work) / "copy.db"
            for suffix in ("", "-wal"):
                if Path(f"{source}{suffix}").exists():
                    shutil.copyfile(f"{source}{suffix}", f"{copy}{suffix}")
            return _salvaged(copy, source, into, progress)
    except SunmaoError:
        shutil.rmtree(into)
        raise
    except FileExistsError as error:
        raise ConfigError(
            Text("has been salvaged already", "此前已抢救过"),
            Text(f"see {into}, or remove that folder first", f"请查看 {into}，或先删除该文件夹"),
            key=str(source),
        ) from error
    except OSError as error:
        raise ConfigError(
            Text(f"cannot be salvaged: {error.strerror or error}", f"无法抢救：{error.strerror or error}"),
            Text("free some space on this disk", "请在该磁盘上腾出空间"),
            key=str(error.filename or source),
        ) from error


def _salvaged(copy: Path, source: Path, into: Path, progress: Callable[[int, int], None]) -> Salvage:
    db = _opened(copy, source)
    file = BufferFile(into / FILE, _NO_LIMIT)
    try:
        state = _tried(lambda: read_state(db))
        epoch = state.epoch if state else file.state.epoch
        numbers = sorted(_numbers(db))
        if state is None and not numbers:
            raise _unreadable(source)
        rescued, rows = 0, 0
        for start in range(0, len(numbers), _AT_ONCE):
            part = [row for seq in numbers[start : start + _AT_ONCE] if (row := _frame(db, seq)) is not None]
            file.adopt(epoch, part)
            rescued, rows = rescued + len(part), rows + sum(row[2] for row in part)
            progress(min(start + _AT_ONCE, len(numbers)), len(numbers))
    finally:
        file.close()
        db.close()
    lost = max(len(numbers) - rescued, (state.frames if state else 0) - rescued)
    lost_rows = max(state.rows - rows, 0) if state else None
    return Salvage(str(source), str(into), rescued, rows, lost, lost_rows, state is not None)


def _opened(copy: Path, source: Path) -> sqlite3.Connection:
    """Open a damaged file, if need be with the first page of a whole one: the schema is the same in all of them."""
    for mended in (False, True):
        if mended:
            _replace_first_page(copy)
        db = sqlite3.connect(copy, isolation_level=None)
        try:
            db.execute("SELECT seq FROM frame LIMIT 0").fetchall()
        except sqlite3.Error:
            db.close()
        else:
            return db
    raise _unreadable(source)


def _unreadable(source: Path) -> SunmaoError:
    return SunmaoError(
        Text("nothing can be read: this is no buffer any more", "无法读取：文件已不再是缓存"),
        Text("it is left as it is", "文件保持原样"),
        key=str(source),
    )


def _replace_first_page(path: Path) -> None:
    """Put the header and the schema of a new buffer on the first page (file format of SQLite, 1.3)."""
    fresh = path.with_name("fresh.db")
    BufferFile(fresh, _NO_LIMIT).close()
    page = bytearray(fresh.read_bytes()[:_PAGE])
    page[28:32] = (path.stat().st_size // _PAGE).to_bytes(4, "big")  # size in pages
    page[32:40] = bytes(8)  # no free pages: they are never read here
    Path(f"{path}-wal").unlink(missing_ok=True)
    with path.open("r+b") as file:
        file.write(page)


def _numbers(db: sqlite3.Connection) -> set[int]:
    """Return the numbers of all frames that table or index still know, read from both ends up to the damage."""
    found: set[int] = set()
    for order in ("frame ORDER BY seq{0}", "frame INDEXED BY frame_by_lane ORDER BY lane{0}, seq{0}"):
        stopped = []
        for direction in ("", " DESC"):
            last = 0
            try:
                for (seq,) in db.execute(f"SELECT seq FROM {order.format(direction)}"):  # noqa: S608 - our own text
                    if isinstance(seq, int):
                        found.add(last := seq)
            except sqlite3.Error:
                stopped.append(last)
        if len(stopped) == 2 and all(stopped) and "INDEXED" not in order:
            between = range(stopped[0] + 1, min(stopped[1], stopped[0] + _MOST_BETWEEN))
            found.update(seq for seq in between if _frame(db, seq) is not None)
    return found


def _frame(db: sqlite3.Connection, seq: int) -> tuple[Any, ...] | None:
    """Return the columns `FRAME` of a frame, None if it is not there as it was written."""
    try:
        row = db.execute(f"SELECT {FRAME} FROM frame WHERE seq = ?", (seq,)).fetchone()  # noqa: S608 - our own text
        return row if row is not None and intact(row) else None
    except (sqlite3.Error, Damaged, UnicodeError):
        return None


def _tried(read: Callable[[], State]) -> State | None:
    try:
        return read()
    except (sqlite3.Error, Damaged, msgspec.MsgspecError):
        return None
