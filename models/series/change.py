"""Whether a machine has changed for good: change points of a score, told while it comes.

Neighbouring scores are alike, since they are averages. So means of blocks, long enough to be independent, are followed by
a self-starting cumulative sum (Hawkins, "Self-starting CUSUM charts for location and scale", 1987; Page, "Continuous
inspection schemes", 1954): each block is standardised by those before it, and what exceeds the slack is summed up, upwards
and downwards. When a sum passes its limit the score has changed; the change began where the sum last was zero, and what is
usual is learnt anew from there.
"""

from __future__ import annotations

from math import ceil, exp, log, sqrt
from typing import Literal

import msgspec

SLACK, LIMIT = 0.5, 8.0
"""Of the sums, in standard deviations: tuned to a shift by one."""

BLOCK_HALF_LIVES = 1.5
"""Readings of a block, in half lives of the averages: neighbouring blocks hardly remember each other."""

START = 8
"""Blocks that are only learnt from."""

CLIP = 3.0
"""A block counts for no more deviations than these, so that no single one is a change."""

LEAST = 0.1
"""Blocks spread by a tenth of the score at the least: what changes by less is no reason to act."""

SMALLEST = 1e-6
"""Scores below count as this."""


class Change(msgspec.Struct, frozen=True):
    """A lasting change of a score.

    Attributes:
        told: reading, counted from 0, at which it was certain.
        since: reading at which it began.
        way: whether the score has risen or fallen.
        factor: the score since it began, in multiples of what it was before (geometric means).
    """

    told: int
    since: int
    way: Literal["up", "down"]
    factor: float = 1.0


class ChangeWatch(msgspec.Struct):
    """What is known of a score so far: plain data, so that it can be kept over a restart.

    Attributes:
        block: readings of one block.
        read: readings so far; `within`: sum of the logarithms of the current block's.
        count, mean, square: of the blocks since the last change: how many, their mean, sum of squared deviations from it.
        up, down: the two sums; `up_since`, `down_since`: where each was zero last; `up_total`, `down_total`, `up_blocks`,
            `down_blocks`: sum and number of the blocks since then.
        begun: where the current block began.
    """

    block: int
    read: int = 0
    within: float = 0.0
    count: int = 0
    mean: float = 0.0
    square: float = 0.0
    up: float = 0.0
    down: float = 0.0
    up_since: int = 0
    down_since: int = 0
    up_total: float = 0.0
    down_total: float = 0.0
    up_blocks: int = 0
    down_blocks: int = 0
    begun: int = 0

    def follow(self, score: float, at: int | None = None) -> Change | None:
        """Take the next score (above 0) and return the change it makes certain, if any.

        The logarithm is followed: a score is a distance, and spreads the more the larger it is. `at` is when it is of, by which a
        change is told; the reading's number without it.
        """
        at = self.read if at is None else at
        if self.read % self.block == 0:
            self.begun = at
        self.within += log(max(score, SMALLEST))
        self.read += 1
        if self.read % self.block:
            return None
        value, self.within = self.within / self.block, 0.0
        change = self._sum(value, at) if self.count >= START else None
        if change:
            self.count, self.mean, self.square, self.up, self.down = 0, 0.0, 0.0, 0.0, 0.0
            self.up_total = self.down_total = self.up_blocks = self.down_blocks = 0
        self.count += 1
        apart = value - self.mean
        self.mean += apart / self.count
        self.square += apart * (value - self.mean)
        return change

    def _sum(self, value: float, at: int) -> Change | None:
        n = self.count
        deviation = max(sqrt(self.square / (n - 1)), LEAST)
        # The mean of n blocks is itself uncertain: the next one differs from it with variance 1 + 1/n.
        standard = min(max((value - self.mean) / (deviation * sqrt(1 + 1 / n)), -CLIP), CLIP)
        if self.up == 0:
            self.up_since, self.up_total, self.up_blocks = self.begun, 0.0, 0
        if self.down == 0:
            self.down_since, self.down_total, self.down_blocks = self.begun, 0.0, 0
        self.up_total, self.up_blocks = self.up_total + value, self.up_blocks + 1
        self.down_total, self.down_blocks = self.down_total + value, self.down_blocks + 1
        self.up, self.down = max(self.up + standard - SLACK, 0.0), max(self.down - standard - SLACK, 0.0)
        if self.up > LIMIT:
            return Change(at, self.up_since, "up", self._factor(value, self.up_total, self.up_blocks))
        if self.down > LIMIT:
            return Change(at, self.down_since, "down", self._factor(value, self.down_total, self.down_blocks))
        return None

    def _factor(self, value: float, total: float, blocks: int) -> float:
        """Return by what `blocks` of this `total` multiply the score; all but the last one, `value`, are in `mean` already."""
        before = (self.mean * self.count - (total - value)) / (self.count - blocks + 1)
        return exp(total / blocks - before)


def watch_of(half_life: float) -> ChangeWatch:
    """Return a watch of a score whose averages have this half life, in readings."""
    return ChangeWatch(ceil(BLOCK_HALF_LIVES * half_life))
