"""How something that watches fares: waiting, up, or down with the reason; and what it remembers on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from edge_agent.atomic_file import write_file
from protocols.reading import now_us
from protocols.text import Text

_log = logging.getLogger("sunmao.edge")


class WatchState:
    """The state of a station or a watch, as its report tells it.

    Attributes:
        state: "waiting", "up" or "down". since: when it became that, microseconds UTC. reason: why, empty if there is none.
    """

    def __init__(self, again: Text) -> None:
        """`again` is what is said when a trouble has ended."""
        self.state, self.since, self.reason = "waiting", now_us(), Text("", "")
        self._again = again

    def become(self, state: str, reason: Text) -> Text | None:
        """Note the state, and return what is to be announced: a trouble once, and its end once."""
        if (state, reason) == (self.state, self.reason):
            return None
        told = reason if state == "down" else self._again if self.state == "down" else None
        if state != self.state:
            self.since = now_us()
        self.state, self.reason = state, reason
        return told


def keep(path: Path, kept: object) -> None:
    """Write what a watch remembers; if the disk does not take it, it goes on in memory: the disk is watched elsewhere."""
    try:
        write_file(path, msgspec.msgpack.encode(kept))
    except OSError as error:
        _log.warning("%s: %s", path, error.strerror)
