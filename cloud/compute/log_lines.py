"""What a job's child writes, line by line on its way to the platform: cleaned, bounded, without secrets. Pure but for its clock.

What comes faster than it may be sent is left out in the middle, never at the end: the last lines are those that say why it ended.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable

WIDEST = 500
"""Characters of a line; the rest of it is cut off."""
MOST_LINES = 200
"""Lines of one report."""
_WAITING = 400
_PER_S, _BURST = 4000, 40_000
_LEFT_OUT = "... {count} lines left out"
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[@-Z\\-_])")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SECRET = re.compile(
    r"(?i)\b(?:sw|sk|st|ghp|gho|xox[a-z])_?-?[A-Za-z0-9_-]{20,}|\bbearer\s+\S+|://[^/\s:@]+:[^/\s@]+@"
    r"|\b(?:password|passwd|secret|token|api[_-]?key)\b(?:\"?\s*[=:]\s*)\S+"
)


def clean(text: str) -> str:
    """Return a line as it may be shown: without escape sequences and what is not seen, no wider than it may be."""
    return _UNSEEN.sub("", _ESCAPE.sub("", text).replace("\t", "    ")).rstrip()[:WIDEST]


def secretless(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a line with those `secrets`, and with what looks like one, crossed out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _SECRET.sub("***", text)


class LogBuffer:
    """Lines that wait to be sent. At most 4,000 bytes a second on average, 40,000 at once; the last 400 lines wait."""

    def __init__(self, secrets: Iterable[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._secrets, self._clock = tuple(secrets), clock
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._allowed, self._at = float(_BURST), clock()

    def add(self, text: str) -> None:
        """Take a line; the oldest that waits makes room."""
        if line := clean(secretless(text, self._secrets)):
            self._lines.append(line)
            if len(self._lines) > _WAITING:
                self._lines.popleft()
                self._left_out += 1

    def take(self) -> list[str]:
        """Return the lines that may be sent now; what is not yet allowed waits on."""
        now = self._clock()
        self._allowed = min(_BURST, self._allowed + (now - self._at) * _PER_S)
        self._at = now
        taken = []
        if self._left_out and self._lines:
            taken.append(_LEFT_OUT.format(count=self._left_out))
            self._left_out = 0
        while self._lines and len(taken) < MOST_LINES and self._allowed >= len(self._lines[0].encode()) + 1:
            self._allowed -= len(self._lines[0].encode()) + 1
            taken.append(self._lines.popleft())
        return taken

    def last(self) -> list[str]:
        """Return the last of the lines that wait, as many as one report takes: there will be no other."""
        left_out = max(0, len(self._lines) - MOST_LINES + 1) + self._left_out
        kept = list(self._lines)[-MOST_LINES + 1 :]
        self._lines.clear()
        self._left_out = 0
        return [_LEFT_OUT.format(count=left_out), *kept] if left_out else kept

    def give_back(self, lines: list[str]) -> None:
        """Let lines wait again that could not be sent."""
        self._lines.extendleft(reversed(lines))
