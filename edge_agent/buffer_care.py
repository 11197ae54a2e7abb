"""What a person can do with a buffer's file besides running the agent: verify it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from edge_agent.buffer_file import FRAME, Damaged, intact, read_state, reading


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
    except (sqlite3.Error, Damaged) as error:
        return [str(error)]
